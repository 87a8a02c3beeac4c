"""Watches archives: an order that waits for a slide starts when it comes; a slide that nobody orders is scored where a
laboratory's rule says so.

One process watches (`chromogen serve`). Nothing is remembered: a start looks at what the archives list, orders that
wait lose nothing by being woken, and a slide makes the same order of our own however often it is seen.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import structlog

from server.domain.arrival import Arrived, Feed, UnorderedRule, request_for, scored_unordered
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
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


T = TypeVar("T", Arrived, _Due)


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
        """What the store can't be told now is tried the next time; what it refuses is dropped. Neither stops the rest.

        Raises as `Feed.arrived`, and Failed as the store.
        """
        try:
            self._waiting += self.watched.feed.arrived()
        finally:
            self._tell()

    def _tell(self) -> None:
        failed = self._done(self._waiting, lambda each: True, self._take)
        failed += self._done(self._due, lambda each: each.at <= self.clock(), self._order)
        if failed:
            raise failed[0]

    def _done(self, items: list[T], wanted: Callable[[T], bool], do: Callable[[T], None]) -> list[Failed]:
        """Leaves in `items` what failed and what isn't wanted yet; without the database nothing more is tried."""
        failed = list[Failed]()
        for item in filter(wanted, list(items)):
            try:
                do(item)
            except Refused as error:
                log.error("slide_refused", archive=self.watched.name, reason=str(error.reason), series=_series(item))
            except Failed as error:
                failed.append(error)
                if error.reason == ServiceReason.DATABASE_UNREACHABLE:
                    break
                continue
            items.remove(item)
        return failed

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
            log.info("slide_already_ordered", archive=self.watched.name, series=due.slide.series_uid)
            return
        order, _ = self.orders.accept(request_for(due.slide, due.marker, due.lab))
        log.info("slide_without_order", archive=self.watched.name, order=order.id)


def _series(item: Arrived | _Due) -> str:
    return (item.slide if isinstance(item, _Due) else item).series_uid
