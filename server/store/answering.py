"""Which destinations answer, as this process has seen: a rest for one that doesn't, and whose fault a silence is."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What one laboratory sends to one destination."""

    destination: str
    lab: str


class Answering:
    """Safe to share between threads.

    `rest_s` seconds a destination that couldn't be reached rests, before a channel's next message is tried; `now` is in
    seconds, of any beginning.
    """

    def __init__(self, *, rest_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._rest_s, self._lock = now, rest_s, threading.Lock()
        self._answered: dict[str, float] = {}
        self._silent: dict[Channel, float] = {}
        self._tried: dict[int, float] = {}

    def answered(self, channel: Channel, message: int) -> bool:
        """It took something; whether it had been silent before."""
        with self._lock:
            self._answered[channel.destination] = self._now()
            self._tried.pop(message, None)
            silent = [each for each in self._silent if each.destination == channel.destination]
            for each in silent:
                del self._silent[each]
            return bool(silent)

    def silent(self, channel: Channel, message: int) -> bool:
        """It couldn't be reached, or didn't answer; whether it has answered others since this message was last tried.

        Then it is the message, and the destination needs no rest.
        """
        with self._lock:
            before = self._tried.get(message)
            self._tried[message] = self._now()
            others = before is not None and self._answered.get(channel.destination, before) > before
            if not others:
                self._silent[channel] = self._now()
            return others

    def ended(self, message: int) -> None:
        """It is given up."""
        with self._lock:
            self._tried.pop(message, None)

    def rests(self, channel: Channel) -> bool:
        with self._lock:
            since = self._silent.get(channel)
            return since is not None and self._now() < since + self._rest_s
