"""Each delivery goes to the sink of its destination, by its kind."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from server.domain.artifact import NATURES, ArtifactKind, Nature
from server.domain.errors import Failed, ServiceReason
from server.domain.ports import Delivery
from server.report.deliver import Deliverer


@dataclass
class Sink:
    """Takes messages and objects."""

    got: list[bytes] = field(default_factory=list)

    def send(self, message: bytes) -> None:
        self.got.append(message)

    def store(self, objects: Sequence[Path]) -> None:
        self.got += [path.read_bytes() for path in objects]

    def ping(self) -> None:
        return


def delivery(tmp_path: Path, kind: ArtifactKind, destination: str) -> Delivery:
    path = tmp_path / kind
    path.write_bytes(kind.encode())
    return Delivery(kind=kind, destination=destination, path=path, message_id="1")


def failure(deliver: Deliverer, sent: Delivery) -> Failed:
    with pytest.raises(Failed) as failed:
        deliver(sent)
    assert failed.value.reason == ServiceReason.DELIVERY_FAILED
    return failed.value


def test_every_kind_of_artifact_has_a_nature() -> None:
    assert set(NATURES) == set(ArtifactKind)


@pytest.mark.parametrize("kind", list(ArtifactKind))
def test_a_kind_goes_to_the_sink_that_its_nature_asks_for(tmp_path: Path, kind: ArtifactKind) -> None:
    lis, other_lis, archive = Sink(), Sink(), Sink()
    deliver = Deliverer(messages={"lis": lis, "other": other_lis}, objects={"archive": archive})
    match NATURES[kind]:
        case Nature.MESSAGE:
            deliver(delivery(tmp_path, kind, "lis"))
            assert (lis.got, other_lis.got, archive.got) == ([kind.encode()], [], [])
            assert "no destination archive takes" in failure(deliver, delivery(tmp_path, kind, "archive")).message
        case Nature.OBJECT:
            deliver(delivery(tmp_path, kind, "archive"))
            assert (lis.got, archive.got) == ([], [kind.encode()])
            assert not failure(deliver, delivery(tmp_path, kind, "lis")).retryable
        case Nature.KEPT:
            assert "nothing sends" in failure(deliver, delivery(tmp_path, kind, "archive")).message


def test_a_message_whose_file_is_gone_is_tried_again(tmp_path: Path) -> None:
    sent = delivery(tmp_path, ArtifactKind.ORU, "lis")
    sent.path.unlink()
    assert failure(Deliverer(messages={"lis": Sink()}, objects={}), sent).retryable
