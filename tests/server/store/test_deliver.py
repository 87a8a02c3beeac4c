import ssl
from collections.abc import Sequence
from pathlib import Path

import pytest

from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import Delivery
from server.report.deliver import Deliverer, Receiver


class Neighbours:
    """A receiver and an archive in memory."""

    def __init__(self) -> None:
        self.messages: list[tuple[bytes, str, int, float]] = []
        self.objects: list[Path] = []

    def send(
        self, message: bytes, *, host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self.messages.append((message, host, port, timeout_s))

    def store(self, objects: Sequence[Path]) -> None:
        self.objects += objects

    def fetch(self, slide: SlideReference, spool: Path) -> Path:
        raise NotImplementedError


@pytest.fixture
def near() -> Neighbours:
    return Neighbours()


@pytest.fixture
def deliver(near: Neighbours) -> Deliverer:
    return Deliverer(
        receivers={"lis": Receiver(host="lis.example", port=2576, timeout_s=7)},
        archives={"archive": near},
        send=near.send,
    )


def test_an_oru_goes_to_its_receiver_byte_for_byte(deliver: Deliverer, near: Neighbours, tmp_path: Path) -> None:
    (tmp_path / "oru").write_bytes(b"MSH|\xe9\r")
    deliver(Delivery(kind=ArtifactKind.ORU, destination="lis", path=tmp_path / "oru", message_id="1"))
    assert near.messages == [(b"MSH|\xe9\r", "lis.example", 2576, 7)]


@pytest.mark.parametrize("kind", ["SR", "ANN", "SEG"])
def test_dicom_objects_go_to_the_archive(deliver: Deliverer, near: Neighbours, tmp_path: Path, kind: str) -> None:
    deliver(Delivery(kind=kind, destination="archive", path=tmp_path / "x.dcm", message_id="1"))
    assert near.objects == [tmp_path / "x.dcm"]


@pytest.mark.parametrize(
    ("kind", "destination"), [("PDF", "lis"), ("ORU", "archive"), ("SR", "lis"), ("ORU", "nobody")]
)
def test_what_fits_no_sender_is_not_tried_again(
    deliver: Deliverer, tmp_path: Path, kind: str, destination: str
) -> None:
    with pytest.raises(Failed) as failed:
        deliver(Delivery(kind=kind, destination=destination, path=tmp_path / "missing", message_id="1"))
    assert (failed.value.reason, failed.value.retryable) == (ServiceReason.DELIVERY_FAILED, False)


def test_a_report_whose_folder_is_away_is_tried_again(deliver: Deliverer, tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed:
        deliver(Delivery(kind=ArtifactKind.ORU, destination="lis", path=tmp_path / "missing", message_id="1"))
    assert (failed.value.reason, failed.value.retryable) == (ServiceReason.DELIVERY_FAILED, True)
