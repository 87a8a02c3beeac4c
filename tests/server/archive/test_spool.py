"""The spool: bounded, shared, and never without what is in use."""

import threading
from pathlib import Path

import pytest

from server.archive.spool import Fill, Spool, Writer
from server.domain.errors import Failed, Refused, ServiceReason


def content(byte: bytes, size: int = 1000) -> Fill:
    def fill(writer: Writer) -> None:
        writer.expect(size)
        writer.write(byte * size)

    return fill


def nothing(_: Path) -> None:
    return


def never(_: Writer) -> None:
    raise AssertionError("it is there already")


def objects(spool: Spool) -> list[bytes]:
    return sorted(path.read_bytes()[:1] for path in (spool.root / "objects").iterdir())


def test_what_is_there_whole_is_not_fetched_again_and_another_key_is_another_instance(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 10_000)
    spool.bring("a", tmp_path / "one" / "a.dcm", content(b"a"), nothing)
    spool.bring("a", tmp_path / "two" / "a.dcm", never, nothing)
    spool.bring("a, whose patient was corrected", tmp_path / "two" / "b.dcm", content(b"b"), nothing)
    assert (tmp_path / "two" / "a.dcm").read_bytes() == b"a" * 1000
    assert (tmp_path / "two" / "b.dcm").read_bytes() == b"b" * 1000


def test_one_content_under_two_keys_is_kept_once(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 10_000)
    for key in ("a", "b"):
        spool.bring(key, tmp_path / "case" / key, content(b"x"), nothing)
    assert objects(spool) == [b"x"]


def test_what_was_used_longest_ago_goes_first_and_what_is_in_use_stays(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 3500)
    for key in "abc":
        spool.bring(key, tmp_path / "case" / key, content(key.encode()), nothing)
    for key in "ab":
        (tmp_path / "case" / key).unlink()  # c is in use
    spool.bring("a", tmp_path / "case" / "a", never, nothing)  # and now a again
    spool.bring("d", tmp_path / "case" / "d", content(b"d"), nothing)
    assert objects(spool) == [b"a", b"c", b"d"]
    (tmp_path / "case" / "a").unlink()
    spool.bring("e", tmp_path / "case" / "e", content(b"e"), nothing)
    assert objects(spool) == [b"c", b"d", b"e"]


def test_a_spool_full_of_slides_in_use_is_waited_for_and_one_too_small_is_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 2500)
    for key in "ab":
        spool.bring(key, tmp_path / "case" / key, content(key.encode()), nothing)
    with pytest.raises(Failed) as full:
        spool.bring("c", tmp_path / "case" / "c", content(b"c"), nothing)
    assert (full.value.reason, full.value.retryable) == (ServiceReason.SPOOL_FULL, True)
    with pytest.raises(Refused) as small:
        spool.bring("d", tmp_path / "case" / "d", content(b"d", 2501), nothing)
    assert small.value.reason == ServiceReason.SPOOL_TOO_SMALL
    assert objects(spool) == [b"a", b"b"]


def test_one_that_grows_beyond_the_spool_is_stopped_where_its_size_was_not_told(tmp_path: Path) -> None:
    def endless(writer: Writer) -> None:
        while True:
            writer.write(b"x" * 100)

    spool = Spool(tmp_path / "spool", 2500)
    with pytest.raises(Refused, match="SPOOL_TOO_SMALL"):
        spool.bring("a", tmp_path / "case" / "a", endless, nothing)
    assert objects(spool) == []


def test_a_cut_file_is_fetched_again(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 10_000)
    spool.bring("a", tmp_path / "case" / "a", content(b"a"), nothing)
    (tmp_path / "case" / "a").unlink()
    (kept,) = (spool.root / "objects").iterdir()
    kept.write_bytes(b"a" * 10)
    spool.bring("a", tmp_path / "case" / "a", content(b"a"), nothing)
    assert (tmp_path / "case" / "a").read_bytes() == b"a" * 1000


def test_two_who_want_it_at_once_fetch_it_once(tmp_path: Path) -> None:
    spool, begun, go_on, fetched = Spool(tmp_path / "spool", 10_000), threading.Event(), threading.Event(), []

    def slow(writer: Writer) -> None:
        fetched.append(1)
        begun.set()
        go_on.wait(10)
        writer.write(b"a" * 1000)

    threads = [
        threading.Thread(target=spool.bring, args=("a", tmp_path / str(n), slow, nothing), daemon=True) for n in (1, 2)
    ]
    for thread in threads:
        thread.start()
    begun.wait(10)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert (len(fetched), (tmp_path / "1").read_bytes()) == (1, (tmp_path / "2").read_bytes())


def test_what_a_dead_process_left_half_written_is_removed_and_what_a_live_one_writes_is_not(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", 10_000)

    def while_writing(writer: Writer) -> None:
        (spool.root / "objects" / "dead.part").write_bytes(b"half")
        writer.write(b"a" * 1000)
        spool.bring("b", tmp_path / "b", content(b"b"), nothing)

    spool.bring("a", tmp_path / "a", while_writing, nothing)
    assert objects(spool) == [b"a", b"b"]


def test_where_what_came_is_wrong_nothing_is_kept(tmp_path: Path) -> None:
    def wrong(_: Path) -> None:
        raise Failed(ServiceReason.ARCHIVE_ANSWER, "another", retryable=True)

    spool = Spool(tmp_path / "spool", 10_000)
    with pytest.raises(Failed):
        spool.bring("a", tmp_path / "a", content(b"a"), wrong)
    assert (objects(spool), (tmp_path / "a").exists()) == ([], False)
