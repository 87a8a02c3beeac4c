"""An order that waits for its slide is due at once when that comes, and no other order is."""

from dataclasses import replace

import pytest
import sqlalchemy as sa

from server.domain.arrival import Arrived, request_for
from server.domain.order import OrderId, Request, SlideReference
from server.domain.states import OrderState
from server.store.store import PostgresStore
from tests.server.store.invented import request

pytestmark = pytest.mark.postgres
SLIDE = Arrived(
    series_uid="2.25.71",
    study_uid="2.25.7",
    container_id="C-71",
    accession_number="A-7",
    specimens=frozenset({"S-71", "S-72"}),
)


@pytest.fixture
def store(engine: sa.Engine) -> PostgresStore:
    return PostgresStore(engine, slide_wait_s=1e6)


def asked(number: int, slide: SlideReference, lab: str = "") -> Request:
    found = request(number)
    return replace(found, slide=slide, lab=lab or found.lab)


def waiting(store: PostgresStore, wanted: Request, reason: str = "SLIDE_NOT_FOUND") -> OrderId:
    """An order whose slide wasn't there, or not whole."""
    order, _ = store.accept(wanted)
    claim = store.claim(order.id, 60)
    assert claim is not None
    assert store.end(claim, OrderState.REFUSED, reason, "not there") is OrderState.QUEUED
    return order.id


@pytest.mark.parametrize(
    "slide",
    [
        SlideReference(series_uid="2.25.71"),
        SlideReference(study_uid="2.25.7"),
        SlideReference(container_id="C-71"),
        SlideReference(accession_number="A-7"),
    ],
)
def test_it_is_due_at_once_by_whatever_it_names_the_slide(store: PostgresStore, slide: SlideReference) -> None:
    order = waiting(store, asked(1, slide))
    other = waiting(store, asked(2, SlideReference(container_id="C-72")))
    lab = store.order(order).order.request.lab
    assert store.due() == []
    assert store.wake(["ELSEWHERE"], SLIDE) == 0
    assert store.due() == []
    assert store.wake([lab], SLIDE) == 1
    assert store.due() == [order]
    assert store.order(order).attempt == 0
    assert store.order(other).state is OrderState.QUEUED


@pytest.mark.parametrize("reason", ["TOO_COARSE", "SLIDE_DAMAGED", "TILES_UNREADABLE"])
def test_what_waits_for_the_rest_of_its_slide_is_due_when_that_is_whole(store: PostgresStore, reason: str) -> None:
    order = waiting(store, asked(1, SlideReference(series_uid="2.25.71")), reason)
    assert store.due() == []
    assert store.wake(None, SLIDE) == 1
    assert store.due() == [order]


def test_in_any_laboratory_where_none_is_named(store: PostgresStore) -> None:
    order = waiting(store, asked(1, SlideReference(series_uid="2.25.71")))
    assert store.wake(None, SLIDE) == 1
    assert store.due() == [order]


def test_what_waits_for_something_else_is_not_woken(store: PostgresStore) -> None:
    order, _ = store.accept(asked(1, SlideReference(series_uid="2.25.71")))
    claim = store.claim(order.id, 60)
    assert claim is not None
    store.end(claim, OrderState.QUEUED, "ENGINE_UNREACHABLE", "away")
    assert store.wake(None, SLIDE) == 0


def test_an_order_of_our_own_is_kept_once_and_counts_as_ordered(store: PostgresStore) -> None:
    lab = request(1).lab
    assert not store.is_ordered(lab, "ER", SLIDE)
    made = [store.accept(request_for(SLIDE, "ER", lab)) for _ in range(2)]
    assert [new for _, new in made] == [True, False]
    assert made[0][0].id == made[1][0].id
    assert store.is_ordered(lab, "ER", SLIDE)
    assert not store.is_ordered(lab, "PR", SLIDE)
    assert not store.is_ordered("ELSEWHERE", "ER", SLIDE)


def test_each_slide_of_a_case_has_its_own_order(store: PostgresStore) -> None:
    lab = request(1).lab
    store.accept(request_for(SLIDE, "ER", lab))
    for other in (
        replace(SLIDE, series_uid="2.25.72", container_id="C-72"),
        replace(SLIDE, series_uid="2.25.72", study_uid="2.25.8"),
        replace(SLIDE, series_uid="2.25.72"),
    ):
        assert not store.is_ordered(lab, "ER", other)


@pytest.mark.parametrize(
    ("named", "specimen", "is_it"),
    [
        (SlideReference(series_uid="2.25.71"), "S-9", True),
        (SlideReference(container_id="C-71"), "S-9", True),
        (SlideReference(study_uid="2.25.7", container_id="C-71", accession_number="A-9"), "S-9", True),
        (SlideReference(study_uid="2.25.7", container_id="C-72"), "", False),
        (SlideReference(container_id="C-72", accession_number="A-7"), "", False),
        (SlideReference(study_uid="2.25.7"), "", True),
        (SlideReference(study_uid="2.25.7"), "S-72", True),
        (SlideReference(study_uid="2.25.7"), "S-9", False),
        (SlideReference(study_uid="2.25.8", accession_number="A-7"), "", False),
        (SlideReference(accession_number="A-7"), "S-71", True),
        (SlideReference(accession_number="A-7"), "S-9", False),
        (SlideReference(), "", False),
    ],
)
def test_an_order_is_of_a_slide_where_all_that_it_names_fits(
    store: PostgresStore, named: SlideReference, specimen: str, is_it: bool
) -> None:
    wanted = asked(1, named)
    store.accept(replace(wanted, specimen=replace(wanted.specimen, id=specimen)))
    assert store.is_ordered(wanted.lab, "ER", SLIDE) is is_it


def test_an_order_of_a_case_is_of_a_slide_that_says_nothing_of_itself(store: PostgresStore) -> None:
    wanted = asked(1, SlideReference(study_uid="2.25.7"))
    store.accept(replace(wanted, specimen=replace(wanted.specimen, id="S-9")))
    bare = Arrived(series_uid="2.25.71", study_uid="2.25.7")
    assert store.is_ordered(wanted.lab, "ER", bare)
    nameless = Arrived(series_uid="2.25.71", study_uid="2.25.8")
    store.accept(asked(2, SlideReference(accession_number="")))
    assert not store.is_ordered(wanted.lab, "ER", nameless)
