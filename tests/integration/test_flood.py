"""Issue 12: while 200 idle and 40 half-open connections lie on each door of a `serve`, orders are taken and health
answers; after they have gone, all is as before. SOAK=1: ten minutes, and without TLS too.
"""

import http.client
import json
import math
import os
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import pytest
from chromogen.v1 import order_service_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server.demo.lis import order_message
from server.hl7.sender import send
from server.store.database import connect
from tests.integration.flooder import HALF_OPEN, IDLE
from tests.integration.processes import ROOT, environment, events, logged, until
from tests.server.api.harness import order_request
from tests.server.api.issuer import AUDIENCE, ISSUER, Authority, Issuer
from tests.triton_server import free_port

pytestmark = pytest.mark.postgres
SOAK = bool(os.environ.get("SOAK"))
LIES_S = 600.0 if SOAK else 5.0
PACE_S = 0.1
TIMEOUT_S = 20.0
MOST_MB = 768
SLOW_S = 1.0
"""At the 99th percentile."""
GROWN = 32
"""Pools of threads and of the database's connections grow with their first use."""


@dataclass(kw_only=True)
class Doors:
    """A running `serve`, as its callers see it."""

    ports: dict[str, int]
    health_port: int
    authority: Path | None
    issuer: Issuer
    process: "subprocess.Popen[bytes]"
    log: Path

    def context(self) -> ssl.SSLContext | None:
        return None if self.authority is None else ssl.create_default_context(cafile=self.authority)

    def channel(self) -> grpc.Channel:
        """A connection of its own."""
        options, address = [("grpc.use_local_subchannel_pool", 1)], f"localhost:{self.ports['grpc']}"
        if self.authority is None:
            return grpc.insecure_channel(address, options)
        return grpc.secure_channel(address, grpc.ssl_channel_credentials(self.authority.read_bytes()), options)

    def order_by_mllp(self) -> None:
        number = uuid.uuid4().hex[:12]
        message = order_message(placer_number=number, marker="ER", control_id=number, container_id="INVENTED")
        send(message, host="localhost", port=self.ports["mllp"], timeout_s=TIMEOUT_S, tls=self.context())

    def order_by_grpc(self) -> None:
        token = self.issuer.token("lis", lab="LAB-FLOODED")
        with self.channel() as channel:
            orders = order_service_pb2_grpc.OrderServiceStub(channel)
            orders.CreateOrder(
                order_request(), metadata=[("authorization", f"Bearer {token}")], timeout=TIMEOUT_S, wait_for_ready=True
            )

    def health(self) -> None:
        """Of both doors, and where Kubernetes' probes ask."""
        asked = health_pb2.HealthCheckRequest()
        for channel in (self.channel(), grpc.insecure_channel(f"localhost:{self.health_port}")):
            with channel:
                answer = health_pb2_grpc.HealthStub(channel).Check(asked, timeout=TIMEOUT_S, wait_for_ready=True)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
        for path in ("/healthz", "/readyz"):
            with closing(self.by_http()) as client:
                client.request("GET", path)
                assert client.getresponse().status == 200

    def by_http(self) -> http.client.HTTPConnection:
        context, port = self.context(), self.ports["http"]
        if context is None:
            return http.client.HTTPConnection("localhost", port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection("localhost", port, timeout=TIMEOUT_S, context=context)

    def status(self, name: str) -> int:
        """A number of /proc/PID/status; of bytes, in kB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@dataclass(kw_only=True)
class Caller:
    """Does one thing again and again, and keeps how long it took (seconds) and what failed."""

    what: Callable[[], None]
    pace_s: float
    took: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def once(self) -> None:
        began = time.monotonic()
        try:
            self.what()
        except Exception as error:
            self.failed.append(f"after {time.monotonic() - began:.1f} s: {error!r}")
        else:
            self.took.append(time.monotonic() - began)

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(self.pace_s):
            self.once()

    @property
    def p99_s(self) -> float:
        return sorted(self.took)[math.ceil(0.99 * len(self.took)) - 1]


@contextmanager
def serving(url: str, folder: Path, *, by_tls: bool) -> Iterator[Doors]:
    authority, issuer, ports = Authority(), Issuer(), [free_port() for _ in range(4)]
    pair = authority.issue("serve", server=True)
    for name, data in {"ca": authority.pem, "cert": pair.cert, "key": pair.key, "jwks": issuer.jwks()}.items():
        (folder / name).write_bytes(data)
    own = {
        "CHROMOGEN_DATABASE_URL": url,
        "CHROMOGEN_DATA_FOLDER": str(folder),
        "CHROMOGEN_MLLP_PORT": str(ports[0]),
        "CHROMOGEN_GRPC_PORT": str(ports[1]),
        "CHROMOGEN_WEB_PORT": str(ports[2]),
        "CHROMOGEN_GRPC_HEALTH_PORT": str(ports[3]),
        "CHROMOGEN_OIDC_ISSUER": ISSUER,
        "CHROMOGEN_OIDC_AUDIENCE": AUDIENCE,
        "CHROMOGEN_OIDC_JWKS": str(folder / "jwks"),
    }
    files = {"CERT": str(folder / "cert"), "KEY": str(folder / "key")}
    tls = {f"CHROMOGEN_{door}TLS_{name}": path for door in ("", "MLLP_") for name, path in files.items()}
    own |= tls if by_tls else {"CHROMOGEN_GRPC_INSECURE": "true"}
    log, command = folder / "serve.log", [sys.executable, "-m", "server.cli.main", "serve"]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(own), stdout=out, stderr=out)
    try:
        until(lambda: process.poll() is not None or bool(events(log, "serving")), 60)
        yield Doors(
            ports=dict(zip(("mllp", "grpc", "http"), ports[:3], strict=True)),
            health_port=ports[3],
            authority=folder / "ca" if by_tls else None,
            issuer=issuer,
            process=process,
            log=log,
        )
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def flooded(doors: Doors, folder: Path) -> Iterator[Callable[[], Counter[str]]]:
    """Yields how many connections lie on each door now."""
    token = doors.issuer.token("lis", lab="LAB-SLOW", exp=2**31)
    token = doors.issuer.token("lis", lab="LAB-SLOW") if not SOAK else token
    given = {"doors": doors.ports, "authority": str(doors.authority or ""), "token": token}
    command = [sys.executable, "-m", "tests.integration.flooder", json.dumps(given)]
    said = folder / "flooder.log"
    with said.open("wb") as out:
        flooder = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=out)
    assert flooder.stdin is not None

    def lying() -> Counter[str]:
        assert flooder.poll() is None
        lines = [line for line in said.read_text().splitlines(keepends=True) if line.endswith("\n")]
        return Counter(json.loads(lines[-1])) if lines else Counter()

    try:
        yield lying
    finally:
        flooder.stdin.close()
        flooder.wait(30)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chromogen-test-") as name:
        yield Path(name)


@pytest.mark.timeout(LIES_S + 180)
@pytest.mark.parametrize("by_tls", [True, *([False] * SOAK)], ids=lambda tls: "TLS" if tls else "plain text")
def test_while_connections_lie_on_each_door_orders_are_taken_and_after_them_all_is_as_before(
    service_url: str, folder: Path, by_tls: bool
) -> None:
    with serving(service_url, folder, by_tls=by_tls) as doors:
        mllp, calls = (Caller(what=what, pace_s=PACE_S) for what in (doors.order_by_mllp, doors.order_by_grpc))
        health = Caller(what=doors.health, pace_s=1.0)
        callers = (mllp, calls, health)
        for caller in callers:
            caller.once()
        files, threads, quiet = doors.files(), doors.status("Threads"), doors.status("VmRSS")
        with flooded(doors, folder) as lying:
            until(lambda: all(lying()[door] >= IDLE + HALF_OPEN for door in doors.ports), 60)
            together(callers, LIES_S)
            lay = lying()
        until(lambda: doors.files() <= files + GROWN and doors.status("Threads") <= threads + GROWN, 30)
        for caller in callers:
            caller.once()
        peak, after = doors.status("VmHWM"), doors.status("VmRSS")
    print(
        f"{'TLS' if by_tls else 'plain'}, {LIES_S:g} s, lying {dict(lay)}: orders by MLLP {len(mllp.took)} p99 "
        f"{mllp.p99_s:.3f} s, gRPC {len(calls.took)} p99 {calls.p99_s:.3f} s, health {len(health.took)} longest "
        f"{max(health.took):.3f} s; memory {quiet >> 10} MB before, {peak >> 10} at most, {after >> 10} after"
    )
    assert [f for caller in callers for f in caller.failed] == []
    assert peak >> 10 < MOST_MB
    assert lay["grpc"] > 0.9 * (IDLE + HALF_OPEN)
    assert lay["mllp"] > 0.75 * (IDLE + HALF_OPEN)  # it ends the 50 that shake no hands after ten seconds, all at once
    assert lay["http"] > 0.5 * (IDLE + HALF_OPEN)  # it closes each after ten seconds, and is asked anew
    assert kept(service_url) == len(mllp.took) + len(calls.took)
    assert [line for line in logged(doors.log) if line["level"] in ("error", "critical")] == []
    assert doors.process.returncode == 0
    if SOAK:  # elsewhere others may use the machine
        assert max(mllp.p99_s, calls.p99_s) < SLOW_S


def together(callers: tuple[Caller, ...], seconds: float) -> None:
    stop = threading.Event()
    threads = [threading.Thread(target=caller.run, args=(stop,)) for caller in callers]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    stop.set()
    for thread in threads:
        thread.join(TIMEOUT_S * 4)


def kept(url: str) -> int:
    engine = connect(url)
    with engine.connect() as connection:
        n: int = connection.exec_driver_sql("SELECT count(*) FROM orders").scalar_one()
    engine.dispose()
    return n
