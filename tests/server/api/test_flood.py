"""Issue 12, 2: calls that are begun and not finished take no place from those that are meant.

Each flood stays while a caller with a token orders and reads and health answers, and after it all is as before.
"""

import pytest
from chromogen.v1 import order_service_pb2 as pb
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.server.api.half_open import HALF_A_MESSAGE, half_open
from tests.server.api.harness import Api
from tests.server.api.issuer import Authority

pytestmark = pytest.mark.postgres

CREATE, WATCH = "/chromogen.v1.OrderService/CreateOrder", "/chromogen.v1.OrderService/WatchOrder"
ANALYZE, FIELDS = "/chromogen.v1.AnalysisService/AnalyzeImage", "/chromogen.v1.AnalysisService/AnalyzeFields"
HEALTH, HEALTH_WATCH = "/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch"
SERVING = health_pb2.HealthCheckResponse.SERVING
TIMEOUT_S = 10


def serves(api: Api, lab: str) -> None:
    """An order is taken and read, and health answers."""
    caller = api.caller("lis", lab=lab)
    order = caller.order()
    assert caller.orders.GetOrder(pb.GetOrderRequest(order_id=order.id), timeout=TIMEOUT_S).order.id == order.id
    health = health_pb2_grpc.HealthStub(api.channel)
    assert health.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S).status == SERVING


@pytest.mark.parametrize("n", [24, 60])
@pytest.mark.parametrize("data", [b"", HALF_A_MESSAGE], ids=["no message", "half a message"])
@pytest.mark.parametrize("method", [CREATE, WATCH, ANALYZE, FIELDS, HEALTH, HEALTH_WATCH, "/none.at.All/Nothing"])
def test_o2_half_open_calls_without_a_token_take_nobody_s_place(
    api: Api, authority: Authority, lab: str, method: str, data: bytes, n: int
) -> None:
    with half_open(api.port, authority.pem, method, n, data=data):
        serves(api, lab)
    serves(api, lab)
