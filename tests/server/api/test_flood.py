"""Issue 12, 2: calls that are begun and not finished take no place from those that are meant.

Each flood stays while a caller with a token orders and reads and health answers, and after it all is as before.
"""

import gc
import resource
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import grpc
import numpy as np
import pytest
from chromogen.v1 import analysis_service_pb2
from chromogen.v1 import order_service_pb2 as pb
from grpc_health.v1 import health_pb2, health_pb2_grpc

from inference.cells.values import Cells
from inference.geometry import Region
from inference.slide import Slide
from server import settings
from server.api import gate, server
from server.bootstrap import Service
from server.domain.errors import ChromogenError
from server.services import analysis
from tests.server.api.half_open import HALF_A_MESSAGE, HalfOpen, half_open
from tests.server.api.harness import Api, Caller, running, told, unguarded
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


def test_o2_who_has_a_token_and_sends_no_message_is_ended_and_holds_up_no_other_laboratory(
    api: Api, authority: Authority, lab: str
) -> None:
    token = api.issuer.token("lis", lab=f"{lab}-SLOW")
    with running(api.service, grpc=settings.Grpc(port=0, receive_s=2, threads=2)) as port:
        own = replace(api, port=port, channel=channel_to(port, authority))
        with own.channel, half_open(port, authority.pem, CREATE, 40, token=token) as slow:
            serves(own, lab)
            assert all(connection.ended(10) for connection in slow)


def test_o2_health_is_answered_while_its_own_half_open_calls_are_more_than_are_waited_for(
    api: Api, authority: Authority, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "MOST_PUBLIC_WAITING", 4)
    with running(api.service, grpc=settings.Grpc(port=0)) as port:
        own = replace(api, port=port, channel=channel_to(port, authority))
        with own.channel, half_open(port, authority.pem, HEALTH, 12) as slow:
            serves(own, lab)
            assert sum(connection.ended(1) for connection in slow) >= 8


def test_o10_a_stream_where_nothing_happens_ends_and_says_why(api_service: Service) -> None:
    with unguarded(api_service, settings.Grpc(port=0, insecure=True, receive_s=1, idle_s=1)) as channel:
        caller = Caller(channel, None)
        watched = caller.orders.WatchOrder(pb.WatchOrderRequest(order_id=caller.order().id))
        answer = told(lambda: watched)
        assert (answer.code, answer.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        silent = threading.Event()
        fields = caller.analysis.AnalyzeFields(until(silent))
        assert told(lambda: fields).reason == "DEADLINE_EXCEEDED"
        silent.set()


@pytest.mark.timeout(120)
def test_r10_a_stream_whose_client_says_nothing_does_not_hold_up_the_stop(api_service: Service) -> None:
    silent = threading.Event()
    with unguarded(api_service, settings.Grpc(port=0, insecure=True), grace_s=3600) as channel:
        fields = Caller(channel, None).analysis.AnalyzeFields(until(silent))
        time.sleep(0.3)  # the call is under way
    assert fields.code() is not None
    silent.set()


def test_o9_a_call_is_answered_at_its_deadline_and_keeps_its_place_until_its_thread_is_free(
    api_service: Service, api: Api
) -> None:
    local = settings.Grpc(port=0, insecure=True, deadline_s=0.5, local_lab="LAB-O9")
    with unguarded(api_service, local) as channel, api.owner.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE orders IN EXCLUSIVE MODE")
        answer = told(Caller(channel, None).order)
        assert (answer.code, answer.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
        connection.rollback()
    with api.owner.connect() as connection:
        found = connection.exec_driver_sql("SELECT count(*) FROM orders WHERE lab = 'LAB-O9'").scalar_one()
    assert found == 0


def test_streams_that_are_cancelled_leave_neither_threads_nor_objects(api: Api, lab: str) -> None:
    """INTEROP: gRPC's asyncio server was said to leak on them."""
    caller = api.caller("lis", lab=lab)
    order_id = caller.order().id

    def cancelled() -> None:
        stream = caller.orders.WatchOrder(pb.WatchOrderRequest(order_id=order_id))
        with suppress(grpc.RpcError):
            next(stream)
        stream.cancel()

    for _ in range(20):
        cancelled()
    before = counted()
    for _ in range(200):
        cancelled()
    assert settled(before, 40)


def test_o7_bodies_of_who_has_no_token_are_not_kept(api: Api, authority: Authority, lab: str) -> None:
    """72 of 16 MiB had taken 1 GB."""
    with half_open(api.port, authority.pem, ANALYZE, 72, data=b"\0" + struct.pack(">I", 16 << 20)) as calls:
        before = resident()
        for call in calls:
            call.pour(16 << 20)
        assert resident() - before < 100 << 20
        serves(api, lab)


def test_connections_that_lie_idle_are_closed(
    api: Api, authority: Authority, lab: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 12, 8."""
    monkeypatch.setattr(server, "CONNECTION_IDLE_MS", 1000)
    with running(api.service, grpc=settings.Grpc(port=0)) as port:
        own = replace(api, port=port, channel=channel_to(port, authority))
        idle = [HalfOpen(port, authority.pem) for _ in range(60)]
        with own.channel:
            serves(own, lab)
            assert all(connection.ended(10) for connection in idle)
            serves(own, lab)
        for connection in idle:
            connection.close()


def until(event: threading.Event) -> Iterator[analysis_service_pb2.AnalyzeFieldsRequest]:
    """No request, and no end, before that."""
    event.wait(30)
    yield from ()


def channel_to(port: int, authority: Authority) -> grpc.Channel:
    return grpc.secure_channel(f"localhost:{port}", grpc.ssl_channel_credentials(authority.pem))


def counted() -> Counter[str]:
    """Objects of asyncio, of gRPC's server and of ours, and threads."""
    gc.collect()
    kinds = Counter(type(found).__name__ for found in gc.get_objects())
    watched = {"Task", "Future", "_ServicerContext", "RPCState", "Steps", "Messages", "Call", "coroutine", "generator"}
    return Counter({name: n for name, n in kinds.items() if name in watched}) + Counter(thread=threading.active_count())


def settled(before: Counter[str], more: int) -> bool:
    """Within seconds, no kind has grown by more than that."""
    for _ in range(50):
        if all(n - before[name] <= more for name, n in counted().items()):
            return True
        time.sleep(0.1)
    raise AssertionError(counted() - before)


def resident() -> int:
    """Bytes of this process, which server and client share."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_o9_a_picture_whose_caller_has_gone_is_given_up_between_tiles(
    api_service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that were given up at 100 s ran on to 299 s."""
    given_up = threading.Event()

    def endless(slide: Slide, *_: object, **__: object) -> Cells:
        for _ in range(1000):
            try:
                slide.read(Region(x=0, y=0, width=8, height=8))
            except ChromogenError:
                given_up.set()
                raise
            time.sleep(0.01)
        raise AssertionError("ten seconds, and nobody said that the caller has gone")

    monkeypatch.setattr(analysis, "find_cells", endless)
    good, png = cv2.imencode(".png", np.full((64, 64, 3), 200, np.uint8))
    assert good
    request = analysis_service_pb2.AnalyzeImageRequest(image=analysis_service_pb2.Image(data=png.tobytes(), mpp=0.5))
    with unguarded(api_service, settings.Grpc(port=0, insecure=True, deadline_s=1)) as channel:
        answer = told(lambda: Caller(channel, None).analysis.AnalyzeImage(request))
        assert answer.reason == "DEADLINE_EXCEEDED"
        assert given_up.wait(5)
