"""How much one caller, one laboratory, and all together may ask for, whichever door they come by."""

import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from functools import partial

from server.domain.errors import Failed, Refused, ServiceReason

BURST_S = 2.0
MOST_CALLERS = 10_000


class Rate:
    """At most `per_s` calls a second of a caller, with bursts of two seconds' worth."""

    def __init__(self, per_s: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most, self._clock = per_s, max(per_s * BURST_S, 1.0), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, caller: str) -> None:
        """Raises Refused RATE_LIMITED."""
        with self._lock:
            now = self._clock()
            left, then = self._left.pop(caller, (self._most, now))
            left = min(left + (now - then) * self._per_s, self._most)
            self._left[caller] = (max(left - 1, 0.0) if left >= 1 else left, now)
            if len(self._left) > MOST_CALLERS:
                self._left.popitem(last=False)
        if left < 1:
            raise Refused(ServiceReason.RATE_LIMITED, f"more than {self._per_s:g} calls a second")


class Places:
    """At most `most` at once, and of one laboratory at most half of them (rounded up). Safe for threads."""

    def __init__(self, most: int, reason: ServiceReason, what: str) -> None:
        self._most, self._most_of_one, self._reason, self._what = most, (most + 1) // 2, reason, what
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def taken(self) -> int:
        with self._lock:
            return self._taken.total()

    def take(self, lab: str) -> Callable[[], None]:
        """What gives the place back, to be called once. Raises Failed with the reason (retryable)."""
        with self._lock:
            if self._taken.total() >= self._most:
                raise Failed(self._reason, f"{self._most} {self._what} are open already", retryable=True)
            if self._taken[lab] >= self._most_of_one:
                message = f"{self._most_of_one} {self._what} of this laboratory are open already"
                raise Failed(self._reason, message, retryable=True)
            self._taken[lab] += 1
        return partial(self._give_back, lab)

    def _give_back(self, lab: str) -> None:
        with self._lock:
            self._taken[lab] -= 1
            if not self._taken[lab]:
                del self._taken[lab]


class Budget:
    """At most `most` of something in use at once; who comes too late waits for room. Safe for threads."""

    def __init__(self, most: int) -> None:
        self._most, self._left = most, most
        self._room = threading.Condition()

    def take(self, n: int, wait_s: float) -> Callable[[], None]:
        """`n` (all there is, where that is less), as soon as there is room; what gives it back, to be called once.

        Raises Failed TOO_MANY_CALLS (retryable) after `wait_s` seconds.
        """
        asked = min(n, self._most)
        with self._room:
            if not self._room.wait_for(lambda: self._left >= asked, wait_s):
                raise Failed(
                    ServiceReason.TOO_MANY_CALLS, "others' pictures are being read: send it again", retryable=True
                )
            self._left -= asked
        return partial(self._room_again, asked)

    def _room_again(self, n: int) -> None:
        with self._room:
            self._left += n
            self._room.notify_all()
