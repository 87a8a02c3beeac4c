"""INTEROP.md I-3: `serve` and `work` as processes, with mutual TLS to the LIS in both directions."""

import hashlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from server.demo.lis import ReceivingLis, order_message
from server.domain.errors import Failed
from server.domain.ports import Delivery
from server.domain.result import ResultId
from server.hl7.er7 import END, START
from server.hl7.listener import MllpListener
from server.hl7.sender import send
from server.settings import Lis, Mllp
from server.store.database import connect
from server.store.store import PostgresStore
from server.tls import listener_context, sender_context
from tests.integration.processes import ROOT, environment, events, logged, until
from tests.server.api.issuer import Authority, Pair
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres
COMMAND = [sys.executable, "-m", "server.cli.main"]


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def folder(authority: Authority) -> Iterator[Path]:
    """Certificates of the laboratory: ca, and of chromogen and the LIS each one as a server's and one as a client's."""
    with tempfile.TemporaryDirectory(prefix="chromogen-test-") as name:
        made = Path(name)
        (made / "ca").write_bytes(authority.pem)
        for who in ("chromogen", "lis"):
            _put(made, f"{who}-server", authority.issue(who, server=True))
            _put(made, f"{who}-client", authority.issue(who))
        yield made


def _put(folder: Path, name: str, pair: Pair) -> None:
    (folder / f"{name}.cert").write_bytes(pair.cert)
    (folder / f"{name}.key").write_bytes(pair.key)


def client_of(folder: Path, name: str | None) -> ssl.SSLContext:
    own = {} if name is None else {"tls_cert": folder / f"{name}.cert", "tls_key": folder / f"{name}.key"}
    context = sender_context(Lis(host="localhost", tls_ca=folder / "ca", **own))  # type: ignore[arg-type]
    assert context is not None
    return context


def order(number: str) -> bytes:
    return order_message(placer_number=number, marker="ER", control_id=number, container_id="INVENTED")


def base(url: str, folder: Path) -> dict[str, str]:
    return environment(
        {"CHROMOGEN_DATABASE_URL": url, "CHROMOGEN_DATA_FOLDER": str(folder), "CHROMOGEN_MLLP_PORT": "0"}
    )


@contextmanager
def serving(url: str, folder: Path, own: dict[str, str]) -> Iterator[dict[str, object]]:
    """`chromogen serve`, and what it says once it is up."""
    log = folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen([*COMMAND, "serve"], cwd=ROOT, env=base(url, folder) | own, stdout=out, stderr=out)
        try:
            until(lambda: process.poll() is not None or bool(events(log, "serving")), 60)
            (said,) = events(log, "serving")
            yield said
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        logged(log)


def served_by_tls(folder: Path) -> dict[str, str]:
    return {
        "CHROMOGEN_MLLP_TLS_CERT": str(folder / "chromogen-server.cert"),
        "CHROMOGEN_MLLP_TLS_KEY": str(folder / "chromogen-server.key"),
        "CHROMOGEN_MLLP_TLS_CLIENT_CA": str(folder / "ca"),
    }


@pytest.fixture
def port(service_url: str, folder: Path) -> Iterator[int]:
    """Of a `serve` that listens for who shows a certificate."""
    with serving(service_url, folder, served_by_tls(folder)) as said:
        assert said["mllp_tls"] == "mutual"
        yield int(str(said["mllp_port"]))


@pytest.mark.parametrize(
    ("host", "tls", "warns"), [("127.0.0.1", False, False), ("0.0.0.0", False, True), ("0.0.0.0", True, False)]
)
def test_a_serve_that_listens_beyond_this_machine_without_tls_warns_at_its_start(
    service_url: str, folder: Path, host: str, tls: bool, warns: bool
) -> None:
    own = {"CHROMOGEN_MLLP_HOST": host} | (served_by_tls(folder) if tls else {})
    with serving(service_url, folder, own):
        warnings = events(folder / "serve.log", "orders_in_plain_text")
    assert [(w["level"], w["mllp_host"]) for w in warnings] == ([("warning", host)] if warns else [])


def test_i3_an_order_comes_in_over_mutual_tls_and_strangers_are_not_heard(
    port: int, folder: Path, authority: Authority, service_url: str
) -> None:
    _put(folder, "stranger", Authority("Another authority (invented)").issue("stranger"))
    _put(folder, "expired", authority.issue("expired", expired=True))
    send(order("P-1"), host="localhost", port=port, timeout_s=20, tls=client_of(folder, "lis-client"))
    for who in (None, "stranger", "expired", "lis-server"):  # the last may be a server, and nothing else
        with pytest.raises(Failed, match="can't be reached or broke off"):
            send(order(f"P-{who}"), host="localhost", port=port, timeout_s=20, tls=client_of(folder, who))
    with pytest.raises(Failed, match="can't be reached or broke off"):
        send(order("P-plain"), host="localhost", port=port, timeout_s=20)
    with socket.create_connection(("localhost", port), 20) as plain:
        plain.sendall(START + order("P-plain") + END)
        assert START not in plain.recv(65536)  # an alert of TLS, or nothing
    send(order("P-2"), host="localhost", port=port, timeout_s=20, tls=client_of(folder, "lis-client"))
    engine = connect(service_url)
    numbers = {view.order.request.placer_order_number.identifier for view in PostgresStore(engine).orders()}
    engine.dispose()
    assert numbers == {"P-1", "P-2"}


def test_a_running_serve_takes_up_renewed_files(port: int, folder: Path) -> None:
    successor = Authority("Its successor (invented)")
    _put(folder, "successor-client", successor.issue("lis"))
    _put(folder, "chromogen-server", successor.issue("chromogen", server=True))
    (folder / "ca").write_bytes(successor.pem)
    tls = client_of(folder, "successor-client")

    def taken() -> bool:
        with suppress(Failed):
            send(order("P-renewed"), host="localhost", port=port, timeout_s=20, tls=tls)
            return True
        return False

    until(taken, 20)
    (told,) = events(folder / "serve.log", "certificate_taken")
    assert told["setting"] == "CHROMOGEN_MLLP_TLS"


@pytest.mark.parametrize(("version", "spoken"), [("-tls1_1", False), ("-tls1_2", True)])
def test_i3_no_older_tls_than_1_2_is_spoken(port: int, folder: Path, version: str, spoken: bool) -> None:
    command = ["openssl", "s_client", "-connect", f"localhost:{port}", version, "-cipher", "ALL:@SECLEVEL=0"]
    command += ["-cert", str(folder / "lis-client.cert"), "-key", str(folder / "lis-client.key")]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=30, check=False)
    assert (b"Cipher is (NONE)" not in done.stdout) is spoken


def waiting_message(engine: sa.Engine, folder: Path) -> None:
    """A result whose ORU waits in the outbox."""
    store = PostgresStore(engine)
    taken, _ = store.accept(request())
    claim = store.claim(taken.id, 60)
    assert claim is not None
    (folder / "oru.hl7").write_bytes(order("R-1"))
    delivery = Delivery(kind="ORU", destination="lis", path=folder / "oru.hl7", message_id="R-1")
    store.finish(claim, replace(result(taken.id), id=ResultId(taken.id)), [delivery])


def test_i3_a_worker_sends_over_mutual_tls_to_the_lis_that_the_settings_name_and_to_no_other(
    service_url: str, folder: Path
) -> None:
    engine = connect(service_url)
    waiting_message(engine, folder)
    engine.dispose()
    (folder / "received").mkdir()
    lis = ReceivingLis(folder / "received")
    pair = {"tls_cert": folder / "lis-server.cert", "tls_key": folder / "lis-server.key"}
    listener = MllpListener(lis, host="0.0.0.0", tls=listener_context(Mllp(**pair, tls_client_ca=folder / "ca")))  # type: ignore[arg-type]
    own = {
        "CHROMOGEN_LIS_PORT": str(listener.start()),
        "CHROMOGEN_LIS_TLS_CA": str(folder / "ca"),
        "CHROMOGEN_LIS_TLS_CERT": str(folder / "chromogen-client.cert"),
        "CHROMOGEN_LIS_TLS_KEY": str(folder / "chromogen-client.key"),
    }
    try:
        for host, received in (("127.0.0.2", 0), ("127.0.0.1", 1)):  # the certificate names only the second
            engine = connect(service_url)
            with engine.begin() as connection:
                connection.exec_driver_sql("SET chromogen.lab = '*'")
                connection.exec_driver_sql("UPDATE outbox SET due_at = now()")
            engine.dispose()
            settings = base(service_url, folder) | own | {"CHROMOGEN_LIS_HOST": host}
            done = subprocess.run(
                [*COMMAND, "work", "--until-idle"],
                cwd=ROOT,
                env=settings,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert len(lis.received) == received, done.stderr
    finally:
        listener.stop()


@pytest.mark.parametrize(("command", "name"), [("serve", "CHROMOGEN_MLLP_TLS_CERT"), ("work", "CHROMOGEN_LIS_TLS_CA")])
def test_half_a_configuration_stops_the_start_in_one_line(
    service_url: str, folder: Path, command: str, name: str
) -> None:
    settings = base(service_url, folder) | {name: str(folder / "ca"), "CHROMOGEN_LOG_LEVEL": "error"}
    done = subprocess.run(
        [*COMMAND, command], cwd=ROOT, env=settings, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("chromogen: SETTING_INVALID: CHROMOGEN_")


BOUND = """
[archives.a]
kind = "folder"
folder = "."
[destinations.a]
kind = "archive"
archive = "a"
[[routes]]
artifacts = ["SR"]
to = ["a"]
[laboratories.NORTH]
archives = ["a"]
senders = ["NORTH-LIS", "NORTH-TEST"]
[laboratories.NORTH.certificates]
north = ["NORTH-LIS"]
"{fingerprint}" = ["*"]
[laboratories.SOUTH]
archives = ["a"]
[laboratories.SOUTH.certificates]
south = ["*"]
[laboratories.THIRD]
archives = ["a"]
"""


def test_o6_a_client_certificate_orders_for_its_laboratory_as_its_sender_alone(
    service_url: str, folder: Path, authority: Authority
) -> None:
    for who in ("north", "south", "another"):
        _put(folder, who, authority.issue(who))
    _put(folder, "sly", authority.issue("sly", dns=f"sha256:{fingerprint(folder, 'another')}"))
    (folder / "site.toml").write_text(BOUND.format(fingerprint=f"SHA256:{fingerprint(folder, 'another').upper()}"))
    own = served_by_tls(folder) | {"CHROMOGEN_SITE_FILE": str(folder / "site.toml")}
    with serving(service_url, folder, own) as said:
        port = int(str(said["mllp_port"]))

        def answer(who: str, lab: str, application: str) -> str:
            text = order_message(
                placer_number=f"{who}-{lab}-{application}",
                marker="ER",
                control_id="1",
                container_id="INVENTED",
                lab=lab,
                application=application,
            )
            try:
                send(text, host="localhost", port=port, timeout_s=20, tls=client_of(folder, who))
            except Failed as error:
                return str(error.reason)
            return "TAKEN"

        assert answer("north", "NORTH", "NORTH-LIS") == "TAKEN"
        assert answer("another", "NORTH", "NORTH-TEST") == "TAKEN"
        assert answer("south", "SOUTH", "ANY") == "TAKEN"
        assert answer("lis-client", "THIRD", "ANY") == "TAKEN"  # binds none, and is bound by none
        for who, lab, application in (
            ("north", "NORTH", "NORTH-TEST"),
            ("north", "SOUTH", "ANY"),
            ("north", "THIRD", "ANY"),
            ("south", "NORTH", "NORTH-LIS"),
            ("lis-client", "NORTH", "NORTH-LIS"),
            ("sly", "NORTH", "NORTH-LIS"),
        ):
            assert answer(who, lab, application) == "RECEIVER_ERROR", (who, lab, application)
    refused = {line["reason"] for line in events(folder / "serve.log", "order_not_taken")}
    assert refused == {"SENDER_UNKNOWN"}


def fingerprint(folder: Path, name: str) -> str:
    der = ssl.PEM_cert_to_DER_cert((folder / f"{name}.cert").read_text())
    return hashlib.sha256(der).hexdigest()
