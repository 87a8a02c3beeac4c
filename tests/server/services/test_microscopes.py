"""Microscopes: whose they are, how many, and when they end; what scores their fields is stood for."""

import threading
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from inference.assay import assay_of
from inference.live import Running
from server.domain.access import Caller, Role
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.profile import built_in
from server.services.analysis import AnalysisService, Method, Picture
from server.services.microscopes import IDLE_S, MOST_OF_ONE, MOST_OPEN, Microscopes

PICTURE = Picture(data=b"picture", mpp=0.5)


def person(subject: str = "dr-a", lab: str = "LAB-A") -> Caller:
    return Caller(subject=subject, lab=lab, roles=frozenset({Role.PATHOLOGIST}))


@dataclass
class Stand:
    """Instead of an AnalysisService; a field waits for `let_go`."""

    let_go: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)

    def method(self, _: Caller, marker: str, __: None) -> Method:
        return Method(assay=assay_of(marker), profile=built_in(assay_of(marker)))

    def running(self, method: Method) -> Running:
        assay = method.assay
        return Running(analyzer=assay.analyzer, criteria=method.profile.criteria, measures=assay.measures)

    def analyze(self, _: Picture, __: Method, go_on: Any, running: Running, *, counted: bool) -> Any:
        self.began.set()
        assert self.let_go.wait(10)
        go_on()
        return counted


@pytest.fixture
def stand() -> Stand:
    made = Stand()
    made.let_go.set()
    return made


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def microscopes(stand: Stand, clock: Clock) -> Microscopes:
    return Microscopes(cast("AnalysisService", stand), clock=clock)


def is_open(microscopes: Microscopes, caller: Caller, microscope: str) -> bool:
    try:
        microscopes.look(caller, microscope, PICTURE, counted=True)
    except Refused as error:
        if error.reason != ServiceReason.TASK_UNKNOWN:
            raise
        return False
    return True


def test_it_is_its_own_person_s_in_its_own_laboratory(microscopes: Microscopes) -> None:
    made, _ = microscopes.begin(person(), "ER")
    assert is_open(microscopes, person(), made)
    assert not is_open(microscopes, person("dr-b"), made)
    assert not is_open(microscopes, person(lab="LAB-B"), made)


def test_it_ends_when_that_is_said_or_its_person_signs_out(microscopes: Microscopes) -> None:
    first, second = (microscopes.begin(person(), "ER")[0] for _ in range(2))
    other, _ = microscopes.begin(person("dr-b"), "ER")
    microscopes.end(person(), first)
    assert [is_open(microscopes, person(), m) for m in (first, second)] == [False, True]
    microscopes.end_all(person())
    assert not is_open(microscopes, person(), second)
    assert is_open(microscopes, person("dr-b"), other)


def test_it_ends_when_it_is_left(microscopes: Microscopes, clock: Clock) -> None:
    left, used = (microscopes.begin(person(name), "ER")[0] for name in ("dr-a", "dr-b"))
    clock.now = IDLE_S - 1
    assert is_open(microscopes, person("dr-b"), used)
    clock.now = IDLE_S
    assert not is_open(microscopes, person("dr-a"), left)
    assert is_open(microscopes, person("dr-b"), used)


def test_of_one_person_the_one_used_longest_ago_gives_way(microscopes: Microscopes, clock: Clock) -> None:
    made = []
    for now in range(MOST_OF_ONE + 1):
        clock.now = float(now)
        made.append(microscopes.begin(person(), "ER")[0])
    assert [is_open(microscopes, person(), m) for m in made] == [False] + [True] * MOST_OF_ONE


def test_all_have_a_limit_and_one_that_ended_makes_room(microscopes: Microscopes) -> None:
    made = [microscopes.begin(person(f"dr-{k}"), "ER")[0] for k in range(MOST_OPEN // 2)]
    with pytest.raises(Failed) as refused:
        microscopes.begin(person("dr-late"), "ER")
    assert (refused.value.reason, refused.value.retryable) == (ServiceReason.TOO_MANY_STREAMS, True)
    microscopes.end(person("dr-0"), made[0])
    microscopes.begin(person("dr-late"), "ER")


def test_a_field_at_a_time_and_none_after_its_end(microscopes: Microscopes, stand: Stand) -> None:
    made, _ = microscopes.begin(person(), "ER")
    stand.let_go.clear()
    ended: list[bool] = []
    first = threading.Thread(target=lambda: ended.append(not is_open(microscopes, person(), made)))
    first.start()
    assert stand.began.wait(10)
    with pytest.raises(Failed) as refused:
        microscopes.look(person(), made, PICTURE, counted=True)
    assert (refused.value.reason, refused.value.retryable) == (ServiceReason.TOO_MANY_CALLS, True)
    microscopes.end(person(), made)
    stand.let_go.set()
    first.join(10)
    assert ended == [True]


def test_a_field_that_takes_too_long_is_given_up(microscopes: Microscopes, stand: Stand, clock: Clock) -> None:
    made, _ = microscopes.begin(person(), "ER")
    stand.let_go.clear()
    reasons: list[str] = []

    def look() -> None:
        try:
            microscopes.look(person(), made, PICTURE, counted=True)
        except Failed as error:
            reasons.append(str(error.reason))

    first = threading.Thread(target=look)
    first.start()
    assert stand.began.wait(10)
    clock.now = 61.0
    stand.let_go.set()
    first.join(10)
    assert reasons == ["DEADLINE_EXCEEDED"]


@pytest.mark.parametrize(("marker", "reason"), [("", "FIELD_MISSING"), ("CD3", "ASSAY_UNSUPPORTED")])
def test_a_stain_must_be_one_that_is_scored(microscopes: Microscopes, marker: str, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        microscopes.begin(person(), marker)
    assert str(refused.value.reason) == reason
