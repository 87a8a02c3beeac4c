"""How much one caller, and all together, may ask for."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

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


class Slots:
    """At most so many at once."""

    def __init__(self, most: int) -> None:
        self._most, self._free = most, threading.BoundedSemaphore(most)

    @contextmanager
    def one(self) -> Iterator[None]:
        """Raises Failed TOO_MANY_STREAMS (retryable)."""
        if not self._free.acquire(blocking=False):
            raise Failed(ServiceReason.TOO_MANY_STREAMS, f"{self._most} streams are open already", retryable=True)
        try:
            yield
        finally:
            self._free.release()
