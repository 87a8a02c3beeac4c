"""What an archive may say to an object that is stored or deleted, and what becomes of the delivery."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server.demo.slide_header import SlideIdentity
from server.domain.errors import Failed
from server.domain.ports import NamedObject
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.contract.test_archive_ports import Grey
from tests.fake_pacs import FakePacs, Handler, fake_pacs

ONE = SlideIdentity(key="storing/one")
UID = str(ONE.uid("level/0"))


@pytest.fixture
def pacs(tmp_path: Path) -> Iterator[FakePacs]:
    with fake_pacs(tmp_path / "pacs") as server:
        yield server


@pytest.fixture
def made(tmp_path: Path) -> Path:
    (path,) = write_dicom_slide(tmp_path / "made", JpegFrames(Grey()), mpp=0.5, identity=ONE, levels=1)
    return path


def failed(reason: int) -> dict[str, Any]:
    return {"00081198": {"vr": "SQ", "Value": [{"00081155": {"Value": [UID]}, "00081197": {"Value": [reason]}}]}}


ANSWERS: dict[str, tuple[int, bytes, str, bool]] = {
    "its class is not supported": (409, json.dumps(failed(0x0122)).encode(), "OBJECT_REFUSED", False),
    "its class is not supported, said with 200": (200, json.dumps(failed(0x0122)).encode(), "OBJECT_REFUSED", False),
    "it can't be understood": (409, json.dumps(failed(0xC000)).encode(), "OBJECT_REFUSED", False),
    "it is too large": (413, b"", "OBJECT_REFUSED", False),
    "media type": (415, b"", "OBJECT_REFUSED", False),
    "out of resources": (409, json.dumps(failed(0xA700)).encode(), "ARCHIVE_UNREACHABLE", True),
    "processing failure": (202, json.dumps(failed(0x0110)).encode(), "ARCHIVE_UNREACHABLE", True),
    "busy": (503, b"", "ARCHIVE_UNREACHABLE", True),
    "not allowed": (403, b"", "ARCHIVE_DENIED", True),
    "bad request": (400, b"{}", "ARCHIVE_ANSWER", True),
    "kept another": (200, json.dumps({"00081199": {"Value": [{"00081155": {"Value": ["1.2"]}}]}}).encode(),
                     "ARCHIVE_ANSWER", True),
    "taken, and not there": (200, b"{}", "ARCHIVE_ANSWER", True),
    "duplicate, and not there": (409, json.dumps(failed(0x0111)).encode(), "ARCHIVE_ANSWER", True),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_what_is_not_there_afterwards_is_not_delivered(pacs: FakePacs, made: Path, tmp_path: Path, name: str) -> None:
    status, body, reason, again = ANSWERS[name]

    def fault(handler: Handler) -> bool:
        if handler.command == "POST":
            handler.answer(status, body, "application/dicom+json")
        return handler.command == "POST"

    pacs.fault = fault
    with pytest.raises(Failed) as raised:
        pacs.archive(tmp_path).store([made])
    assert (raised.value.reason, raised.value.retryable) == (reason, again)


@pytest.mark.parametrize("answer", [(200, b""), (200, b"thanks"), (409, json.dumps(failed(0x0111)).encode())])
def test_what_is_there_afterwards_is_delivered_however_it_was_answered(
    pacs: FakePacs, made: Path, tmp_path: Path, answer: tuple[int, bytes]
) -> None:
    archive = pacs.archive(tmp_path)
    archive.store([made])

    def fault(handler: Handler) -> bool:
        if handler.command == "POST":
            handler.answer(*answer, "application/dicom+json")
        return handler.command == "POST"

    pacs.fault = fault
    archive.store([made])
    assert pacs.kept() == [made.read_bytes()]


@pytest.mark.parametrize(
    ("status", "reason"),
    [(405, "OBJECT_REFUSED"), (501, "OBJECT_REFUSED"), (403, "ARCHIVE_DENIED"), (200, "ARCHIVE_ANSWER")],
)
def test_what_can_t_be_deleted_or_is_still_there_is_told(
    pacs: FakePacs, made: Path, tmp_path: Path, status: int, reason: str
) -> None:
    archive = pacs.archive(tmp_path)
    archive.store([made])

    def fault(handler: Handler) -> bool:
        if handler.command == "DELETE":
            handler.answer(status, b"", "text/plain")
        return handler.command == "DELETE"

    pacs.fault = fault
    named = NamedObject(study_uid=ONE.study_uid, series_uid=ONE.series_uid, sop_instance_uid=UID)
    with pytest.raises(Failed) as raised:
        archive.remove(named)
    assert raised.value.reason == reason
