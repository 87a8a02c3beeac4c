"""Fields of requests, checked. A refusal names the field, never its value. Pure."""

import re
import uuid
from datetime import UTC, date, datetime
from typing import NoReturn

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from server.domain.errors import Refused, ServiceReason
from server.domain.text import LONGEST, plain

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_LONGEST_UID = 64


def invalid(message: str) -> NoReturn:
    raise Refused(ServiceReason.ARGUMENT_INVALID, message)


def text(value: str, name: str, *, most: int = LONGEST, least: int = 0) -> str:
    """On one line and of signs that can be seen, `least` to `most` characters.

    Raises Refused FIELD_MISSING, ARGUMENT_INVALID.
    """
    if least and not value:
        raise Refused(ServiceReason.FIELD_MISSING, f"{name} is missing")
    if not least <= len(value) <= most:
        invalid(f"{name} needs {least} to {most} characters")
    if value != plain(value):
        invalid(f"{name} holds a control character, or another that can't be seen")
    return value


def identifier(value: str, name: str) -> str:
    """A UUID in canonical form. Raises Refused FIELD_MISSING, ARGUMENT_INVALID."""
    if not value:
        raise Refused(ServiceReason.FIELD_MISSING, f"{name} is missing")
    try:
        canonical = str(uuid.UUID(value))
    except ValueError:
        invalid(f"{name} is not a UUID")
    if canonical != value.lower():
        invalid(f"{name} is not a UUID in its usual form")
    return canonical


def uid(value: str, name: str) -> str:
    """A DICOM UID, or empty."""
    if value and not (len(value) <= _LONGEST_UID and _UID.fullmatch(value)):
        invalid(f"{name} is not a DICOM UID")
    return value


def day(value: str, name: str) -> date | None:
    """YYYY-MM-DD, or empty."""
    if not value:
        return None
    try:
        found = date.fromisoformat(value)
    except ValueError:
        found = None
    if found is None or found.isoformat() != value:  # Python reads weeks and dates without hyphens too
        invalid(f"{name} is not a date as YYYY-MM-DD")
    return found


def moment(message: Message, name: str) -> datetime | None:
    """A Timestamp field of a message, aware, UTC; None where unset."""
    if not message.HasField(name):
        return None
    value: Timestamp = getattr(message, name)
    try:
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        invalid(f"{name} is no time")


def number(value: int, name: str, least: int, most: int) -> int:
    if not least <= value <= most:
        invalid(f"{name} must be {least} to {most}")
    return value


def masked(message: Message, mask: FieldMask) -> None:
    """Clear every field that the mask doesn't name (in place); an empty mask names all."""
    known = {field.name for field in message.DESCRIPTOR.fields}
    if unknown := set(mask.paths) - known:
        del unknown
        invalid("read_mask names a field that there is not")
    for name in known - set(mask.paths) if mask.paths else ():
        message.ClearField(name)


def stamp(moment: datetime | None) -> Timestamp | None:
    """For a Timestamp field."""
    if moment is None:
        return None
    made = Timestamp()
    made.FromDatetime(moment.astimezone(UTC))
    return made
