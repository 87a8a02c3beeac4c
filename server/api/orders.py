"""OrderService."""

from collections.abc import Iterator

from chromogen.v1 import order_service_pb2 as pb

from server.api import fields, pages
from server.api.convert_order import PRIORITIES, STATES, order_message, request_of
from server.api.gate import Call
from server.domain.order import OrderId
from server.domain.views import OrderFilter
from server.services.orders import OrderService


class OrderServicer:
    """Each method raises what the service does; `server.api.gate` turns that into a status."""

    def __init__(self, service: OrderService) -> None:
        self._service = service

    def CreateOrder(self, request: pb.CreateOrderRequest, call: Call) -> pb.CreateOrderResponse:
        view, new = self._service.create(call.actor, request_of(request.order, request.request_id, call.actor))
        return pb.CreateOrderResponse(order=order_message(view), created=new)

    def GetOrder(self, request: pb.GetOrderRequest, call: Call) -> pb.GetOrderResponse:
        shown = call.actor.sees_patients and (not request.read_mask.paths or "patient" in request.read_mask.paths)
        view = self._service.get(call.actor, _id(request.order_id), patient=shown)
        order = order_message(view, with_patient=shown)
        fields.masked(order, request.read_mask)
        return pb.GetOrderResponse(order=order)

    def ListOrders(self, request: pb.ListOrdersRequest, call: Call) -> pb.ListOrdersResponse:
        wanted, after = _filter(request), pages.key_of(request.page_token, request)
        page = self._service.list(call.actor, wanted, pages.size_of(request.page_size), after)
        orders = [order_message(view) for view in page.items]
        return pb.ListOrdersResponse(orders=orders, next_page_token=pages.token_for(page.next, request))

    def CancelOrder(self, request: pb.CancelOrderRequest, call: Call) -> pb.CancelOrderResponse:
        return pb.CancelOrderResponse(
            order=order_message(self._service.cancel(call.actor, _id(request.order_id), request.etag))
        )

    def RetryOrder(self, request: pb.RetryOrderRequest, call: Call) -> pb.RetryOrderResponse:
        return pb.RetryOrderResponse(
            order=order_message(self._service.retry(call.actor, _id(request.order_id), request.etag))
        )

    def WatchOrder(self, request: pb.WatchOrderRequest, call: Call) -> Iterator[pb.WatchOrderResponse]:
        for view in self._service.watch(call.actor, _id(request.order_id), call.go_on):
            yield pb.WatchOrderResponse(order=order_message(view))


def _id(given: str) -> OrderId:
    return OrderId(fields.identifier(given, "order_id"))


def _filter(request: pb.ListOrdersRequest) -> OrderFilter:
    if any(state not in STATES for state in request.states):
        fields.invalid("states holds one that is unknown or unspecified")
    if request.priority and request.priority not in PRIORITIES:
        fields.invalid("priority is none that is known here")
    return OrderFilter(
        states=tuple(STATES[state] for state in request.states),
        marker=fields.text(request.marker, "marker"),
        container_id=fields.text(request.container_id, "container_id"),
        placer_order_number=fields.text(request.placer_order_number, "placer_order_number"),
        priority=PRIORITIES.get(request.priority),
        created_from=fields.moment(request, "created_from"),
        created_until=fields.moment(request, "created_until"),
    )
