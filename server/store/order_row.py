"""A request as an order's columns, and a row as an order. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.sql import ColumnElement

from server.domain.order import (
    EntityIdentifier,
    Order,
    OrderId,
    Patient,
    Priority,
    ProcessingId,
    Request,
    Sender,
    SlideReference,
    Specimen,
)
from server.store.tables import orders

SAID_ANEW = frozenset({"patient", "specimen", "procedure_code", "procedure_text", "charset", "requested_at"})
"""What an order that waits, or is begun anew, takes of the new request, and the database lets be changed
then (chromogen_check_correction).
"""

_PLAIN = (
    "lab",
    "message_control_id",
    "message_type",
    "placer_request",
    "marker",
    "procedure_code",
    "procedure_text",
    "charset",
)
_SENDER = {"application": "sender_application", "facility": "sender_facility"}
_NUMBER = {
    "identifier": "placer_order_number",
    "namespace": "placer_namespace",
    "universal_id": "placer_universal_id",
    "universal_type": "placer_universal_type",
}
"""Attribute -> column."""


def order_of(row: Mapping[Any, Any]) -> Order:
    request = Request(
        **{name: row[name] for name in _PLAIN},
        sender=Sender(**{name: row[column] for name, column in _SENDER.items()}),
        placer_order_number=EntityIdentifier(**{name: row[column] for name, column in _NUMBER.items()}),
        priority=Priority(row["priority"]),
        processing_id=ProcessingId(row["processing_id"]),
        patient=_patient(row["patient"]),
        specimen=Specimen(**row["specimen"]),
        slide=SlideReference(**row["slide"]),
        requested_at=_utc(row["requested_at"]),
    )
    times = {name: row[name].astimezone(UTC) for name in ("received_at", "begun_at")}
    return Order(id=OrderId(row["id"]), request=request, run=row["run"], **times)


def columns_of(request: Request) -> dict[str, Any]:
    patient = asdict(request.patient)
    patient["birth_date"] = None if request.patient.birth_date is None else request.patient.birth_date.isoformat()
    return {name: getattr(request, name) for name in _PLAIN} | {
        **sender_columns(request.sender),
        **number_columns(request.placer_order_number),
        **urgency_columns(request.priority),
        "processing_id": request.processing_id,
        "patient": patient,
        "specimen": asdict(request.specimen),
        "slide": asdict(request.slide),
        "requested_at": request.requested_at,
    }


def sender_columns(sender: Sender) -> dict[str, str]:
    return {column: getattr(sender, name) for name, column in _SENDER.items()}


def number_columns(number: EntityIdentifier) -> dict[str, str]:
    return {column: getattr(number, name) for name, column in _NUMBER.items()}


def urgency_columns(priority: Priority) -> dict[str, Any]:
    return {"priority": priority, "rank": priority.rank}


def equal(columns: Mapping[str, str]) -> list[ColumnElement[bool]]:
    return [orders.c[name] == value for name, value in columns.items()]


def message_key(sender: Sender, control_id: str) -> list[str]:
    """By what a message is known again."""
    return [sender.application, sender.facility, control_id]


def message_of(request: Request) -> str:
    """What `repeats` holds of a message: its key; of one that cancels (`store.cancel`), what it was answered too."""
    return json.dumps(message_key(request.sender, request.message_control_id), ensure_ascii=False)


def sender_of(message: str) -> Sender | None:
    """Whoever ordered by what `message_of` named; None where it ordered nothing."""
    application, facility, _, *answered = json.loads(message)
    return None if answered else Sender(application=application, facility=facility)


def _patient(row: Mapping[str, Any]) -> Patient:
    birth_date = row["birth_date"]
    return Patient(**{**row, "birth_date": None if birth_date is None else date.fromisoformat(birth_date)})


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.astimezone(UTC)
