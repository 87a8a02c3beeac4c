"""What KEDA asks, deploy/kubernetes/scaling.yaml, of the real PostgreSQL and of a real tritonserver's metrics: what it
reads is what is due, and there is such a metric.
"""

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from inference.slide import Rgb
from server.domain.errors import ServiceReason
from server.domain.order import OrderId
from server.domain.states import OrderState
from server.store.database import connect, transaction
from server.store.store import PostgresStore
from tests.faulty_triton import render_faulty
from tests.integration.processes import ROOT, OwnPostgres, hospital_postgres
from tests.integration.triton_cases import StartEngine
from tests.models import IHC_TILE
from tests.server.store.invented import request, result
from tests.triton_server import TritonServer, free_port

yaml = pytest.importorskip("yaml", reason="pip install PyYAML")

ONE_WORKER_AN_ORDER = "1"
ASKED = 4
"""Times that the server infers."""


def trigger(name: str) -> dict[str, str]:
    manifests = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "scaling.yaml").read_text())
    (one,) = (m for m in manifests if m["kind"] == "ScaledObject" and m["metadata"]["name"] == name)
    found: dict[str, str] = one["spec"]["triggers"][0]["metadata"]
    return found


@pytest.fixture(scope="module")
def database() -> Iterator[OwnPostgres]:
    made = hospital_postgres()
    yield made
    made.close()


@pytest.fixture
def scaler(database: OwnPostgres) -> Iterator[sa.Engine]:
    engine = connect(database.url_as("chromogen_scaler"))
    yield engine
    engine.dispose()


def asked(scaler: sa.Engine) -> int:
    """As KEDA does: one statement, in no transaction of ours."""
    with scaler.connect() as connection:
        n: int = connection.exec_driver_sql(trigger("work")["query"]).scalar_one()
    return n


class Hospital:
    """Orders, each brought into another state."""

    def __init__(self, database: OwnPostgres) -> None:
        self.serve, self.work = connect(database.url_as("chromogen_serve")), connect(database.url_as("chromogen_work"))
        self.takes, self.works, self._number = PostgresStore(self.serve), PostgresStore(self.work), 0

    def due(self) -> OrderId:
        self._number += 1
        return self.takes.accept(request(self._number))[0].id

    def leased(self, lease_s: float = 60) -> Any:
        claim = self.works.claim(self.due(), lease_s)
        assert claim is not None
        return claim

    def held_up(self) -> None:
        """Its archive is away: it is looked at again in 15 s, and no worker could do anything now."""
        self.works.end(self.leased(), OrderState.QUEUED, ServiceReason.ARCHIVE_UNREACHABLE, "away")

    def done(self) -> None:
        claim = self.leased()
        self.works.finish(claim, result(claim.order.id), [])

    def refused(self) -> None:
        self.works.end(self.leased(), OrderState.REFUSED, "NOT_A_SLIDE", "no image there")

    def sql(self, statement: str) -> None:
        with transaction(self.work, lab="*") as connection:
            connection.exec_driver_sql(statement)

    def close(self) -> None:
        self.serve.dispose()
        self.work.dispose()


@pytest.fixture
def hospital(database: OwnPostgres) -> Iterator[Hospital]:
    made = Hospital(database)
    yield made
    made.close()


@pytest.mark.postgres
def test_keda_reads_the_orders_that_want_a_worker_now(scaler: sa.Engine, hospital: Hospital) -> None:
    assert trigger("work")["targetQueryValue"] == ONE_WORKER_AN_ORDER
    assert asked(scaler) == 0
    for wanted, bring in (
        (1, hospital.due),
        (2, hospital.leased),  # its worker must not be taken away
        (2, hospital.held_up),
        (2, hospital.done),
        (2, hospital.refused),
        (3, hospital.due),
        (4, lambda: hospital.leased(0.001)),  # its worker is gone: another takes it up
    ):
        bring()
        assert asked(scaler) == wanted
    hospital.sql("UPDATE orders SET due_at = now() WHERE reason = 'ARCHIVE_UNREACHABLE'")
    assert asked(scaler) == 5
    taken = [hospital.works.take(60) for _ in range(5)]
    assert [claim is not None for claim in taken] == [True, True, True, True, False]  # one runs already
    assert asked(scaler) == 5


@pytest.mark.postgres
def test_keda_sees_nothing_of_an_order_and_asks_an_index(scaler: sa.Engine, hospital: Hospital) -> None:
    with scaler.connect() as connection, pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        connection.exec_driver_sql("SELECT patient FROM orders")
    hospital.due()
    with scaler.connect() as connection:
        connection.exec_driver_sql("SET enable_seqscan = off")  # of a table this small it would read all
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {trigger('work')['query']}").scalars())
    assert "orders_due_idx" in plan


@pytest.mark.usefixtures("tritonserver")
def test_prometheus_is_asked_for_what_a_tritonserver_counts(tmp_path: Path, engine_of: StartEngine, tiles: Rgb) -> None:
    """Milliseconds that a request waited: both are counters, so that `rate` fits, and of every request."""
    names = set(re.findall(r"\bnv_\w+", trigger("triton")["query"]))
    port = free_port()
    own = ("--allow-metrics=true", "--metrics-address=127.0.0.1", f"--metrics-port={port}")
    with TritonServer(render_faulty(tmp_path), arguments=own) as server:
        before = counted(port)
        engine = engine_of(server.address)
        for _ in range(ASKED):
            engine.detect(tiles[:1], 0.5)
        after = counted(port)
    assert len(names) == 2
    assert names <= set(after)
    more = {name: after[name] - before.get(name, 0.0) for name in names}
    assert more.pop("nv_inference_request_success") == ASKED
    (queued_us,) = more.values()
    assert 0 < queued_us < 60e6


def counted(port: int) -> dict[str, float]:
    """The counters of a server of Triton, summed over its graphs of our model."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found = dict[str, float]()
    for family in text_string_to_metric_families(text):
        for sample in family.samples if family.type == "counter" else ():
            if sample.labels.get("model") == IHC_TILE.folder:
                found[family.name] = found.get(family.name, 0.0) + sample.value
    return found
