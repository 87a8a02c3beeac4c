"""Deliveries, destinations, laboratories and the audit as messages. Pure."""

from chromogen.v1 import admin_pb2 as pb

from server.api import fields
from server.domain.states import DeliveryState
from server.domain.views import AuditEntry, DeliveryView, DestinationView, LabView

STATES = {getattr(pb, f"DELIVERY_STATE_{state}"): state for state in DeliveryState}
STATE_NUMBERS = {state: number for number, state in STATES.items()}


def delivery_message(view: DeliveryView) -> pb.Delivery:
    return pb.Delivery(
        id=view.id,
        lab=view.lab,
        result_id=view.result_id,
        destination=view.destination,
        kind=view.kind,
        message_id=view.message_id,
        state=STATE_NUMBERS[view.state],
        attempts=view.attempts,
        reason=view.reason,
        create_time=fields.stamp(view.created_at),
        due_time=fields.stamp(view.due_at) if view.state is DeliveryState.WAITING else None,
        end_time=fields.stamp(view.ended_at),
    )


def lab_message(view: LabView) -> pb.Lab:
    return pb.Lab(name=view.name, orders=view.orders, open_orders=view.open_orders, results=view.results)


def destination_message(view: DestinationView) -> pb.Destination:
    oldest = fields.stamp(view.oldest_waiting_at)
    return pb.Destination(name=view.name, waiting=view.waiting, dead=view.dead, oldest_waiting_time=oldest)


def audit_message(entry: AuditEntry) -> pb.AuditEntry:
    return pb.AuditEntry(
        id=entry.id,
        create_time=fields.stamp(entry.at),
        lab=entry.lab,
        subject=entry.subject,
        action=entry.action,
        object=entry.object,
        outcome=entry.outcome,
        hash=entry.hash,
    )
