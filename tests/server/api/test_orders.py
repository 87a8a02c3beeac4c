"""OrderService on the real store. INTEROP.md R-3, G-2, G-4, G-6."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import sqlalchemy as sa
from chromogen.v1 import order_pb2
from chromogen.v1 import order_service_pb2 as pb
from google.protobuf.field_mask_pb2 import FieldMask

from server.domain.order import OrderId
from server.domain.states import OrderState
from tests.server.api.harness import Api, order_request, told

pytestmark = pytest.mark.postgres


def count(api: Api, lab: str) -> int:
    with api.owner.connect() as connection:
        return int(
            connection.execute(sa.text("SELECT count(*) FROM orders WHERE lab = :lab"), {"lab": lab}).scalar_one()
        )


def test_an_order_is_kept_and_read_back_as_it_was_sent(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    slide = order_pb2.SlideReference(series_uid="1.2.3", container_id="C|1")
    made = caller.orders.CreateOrder(
        order_request(number="P|1^x", slide=slide, priority=order_pb2.PRIORITY_STAT, marker="ki-67")
    )
    assert made.created
    order = caller.orders.GetOrder(pb.GetOrderRequest(order_id=made.order.id)).order
    without_patient = order_pb2.Order()
    without_patient.CopyFrom(order)
    without_patient.ClearField("patient")
    assert made.order == without_patient
    assert (order.placer_order_number, order.marker, order.lab) == ("P|1^x", "KI67", lab)
    assert (order.state, order.priority) == (order_pb2.ORDER_STATE_QUEUED, order_pb2.PRIORITY_STAT)
    assert order.slide == slide
    assert order.patient.family_name == "TEST-INVENTED"
    assert order.etag
    assert order.create_time.seconds > 1_700_000_000


def test_patients_are_shown_to_who_needs_them_and_in_no_list(api: Api, lab: str) -> None:
    order_id = api.caller("lis", lab=lab).order().id
    for role, shown in (("lis", True), ("pathologist", True), ("lab-admin", False), ("operator", False)):
        caller = api.caller(role, lab=lab)
        assert caller.orders.GetOrder(pb.GetOrderRequest(order_id=order_id)).order.HasField("patient") is shown
        assert not any(o.HasField("patient") for o in caller.orders.ListOrders(pb.ListOrdersRequest()).orders)


def test_a_mask_leaves_only_what_it_names(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    order_id = caller.order().id
    order = caller.orders.GetOrder(pb.GetOrderRequest(order_id=order_id, read_mask=FieldMask(paths=["state"]))).order
    assert order == order_pb2.Order(state=order_pb2.ORDER_STATE_QUEUED)
    wrong = pb.GetOrderRequest(order_id=order_id, read_mask=FieldMask(paths=["patient.id"]))
    assert told(lambda: caller.orders.GetOrder(wrong)).reason == "ARGUMENT_INVALID"


def test_g2_a_hundred_identical_calls_at_once_make_one_order(api: Api, lab: str) -> None:
    caller, request = api.caller("lis", lab=lab), order_request()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: caller.orders.CreateOrder(request), range(100)))
    assert len({a.order.id for a in answers}) == 1
    assert sum(a.created for a in answers) == 1
    assert count(api, lab) == 1


def test_a_request_id_is_not_for_two_orders(api: Api, lab: str) -> None:
    caller, request_id = api.caller("lis", lab=lab), str(uuid.uuid4())
    caller.order(request_id=request_id, number="P-1")
    answer = told(lambda: caller.order(request_id=request_id, number="P-2"))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    assert count(api, lab) == 1


def test_a_request_id_that_repeated_an_order_is_not_for_another_patient_s(api: Api, lab: str) -> None:
    caller, repeat = api.caller("lis", lab=lab), str(uuid.uuid4())
    caller.order(number="P-1")
    caller.order(number="P-1", request_id=repeat)
    other = order_pb2.Patient(id="TEST-0002", family_name="TEST-INVENTED")
    answer = told(lambda: caller.order(number="P-1", request_id=repeat, patient=other))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")


def test_g2_a_call_that_comes_again_is_answered_though_its_order_has_changed_since(api: Api, lab: str) -> None:
    """By another call for the same order, more urgent or with the name mended."""
    caller, request = api.caller("lis", lab=lab), order_request(number="P-1")
    first = caller.orders.CreateOrder(request).order
    caller.order(number="P-1", priority=order_pb2.PRIORITY_STAT)
    assert caller.orders.CreateOrder(request).order.id == first.id
    caller.orders.CancelOrder(pb.CancelOrderRequest(order_id=first.id))
    caller.order(number="P-1", family_name="TEST-MENDED")
    assert caller.orders.CreateOrder(request).order.id == first.id


def test_r3_the_same_placer_numbers_under_another_request_id_answer_the_first_order(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    first, second = caller.order(number="P-7"), caller.orders.CreateOrder(order_request(number="P-7"))
    assert (second.order.id, second.created) == (first.id, False)


def test_the_same_number_of_another_placer_is_another_order(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    first = caller.orders.CreateOrder(order_request(number="P-8", placer_namespace="LIS-1"))
    other = caller.orders.CreateOrder(order_request(number="P-8", placer_namespace="LIS-2"))
    again = caller.orders.CreateOrder(order_request(number="P-8", placer_namespace="LIS-1"))
    assert (first.created, other.created, again.created) == (True, True, False)
    assert (first.order.placer_namespace, again.order.id) == ("LIS-1", first.order.id)
    listed = caller.orders.ListOrders(pb.ListOrdersRequest(placer_order_number="P-8")).orders
    assert {o.placer_namespace for o in listed} == {"LIS-1", "LIS-2"}


def test_the_same_numbers_in_another_laboratory_are_another_order(api: Api, lab: str) -> None:
    request = order_request(number="P-7")
    mine = api.caller("lis", lab=lab).orders.CreateOrder(request)
    other = api.caller("lis", lab=f"{lab}-2").orders.CreateOrder(request)
    assert other.created
    assert mine.order.id != other.order.id


def test_g4_pages_hold_every_order_once_while_others_arrive(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    made = [caller.order().id for _ in range(7)]
    seen, token = [], ""
    while True:
        page = caller.orders.ListOrders(pb.ListOrdersRequest(page_size=2, page_token=token))
        seen += [o.id for o in page.orders]
        caller.order()
        if not (token := page.next_page_token):
            break
    assert seen == made[::-1]


@pytest.mark.parametrize("token", ["x", "AAAA", "bm90IGpzb24", "W10", "WyJhIiwiYiJd", "é", "x" * 2000])
def test_g4_a_page_token_that_was_not_given_is_refused(api: Api, token: str) -> None:
    answer = told(lambda: api.caller("lis").orders.ListOrders(pb.ListOrdersRequest(page_token=token)))
    assert (answer.code, answer.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")


def test_g4_a_page_token_is_good_for_its_own_filters_only(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    for _ in range(3):
        caller.order()
    token = caller.orders.ListOrders(pb.ListOrdersRequest(page_size=1)).next_page_token
    request = pb.ListOrdersRequest(page_size=1, page_token=token, marker="ER")
    assert told(lambda: caller.orders.ListOrders(request)).reason == "PAGE_TOKEN_INVALID"


def test_filters_are_joined(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    wanted = caller.order(number="P|9", marker="PR", priority=order_pb2.PRIORITY_ASAP)
    caller.order(number="P-10", marker="PR")
    caller.order(marker="ER", priority=order_pb2.PRIORITY_ASAP)
    filters = [
        {"marker": "PR", "priority": order_pb2.PRIORITY_ASAP},
        {"placer_order_number": "P|9"},
        {
            "marker": "PR",
            "created_from": wanted.create_time,
            "priority": order_pb2.PRIORITY_ASAP,
            "container_id": "S26-TEST-1-A-2",
        },
        {"states": [order_pb2.ORDER_STATE_QUEUED], "marker": "PR", "priority": order_pb2.PRIORITY_ASAP},
    ]
    for given in filters:
        assert [o.id for o in caller.orders.ListOrders(pb.ListOrdersRequest(**given)).orders] == [wanted.id], given
    assert not caller.orders.ListOrders(pb.ListOrdersRequest(created_until=wanted.create_time)).orders
    assert not caller.orders.ListOrders(pb.ListOrdersRequest(states=[order_pb2.ORDER_STATE_DONE])).orders


def test_a_running_order_is_cancelled_and_its_worker_loses_it(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    order_id = caller.order().id
    claim = api.service.store.claim(OrderId(order_id), 60)
    assert claim is not None
    assert (
        caller.orders.CancelOrder(pb.CancelOrderRequest(order_id=order_id)).order.state
        == order_pb2.ORDER_STATE_CANCELLED
    )
    with pytest.raises(Exception, match="ATTEMPT_LOST"):
        api.service.store.progress(claim, 0.5, 60)
    again = told(lambda: caller.orders.CancelOrder(pb.CancelOrderRequest(order_id=order_id)))
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "ORDER_STATE")


def test_the_lis_is_told_of_an_order_that_an_operator_cancels(api: Api, lab: str) -> None:
    order_id = api.caller("lis", lab=lab).order().id
    api.caller("operator", lab=lab, subject="somebody").orders.CancelOrder(pb.CancelOrderRequest(order_id=order_id))
    with api.owner.connect() as connection:
        query = sa.text("SELECT destination, kind, path FROM outbox WHERE order_id = :id")
        [(destination, kind, path)] = connection.execute(query, {"id": order_id}).all()
    assert (destination, kind) == ("lis", "ORU")
    assert b"|CANCELLED|" in Path(path).read_bytes()


def test_a_dead_order_is_retried_by_who_may(api: Api, lab: str) -> None:
    order_id = api.caller("lis", lab=lab).order().id
    claim = api.service.store.claim(OrderId(order_id), 60)
    assert claim is not None
    api.service.store.end(claim, OrderState.DEAD, "ENGINE_FAILED", "it broke")
    dead = api.caller("operator", lab=lab).orders.GetOrder(pb.GetOrderRequest(order_id=order_id)).order
    assert (dead.state, dead.reason, dead.detail) == (order_pb2.ORDER_STATE_DEAD, "ENGINE_FAILED", "it broke")
    retried = (
        api.caller("operator", lab=lab).orders.RetryOrder(pb.RetryOrderRequest(order_id=order_id, etag=dead.etag)).order
    )
    assert (retried.state, retried.reason) == (order_pb2.ORDER_STATE_QUEUED, "")
    assert api.service.store.claim(OrderId(order_id), 60) is not None


def test_a_queued_order_is_not_retried(api: Api, lab: str) -> None:
    order_id = api.caller("lis", lab=lab).order().id
    answer = told(lambda: api.caller("lab-admin", lab=lab).orders.RetryOrder(pb.RetryOrderRequest(order_id=order_id)))
    assert answer.reason == "ORDER_STATE"


def test_an_order_that_has_changed_since_its_etag_stays(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    order = caller.order()
    api.service.store.claim(OrderId(order.id), 60)
    answer = told(lambda: caller.orders.CancelOrder(pb.CancelOrderRequest(order_id=order.id, etag=order.etag)))
    assert (answer.code, answer.reason) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert api.service.store.order(OrderId(order.id)).state is OrderState.RUNNING


def test_a_watch_tells_each_change_and_ends_with_the_order(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    order_id = caller.order().id
    stream = caller.orders.WatchOrder(pb.WatchOrderRequest(order_id=order_id))
    assert next(stream).order.state == order_pb2.ORDER_STATE_QUEUED
    claim = api.service.store.claim(OrderId(order_id), 60)
    assert claim is not None
    api.service.store.progress(claim, 0.5, 60)
    assert next(stream).order.progress == 0.5
    api.service.store.end(claim, OrderState.REFUSED, "NO_TISSUE", "no tissue was found")
    last = list(stream)
    assert [m.order.state for m in last] == [order_pb2.ORDER_STATE_REFUSED]
    assert not last[0].order.HasField("patient")


def test_g6_a_cancelled_call_leaves_no_row(api: Api, lab: str) -> None:
    """The call waits for a lock when its caller goes; what it had written is undone."""
    caller = api.caller("lis", lab=lab)
    with api.owner.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE orders IN EXCLUSIVE MODE")
        call = caller.orders.CreateOrder.future(order_request())
        time.sleep(0.3)
        call.cancel()
        time.sleep(0.2)
        connection.rollback()
    time.sleep(0.3)
    assert count(api, lab) == 0
    caller.order()
    assert count(api, lab) == 1


def test_g6_a_call_whose_deadline_passes_leaves_no_row(api: Api, lab: str) -> None:
    caller = api.caller("lis", lab=lab)
    with api.owner.connect() as connection:
        connection.exec_driver_sql("LOCK TABLE orders IN EXCLUSIVE MODE")
        with pytest.raises(grpc.RpcError) as refused:
            caller.orders.CreateOrder(order_request(), timeout=0.3)
        assert refused.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        time.sleep(0.2)  # the server hears of it after the caller
        connection.rollback()
    time.sleep(0.3)
    assert count(api, lab) == 0


def test_streams_have_a_cap_of_their_own_and_leave_the_calls_alone(api: Api, lab: str) -> None:
    """Four at once, and of one laboratory two (issue 12, 10)."""
    caller = api.caller("lis", lab=lab)
    order_id = caller.order().id
    watch = pb.WatchOrderRequest(order_id=order_id)
    streams = [caller.orders.WatchOrder(watch) for _ in range(2)]
    for stream in streams:
        next(stream)
    answer = told(lambda: caller.orders.WatchOrder(watch))
    assert (answer.code, answer.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
    other = api.caller("lis", lab=f"{lab}-B")
    of_other = pb.WatchOrderRequest(order_id=other.order().id)
    streams += [other.orders.WatchOrder(of_other) for _ in range(2)]
    for stream in streams[2:]:
        next(stream)
    third = api.caller("lis", lab=f"{lab}-C")
    of_third = pb.WatchOrderRequest(order_id=third.order().id)
    assert told(lambda: third.orders.WatchOrder(of_third)).reason == "TOO_MANY_STREAMS"
    assert caller.orders.GetOrder(pb.GetOrderRequest(order_id=order_id)).order.id == order_id
    for stream in streams:
        stream.cancel()
    freed = threading.Event()
    for _ in range(50):
        try:
            next(caller.orders.WatchOrder(pb.WatchOrderRequest(order_id=order_id)))
            freed.set()
            break
        except grpc.RpcError:
            time.sleep(0.1)
    assert freed.is_set()
