"""Places of a listener's connections and the bytes of their unfinished messages: both are bounded, and neither can be
kept from others by who sends nothing.

Where all are taken, the connection that has been quiet longest, of the address that has most, is closed for the next
one; its sender connects again. A message in hand is never given up. Everything happens on the listener's loop.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

QUIET_S = 1.0
"""A connection is left alone for so long after its last byte."""

log = structlog.get_logger()


@dataclass(slots=True, kw_only=True, eq=False)
class Place:
    """Of one connection. `busy` while a message of it is in hand; `close` ends it otherwise."""

    address: str
    close: Callable[[], None]
    heard_at: float
    held: int = 0
    busy: bool = False


@dataclass(slots=True, kw_only=True)
class Places:
    """`most` connections, and `most_bytes` of messages that are being received or in hand."""

    most: int
    most_bytes: int
    now: Callable[[], float] = time.monotonic
    _taken: set[Place] = field(default_factory=set)
    _bytes: int = 0

    def enter(self, address: str, close: Callable[[], None]) -> Place | None:
        """None where all places are taken, and none is to be had."""
        if len(self._taken) >= self.most and not self._freed("mllp_connection_displaced", self._taken):
            return None
        place = Place(address=address, close=close, heard_at=self.now())
        self._taken.add(place)
        return place

    def leave(self, place: Place) -> None:
        self.handled(place)
        self._taken.discard(place)

    def hold(self, place: Place, n: int) -> bool:
        """So many bytes more of its message; False where there is no room for them now."""
        while self._bytes + n > self.most_bytes:
            if not self._freed("mllp_message_displaced", {each for each in self._taken - {place} if each.held}):
                return False
        place.held += n
        self._bytes += n
        place.heard_at = self.now()
        return True

    def handled(self, place: Place) -> None:
        """Its message is answered."""
        self._bytes -= place.held
        place.held, place.busy, place.heard_at = 0, False, self.now()

    def _freed(self, event: str, among: set[Place]) -> bool:
        """By closing one that is quiet."""
        quiet = [each for each in among if not each.busy and each.heard_at + QUIET_S <= self.now()]
        if not quiet:
            return False
        crowd = Counter(each.address for each in self._taken)
        chosen = max(quiet, key=lambda each: (crowd[each.address], -each.heard_at))
        log.warning(event, quiet_s=round(self.now() - chosen.heard_at, 1), connections=len(self._taken))
        self.leave(chosen)
        chosen.close()
        return True
