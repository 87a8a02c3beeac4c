"""Lists beside a laboratory's whole history: statements a page, rows that are read for it, and columns that the filters
have.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial

import pytest
import sqlalchemy as sa

from inference.analyzers.nuclear import NUCLEAR
from server.domain.access import Caller, Role
from server.domain.order import Priority
from server.domain.result import ResultId
from server.domain.states import ResultState
from server.domain.views import Entry, OrderFilter, ResultFilter, SlideName, SummaryView
from server.store import results
from server.store.database import connect, transaction
from server.store.order_repository import PostgresOrderRepository
from server.store.result_repository import PostgresResultRepository
from server.store.store import PostgresStore
from tests.benchmarks.lists import fill
from tests.server.store.invented import request, result

pytestmark = pytest.mark.postgres

ACTOR = Caller(subject="dr-invented", lab="LAB", roles=frozenset({Role.PATHOLOGIST}))
SLIDE = SlideName(series_uid="1.2.3.4")
DONE, WAITING = 6_000, 600


@pytest.fixture
def service(service_url: str) -> Iterator[sa.Engine]:
    made = connect(service_url, pool=1)
    yield made
    made.dispose()


def scored(store: PostgresStore, number: int) -> ResultId:
    order, _ = store.accept(request(number))
    claim = store.claim(order.id, 60)
    assert claim is not None
    store.finish(claim, replace(result(order.id, nuclei=9), id=ResultId(order.id)), [])
    return ResultId(order.id)


def asked(engine: sa.Engine, act: Callable[[], object]) -> list[tuple[str, object]]:
    """The statements of an act, but for the one that says in whose name, and what they are given."""
    seen: list[tuple[str, object]] = []

    def note(*given: object) -> None:
        if "set_config" not in str(given[2]):
            seen.append((str(given[2]), given[3]))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
    return seen


def test_a_page_takes_as_many_statements_for_twenty_results_as_for_one_and_reads_no_histogram(
    service: sa.Engine,
) -> None:
    store, repository = PostgresStore(service), PostgresResultRepository(service)
    for number in range(20):
        scored(store, number)
    for page in (partial(repository.list, ACTOR, ResultFilter(), after=()), partial(repository.history, ACTOR, SLIDE)):
        one, twenty = (asked(service, partial(page, limit=limit)) for limit in (1, 20))
        assert len(one) == len(twenty) == 4
        assert not any(column in statement for statement, _ in twenty for column in ("histograms", "counts"))
    assert len(repository.list(ACTOR, ResultFilter(), 20, ()).items) == len(repository.history(ACTOR, SLIDE, 20)) == 20


def test_no_histogram_is_unpacked_for_a_list(service: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[tuple[int, ...]] = []
    one, repository = scored(PostgresStore(service), 1), PostgresResultRepository(service)
    monkeypatch.setattr(results, "unpacked", lambda kept, shape: unpacked.append(shape))
    repository.list(ACTOR, ResultFilter(), 20, ())
    repository.history(ACTOR, SLIDE, 20)
    assert unpacked == []
    repository.get(ACTOR, one)
    assert sorted(unpacked) == sorted(spec.shape for spec in NUCLEAR.histograms)


def test_a_list_says_of_each_result_what_reading_it_alone_says(service: sa.Engine) -> None:
    store, repository = PostgresStore(service), PostgresResultRepository(service)
    signed, rejected, fresh = (scored(store, number) for number in range(3))
    repository.record(ACTOR, [Entry(result_id=signed, state=ResultState.FINAL)], [])
    repository.record(ACTOR, [Entry(result_id=signed, state=ResultState.SUPERSEDED, reason="another clone")], [])
    repository.record(ACTOR, [Entry(result_id=rejected, state=ResultState.REJECTED, reason="out of focus")], [])
    listed = {view.result.id: view for view in repository.list(ACTOR, ResultFilter(), 20, ()).items}
    assert {view.result.id: view for view in repository.history(ACTOR, SLIDE, 20)} == listed
    assert {name: view.state for name, view in listed.items()} == {
        signed: ResultState.SUPERSEDED,
        rejected: ResultState.REJECTED,
        fresh: ResultState.PRELIMINARY,
    }
    for name, view in listed.items():
        assert_says_the_same(view, repository.get(ACTOR, name))


def assert_says_the_same(listed: SummaryView, whole: SummaryView) -> None:
    for part, other in (
        (listed, whole),
        (listed.result, whole.result),
        (listed.result.analysis, whole.result.analysis),
    ):
        same = [field.name for field in fields(part) if field.name not in ("result", "analysis")]
        assert [getattr(part, name) for name in same] == [getattr(other, name) for name in same]


def test_a_page_without_results_is_empty(service: sa.Engine) -> None:
    repository = PostgresResultRepository(service)
    assert repository.list(ACTOR, ResultFilter(), 20, ()).items == ()
    assert repository.history(ACTOR, SLIDE, 20) == []


@pytest.fixture
def years(engine: sa.Engine, service: sa.Engine) -> sa.Engine:
    """Of a laboratory, in little: one order in a thousand is STAT."""
    fill(engine, PostgresStore(service), DONE, WAITING)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
        stat = "priority = 'STAT', rank = 0 WHERE right(message_control_id, 3) = '500'"
        connection.exec_driver_sql(f"UPDATE orders SET {stat}")
    return service


def pages(engine: sa.Engine, statement: str, given: object) -> int:
    """Pages of tables and indexes that PostgreSQL looks at for a statement, planning left out."""
    with transaction(engine, lab=ACTOR.lab) as connection:
        explained = f"EXPLAIN (ANALYZE, BUFFERS, COSTS OFF) {statement}"
        connection.exec_driver_sql(explained, given)  # type: ignore[arg-type]
        plan = connection.exec_driver_sql(explained, given).scalars().all()  # type: ignore[arg-type]
    found = re.findall(r"(?:hit|read)=(\d+)", next(line for line in plan if "Buffers" in line))
    return sum(map(int, found))


def test_filters_read_the_rows_that_they_show_and_not_the_table(years: sa.Engine) -> None:
    """As the service's account: row-level security keeps conditions that aren't leakproof from the indexes."""
    orders, repository, middle = PostgresOrderRepository(years), PostgresResultRepository(years), f"DONE{DONE // 2}"
    lists: list[tuple[Callable[[], object], int]] = [
        (lambda: orders.list(ACTOR, OrderFilter(container_id=middle), 50, ()).items, 1),
        (lambda: orders.list(ACTOR, OrderFilter(priority=Priority.STAT), 50, ()).items, 7),
        (lambda: repository.history(ACTOR, SlideName(series_uid=middle), 50), 1),
        (lambda: repository.history(ACTOR, SlideName(container_id=middle), 50), 1),
        (lambda: repository.list(ACTOR, ResultFilter(), 50, ()).items, 50),
    ]
    for act, number in lists:
        found: list[object] = []
        statements = asked(years, lambda act=act, found=found: found.extend(act()))  # type: ignore[misc]
        assert len(found) == number
        read = [pages(years, *statement) for statement in statements]
        assert max(read) < 10 + 36 * number, (statements, read)  # a result has 33 scores
