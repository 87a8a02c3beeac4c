"""An order: what the LIS asks to have scored, of which slide."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NewType

OrderId = NewType("OrderId", str)
"""UUID, canonical text."""

EARLIEST_BIRTH = date(1800, 1, 1)
"""What lies before stands for a date that isn't known, as 00010101 does.

Years below 1000 can't be written back as HL7.
"""


class Priority(StrEnum):
    """HL7 table 0485's S, A, R."""

    STAT = "STAT"
    ASAP = "ASAP"
    ROUTINE = "ROUTINE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Identity as the LIS sent it, echoed in the answer; never logged. Names are (family, given), unescaped."""

    id: str
    id_authority: str = ""
    family_name: str = ""
    given_name: str = ""
    birth_date: date | None = None
    sex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """The specimen's identifiers and the coded body site, where the order gives them."""

    id: str = ""
    container_id: str = ""
    site_code: str = ""
    site_scheme: str = ""
    site_text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideReference:
    """How the slide is found in the archive: by series or study UID, else by its container's identifier (the slide
    label).
    """

    study_uid: str = ""
    series_uid: str = ""
    container_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An order as a message asks for it, before it has an identity here.

    `lab` keys profiles; `sender` is MSH-3^MSH-4; (sender, message_control_id) and (lab, placer_order_number,
    placer_request) are each unique: the second arrival is answered as the first.
    """

    lab: str
    sender: str
    message_control_id: str
    message_type: str
    placer_order_number: str
    placer_request: str
    priority: Priority
    marker: str
    procedure_code: str
    procedure_text: str
    patient: Patient
    specimen: Specimen
    slide: SlideReference
    charset: str = "UTF-8"
    requested_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A request that was accepted, with its identity and the time of the database at its acceptance (UTC).

    `run` is 1, and one more each time that the order is begun anew after an end without a result; `begun_at` is when
    this one began (UTC), None: at its acceptance.
    """

    id: OrderId
    request: Request
    received_at: datetime
    run: int = 1
    begun_at: datetime | None = None
