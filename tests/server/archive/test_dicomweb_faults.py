"""What a sick DICOMweb archive does to a case: one clear error or a wait, and nothing half-written."""

import errno
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from server.archive.spool import Writer
from server.demo.slide_header import SlideIdentity
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.contract.test_archive_ports import Grey
from tests.fake_pacs import BOUNDARY, MULTIPART, FakePacs, Fault, Handler, fake_pacs, multipart

ONE = SlideIdentity(key="faults/one")
QUERY = SlideQuery(slide=SlideReference(study_uid=ONE.study_uid, series_uid=ONE.series_uid))


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[FakePacs]:
    """With one slide of two levels."""
    with fake_pacs(tmp_path / "pacs") as server:
        write_dicom_slide(server.folder, JpegFrames(Grey()), mpp=0.5, identity=ONE, levels=2)
        yield server


def of_instances(answer: Callable[[Handler], None]) -> Fault:
    """A fault of retrieving, and of nothing else."""

    def fault(handler: Handler) -> bool:
        if handler.command == "GET" and "/instances/" in handler.path and "metadata" not in handler.path:
            answer(handler)
            return True
        return False

    return fault


def level(pacs: FakePacs, number: int = 0) -> bytes:
    return (pacs.folder / f"level-{number}.dcm").read_bytes()


def ends(pacs: FakePacs, tmp_path: Path, **wanted: object) -> ChromogenError:
    """The error of a fetch; nothing half-written stays, and nothing stands under a final name."""
    with pytest.raises(ChromogenError) as raised:
        pacs.archive(tmp_path, **wanted).fetch(QUERY, tmp_path / "spool")
    assert list(tmp_path.rglob("*.part")) == []
    assert [p for p in (tmp_path / "spool").rglob("*") if p.is_file()] == []
    assert ONE.container_id not in raised.value.message
    assert ONE.patient_id not in raised.value.message
    return raised.value


STATUS = [
    (401, "ARCHIVE_DENIED"),
    (403, "ARCHIVE_DENIED"),
    (404, "ARCHIVE_ANSWER"),
    (400, "ARCHIVE_ANSWER"),
    (302, "ARCHIVE_ANSWER"),
    (429, "ARCHIVE_UNREACHABLE"),
    (500, "ARCHIVE_UNREACHABLE"),
    (503, "ARCHIVE_UNREACHABLE"),
]


@pytest.mark.parametrize(("status", "reason"), STATUS)
def test_a_status_that_is_no_slide(pacs: FakePacs, tmp_path: Path, status: int, reason: str) -> None:
    pacs.fault = of_instances(lambda handler: handler.answer(status, b"secret", "text/plain"))
    error = ends(pacs, tmp_path)
    assert (error.reason, error.retryable, str(status) in error.message or status == 404) == (reason, True, True)


BROKEN: dict[str, Callable[[Handler, bytes], None]] = {
    "cut in the middle": lambda h, one: h.answer(200, multipart(one)[:900], MULTIPART, length=len(multipart(one))),
    "whole by its length, but without an end": lambda h, one: h.answer(200, multipart(one)[:-40], MULTIPART),
    "two instances": lambda h, one: h.answer(200, multipart(one, one), MULTIPART),
    "a page": lambda h, one: h.answer(200, b"<html>sign in</html>", "text/html"),
    "parts without a boundary": lambda h, one: h.answer(200, multipart(one), "multipart/related"),
    "another boundary": lambda h, one: h.answer(200, multipart(one), f"{MULTIPART}x"),
    "no DICOM": lambda h, one: h.answer(200, multipart(b"JUNK" * 100), MULTIPART),
    "nothing": lambda h, one: h.answer(200, b"", MULTIPART),
    "shorter than its part says": lambda h, one: h.answer(200, counted(one[:-10], len(one)), MULTIPART),
    "longer than its part says": lambda h, one: h.answer(200, counted(one, len(one) - 10), MULTIPART),
}


def counted(content: bytes, length: int) -> bytes:
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\nContent-Length: {length}\r\n\r\n".encode()
    return head + content + f"\r\n--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize("name", BROKEN)
def test_an_answer_that_is_no_whole_instance(pacs: FakePacs, tmp_path: Path, name: str) -> None:
    one = level(pacs)
    pacs.fault = of_instances(lambda handler: BROKEN[name](handler, one))
    error = ends(pacs, tmp_path)
    assert error.retryable
    assert error.reason == ("ARCHIVE_UNREACHABLE" if name == "cut in the middle" else "ARCHIVE_ANSWER")


def test_an_instance_that_is_another_than_was_listed(pacs: FakePacs, tmp_path: Path) -> None:
    other = level(pacs, 1)
    pacs.fault = of_instances(lambda handler: handler.answer(200, multipart(other), MULTIPART))
    assert "another instance than it lists" in ends(pacs, tmp_path).message


def test_a_label_in_place_of_the_volume(pacs: FakePacs, tmp_path: Path) -> None:
    label = level(pacs).replace(b"ORIGINAL\\PRIMARY\\VOLUME\\NONE", b"ORIGINAL\\PRIMARY\\LABEL\\NONE ")
    pacs.fault = of_instances(lambda handler: handler.answer(200, multipart(label), MULTIPART))
    assert "another instance than it lists" in ends(pacs, tmp_path).message


def test_an_archive_that_hangs_is_waited_for_no_longer_than_is_set(pacs: FakePacs, tmp_path: Path) -> None:
    pacs.fault = of_instances(lambda handler: time.sleep(2))
    assert ends(pacs, tmp_path, timeout_s=0.3).reason == ServiceReason.ARCHIVE_UNREACHABLE


def test_an_archive_that_trickles_is_as_good_as_away(pacs: FakePacs, tmp_path: Path) -> None:
    def trickle(handler: Handler) -> None:
        handler.answer(200, b"", MULTIPART, length=10_000)
        for _ in range(30):
            handler.wfile.write(b"-")
            handler.wfile.flush()
            time.sleep(0.1)

    pacs.fault = of_instances(trickle)
    assert ends(pacs, tmp_path, timeout_s=0.5).reason == ServiceReason.ARCHIVE_UNREACHABLE


LISTS: dict[str, tuple[bytes, str, str]] = {
    "no JSON": (b"[{", "application/dicom+json", "ARCHIVE_ANSWER"),
    "XML": (b"<xml/>", "application/dicom+xml", "ARCHIVE_ANSWER"),
    "another shape": (b'{"a": 1}', "application/dicom+json", "ARCHIVE_ANSWER"),
    "rows of no DICOM": (b'[{"00080018": 7}]', "application/dicom+json", "ARCHIVE_ANSWER"),
    "nothing": (b"[]", "application/dicom+json", "SLIDE_NOT_FOUND"),
}


@pytest.mark.parametrize("name", LISTS)
def test_a_list_that_is_none(pacs: FakePacs, tmp_path: Path, name: str) -> None:
    body, kind, reason = LISTS[name]

    def fault(handler: Handler) -> bool:
        handler.answer(200, body, kind)
        return True

    pacs.fault = fault
    assert ends(pacs, tmp_path).reason == reason


def test_an_instance_larger_than_the_spool_is_refused_before_it_comes(pacs: FakePacs, tmp_path: Path) -> None:
    error = ends(pacs, tmp_path, most_bytes=2000)
    assert isinstance(error, Refused)
    assert (error.reason, "CHROMOGEN_ARCHIVE_SPOOL_GB" in error.message) == ("SPOOL_TOO_SMALL", True)


def test_a_full_disk_is_waited_for(pacs: FakePacs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Writer, chunk: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(Writer, "write", full)
    error = ends(pacs, tmp_path)
    assert (error.reason, error.retryable) == (ServiceReason.SPOOL_FULL, True)


def test_two_images_under_one_uid_are_refused(pacs: FakePacs, tmp_path: Path) -> None:
    uid = str(ONE.uid("level/0")).encode()
    (pacs.folder / "level-1.dcm").write_bytes(level(pacs, 1).replace(str(ONE.uid("level/1")).encode(), uid))
    with pytest.raises(Refused, match="two different images under one SOP instance UID"):
        pacs.archive(tmp_path).fetch(QUERY, tmp_path / "spool")


def test_when_the_archive_is_well_again_the_slide_comes_and_what_was_there_is_not_fetched_twice(
    pacs: FakePacs, tmp_path: Path
) -> None:
    calls: list[str] = []

    def second_fails(handler: Handler) -> bool:
        calls.append(handler.path)
        if len([c for c in calls if c.endswith(("0", "1", *"23456789")) and "/instances/" in c]) == 2:
            handler.answer(500, b"", "text/plain")
            return True
        return False

    pacs.fault, archive = second_fails, pacs.archive(tmp_path)
    with pytest.raises(Failed):
        archive.fetch(QUERY, tmp_path / "spool")
    pacs.fault, before = None, pacs.fetched
    folder = archive.fetch(QUERY, tmp_path / "spool")
    assert (len(list(folder.iterdir())), pacs.fetched - before) == (2, 1)


def test_a_listed_series_without_a_uid_is_no_slide(pacs: FakePacs, tmp_path: Path) -> None:
    def listed(handler: Handler) -> bool:
        rows = [{"00201209": {"vr": "IS", "Value": [2]}}, {"0020000E": {"vr": "UI", "Value": [ONE.series_uid]}}]
        handler.answer(200, json.dumps(rows).encode(), "application/dicom+json")
        return True

    pacs.fault = listed
    assert list(pacs.archive(tmp_path).there(days=7)) == [ONE.series_uid]
