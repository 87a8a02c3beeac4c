"""What callers do with orders: make, read, list, cancel, retry, watch."""

import time
from collections.abc import Callable, Iterator

from server import traces
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.order import OrderId, Request
from server.domain.ports import OrderView
from server.domain.repositories import OrderRepository
from server.domain.states import LIVE
from server.domain.views import OrderFilter, Page, PageKey, order_etag

WATCH_EVERY_S = 0.5


class OrderService:
    """Raises what `OrderRepository` does."""

    def __init__(
        self,
        orders: OrderRepository,
        *,
        check_laboratory: Callable[[str], object] = lambda _: None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`check_laboratory` raises Refused LABORATORY_UNKNOWN where orders of the laboratory aren't taken."""
        self._orders, self._check_laboratory, self._sleep = orders, check_laboratory, sleep

    def create(self, actor: Caller, request: Request) -> tuple[OrderView, bool]:
        """The order, and whether it is new."""
        began_ns = time.time_ns()
        self._check_laboratory(actor.lab)
        view, new = self._orders.create(actor, request)
        traces.accepted(view.order.id, began_ns, "API")
        return view, new

    def get(self, actor: Caller, order_id: OrderId, *, patient: bool = False) -> OrderView:
        """`patient`: the patient will be shown, which is noted in the audit.

        Raises Refused PERMISSION_DENIED where the caller may see none.
        """
        if patient and not actor.sees_patients:
            raise Refused(ServiceReason.PERMISSION_DENIED, "none of the token's roles may see patients")
        return self._orders.get(actor, order_id, patient=patient)

    def list(self, actor: Caller, wanted: OrderFilter, limit: int, after: PageKey) -> Page[OrderView]:
        return self._orders.list(actor, wanted, limit, after)

    def cancel(self, actor: Caller, order_id: OrderId, etag: str) -> OrderView:
        return self._orders.cancel(actor, order_id, etag)

    def retry(self, actor: Caller, order_id: OrderId, etag: str) -> OrderView:
        return self._orders.retry(actor, order_id, etag)

    def watch(self, actor: Caller, order_id: OrderId, go_on: Callable[[], None]) -> Iterator[OrderView]:
        """As it is, then after each change, until it ends; `go_on` raises where nobody waits any more.

        Polls: what a notification would say must be read anyway, and a lost one would be waited for for ever.
        """
        told = ""
        while True:
            go_on()
            view = self._orders.get(actor, order_id)
            if order_etag(view) != told:
                told = order_etag(view)
                yield view
            if view.state not in LIVE:
                return
            self._sleep(WATCH_EVERY_S)
