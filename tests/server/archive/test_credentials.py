"""Who we are to an archive, on real HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.demo.slide_header import SlideIdentity
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.contract.test_archive_ports import Grey
from tests.fake_pacs import FakePacs, Handler, fake_pacs

ONE = SlideIdentity(key="credentials/one")
QUERY = SlideQuery(slide=SlideReference(series_uid=ONE.series_uid))


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[FakePacs]:
    with fake_pacs(tmp_path / "pacs") as server:
        write_dicom_slide(server.folder, JpegFrames(Grey()), mpp=0.5, identity=ONE, levels=1)
        yield server


def test_a_token_file_that_is_renewed_is_used_at_once(pacs: FakePacs, tmp_path: Path) -> None:
    token, taken = tmp_path / "token", "first"

    def only_the_newest(handler: Handler) -> bool:
        if handler.headers["authorization"] == f"Bearer {taken}":
            return False
        handler.answer(401, b"", "text/plain")
        return True

    pacs.fault = only_the_newest
    archive = pacs.archive(tmp_path, token_file=token)
    token.write_text("first\n")
    archive.ping()
    taken = "second"
    with pytest.raises(Failed) as denied:
        archive.ping()
    assert (denied.value.reason, denied.value.retryable) == (ServiceReason.ARCHIVE_DENIED, True)
    token.write_text("second\n")
    archive.ping()


class Issuer:
    """Gives tokens, each of which is taken `uses` times."""

    def __init__(self, uses: int) -> None:
        self.uses, self.given, self.left = uses, 0, 0

    def __call__(self, handler: Handler) -> bool:
        if handler.path.endswith("/token"):
            self.given, self.left = self.given + 1, self.uses
            answer = {"access_token": f"token-{self.given}", "expires_in": 3600, "token_type": "Bearer"}
            handler.answer(200, json.dumps(answer).encode(), "application/json")
            return True
        if handler.headers["authorization"] != f"Bearer token-{self.given}" or self.left == 0:
            handler.answer(401, b"", "text/plain")
            return True
        self.left -= 1
        return False


def oauth(pacs: FakePacs, tmp_path: Path) -> dict[str, object]:
    (tmp_path / "client-secret").write_text("not-a-secret")
    url = f"http://127.0.0.1:{pacs.port}/token"
    return {"token_url": url, "client_id": "chromogen", "client_secret_file": tmp_path / "client-secret"}


def test_a_token_that_is_taken_no_more_is_asked_for_anew(pacs: FakePacs, tmp_path: Path) -> None:
    (tmp_path / "pacs" / "x").mkdir()
    issuer = Issuer(uses=2)
    pacs.fault = issuer
    folder = pacs.archive(tmp_path, **oauth(pacs, tmp_path)).fetch(QUERY, tmp_path / "spool")
    assert len(list(folder.iterdir())) == 1
    assert issuer.given > 1  # the slide takes more than two requests


def test_an_issuer_that_is_away_is_waited_for(pacs: FakePacs, tmp_path: Path) -> None:
    def no_tokens(handler: Handler) -> bool:
        handler.answer(503, b"not-a-secret", "text/plain")
        return True

    pacs.fault = no_tokens
    with pytest.raises(Failed) as denied:
        pacs.archive(tmp_path, **oauth(pacs, tmp_path)).ping()
    assert (denied.value.reason, denied.value.retryable) == (ServiceReason.ARCHIVE_DENIED, True)
    assert "not-a-secret" not in denied.value.message


def test_a_password_that_can_t_be_read_is_told_by_its_file(pacs: FakePacs, tmp_path: Path) -> None:
    with pytest.raises(Refused, match="absent can't be read"):
        pacs.archive(tmp_path, user="u", password_file=tmp_path / "absent").ping()
