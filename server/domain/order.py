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
    """HL7 table 0485's S, A, R; the most urgent first."""

    STAT = "STAT"
    ASAP = "ASAP"
    ROUTINE = "ROUTINE"

    @property
    def rank(self) -> int:
        """0 for the most urgent: what orders are sorted by."""
        return list(Priority).index(self)


class ProcessingId(StrEnum):
    """HL7 table 0103 (MSH-11): what is not for production must never come back as if it were."""

    PRODUCTION = "P"
    TRAINING = "T"
    DEBUGGING = "D"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityIdentifier:
    """HL7's EI, as plain text: a number and who gave it. Two are the same where all parts are."""

    identifier: str
    namespace: str = ""
    universal_id: str = ""
    universal_type: str = ""

    @property
    def parts(self) -> tuple[str, str, str, str]:
        """In the standard's order."""
        return self.identifier, self.namespace, self.universal_id, self.universal_type

    @property
    def name(self) -> str:
        """For a person, on one line. No key: parts may hold the sign between them."""
        return "^".join(self.parts).rstrip("^")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sent a request, as plain text: MSH-3 and MSH-4, or a token's subject and its laboratory."""

    application: str
    facility: str

    @property
    def name(self) -> str:
        """For a person, on one line: as the audit names whoever sent it. No key: two senders may share one."""
        text = "^".join(filter(None, (self.application, self.facility)))
        return "".join(c if c.isprintable() else " " for c in text)


SEXES = ("F", "M", "O", "U", "A", "N")
"""HL7 table 0001."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """Identity as the LIS sent it, echoed in the answer; never logged. Names are (family, given), unescaped."""

    id: str
    id_authority: str = ""
    family_name: str = ""
    given_name: str = ""
    birth_date: date | None = None
    sex: str = ""


CONTROL_ROLE = "Q"
"""HL7 table 0369: a control specimen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Specimen:
    """The specimen's identifiers, the coded body site, and how it was stained and scanned, where the order says so.

    `role` is HL7 table 0369's; `control_kind` says of a control slide what it must be, such as `positive`.
    """

    id: str = ""
    container_id: str = ""
    site_code: str = ""
    site_scheme: str = ""
    site_text: str = ""
    clone: str = ""
    stainer: str = ""
    scanner: str = ""
    staining_run: str = ""
    role: str = ""
    control_kind: str = ""

    @property
    def is_control(self) -> bool:
        """Is the slide a control of its staining run, and no patient's?"""
        return self.role == CONTROL_ROLE or bool(self.control_kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideReference:
    """How the slide is found in the archive: by series or study UID, else by its container's identifier (the slide
    label), else by the case's accession number.
    """

    study_uid: str = ""
    series_uid: str = ""
    container_id: str = ""
    accession_number: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An order as a message asks for it, before it has an identity here.

    `lab` keys profiles; (sender, message_control_id) and (lab, placer_order_number, placer_request) are each unique:
    the second arrival is answered as the first.
    """

    lab: str
    sender: Sender
    message_control_id: str
    message_type: str
    placer_order_number: EntityIdentifier
    placer_request: str
    priority: Priority
    marker: str
    procedure_code: str
    procedure_text: str
    patient: Patient
    specimen: Specimen
    slide: SlideReference
    charset: str = "UTF-8"
    processing_id: ProcessingId = ProcessingId.PRODUCTION
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
