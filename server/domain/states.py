"""Every state machine: the life of an order, of a result, of a profile's revision, of a delivery, as tables of
transitions.
"""

from enum import StrEnum

from server.domain.errors import Refused, ServiceReason


class OrderState(StrEnum):
    """QUEUED waits for a worker; RUNNING holds an attempt token; DONE has a result; the rest are ends without one."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REFUSED = "REFUSED"  # can't be scored rightly: reason kept
    DEAD = "DEAD"  # failed three times: reason kept
    CANCELLED = "CANCELLED"


ORDER_TRANSITIONS: dict[OrderState, frozenset[OrderState]] = {
    OrderState.QUEUED: frozenset({OrderState.RUNNING, OrderState.CANCELLED}),
    OrderState.RUNNING: frozenset(
        {OrderState.DONE, OrderState.REFUSED, OrderState.DEAD, OrderState.QUEUED, OrderState.CANCELLED}
    ),
    OrderState.DONE: frozenset({OrderState.QUEUED}),  # begun anew, where a control withholds its score
    OrderState.REFUSED: frozenset({OrderState.QUEUED}),  # begun anew, by a person or by the LIS that orders again
    OrderState.DEAD: frozenset({OrderState.QUEUED}),
    OrderState.CANCELLED: frozenset({OrderState.QUEUED}),
}
LIVE = frozenset({OrderState.QUEUED, OrderState.RUNNING})  # the others are ends, though some may be begun anew
ENDED_WITHOUT_RESULT = frozenset({OrderState.REFUSED, OrderState.DEAD, OrderState.CANCELLED})

MAX_ATTEMPTS = 3


def check_transition(old: OrderState, new: OrderState) -> None:
    """Refuse a change of state that the table does not hold."""
    if new not in ORDER_TRANSITIONS[old]:
        raise Refused(ServiceReason.ORDER_STATE, f"an order that is {old} cannot become {new}")


class ResultState(StrEnum):
    """What a pathologist has said of a result."""

    PRELIMINARY = "PRELIMINARY"
    FINAL = "FINAL"
    REJECTED = "REJECTED"
    CORRECTED = "CORRECTED"
    SUPERSEDED = "SUPERSEDED"


SIGNED = frozenset({ResultState.FINAL, ResultState.CORRECTED})
RESULT_TRANSITIONS: dict[ResultState, frozenset[ResultState]] = {
    ResultState.PRELIMINARY: frozenset({ResultState.FINAL, ResultState.REJECTED, ResultState.CORRECTED}),
    ResultState.FINAL: frozenset({ResultState.SUPERSEDED}),
    ResultState.CORRECTED: frozenset({ResultState.SUPERSEDED}),
    ResultState.REJECTED: frozenset(),
    ResultState.SUPERSEDED: frozenset(),
}


def check_result_transition(old: ResultState, new: ResultState) -> None:
    """Raises Refused RESULT_STATE."""
    if new not in RESULT_TRANSITIONS[old]:
        raise Refused(ServiceReason.RESULT_STATE, f"a result that is {old} cannot become {new}")


class ProfileState(StrEnum):
    """DRAFT and RETIRED revisions are not chosen for orders."""

    DRAFT = "DRAFT"
    ACTIVE = "ACTIVE"
    RETIRED = "RETIRED"


class JobState(StrEnum):
    """QUEUED waits for a worker; RUNNING holds a token; DONE has an outcome, FAILED a reason."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


JOB_TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING}),
    JobState.RUNNING: frozenset({JobState.DONE, JobState.FAILED, JobState.RUNNING}),  # again: a worker vanished
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
}


class DeliveryState(StrEnum):
    """As the outbox has it."""

    WAITING = "WAITING"
    SENT = "SENT"
    DEAD = "DEAD"


PROFILE_TRANSITIONS: dict[ProfileState, frozenset[ProfileState]] = {
    ProfileState.DRAFT: frozenset({ProfileState.ACTIVE, ProfileState.RETIRED}),
    ProfileState.ACTIVE: frozenset({ProfileState.RETIRED}),
    ProfileState.RETIRED: frozenset({ProfileState.ACTIVE}),
}
