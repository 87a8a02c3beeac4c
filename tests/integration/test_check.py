"""`chromogen check` as an operator runs it: every dependency gets a line, and what isn't as it must
be says what to do.
"""

import json
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from inference.engines.triton_repository import render_cpu
from inference.model import shipped_models
from server.cli import checks
from server.demo.lis import ReceivingLis
from server.hl7.listener import MllpListener
from server.settings import Mllp
from server.tls import listener_context
from tests.conftest import execute
from tests.integration.processes import ROOT, environment
from tests.server.api.issuer import AUDIENCE, ISSUER, Authority, Issuer
from tests.triton_server import TritonServer
from tests.ups_peer import ups_peer

pytestmark = pytest.mark.postgres
NAMES = ["models", "engine", "data", "database", "archive", "lis", "mllp", "api", "keys", "certificates"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chromogen-test-") as name:
        made, authority = Path(name), Authority()
        server, client = authority.issue("server", server=True), authority.issue("client")
        expired = authority.issue("expired", server=True, expired=True)
        files = {
            "ca": authority.pem,
            "cert": server.cert,
            "key": server.key,
            "client.cert": client.cert,
            "client.key": client.key,
            "expired.cert": expired.cert,
            "expired.key": expired.key,
            "jwks": Issuer().jwks(),
        }
        for file, data in files.items():
            (made / file).write_bytes(data)
        (made / "archive").mkdir()
        yield made


def check(names: list[str] = NAMES, **settings: object) -> tuple[int, dict[str, dict[str, str]]]:
    """The exit code, and the lines by name."""
    own = environment({f"CHROMOGEN_{name.upper()}": str(value) for name, value in settings.items()})
    command = [sys.executable, "-m", "server.cli.main", "check", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["name"] for line in lines] == names
    return done.returncode, {line["name"]: line for line in lines}


def test_a_well_set_up_service_is_all_ok_and_says_what_will_soon_not_be(folder: Path, service_url: str) -> None:
    own = {"tls_cert": folder / "cert", "tls_key": folder / "key", "tls_client_ca": folder / "ca"}
    lis = ReceivingLis(folder)
    listener = MllpListener(lis, tls=listener_context(Mllp(**own)))  # type: ignore[arg-type]
    try:
        code, lines = check(
            database_url=service_url,
            data_folder=folder / "data",
            archive_folder=folder / "archive",
            mllp_host="0.0.0.0",
            mllp_tls_cert=folder / "cert",
            mllp_tls_key=folder / "key",
            mllp_tls_client_ca=folder / "ca",
            lis_host="localhost",
            lis_port=listener.start(),
            lis_tls_ca=folder / "ca",
            lis_tls_cert=folder / "client.cert",
            lis_tls_key=folder / "client.key",
            tls_cert=folder / "cert",
            tls_key=folder / "key",
            oidc_issuer=ISSUER,
            oidc_audience=AUDIENCE,
            oidc_jwks=folder / "jwks",
        )
    finally:
        listener.stop()
    assert (code, {name: line["state"] for name, line in lines.items()}) == (
        0,
        dict.fromkeys(NAMES, "ok") | {"certificates": "warn"},
    )
    assert "test_service (may serve and work), 0 orders due" in lines["database"]["text"]
    assert lines["mllp"]["text"].endswith("TLS, client certificates")
    assert lines["lis"]["text"].endswith("answers, TLS")
    assert lines["keys"]["text"] == f"2 of {ISSUER}"
    assert "CHROMOGEN_LIS_TLS_CERT 0 days" in lines["certificates"]["text"]
    assert "renew CHROMOGEN_LIS_TLS_CA" in lines["certificates"]["text"]


def test_what_is_not_as_it_must_be_fails_by_name_and_says_what_to_mend(
    folder: Path, database_url: str, service_url: str
) -> None:
    execute(database_url, "DELETE FROM alembic_version")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # bound, and nobody listens
        code, lines = check(
            database_url=service_url,
            data_folder=folder / "cert" / "data",
            archive_folder=folder / "absent",
            mllp_tls_cert=folder / "cert",
            lis_host="127.0.0.1",
            lis_port=port,
            tls_cert=folder / "expired.cert",
            tls_key=folder / "expired.key",
            oidc_issuer=ISSUER,
            oidc_audience=AUDIENCE,
            oidc_jwks="https://localhost:1/jwks",
            engine_name=f"triton://127.0.0.1:{port}",
        )
    failed = {name: line["text"] for name, line in lines.items() if line["state"] == "FAIL"}
    assert (code, set(failed)) == (1, set(NAMES) - {"models", "api"})
    assert "run `chromogen migrate`" in failed["database"]
    assert "CHROMOGEN_DATA_FOLDER" in failed["data"]
    assert "CHROMOGEN_ARCHIVE_FOLDER" in failed["archive"]
    assert "CHROMOGEN_MLLP_TLS_KEY" in failed["mllp"]
    assert "CHROMOGEN_LIS_" in failed["lis"]
    assert "CHROMOGEN_OIDC_JWKS" in failed["keys"]
    assert "CHROMOGEN_TLS_CERT: not valid any more" in failed["certificates"]
    assert f"127.0.0.1:{port}" in failed["engine"]
    assert "CHROMOGEN_ENGINE_NAME" in failed["engine"]


def test_a_lis_whose_certificate_does_not_fit_is_not_called_well(folder: Path, service_url: str) -> None:
    listener = MllpListener(
        ReceivingLis(folder), tls=listener_context(Mllp(tls_cert=folder / "cert", tls_key=folder / "key"))
    )
    other = Authority("Another authority (invented)")
    (folder / "other").write_bytes(other.pem)
    try:
        _, lines = check(
            database_url=service_url,
            data_folder=folder / "data",
            lis_host="localhost",
            lis_port=listener.start(),
            lis_tls_ca=folder / "other",
        )
    finally:
        listener.stop()
    assert lines["lis"]["state"] == "FAIL"
    assert "don't agree on TLS" in lines["lis"]["text"]


SITE = """
[archives.north]
kind = "folder"
folder = "archive"
[archives.away]
kind = "folder"
folder = "absent"
[destinations.lis]
kind = "mllp"
host = "127.0.0.1"
port = {port}
[destinations.gone]
kind = "mllp"
host = "127.0.0.1"
port = 1
[destinations.north]
kind = "archive"
archive = "north"
[laboratories.NORTH]
archives = ["north"]
senders = ["LIS-N"]
[laboratories.SOUTH]
archives = ["north", "away"]
[laboratories.EAST]
archives = ["north"]
[worklists.deaf]
host = "127.0.0.1"
port = {worklist}
aet = "WORKLIST"
laboratory = "NORTH"
station = "IHC"
[worklists.gone]
host = "127.0.0.1"
port = 1
aet = "WORKLIST"
laboratory = "NORTH"
label = "IHC"
[[routes]]
laboratory = "NORTH"
artifacts = ["ORU"]
to = ["lis", "gone"]
"""


def test_of_a_site_each_archive_destination_and_laboratory_is_asked_by_its_name(folder: Path, service_url: str) -> None:
    site = folder / "site.toml"
    own = [
        "site",
        "archive north",
        "archive away",
        "destination lis",
        "destination gone",
        "destination north",
        "worklist deaf",
        "worklist gone",
        "laboratory NORTH",
        "laboratory SOUTH",
        "laboratory EAST",
    ]
    names = [*NAMES[:4], *own, *NAMES[6:]]
    with ReceivingLis(folder) as lis, ups_peer() as peer:
        site.write_text(SITE.format(port=lis.port, worklist=peer.port))
        code, lines = check(names, database_url=service_url, data_folder=folder / "data", site_file=site)
    assert (code, {name: lines[name]["state"] for name in own}) == (
        1,
        dict.fromkeys(own, "ok")
        | {"archive away": "FAIL", "destination gone": "FAIL", "laboratory SOUTH": "FAIL", "laboratory EAST": "warn"}
        | {"worklist deaf": "warn", "worklist gone": "FAIL"},
    )
    assert "[worklists.deaf] listen" in lines["worklist deaf"]["text"]
    assert "see [worklists.gone]" in lines["worklist gone"]["text"]
    assert lines["site"]["text"] == "3 laboratories, 2 archives, 3 destinations, 1 routes"
    assert "[archives.away] folder" in lines["archive away"]["text"]
    assert "[destinations.gone] host" in lines["destination gone"]["text"]
    assert lines["laboratory NORTH"]["text"].endswith("from LIS-N; sent to gone, lis")


def test_a_site_file_that_is_wrong_fails_by_table_and_key(folder: Path, service_url: str) -> None:
    site = folder / "site.toml"
    site.write_text(SITE.format(port='"2575"', worklist=1))
    names = [*NAMES[:4], "site", *NAMES[6:]]
    code, lines = check(names, database_url=service_url, data_folder=folder / "data", site_file=site)
    assert (code, lines["site"]["state"]) == (1, "FAIL")
    assert "[destinations.lis] port: is no whole number" in lines["site"]["text"]


@pytest.mark.parametrize(
    ("where", "safe"),
    [
        ("127.0.0.1/x", True),
        ("/x?host=/run/postgresql", True),
        ("db.example/x", False),
        ("db.example/x?sslmode=verify-full", True),
    ],
)
def test_a_database_beyond_this_machine_is_to_be_mended_until_it_proves_its_name(where: str, safe: bool) -> None:
    assert ("sslmode=verify-full" in checks._database_line(f"postgresql://a@{where}")) is not safe


def test_a_database_that_is_away_or_an_account_that_may_nothing_fails(folder: Path, service_url: str) -> None:
    _, lines = check(database_url="postgresql://a@127.0.0.1:1/none", data_folder=folder / "data")
    assert lines["database"]["text"].startswith("DATABASE_UNREACHABLE")


@pytest.mark.usefixtures("tritonserver")
def test_a_triton_server_is_asked_for_its_models(folder: Path, service_url: str) -> None:
    render_cpu(shipped_models(), folder / "models")
    with TritonServer(folder / "models") as server:
        _, lines = check(
            database_url=service_url, data_folder=folder / "data", engine_name=f"triton://{server.address}"
        )
        assert (lines["engine"]["state"], server.address in lines["engine"]["text"]) == ("ok", True)
