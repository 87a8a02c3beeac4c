"""Watches archives: an order that waits for a slide starts when it comes; a slide that nobody orders is scored where a
laboratory's rule says so.

One process watches (`chromogen serve`). Nothing is remembered: a start looks at what the archives list, orders that
wait lose nothing by being woken, and a slide makes the same order of our own however often it is seen.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from server.domain.arrival import Arrived, Feed, UnorderedRule, request_for, scored_unordered
from server.domain.errors import ChromogenError
from server.domain.order import Order, Request

log = structlog.get_logger()

Clock = Callable[[], float]


class Orders(Protocol):
    """What is asked of the store (`server.store.store.PostgresStore`)."""

    def wake(self, labs: Sequence[str] | None, slide: Arrived) -> int: ...

    def is_ordered(self, lab: str, marker: str, slide: Arrived) -> bool: ...

    def accept(self, request: Request) -> tuple[Order, bool]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An archive: its feed, how often it is asked (s), and the laboratories whose it is, with their rules.

    `rules` None: of any laboratory, without rules.
    """

    name: str
    feed: Feed
    every_s: float
    rules: Mapping[str, Sequence[UnorderedRule]] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Due:
    at: float
    lab: str
    marker: str
    slide: Arrived


@dataclass(slots=True, kw_only=True)
class Watcher:
    """Of one archive. `step`, or `run` until told to stop."""

    watched: Watched
    orders: Orders
    clock: Clock = time.monotonic
    _waiting: list[Arrived] = field(default_factory=list)
    _due: list[_Due] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.step()
            except ChromogenError as error:
                log.warning("archive_not_watched", archive=self.watched.name, reason=str(error.reason))
            stop.wait(self.watched.every_s)

    def step(self) -> None:
        """What can't be told the store now is told it the next time. Raises as `Feed.arrived`, and as the store."""
        self._waiting += self.watched.feed.arrived()
        while self._waiting:
            self._take(self._waiting[0])
            self._waiting.pop(0)
        while due := [each for each in self._due if each.at <= self.clock()]:
            self._order(due[0])
            self._due.remove(due[0])

    def _take(self, slide: Arrived) -> None:
        rules = self.watched.rules
        woken = self.orders.wake(None if rules is None else sorted(rules), slide)
        log.info("slide_arrived", archive=self.watched.name, orders=woken)
        for lab, of_lab in (rules or {}).items():
            wanted = scored_unordered(of_lab, slide)
            if wanted is not None:
                marker, rule = wanted
                self._due.append(_Due(at=self.clock() + rule.after_s, lab=lab, marker=marker, slide=slide))

    def _order(self, due: _Due) -> None:
        if self.orders.is_ordered(due.lab, due.marker, due.slide):
            return
        order, _ = self.orders.accept(request_for(due.slide, due.marker, due.lab))
        log.info("slide_without_order", archive=self.watched.name, order=order.id)
