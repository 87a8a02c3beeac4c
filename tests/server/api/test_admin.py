"""AdminService on the real store."""

import grpc
import pytest
import sqlalchemy as sa
from chromogen.v1 import admin_pb2
from chromogen.v1 import admin_service_pb2 as pb
from chromogen.v1 import order_service_pb2 as orders
from chromogen.v1 import result_service_pb2 as results
from google.protobuf.field_mask_pb2 import FieldMask

from tests.server.api.harness import Api, told

pytestmark = pytest.mark.postgres


def dead_letter(api: Api, lab: str, seed: int = 0) -> int:
    """A signed result's message that was given up."""
    made = api.done(lab, seed=seed)
    api.caller("pathologist", lab=lab).results.SignResult(results.SignResultRequest(result_id=made.id))
    with api.owner.begin() as connection:
        change = (
            "UPDATE outbox SET state = 'DEAD', reason = 'DELIVERY_FAILED', attempts = 7, "
            "ended_at = now() WHERE result_id = :id"
        )
        found = connection.execute(sa.text(f"{change} RETURNING id"), {"id": made.id}).scalar_one()
    return int(found)


def replayed(api: Api, lab: str, **which: object) -> int:
    caller = api.caller("operator", lab=lab)
    return int(caller.admin.ReplayDeliveries(pb.ReplayDeliveriesRequest(**which)).replayed)  # type: ignore[arg-type]


def test_a_dead_letter_is_listed_with_its_reason_and_sent_again_once(api: Api, lab: str) -> None:
    number, caller = dead_letter(api, lab), api.caller("operator", lab=lab)
    (dead,) = caller.admin.ListDeliveries(pb.ListDeliveriesRequest(state=admin_pb2.DELIVERY_STATE_DEAD)).deliveries
    assert (dead.id, dead.reason, dead.attempts, dead.kind) == (number, "DELIVERY_FAILED", 7, "ORU")
    assert (dead.HasField("end_time"), dead.HasField("due_time")) == (True, False)
    assert replayed(api, lab, delivery_id=number) == 1
    (waiting,) = caller.admin.ListDeliveries(pb.ListDeliveriesRequest()).deliveries
    assert (waiting.state, waiting.HasField("due_time")) == (admin_pb2.DELIVERY_STATE_WAITING, True)
    again = told(lambda: replayed(api, lab, delivery_id=number))
    assert (again.code, again.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_STATE")


def test_all_dead_letters_of_a_destination_are_sent_again_and_of_no_other_laboratory(api: Api, lab: str) -> None:
    for seed in (1, 2, 3):
        dead_letter(api, lab, seed)
    theirs = dead_letter(api, f"{lab}-2")
    assert replayed(api, lab, destination="archive") == 0
    assert replayed(api, lab, destination="lis") == 3
    assert told(lambda: replayed(api, lab, delivery_id=theirs)).reason == "DELIVERY_UNKNOWN"
    assert told(lambda: replayed(api, lab)).reason == "FIELD_MISSING"
    destinations = (
        api.caller("operator", lab=f"{lab}-2").admin.ListDestinations(pb.ListDestinationsRequest()).destinations
    )
    assert [(d.name, d.waiting, d.dead, d.HasField("oldest_waiting_time")) for d in destinations] == [
        ("archive", 0, 0, False),
        ("lis", 0, 1, False),
    ]


def test_a_message_that_a_later_one_of_its_order_overtook_is_not_sent_again(api: Api, lab: str) -> None:
    """The LIS would take the old result for the newest."""
    old = dead_letter(api, lab)
    with api.owner.begin() as connection:
        copied = "lab, order_id, result_id, destination, kind, path, sha256"
        copy = (
            f"INSERT INTO outbox ({copied}, message_id, state) SELECT {copied}, 'LATER', 'SENT' "
            f"FROM outbox WHERE id = {old}"
        )
        later = connection.exec_driver_sql(f"{copy} RETURNING id").scalar_one()
    answer = told(lambda: replayed(api, lab, delivery_id=old))
    assert (answer.code, answer.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "DELIVERY_SUPERSEDED")
    assert f"delivery {later}" in answer.message
    other = dead_letter(api, lab, 2)
    assert replayed(api, lab, destination="lis") == 1
    request = pb.ListDeliveriesRequest(state=admin_pb2.DELIVERY_STATE_DEAD)
    (dead,) = api.caller("operator", lab=lab).admin.ListDeliveries(request).deliveries
    assert (dead.id, dead.reason) == (old, "DELIVERY_SUPERSEDED")
    with api.owner.begin() as connection:
        connection.exec_driver_sql(f"UPDATE outbox SET state = 'DEAD', ended_at = now() WHERE id IN ({later}, {other})")
    assert replayed(api, lab, destination="lis") == 2  # of two dead messages of one order, the later


def test_g4_deliveries_are_paged_newest_first(api: Api, lab: str) -> None:
    numbers, seen, token = [dead_letter(api, lab, seed) for seed in range(3)], [], ""
    while True:
        request = pb.ListDeliveriesRequest(page_size=2, page_token=token)
        page = api.caller("operator", lab=lab).admin.ListDeliveries(request)
        seen += [d.id for d in page.deliveries]
        if not (token := page.next_page_token):
            break
    assert seen == numbers[::-1]


def test_a_laboratory_is_counted(api: Api, lab: str) -> None:
    api.done(lab)
    api.caller("lis", lab=lab).order()
    (found,) = api.caller("lab-admin", lab=lab).admin.ListLabs(pb.ListLabsRequest()).labs
    assert (found.name, found.orders, found.open_orders, found.results) == (lab, 2, 1, 1)


def test_the_audit_names_who_saw_a_patient_and_who_was_refused(api: Api, lab: str) -> None:
    order_id = api.caller("lis", lab=lab).order().id
    reader = api.caller("pathologist", lab=lab, subject="dr-reader")
    reader.orders.ListOrders(orders.ListOrdersRequest())
    reader.orders.GetOrder(orders.GetOrderRequest(order_id=order_id, read_mask=FieldMask(paths=["state"])))
    assert noted(api, lab, "dr-reader") == []
    reader.orders.GetOrder(orders.GetOrderRequest(order_id=order_id))
    assert noted(api, lab, "dr-reader") == [("patient.read", f"orders/{order_id}", "")]
    assert (
        told(lambda: reader.orders.RetryOrder(orders.RetryOrderRequest(order_id=order_id))).reason
        == "PERMISSION_DENIED"
    )
    assert noted(api, lab, "dr-reader")[0] == ("call.refuse", "methods/RetryOrder", "PERMISSION_DENIED")
    assert api.caller("auditor", lab=lab).admin.VerifyAudit(pb.VerifyAuditRequest()).intact


def noted(api: Api, lab: str, subject: str) -> list[tuple[str, str, str]]:
    entries = api.caller("auditor", lab=lab).admin.QueryAudit(pb.QueryAuditRequest(subject=subject)).entries
    return [(e.action, e.object, e.outcome) for e in entries]


def test_archives_say_whether_they_answer(api: Api) -> None:
    (found,) = api.caller("operator").admin.ListArchives(pb.ListArchivesRequest()).archives
    assert (found.name, found.reachable) == ("archive", True)


def test_the_audit_names_who_signed_and_its_chain_holds(api: Api, lab: str) -> None:
    made = api.done(lab)
    api.caller("pathologist", lab=lab, subject="dr-audited").results.SignResult(
        results.SignResultRequest(result_id=made.id)
    )
    auditor = api.caller("auditor", lab=lab)
    entries = auditor.admin.QueryAudit(pb.QueryAuditRequest(subject="dr-audited")).entries
    assert entries
    assert {e.lab for e in entries} == {lab}
    verdict = auditor.admin.VerifyAudit(pb.VerifyAuditRequest())
    assert (verdict.intact, verdict.first_broken_id) == (True, 0)
    assert verdict.entries >= len(entries)
