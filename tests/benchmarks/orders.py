"""Orders a second over gRPC with TLS and tokens, beside the commits a second of the same database in the same run.

    python -m tests.benchmarks.orders

One JSON line: orders_per_s, p50_ms, p99_ms, commits_per_s (eight connections), share (orders_per_s / commits_per_s),
load. The client is in the same process, on the same cores.
"""

import logging
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import sqlalchemy as sa
import structlog

from server import settings
from server.api_service import start
from server.bootstrap import Service, bootstrap
from tests.benchmarks.measure import report
from tests.server.api.harness import Caller, order_request
from tests.server.api.issuer import AUDIENCE, ISSUER, Authority, Issuer

ORDERS, CALLERS = 2000, 8


def main() -> None:
    """Measure, print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="chromogen-bench-") as name:
        authority, issuer = Authority(), Issuer()
        with bootstrap(prepared(Path(name), authority, issuer)) as service:
            server = start(service)
            assert server is not None
            commits = commits_per_s(service)
            with grpc.secure_channel(
                f"localhost:{server.port}", grpc.ssl_channel_credentials(authority.pem)
            ) as channel:
                seconds, took = timed(Caller(channel, issuer.token("lis")).order)
            server.stop(1)
    rate = ORDERS / took
    report(
        "orders",
        orders_per_s=round(rate),
        p50_ms=round(seconds[ORDERS // 2] * 1e3, 1),
        p99_ms=round(seconds[ORDERS * 99 // 100] * 1e3, 1),
        commits_per_s=round(commits),
        share=round(rate / commits, 2),
        load=round(os.getloadavg()[0], 1),
    )


def prepared(folder: Path, authority: Authority, issuer: Issuer) -> settings.Settings:
    """A private database, TLS and tokens, all in `folder`."""
    pair = authority.issue("server", server=True)
    for name, data in {"cert.pem": pair.cert, "key.pem": pair.key, "jwks.json": issuer.jwks()}.items():
        (folder / name).write_bytes(data)
    (folder / "archive").mkdir()
    return settings.Settings(
        data=settings.Data(folder=folder),
        archive=settings.Archive(folder=folder / "archive"),
        grpc=settings.Grpc(port=0, rate=1e6),
        tls=settings.Tls(cert=folder / "cert.pem", key=folder / "key.pem"),
        oidc=settings.Oidc(issuer=ISSUER, audience=AUDIENCE, jwks=str(folder / "jwks.json")),
    )


def timed(order: Callable[..., object]) -> tuple[list[float], float]:
    """Seconds of each of ORDERS calls, sorted, and of all of them; CALLERS at once. The requests are made before."""
    requests = [order_request() for _ in range(ORDERS)]

    def one(number: int) -> float:
        began = time.perf_counter()
        order(request_id=requests[number].request_id, number=requests[number].order.placer_order_number)
        return time.perf_counter() - began

    for _ in range(CALLERS):
        order()
    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        seconds = sorted(pool.map(one, range(ORDERS)))
    return seconds, time.perf_counter() - began


def commits_per_s(service: Service, commits: int = 2000) -> float:
    """Transactions of one row each, from CALLERS connections at once."""
    assert service.private_postgres is not None
    engine = sa.create_engine(service.private_postgres.url, pool_size=CALLERS)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE bench_commits (x integer)")

    def some(_: int) -> None:
        with engine.connect() as connection:
            for _ in range(commits // CALLERS):
                connection.exec_driver_sql("INSERT INTO bench_commits VALUES (1)")
                connection.commit()

    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(some, range(CALLERS)))
    took = time.perf_counter() - began
    engine.dispose()
    return commits / took


if __name__ == "__main__":
    main()
