"""What the outbox holds goes to the sink of its destination that takes its kind, and to no other."""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from server.domain.artifact import ArtifactKind
from server.domain.errors import Failed, ServiceReason
from server.domain.ports import Delivery
from server.report.deliver import Deliverer


class Neighbours:
    """A LIS and an archive in memory."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.objects: list[Path] = []

    def send(self, message: bytes) -> None:
        self.messages.append(message)

    def store(self, objects: Sequence[Path]) -> None:
        self.objects += objects

    def ping(self) -> None:
        return


@pytest.fixture
def near() -> Neighbours:
    return Neighbours()


@pytest.fixture
def deliver(near: Neighbours) -> Deliverer:
    return Deliverer(messages={"lis": near}, objects={"archive": near})


def test_an_oru_goes_to_its_receiver_byte_for_byte(deliver: Deliverer, near: Neighbours, tmp_path: Path) -> None:
    (tmp_path / "oru").write_bytes(b"MSH|\xe9\r")
    deliver(Delivery(kind=ArtifactKind.ORU, destination="lis", path=tmp_path / "oru", message_id="1"))
    assert near.messages == [b"MSH|\xe9\r"]


@pytest.mark.parametrize("kind", [ArtifactKind.SR, ArtifactKind.ANN, ArtifactKind.SEG, ArtifactKind.MAP])
def test_dicom_objects_go_to_the_archive(
    deliver: Deliverer, near: Neighbours, tmp_path: Path, kind: ArtifactKind
) -> None:
    deliver(Delivery(kind=kind, destination="archive", path=tmp_path / "x.dcm", message_id="1"))
    assert near.objects == [tmp_path / "x.dcm"]


@pytest.mark.parametrize(
    ("kind", "destination"),
    [("OF_A_NEWER_VERSION", "lis"), ("ORU", "archive"), ("SR", "lis"), ("ORU", "nobody"), ("CELLS", "archive")],
)
def test_what_fits_no_sender_is_not_tried_again(
    deliver: Deliverer, tmp_path: Path, kind: str, destination: str
) -> None:
    with pytest.raises(Failed) as failed:
        deliver(
            Delivery(kind=cast(ArtifactKind, kind), destination=destination, path=tmp_path / "missing", message_id="1")
        )
    assert (failed.value.reason, failed.value.retryable) == (ServiceReason.DELIVERY_FAILED, False)


def test_a_report_whose_folder_is_away_is_tried_again(deliver: Deliverer, tmp_path: Path) -> None:
    with pytest.raises(Failed) as failed:
        deliver(Delivery(kind=ArtifactKind.ORU, destination="lis", path=tmp_path / "missing", message_id="1"))
    assert (failed.value.reason, failed.value.retryable) == (ServiceReason.DELIVERY_FAILED, True)
