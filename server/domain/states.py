"""The life of an order, as a table of transitions."""

from enum import StrEnum

from server.domain.errors import Refused, ServiceReason


class State(StrEnum):
    """QUEUED waits for a worker; RUNNING holds an attempt token; DONE has a result; the rest are ends without one."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    DONE = "DONE"
    REFUSED = "REFUSED"  # can't be scored rightly: reason kept
    DEAD = "DEAD"  # failed three times: reason kept
    CANCELLED = "CANCELLED"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset({State.RUNNING, State.CANCELLED}),
    State.RUNNING: frozenset({State.DONE, State.REFUSED, State.DEAD, State.QUEUED, State.CANCELLED}),
    State.DONE: frozenset(),
    State.REFUSED: frozenset({State.QUEUED}),  # begun anew, by a person or by the LIS that orders again
    State.DEAD: frozenset({State.QUEUED}),
    State.CANCELLED: frozenset({State.QUEUED}),
}
LIVE = frozenset({State.QUEUED, State.RUNNING})  # the others are ends, though some may be begun anew
ENDED_WITHOUT_RESULT = frozenset({State.REFUSED, State.DEAD, State.CANCELLED})

MAX_ATTEMPTS = 3


def check_transition(old: State, new: State) -> None:
    """Refuse a change of state that the table does not hold."""
    if new not in TRANSITIONS[old]:
        raise Refused(ServiceReason.ORDER_STATE, f"an order that is {old} cannot become {new}")
