"""Whether an order and a slide are of one patient: by identifier, and by who issued it. Pure."""

from collections.abc import Set
from dataclasses import dataclass

from server.domain.errors import Refused, ServiceReason
from server.domain.order import Patient

ISSUER_MISSING, ID_MISSING = "PATIENT_ISSUER_MISSING", "PATIENT_ID_MISSING"
"""Warnings: the order or the slide doesn't say who issued the patient's identifier, or the slide has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRules:
    """Of a laboratory. `issuers` are names of one authority, its own; what is `required` is refused, not warned of.

    `labels`: what a slide's label says (Barcode Value, Label Text) must be of its specimen too.
    """

    issuers: frozenset[str] = frozenset()
    required: bool = False
    labels: bool = True


def compared(patient: Patient, ids: Set[str], issuers: Set[str], rules: PatientRules) -> tuple[str, ...]:
    """Warnings of what can't be compared; `ids` and `issuers` are the slide's.

    Raises Refused SPECIMEN_MISMATCH where identifiers differ, or issuers that are both known, and for what is missing
    where the rules ask for it. Messages repeat neither.
    """
    if ids and ids != {patient.id}:
        raise _refused("the order's patient identifier is not the slide's")
    authority = patient.id_authority
    if authority and issuers and {_of(i, rules) for i in issuers} != {_of(authority, rules)}:
        raise _refused("the order's patient identifier was issued by another authority than the slide's")
    missing = (ID_MISSING,) if not ids else () if authority and issuers else (ISSUER_MISSING,)
    if missing and rules.required:
        what = (
            "has no patient identifier" if not ids else "and the order don't both say who issued the patient's number"
        )
        raise _refused(f"the slide {what}, which the site asks for")
    return missing


def _of(issuer: str, rules: PatientRules) -> str:
    """All names of the laboratory's own authority are one."""
    return "" if issuer in rules.issuers else issuer


def _refused(why: str) -> Refused:
    message = f"{why}: check that the right slide was scanned and ordered"
    return Refused(ServiceReason.SPECIMEN_MISMATCH, message)
