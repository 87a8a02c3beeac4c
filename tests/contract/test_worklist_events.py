"""Where a worklist that we reach by TLS reaches us: by TLS too, with a certificate of the same authority, or not."""

import gc
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import UnifiedProcedureStepEvent, UnifiedProcedureStepPush

from server.archive import listener
from server.archive.made import dimse_archive, worklist_events
from server.archive.spool import Spool
from server.domain.errors import Refused, ServiceReason
from server.site import Address, DimseAddress, WorklistAddress
from tests.orthanc import free_port
from tests.server.api.issuer import Authority
from tests.ups_peer import OUR_AET

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # of refused sockets
UID = "2.25.77"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def at(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> DimseAddress:
    folder, ours = tmp_path_factory.mktemp("pem"), authority.issue("chromogen", server=True)
    for name, content in (("ca", authority.pem), ("cert", ours.cert), ("key", ours.key)):
        (folder / name).write_bytes(content)
    return DimseAddress(
        name="work",
        host="127.0.0.1",
        port=free_port(),
        aet="WORKLIST",
        our_aet=OUR_AET,
        table="[worklists.work]",
        listen=Address(host="127.0.0.1", port=free_port()),
        timeout_s=20,
        tls_ca=folder / "ca",
        tls_cert=folder / "cert",
        tls_key=folder / "key",
    )


@pytest.fixture
def asked(at: DimseAddress) -> Iterator[list[str]]:
    """The items that somebody asked to cancel, heard at `at.listen`."""
    heard: list[str] = []
    events = worklist_events(WorklistAddress(name="work", at=at, laboratory="NORTH", station="IHC-AI"), heard.append)
    events.start()
    yield heard
    events.stop()


def told(at: DimseAddress, context: ssl.SSLContext | None) -> bool:
    """Whether a request to cancel was taken from who connects with `context`, or in plain text."""
    assert at.listen is not None
    ae = AE(ae_title="WORKLIST")
    ae.acse_timeout = ae.network_timeout = 20
    ae.add_requested_context(UnifiedProcedureStepEvent)
    tls = None if context is None else (context, "127.0.0.1")
    association = ae.associate(at.listen.host, at.listen.port, ae_title=OUR_AET, tls_args=tls)
    if not association.is_established:
        del association
        gc.collect()  # of the socket, which pynetdicom drops, here and not in some other test
        return False
    reason = Dataset()
    reason.ReasonForCancellation = "ordered in error"
    status, _ = association.send_n_event_report(
        reason, 2, UnifiedProcedureStepPush, UID, meta_uid=UnifiedProcedureStepEvent
    )
    association.release()
    return status.get("Status") == 0


def client(authority: Authority, trusted: Authority, folder: Path) -> ssl.SSLContext:
    """Of who trusts `trusted`, and has a certificate of `authority`."""
    theirs = authority.issue("worklist")
    (folder / "cert").write_bytes(theirs.cert)
    (folder / "key").write_bytes(theirs.key)
    context = ssl.create_default_context(cadata=trusted.pem.decode())
    context.load_cert_chain(folder / "cert", folder / "key")
    return context


def test_who_shows_a_certificate_of_the_authority_is_heard(
    asked: list[str], at: DimseAddress, authority: Authority, tmp_path: Path
) -> None:
    assert told(at, client(authority, authority, tmp_path))
    assert asked == [UID]


def test_plain_text_and_a_stranger_s_certificate_and_none_are_not(
    asked: list[str], at: DimseAddress, authority: Authority, tmp_path: Path
) -> None:
    assert not told(at, None)
    assert not told(at, client(Authority("another"), authority, tmp_path))
    assert not told(at, ssl.create_default_context(cadata=authority.pem.decode()))
    assert asked == []


def test_who_connects_and_says_nothing_shuts_nobody_else_out(
    asked: list[str], at: DimseAddress, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listener, "HANDSHAKE_S", 0.5)
    assert at.listen is not None
    with socket.create_connection((at.listen.host, at.listen.port)):
        assert told(at, client(authority, authority, tmp_path))
    assert asked == [UID]


def test_a_peer_reached_by_tls_isn_t_listened_to_without_a_certificate_of_ours(
    at: DimseAddress, tmp_path: Path
) -> None:
    bare = DimseAddress(
        name="work", host=at.host, port=at.port, aet=at.aet, our_aet=at.our_aet, table=at.table, listen=at.listen,
        tls_ca=at.tls_ca,
    )  # fmt: skip
    named = WorklistAddress(name="work", at=bare, laboratory="NORTH", station="IHC-AI")
    for make in (
        lambda: worklist_events(named, lambda _: None),
        lambda: dimse_archive(bare, Spool(tmp_path / "spool", 1 << 20)),
    ):
        with pytest.raises(Refused) as refused:
            make()
        assert refused.value.reason is ServiceReason.SETTING_INVALID
        assert "[worklists.work] tls_cert and [worklists.work] tls_key are not set" in refused.value.message
