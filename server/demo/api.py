"""The demo's own client of the gRPC API: it asks for the order and its result as any program of the hospital would."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from chromogen.v1 import (
    order_pb2,
    order_service_pb2,
    order_service_pb2_grpc,
    result_pb2,
    result_service_pb2,
    result_service_pb2_grpc,
)

from server.api_service import api_server
from server.bootstrap import Service
from server.domain.errors import Failed, ServiceReason

TIMEOUT_S = 20.0
_ORDERS: Callable[[grpc.Channel], Any] = order_service_pb2_grpc.OrderServiceStub
_RESULTS: Callable[[grpc.Channel], Any] = result_service_pb2_grpc.ResultServiceStub


@contextmanager
def serving(service: Service) -> Iterator[int]:
    """The API on the port of the settings, which must be loopback: it is served without TLS."""
    server = api_server(service)
    port = server.start()
    try:
        yield port
    finally:
        server.stop()


def order_and_result(port: int, placer_order_number: str) -> tuple[order_pb2.Order, result_pb2.Result]:
    """The order of that number (ORC-2, as HL7 sent it), and its result. Raises Failed ORDER_STATE where it has none."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        orders: Any = _ORDERS(channel)
        wanted = order_service_pb2.ListOrdersRequest(placer_order_number=placer_order_number)
        (order,) = orders.ListOrders(wanted, timeout=TIMEOUT_S).orders
        if order.state != order_pb2.ORDER_STATE_DONE:
            state = order_pb2.OrderState.Name(order.state)
            raise Failed(ServiceReason.ORDER_STATE, f"the demo's order ended as {state}: {order.reason} {order.detail}")
        results: Any = _RESULTS(channel)
        asked = result_service_pb2.GetResultRequest(result_id=order.result_id)
        return order, results.GetResult(asked, timeout=TIMEOUT_S).result
