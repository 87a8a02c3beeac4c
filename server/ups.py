"""Performs a worklist's items: claims each, makes an order of it, tells how far that is, and ends it as the order ends.

What is kept is the claim, before it is sent, and the order that it became: whoever is killed anywhere between goes on
with the same Transaction UID and the same order. The worklist is asked where an item stands, and is never remembered.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog

from server.archive.ups_item import asks_for_score, request_for
from server.domain.access import Caller, Role
from server.domain.errors import OUTAGES, ChromogenError, Refused, ServiceReason
from server.domain.order import OrderId
from server.domain.ports import OrderView
from server.domain.states import LIVE, OrderState
from server.domain.ups import GivenUp, Performed, UpsClaim, UpsClaims, UpsItem, UpsOutcome, UpsState, Worklist
from server.services.orders import OrderService
from server.site import WorklistAddress

log = structlog.get_logger()

WITHOUT_REASON = {OrderState.CANCELLED: "CANCELLED: the order was cancelled"}


@dataclass(slots=True, kw_only=True)
class Performer:
    """Of one worklist. `step`, or `run` until told to stop."""

    named: WorklistAddress
    worklist: Worklist
    claims: UpsClaims
    orders: OrderService
    now: Callable[[], datetime]
    _unwanted: set[str] = field(default_factory=set)
    _subscribed: set[str] = field(default_factory=set)
    _left: set[str] = field(default_factory=set)

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.step()
            except ChromogenError as error:
                log.warning("worklist_not_asked", worklist=self.named.name, reason=str(error.reason))
            stop.wait(self.named.every_s)

    def step(self) -> None:
        """Raises Failed where the worklist or the database is away; what else is wrong with one holds up no other."""
        for claim in self.claims.open(self.named.laboratory, self.named.name):
            self._one(claim.uid, partial(self._follow, claim))
        for uid in self.worklist.scheduled():
            self._one(uid, partial(self._begin, uid))

    def cancel_asked(self, uid: str) -> None:
        """Somebody asks to cancel an item: its order is cancelled now, or, where that fails, at the next step."""
        self._unwanted.add(uid)
        self._one(uid, partial(self._heed, uid), raises=False)

    @property
    def _actor(self) -> Caller:
        return Caller(subject=self.named.name, lab=self.named.laboratory, roles=frozenset({Role.LIS}))

    def _one(self, uid: str, do: Callable[[], None], *, raises: bool = True) -> None:
        try:
            do()
        except ChromogenError as error:
            log.warning("item_not_done", worklist=self.named.name, item=uid, reason=str(error.reason))
            if raises and error.reason in OUTAGES:
                raise

    def _begin(self, uid: str) -> None:
        item = self.worklist.item(uid)
        if item is not None and item.state is UpsState.SCHEDULED and item.ready and self._ours(item):
            claim = self.claims.of(self.named.laboratory, self.named.name, uid)
            if claim.outcome is None:
                self._take(claim, item)

    def _ours(self, item: UpsItem) -> bool:
        """Among those that are for us, what is of another kind of work may be another machine's: it is left there."""
        if not self.named.means(item):
            return False
        if any(code.value in self.named.codes for code in item.codes) if self.named.codes else asks_for_score(item):
            return True
        if item.uid not in self._left:
            self._left.add(item.uid)
            log.warning("item_left", worklist=self.named.name, item=item.uid, codes=[c.value for c in item.codes])
        return False

    def _follow(self, claim: UpsClaim) -> None:
        item = self.worklist.item(claim.uid)
        if item is None:
            self._end(claim, UpsOutcome.LOST)
        elif item.state is UpsState.SCHEDULED or (item.state is UpsState.IN_PROGRESS and claim.order_id is None):
            self._take(claim, item)
        elif item.state is UpsState.IN_PROGRESS and claim.order_id is not None:
            self._subscribe(claim)  # what we asked for before a restart, ours or the worklist's, may be forgotten there
            self._tell(claim, claim.order_id, item)
        else:
            self._drop(claim, UpsOutcome(item.state))

    def _take(self, claim: UpsClaim, item: UpsItem) -> None:
        if not self.worklist.claim(claim.uid, claim.transaction_uid):
            self._end(claim, UpsOutcome.LOST)
            return
        self._subscribe(claim)
        try:
            view, new = self.orders.create(self._actor, request_for(item, self.named.name, self.named.laboratory))
        except Refused as error:
            self._give_up(claim, GivenUp(why=f"{error.reason}: {error.message}", at=self.now()))
            return
        self.claims.ordered(claim, view.order.id)
        log.info("item_ordered", worklist=self.named.name, item=claim.uid, order=view.order.id, new=new)

    def _subscribe(self, claim: UpsClaim) -> None:
        """Once, until the next start."""
        if self.named.at.listen is None or claim.uid in self._subscribed:
            return
        try:
            self.worklist.subscribe(claim.uid)
        except ChromogenError as error:
            if error.reason in OUTAGES:
                raise
            log.warning("item_not_subscribed", worklist=self.named.name, item=claim.uid, reason=str(error.reason))
        self._subscribed.add(claim.uid)

    def _tell(self, claim: UpsClaim, order_id: OrderId, item: UpsItem) -> None:
        if item.unwanted or claim.uid in self._unwanted:
            self._stop(order_id)
        view = self.orders.get(self._actor, order_id)
        if view.state in LIVE:
            percent = round(100 * view.progress)
            if percent > item.progress and not self.worklist.progress(claim.uid, claim.transaction_uid, percent):
                self._drop(claim, UpsOutcome.LOST)
        elif view.state is OrderState.DONE:
            self._complete(claim, item, view)
        else:
            why = f"{view.reason}: {view.detail}" if view.reason else WITHOUT_REASON.get(view.state, view.state)
            self._give_up(claim, GivenUp(why=why, at=view.updated_at, state=view.state))

    def _complete(self, claim: UpsClaim, item: UpsItem, view: OrderView) -> None:
        """Once its objects lie where they were sent."""
        outputs = self.claims.outputs(self.named.laboratory, view)
        if outputs is None:
            return
        began_at = view.order.begun_at or view.order.received_at
        done = Performed(code=item.codes[0], began_at=began_at, ended_at=view.updated_at, outputs=outputs)
        if self.worklist.complete(claim.uid, claim.transaction_uid, done):
            self._end(claim, UpsOutcome.COMPLETED)

    def _give_up(self, claim: UpsClaim, given_up: GivenUp) -> None:
        if self.worklist.cancel(claim.uid, claim.transaction_uid, given_up):
            self._end(claim, UpsOutcome.CANCELED)

    def _drop(self, claim: UpsClaim, outcome: UpsOutcome) -> None:
        """It ended there: an order that still waits or runs isn't wanted any more."""
        if claim.order_id is not None:
            self._stop(claim.order_id)
        self._end(claim, outcome)

    def _heed(self, uid: str) -> None:
        claims = self.claims.open(self.named.laboratory, self.named.name)
        for order_id in (claim.order_id for claim in claims if claim.uid == uid and claim.order_id is not None):
            self._stop(order_id)

    def _stop(self, order_id: OrderId) -> None:
        """One that has ended stays as it is."""
        try:
            self.orders.cancel(self._actor, order_id, "")
        except Refused as error:
            if error.reason != ServiceReason.ORDER_STATE:
                raise

    def _end(self, claim: UpsClaim, outcome: UpsOutcome) -> None:
        self.claims.end(claim, outcome)
        self._unwanted.discard(claim.uid)
        self._subscribed.discard(claim.uid)
        log.info("item_ended", worklist=self.named.name, item=claim.uid, outcome=str(outcome))
