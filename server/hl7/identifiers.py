"""Identifiers of a message: short, and of signs that can be seen; what is only read by people is put on one line.

What the API refuses of its callers, a message may not bring either: an identifier of thousands of characters fits no
index, and a control character reaches whoever lists orders on a terminal.
"""

from collections.abc import Mapping
from dataclasses import replace

from server.domain import text
from server.domain.cancellation import Cancellation
from server.domain.errors import Refused, ServiceReason
from server.domain.order import EntityIdentifier, Patient, Request, Sender


def checked(request: Request) -> Request:
    """With names and remarks on one line. Raises Refused MESSAGE_INVALID, naming the field and not its value."""
    _check(_common(request.lab, request.sender, request.message_control_id, request.placer_order_number))
    _check({"PID-3": request.patient.id, "PID-3.4": request.patient.id_authority, "PID-8": request.patient.sex})
    specimen = request.specimen
    _check({"SAC-3": request.slide.container_id, "SPM-2": specimen.id, "OBR-4.1": request.procedure_code})
    _check({"SPM-8.1 (OBR-15.4)": specimen.site_code, "SPM-8.3 (OBR-15.4)": specimen.site_scheme})
    _check({f"OBX-5 ({part.upper()})": getattr(specimen, part) for part in ("clone", "stainer", "scanner")})
    _check_length({"OBR-4.2": request.procedure_text, "SPM-8.2 (OBR-15.4)": specimen.site_text})
    _check_length({"PID-5.1": request.patient.family_name, "PID-5.2": request.patient.given_name})
    return replace(
        request,
        procedure_text=text.plain(request.procedure_text),
        patient=_on_one_line(request.patient),
        specimen=replace(specimen, site_text=text.plain(specimen.site_text)),
    )


def checked_cancellation(asked: Cancellation) -> Cancellation:
    """As it is. Raises Refused MESSAGE_INVALID."""
    _check(_common(asked.lab, asked.sender, asked.message_control_id, asked.placer_order_number))
    _check({"PID-3": asked.patient.id, "PID-3.4": asked.patient.id_authority, "ORC-3": asked.order_id})
    _check({"SAC-3": asked.slide.container_id, "SPM-2": asked.specimen_id, "OBR-4.1": asked.procedure_code})
    return asked


def _common(lab: str, sender: Sender, control_id: str, placer: EntityIdentifier) -> dict[str, str]:
    numbers = {f"ORC-2.{n}": part for n, part in enumerate(placer.parts, start=1)}
    return {"MSH-3": sender.application, "MSH-4": lab, "MSH-10": control_id, **numbers}


def _on_one_line(patient: Patient) -> Patient:
    return replace(patient, family_name=text.plain(patient.family_name), given_name=text.plain(patient.given_name))


def _check(named: Mapping[str, str]) -> None:
    for place, value in named.items():
        if said := text.trouble(value):
            raise Refused(ServiceReason.MESSAGE_INVALID, f"{place} {said}: send another")


def _check_length(named: Mapping[str, str]) -> None:
    for place, value in named.items():
        if len(value) > text.LONGEST:
            raise Refused(
                ServiceReason.MESSAGE_INVALID, f"{place} is longer than {text.LONGEST} characters: send it shorter"
            )
