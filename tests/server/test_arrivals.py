"""What a slide that comes sets off: orders that wait for it, and, by a laboratory's rule, an order of our own."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest
from structlog.testing import capture_logs

from server.arrivals import Watched, Watcher
from server.domain.arrival import Arrived, Site, UnorderedRule, request_for, scored_unordered
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.order import Order, Request
from tests.made import made_order

BREAST = Site(code="76752008", scheme="SCT", text="Breast")
ER = Arrived(series_uid="1.2", study_uid="1", container_id="C1", patient_id="P", markers=frozenset({"ER"}))
RULE = UnorderedRule(markers=("ER",), after_s=60)


@dataclass
class Store:
    """Orders as the watcher sees them."""

    woken: list[tuple[list[str] | None, str]] = field(default_factory=list)
    accepted: list[Request] = field(default_factory=list)
    ordered: set[tuple[str, str, str]] = field(default_factory=set)
    away: bool = False
    troubles: dict[str, ChromogenError] = field(default_factory=dict)
    """By series: what is raised."""

    def wake(self, labs: Sequence[str] | None, slide: Arrived) -> int:
        if self.away:
            raise Failed(ServiceReason.DATABASE_UNREACHABLE, "away", retryable=True)
        self._trouble(slide.series_uid)
        self.woken.append((None if labs is None else list(labs), slide.series_uid))
        return 1

    def is_ordered(self, lab: str, marker: str, slide: Arrived) -> bool:
        return (lab, marker, slide.series_uid) in self.ordered

    def accept(self, request: Request) -> tuple[Order, bool]:
        self._trouble(request.slide.series_uid)
        self.accepted.append(request)
        return replace(made_order(), request=request), True

    def _trouble(self, series_uid: str) -> None:
        if series_uid in self.troubles:
            raise self.troubles[series_uid]


@dataclass
class Comes:
    """A feed of what is put in."""

    slides: list[Arrived] = field(default_factory=list)

    def arrived(self) -> list[Arrived]:
        found, self.slides = self.slides, []
        return found


@dataclass
class Now:
    at: float = 0.0

    def __call__(self) -> float:
        return self.at


def watcher(store: Store, feed: Comes, now: Now, rules: dict[str, list[UnorderedRule]] | None) -> Watcher:
    return Watcher(watched=Watched(name="pacs", feed=feed, every_s=1, rules=rules), orders=store, clock=now)


def test_orders_of_the_archive_s_laboratories_are_woken_and_no_slide_is_scored_without_a_rule() -> None:
    store, now = Store(), Now()
    for rules, labs in (({"NORTH": [], "SOUTH": []}, ["NORTH", "SOUTH"]), (None, None)):
        watching = watcher(store, Comes([ER]), now, rules)
        watching.step()
        now.at += 1e6
        watching.step()
        assert store.woken.pop() == (labs, "1.2")
    assert store.accepted == []


def test_a_slide_that_nobody_orders_is_scored_by_the_rule_once_its_time_is_over() -> None:
    store, now = Store(), Now()
    watching = watcher(store, Comes([ER]), now, {"NORTH": [RULE], "SOUTH": []})
    watching.step()
    now.at = 59
    watching.step()
    assert store.accepted == []
    now.at = 60
    watching.step()
    watching.step()
    (request,) = store.accepted
    assert (request.lab, request.marker, request.slide.series_uid, request.patient.id) == ("NORTH", "ER", "1.2", "P")
    assert request == request_for(ER, "ER", "NORTH")


def test_one_that_was_ordered_meanwhile_is_left_to_that_order() -> None:
    store, now = Store(), Now()
    watching = watcher(store, Comes([ER]), now, {"NORTH": [RULE]})
    watching.step()
    store.ordered.add(("NORTH", "ER", "1.2"))
    now.at = 60
    watching.step()
    assert store.accepted == []


def test_while_the_database_is_away_what_came_is_kept() -> None:
    store = Store(away=True)
    watching = watcher(store, Comes([ER]), Now(), None)
    with pytest.raises(Failed):
        watching.step()
    store.away = False
    watching.step()
    assert store.woken == [(None, "1.2")]


@pytest.mark.parametrize(
    ("slide", "rule", "wanted"),
    [
        (ER, RULE, True),
        (replace(ER, markers=frozenset()), RULE, False),
        (replace(ER, markers=frozenset({"ER", "PR"})), RULE, False),
        (replace(ER, markers=frozenset({"PR"})), RULE, False),
        (ER, replace(RULE, sites=("76752008",)), False),
        (replace(ER, sites=(BREAST,)), replace(RULE, sites=("76752008",)), True),
        (replace(ER, sites=(BREAST, replace(BREAST, code="1"))), replace(RULE, sites=("76752008",)), False),
    ],
)
def test_a_rule_is_of_stain_and_site_and_takes_nothing_ambiguous(
    slide: Arrived, rule: UnorderedRule, wanted: bool
) -> None:
    assert (scored_unordered([rule], slide) is not None) is wanted


def test_slides_differ_in_their_orders_and_one_slide_makes_the_same() -> None:
    numbers = {request_for(replace(ER, series_uid=f"1.{n}"), "ER", "NORTH").message_control_id for n in range(100)}
    assert len(numbers) == 100
    assert all(len(number) <= 20 for number in numbers)


OTHER = replace(ER, series_uid="1.3")
REFUSED = Refused(ServiceReason.LABORATORY_UNKNOWN, "not ours")
FAILED = Failed(ServiceReason.DATABASE_FAILED, "odd", retryable=True)


def test_what_the_store_refuses_is_dropped_and_said_and_holds_up_nothing() -> None:
    store, now = Store(troubles={"1.2": REFUSED}), Now()
    watching = watcher(store, Comes([ER, OTHER]), now, {"NORTH": [RULE]})
    with capture_logs() as logs:
        watching.step()
    assert store.woken == [(["NORTH"], "1.3")]
    assert [(e["event"], e["series"]) for e in logs if "series" in e] == [("slide_refused", "1.2")]
    now.at = 60
    store.troubles = {"1.3": REFUSED}
    watching.step()
    store.troubles = {}
    watching.step()
    assert store.accepted == []


def test_what_fails_is_tried_again_and_holds_up_nothing() -> None:
    store, now = Store(troubles={"1.2": FAILED}), Now()
    watching = watcher(store, Comes([ER, OTHER]), now, {"NORTH": [RULE]})
    with pytest.raises(Failed):
        watching.step()
    assert store.woken == [(["NORTH"], "1.3")]
    store.troubles = {}
    watching.step()
    assert store.woken == [(["NORTH"], "1.3"), (["NORTH"], "1.2")]
    now.at, store.troubles = 60, {"1.3": FAILED}
    with pytest.raises(Failed):
        watching.step()
    store.troubles = {}
    watching.step()
    assert [request.slide.series_uid for request in store.accepted] == ["1.2", "1.3"]


def test_orders_are_made_while_the_archive_is_away() -> None:
    class Away(Comes):
        def arrived(self) -> list[Arrived]:
            if not self.slides:
                raise Failed(ServiceReason.ARCHIVE_UNREACHABLE, "away", retryable=True)
            return super().arrived()

    store, now = Store(), Now()
    watching = watcher(store, Away([ER]), now, {"NORTH": [RULE]})
    watching.step()
    now.at = 60
    with pytest.raises(Failed, match="away"):
        watching.step()
    assert len(store.accepted) == 1


def test_that_a_slide_is_ordered_already_is_said() -> None:
    store = Store(ordered={("NORTH", "ER", "1.2")})
    with capture_logs() as logs:
        watcher(store, Comes([ER]), Now(), {"NORTH": [replace(RULE, after_s=0)]}).step()
    assert [e["series"] for e in logs if e["event"] == "slide_already_ordered"] == ["1.2"]
