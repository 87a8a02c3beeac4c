"""The services of deploy/compose.yaml begun by hand, in its order, each with the settings, the account and the password
file that it gives: an order by HL7 over TLS is scored, and told to the LIS (issue 12).

What a container runtime adds stands in here: names of machines, mounted folders and the variables that Orthanc's image
turns into its configuration. Triton's image is nowhere to be had: `CHROMOGEN_ENGINE_NAME=local`, as the file advises.
"""

import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import urllib3

from inference.draw import draw_slide
from inference.geometry import Size
from server.demo.lis import ReceivingLis, order_message
from server.demo.slide_header import SlideIdentity
from server.hl7.sender import send
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from server.store import private
from tests.integration.processes import ROOT, OwnPostgres, environment, events, logged, until
from tests.orthanc import USER, free_port, orthanc
from tests.server.api.issuer import AUDIENCE, ISSUER, Authority, Issuer

yaml = pytest.importorskip("yaml", reason="pip install PyYAML")
pytestmark = pytest.mark.postgres
DEPLOY = ROOT / "deploy"
ROLES = ("migrate", "serve", "work", "audit", "scale")
ASKS_FOR_PASSWORDS = "local all chromogen_migrate,chromogen_serve,chromogen_work scram-sha-256\n"
OF_THE_SHELL = {"CHROMOGEN_ENGINE_NAME": "local", "ORTHANC_USERS": f'{{"{USER}": "not-a-secret"}}'}
"""What compose reads from `.env`."""


@dataclass(kw_only=True)
class Machine:
    """Where compose would run: its file, the folders and passwords beside it, and a database behind a password."""

    folder: Path
    postgres: OwnPostgres
    services: Mapping[str, Any]
    ports: dict[str, int] = field(default_factory=lambda: {"2575": free_port(), "50051": free_port()})

    def settings(self, service: str) -> dict[str, str]:
        """Of a service's container: the image's, its env_file's, then its own."""
        own = self.services[service]
        image = re.findall(r"(CHROMOGEN_\w+)=(\S+)", (DEPLOY / "Dockerfile").read_text())
        shared = [line.split("=", 1) for line in self.file("settings.env").splitlines()] if "env_file" in own else []
        given = {**dict(image), **dict(shared), **own["environment"]}
        ports = {"CHROMOGEN_MLLP_PORT": str(self.ports["2575"]), "CHROMOGEN_GRPC_PORT": str(self.ports["50051"])}
        return {name: self.here(value, service) for name, value in given.items()} | (
            ports if service == "serve" else {}
        )

    def here(self, value: str, service: str) -> str:
        """A value as the container would see it, on this machine."""
        value = re.sub(r"\$\{(\w+):[-?]([^}]*)\}", lambda found: OF_THE_SHELL.get(found[1], found[2]), value)
        host = parse_qs(urlsplit(self.postgres.owner_url).query)["host"][0]
        value = value.replace("@postgres/chromogen", f"@/chromogen?host={host}")
        mounts = {
            "/run/secrets": f"secrets-of/{service}",
            "/tls": f"tls/{service}",
            "/data": "data",
            "/archive": "archive",
        }
        for inside, outside in mounts.items():
            if value == inside or value.startswith(f"{inside}/"):
                return f"{self.folder / outside}{value[len(inside) :]}"
        return value

    def file(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture
def machine() -> Iterator[Machine]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="chromogen-test-")))
        folder.chmod(0o711)
        postgres = OwnPostgres(migrated=False)
        stack.callback(postgres.close)
        services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
        made = Machine(folder=folder, postgres=postgres, services=services)
        for name in ("data", "archive", "secrets", "heard", "tls/serve", "tls/work"):
            (folder / name).mkdir(parents=True)
        for name in ROLES:
            (folder / "secrets" / name).write_text(f"invented of {name}\n")
        for service, own in services.items():  # a container sees the secrets that are named for it, and no others
            (folder / "secrets-of" / service).mkdir(parents=True)
            for name in set(own.get("secrets", ())) & set(ROLES):
                shutil.copy(folder / "secrets" / name, folder / "secrets-of" / service)
        yield made


def first_start(machine: Machine) -> None:
    """What PostgreSQL's image does with the file in docker-entrypoint-initdb.d, and with an account's password."""
    parts = urlsplit(machine.postgres.owner_url.replace("+psycopg2", ""))
    (mounted,) = [v for v in machine.services["postgres"]["volumes"] if v.endswith("/roles.sh:ro")]
    own = {
        "PATH": f"{private._programs()}:{os.environ['PATH']}",
        "PGHOST": parse_qs(parts.query)["host"][0],
        "POSTGRES_USER": parts.username or "",
        "POSTGRES_DB": parts.path[1:],
        "SECRETS_FOLDER": str(machine.folder / "secrets-of" / "postgres"),
        "ROLES": str(DEPLOY / "roles.sql"),
    }
    script = DEPLOY / mounted.split(":")[0]
    subprocess.run(["sh", str(script)], env={**os.environ, **own}, check=True, capture_output=True)
    rules = machine.postgres.folder / "postgres" / "pg_hba.conf"
    rules.write_text(ASKS_FOR_PASSWORDS + rules.read_text())
    machine.postgres.stop("fast")
    machine.postgres.start()


def command(machine: Machine, service: str) -> list[str]:
    (entry,) = re.findall(r'ENTRYPOINT \["(\w+)"\]', (DEPLOY / "Dockerfile").read_text())
    assert entry == "chromogen"
    return [sys.executable, "-m", "server.cli.main", *machine.services[service]["command"]]


@contextmanager
def running(machine: Machine, service: str, up: str) -> Iterator[Path]:
    """A service that stays, and its log; it ends by itself within the time that compose gives it."""
    log = machine.folder / f"{service}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command(machine, service), cwd=ROOT, env=environment(machine.settings(service)), stdout=out, stderr=out
        )
    try:
        until(lambda: process.poll() is not None or bool(events(log, up)), 60)
        assert process.poll() is None, log.read_text()
        yield log
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(float(machine.services[service]["stop_grace_period"].rstrip("s")))
    assert process.returncode == 0, log.read_text()


def written_beforehand(machine: Machine, lis: ReceivingLis) -> tuple[Authority, SlideIdentity]:
    """What the head of compose.yaml asks for: certificates and settings.env; and a slide in the archive."""
    authority, issuer = Authority(), Issuer()
    pair = authority.issue("serve", server=True)
    for name, data in {"cert.pem": pair.cert, "key.pem": pair.key, "jwks.json": issuer.jwks()}.items():
        (machine.folder / "tls" / "serve" / name).write_bytes(data)
    shared = {
        "CHROMOGEN_LIS_HOST": "127.0.0.1",
        "CHROMOGEN_LIS_PORT": str(lis.port),
        "CHROMOGEN_OIDC_ISSUER": ISSUER,
        "CHROMOGEN_OIDC_AUDIENCE": AUDIENCE,
        "CHROMOGEN_OIDC_JWKS": "/tls/jwks.json",
        **{f"CHROMOGEN_{door}TLS_{n}": f"/tls/{n.lower()}.pem" for door in ("", "MLLP_") for n in ("CERT", "KEY")},
    }
    (machine.folder / "settings.env").write_text("".join(f"{name}={value}\n" for name, value in shared.items()))
    identity = SlideIdentity(key="compose", marker="ER")
    drawing = JpegFrames(draw_slide(size=Size(width=512, height=512), seed=1, h_score=150))
    write_dicom_slide(machine.folder / "archive" / "slide", drawing, mpp=0.5, identity=identity, levels=2)
    return authority, identity


@pytest.mark.timeout(400)
def test_what_compose_starts_scores_an_order_and_tells_the_lis(machine: Machine) -> None:
    first_start(machine)
    with ExitStack() as stack:
        lis = stack.enter_context(ReceivingLis(machine.folder / "heard"))
        authority, slide = written_beforehand(machine, lis)
        migrated = subprocess.run(
            command(machine, "migrate"), cwd=ROOT, env=environment(machine.settings("migrate")), capture_output=True
        )
        assert migrated.returncode == 0, migrated.stderr
        serving = stack.enter_context(running(machine, "serve", "serving"))
        working = stack.enter_context(running(machine, "work", "worker_started"))
        (machine.folder / "ca.pem").write_bytes(authority.pem)
        message = order_message(placer_number="P1", marker="ER", control_id="M1", series_uid=slide.series_uid)
        trusted = ssl.create_default_context(cafile=machine.folder / "ca.pem")
        send(message, host="localhost", port=machine.ports["2575"], timeout_s=20, tls=trusted)
        until(lambda: len(lis.received) == 1, 60)
        assert b"HSCORE" in lis.received[0].read_bytes()
        lines = [*logged(serving), *logged(working)]
    assert [line for line in lines if line["level"] in ("error", "critical")] == []


def test_with_another_s_password_nothing_is_migrated(machine: Machine) -> None:
    first_start(machine)
    shutil.copy(machine.folder / "secrets" / "audit", machine.folder / "secrets-of" / "migrate" / "migrate")
    own = environment(machine.settings("migrate"))
    done = subprocess.run(command(machine, "migrate"), cwd=ROOT, env=own, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "password authentication failed" in done.stderr or "DATABASE_UNREACHABLE" in done.stderr


def test_orthanc_with_compose_s_variables_asks_for_a_password_and_speaks_dicomweb(machine: Machine) -> None:
    given = {n: machine.here(v, "orthanc") for n, v in machine.services["orthanc"]["environment"].items()}
    assert given.pop("DICOM_WEB_PLUGIN_ENABLED") == "true"
    with orthanc(machine.folder / "orthanc", **dict(configured(n, v) for n, v in given.items())) as server:
        assert urllib3.request("GET", f"{server.url}/studies").status == 401
        trusted = urllib3.make_headers(basic_auth=f"{USER}:not-a-secret")
        assert urllib3.request("GET", f"{server.url}/studies", headers=trusted).status in (200, 204)
        assert server.ask("/system")["Name"] == "chromogen"


def configured(variable: str, value: str) -> tuple[str, Any]:
    """A variable of Orthanc's image as the line of its configuration that it becomes: ORTHANC__AN_OPTION, AnOption."""
    name = "".join(word.capitalize() for word in variable.removeprefix("ORTHANC__").split("_"))
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError:
        return name, value
