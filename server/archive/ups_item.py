"""A Unified Procedure Step as DICOM has it, read; and the order that it asks for. Pure but for pydicom."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime
from pathlib import Path

from pydicom.dataset import Dataset

from server.archive.folder import is_uid
from server.archive.web import wrong
from server.domain.errors import Refused, ServiceReason
from server.domain.order import (
    EARLIEST_BIRTH,
    SEXES,
    EntityIdentifier,
    Patient,
    Priority,
    Request,
    Sender,
    SlideReference,
    Specimen,
)
from server.domain.text import LONGEST, plain, trouble
from server.domain.ups import Code, UpsItem, UpsState
from server.hl7.markers import marker_of
from server.slides.dicom_header import guarded

MESSAGE_TYPE = "UPS"
PRIORITIES = {"HIGH": Priority.STAT, "MEDIUM": Priority.ASAP, "LOW": Priority.ROUTINE}
READY = "READY"
CODE = "Scheduled Workitem Code"
"""What a person looks for in the item."""
_ENDED = ("ProcedureStepCancellationDateTime", "ReasonForCancellation")


def read_item(uid: str, said: Dataset) -> UpsItem:
    """Raises Failed ARCHIVE_ANSWER (retryable) for what has no state, or values that are none."""
    try:
        return guarded(Path(uid), lambda: _read(uid, said))
    except Refused:
        raise wrong("an item", "holds values that are none") from None


def _read(uid: str, said: Dataset) -> UpsItem:
    try:
        state = UpsState(_text(said, "ProcedureStepState"))
    except ValueError:
        raise wrong("an item", "has no Procedure Step State") from None
    requests = list(_items(said, "ReferencedRequestSequence"))
    first = requests[0] if requests else Dataset()
    codes = [said, *requests]
    return UpsItem(
        uid=uid,
        state=state,
        ready=_text(said, "InputReadinessState") in ("", READY),
        label=_text(said, "WorklistLabel"),
        stations=tuple(code.value for code in _codes(said, "ScheduledStationNameCodeSequence")),
        station_classes=tuple(code.value for code in _codes(said, "ScheduledStationClassCodeSequence")),
        codes=tuple(
            code
            for keyword in ("ScheduledWorkitemCodeSequence", "RequestedProcedureCodeSequence")
            for each in codes
            for code in _codes(each, keyword)
        ),
        priority=PRIORITIES.get(_text(said, "ScheduledProcedureStepPriority"), Priority.ROUTINE),
        patient=_patient(said),
        inputs=tuple(dict.fromkeys(_inputs(said))),
        accession_number=_text(first, "AccessionNumber"),
        placer=_placer(first),
        progress=_progress(said),
        unwanted=any(
            _text(each, keyword)
            for each in _items(said, "ProcedureStepProgressInformationSequence")
            for keyword in _ENDED
        ),
    )


def asks_for_score(item: UpsItem) -> bool:
    """Whether one of its codes names a stain that is scored here."""
    try:
        _asked(item.codes)
    except Refused:
        return False
    return True


def request_for(item: UpsItem, worklist: str, lab: str) -> Request:
    """An item asks for the same order however often it is read.

    Raises Refused MARKER_UNKNOWN, ASSAY_UNSUPPORTED, FIELD_MISSING, SEVERAL_SLIDES, MESSAGE_INVALID.
    """
    marker, code = _asked(item.codes)
    study_uid, series_uid = _slide(item)
    placer = item.placer if item.placer.identifier else EntityIdentifier(identifier=item.uid, namespace=MESSAGE_TYPE)
    _check(
        {
            "Patient ID": item.patient.id,
            "Issuer of Patient ID": item.patient.id_authority,
            "Accession Number": item.accession_number,
            "Placer Order Number": placer.identifier,
            f"{CODE} Value": code.value,
        }
    )
    return Request(
        lab=lab,
        sender=Sender(application=worklist, facility=lab),
        message_control_id=item.uid,
        message_type=MESSAGE_TYPE,
        placer_order_number=placer,
        placer_request=item.uid,
        priority=item.priority,
        marker=marker,
        procedure_code=code.value or marker,
        procedure_text=plain(code.meaning)[:LONGEST],
        patient=item.patient,
        specimen=Specimen(),
        slide=SlideReference(study_uid=study_uid, series_uid=series_uid, accession_number=item.accession_number),
    )


def _asked(codes: Sequence[Code]) -> tuple[str, Code]:
    """The marker of the first code that names one that is scored here."""
    refused = Refused(ServiceReason.MARKER_UNKNOWN, f"the item has no {CODE}: send one that names a stain")
    for place, code in enumerate(codes):
        try:
            return marker_of(code.components, CODE), code
        except Refused as error:
            refused = refused if place else error
    raise refused


def _slide(item: UpsItem) -> tuple[str, str]:
    """Study and series; both empty: by the accession number alone."""
    if len(item.inputs) > 1:
        message = "the item's Input Information names several series: send an item for each slide"
        raise Refused(ServiceReason.MESSAGE_INVALID, message)
    study_uid, series_uid = item.inputs[0] if item.inputs else ("", "")
    if not (study_uid or series_uid or item.accession_number):
        raise Refused(ServiceReason.FIELD_MISSING, "the item's Input Information names no study: send the slide's")
    if any(uid and not is_uid(uid) for uid in (study_uid, series_uid)):
        raise Refused(ServiceReason.MESSAGE_INVALID, "the item's Input Information holds a UID that is none")
    return study_uid, series_uid


def _check(named: dict[str, str]) -> None:
    for name, value in named.items():
        if said := trouble(value):
            raise Refused(ServiceReason.MESSAGE_INVALID, f"the item's {name} {said}: send another")


def _inputs(said: Dataset) -> Iterator[tuple[str, str]]:
    for each in _items(said, "InputInformationSequence"):
        found = _text(each, "StudyInstanceUID"), _text(each, "SeriesInstanceUID")
        if any(found):
            yield found


def _patient(said: Dataset) -> Patient:
    name, sex = said.get("PatientName"), _text(said, "PatientSex")
    family, given = (str(getattr(name, part, "") or "") for part in ("family_name", "given_name"))
    return Patient(
        id=_text(said, "PatientID"),
        id_authority=_text(said, "IssuerOfPatientID"),
        family_name=plain(family)[:LONGEST],
        given_name=plain(given)[:LONGEST],
        birth_date=_day(_text(said, "PatientBirthDate")),
        sex=sex if sex in SEXES else "",
    )


def _day(text: str) -> date | None:
    try:
        found = datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
    return found if found >= EARLIEST_BIRTH else None


def _placer(request: Dataset) -> EntityIdentifier:
    number = _text(request, "PlacerOrderNumberImagingServiceRequest")
    issuer = next(_items(request, "OrderPlacerIdentifierSequence"), Dataset())
    return EntityIdentifier(identifier=number, namespace=_text(issuer, "LocalNamespaceEntityID") if number else "")


def _progress(said: Dataset) -> float:
    for each in _items(said, "ProcedureStepProgressInformationSequence"):
        with suppress(ValueError):
            return float(_text(each, "ProcedureStepProgress"))
    return 0


def _codes(said: Dataset, keyword: str) -> Iterator[Code]:
    for each in _items(said, keyword):
        value = next(filter(None, (_text(each, k) for k in ("CodeValue", "LongCodeValue", "URNCodeValue"))), "")
        yield Code(value=value, scheme=_text(each, "CodingSchemeDesignator"), meaning=_text(each, "CodeMeaning"))


def _items(said: Dataset, keyword: str) -> Iterator[Dataset]:
    yield from said.get(keyword) or ()


def _text(said: Dataset, keyword: str) -> str:
    return str(said.get(keyword) or "").strip()
