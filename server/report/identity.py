"""What every DICOM report derives from its result: UIDs, times, the device and algorithm that it names.

UIDs come from the result's id and times from its creation, and neither the clock nor chance leaves a trace, so building
a report twice gives the same bytes.
"""

import uuid
from datetime import UTC, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypedDict

from highdicom.base import SOPClass
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from highdicom.content import AlgorithmIdentificationSequence
from highdicom.sr.coding import CodedConcept
from pydicom import Dataset
from pydicom.valuerep import DA, DT, TM

from inference.errors import Failed, Reason
from server.domain.result import Result, ResultId
from server.report import codes
from server.report.codes import Code
from server.report.reportable import CHARACTER_SET
from server.slides.quiet import quiet

MANUFACTURER = "chromogen"
RESEARCH_USE_ONLY, VALIDATED = "Research use only", "Validated"
"""Behind a series' description, which has room for no more."""
MEANING_LENGTH = 64
"""Of Code Meaning, an LO."""


class Identity(TypedDict):
    """Keyword arguments that highdicom's SR, ANN and SEG share."""

    series_instance_uid: str
    series_number: int
    sop_instance_uid: str
    instance_number: int
    manufacturer: str
    manufacturer_model_name: str
    software_versions: str
    device_serial_number: str
    series_description: str
    specific_character_set: str
    coding_schemes: list[CodingSchemeIdentificationItem]


def use_of(result: Result) -> str:
    """What the result may be used for."""
    held = None if result.choice is None else result.choice.validated
    if held is None:
        return RESEARCH_USE_ONLY
    return f"Validated by the laboratory, {held.slides} slides, {held.on}"


def identity(result: Result, kind: str, *, series_number: int, description: str, instance_number: int = 1) -> Identity:
    """The identity of a result's report of one kind (SR, ANN, SEG), each in a series of its own.

    `instance_number` counts the objects of a report that is split.
    """
    return Identity(
        series_instance_uid=derived_uid(result.id, f"{kind}/series"),
        series_number=series_number,
        sop_instance_uid=derived_uid(result.id, part_of(kind, instance_number)),
        instance_number=instance_number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=software_of(result),
        device_serial_number=device_serial_number(result),
        series_description=f"{description}. {RESEARCH_USE_ONLY if result.research_use_only else VALIDATED}",
        specific_character_set=CHARACTER_SET,
        coding_schemes=[_own_scheme()],
    )


def _own_scheme() -> CodingSchemeIdentificationItem:
    name = "Codes of chromogen, defined in its DICOM conformance statement"
    return CodingSchemeIdentificationItem(
        codes.Scheme.CHROMOGEN.value, name=name, responsible_organization=MANUFACTURER
    )


def part_of(name: str, number: int) -> str:
    """What a part of something split is named; the first as what isn't split."""
    return name if number == 1 else f"{name}/{number}"


def derived_uid(result_id: ResultId, part: str) -> str:
    """A UID (PS3.5 B.2, root 2.25) that is always the same for one result and part, such as `SR` or `SR/series`."""
    return f"2.25.{uuid.uuid5(uuid.UUID(result_id), part).int}"


def device_uid(result: Result) -> str:
    """The observer's UID: one for each version of this software with one model."""
    name = f"chromogen {software_of(result)} {result.analysis.model.sha256}"
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, name).int}"


def device_serial_number(result: Result) -> str:
    """The first 16 digits of the model's hash: what tells two installations apart in what they find."""
    return result.analysis.model.sha256[:16] or "unknown"


def software_version() -> str:
    """The installed version of chromogen, `unknown` where it runs without being installed."""
    try:
        return version("chromogen")
    except PackageNotFoundError:
        return "unknown"


def software_of(result: Result) -> str:
    """The version that made the result, whichever builds its report; `unknown` where that wasn't kept."""
    return result.software or "unknown"


def concept(code: Code) -> CodedConcept:
    """A code as highdicom wants it; an assay's words are cut where DICOM has no room for them."""
    meaning = code.meaning[:MEANING_LENGTH]
    return CodedConcept(value=code.value, scheme_designator=code.scheme.value, meaning=meaning)


def algorithm_name(result: Result) -> str:
    """`chromogen` and the model's name."""
    return f"{MANUFACTURER} {result.analysis.model.name}"


def algorithm_version(result: Result) -> str:
    """Versions of the software and of the model."""
    return f"{software_of(result)} (model {result.analysis.model.version})"


def algorithm_parameters(result: Result) -> dict[str, str]:
    """What a result depends on beside the slide: name to value, for Algorithm Parameters."""
    model, slide = result.analysis.model, result.analysis.slide
    icc = {} if slide.icc_sha256 is None else {"icc_sha256": slide.icc_sha256}
    graphs = {f"graph_{name}": sha256 for name, sha256 in model.graphs}
    used = {"engine": model.engine, "profile": result.profile.label}
    fixed = {"result": str(result.id), "model_sha256": model.sha256, **graphs, **used}
    return fixed | result.profile.criteria.parameters() | icc


def algorithm_sequence(result: Result) -> AlgorithmIdentificationSequence:
    """The Algorithm Identification Macro, as ANN and SEG hold it."""
    return AlgorithmIdentificationSequence(
        name=algorithm_name(result),
        family=concept(codes.ARTIFICIAL_INTELLIGENCE),
        version=algorithm_version(result),
        source=MANUFACTURER,
        parameters=algorithm_parameters(result),
    )


def settle(report: SOPClass, result: Result, source: Dataset, *, at: datetime | None = None) -> None:
    """Put the result's time, or `at`, and derived UIDs where highdicom put the clock's and random ones (in place)."""
    at = _local(at or result.created_at, source)
    report.InstanceCreationDate, report.InstanceCreationTime = DA(at.date()), TM(at.time())
    if "ContentDate" in report:
        report.ContentDate, report.ContentTime = DA(at.date()), TM(at.time())
    if source.get("TimezoneOffsetFromUTC"):
        report.TimezoneOffsetFromUTC = source.TimezoneOffsetFromUTC
    for item in report.get("VerifyingObserverSequence") or []:
        item.VerificationDateTime = DT(at if source.get("TimezoneOffsetFromUTC") else at.replace(tzinfo=UTC))
    for item in report.get("ContributingEquipmentSequence") or []:
        if item.get("ManufacturerModelName") == "highdicom":
            item.ContributionDateTime = DT(at)
    dimensions = derived_uid(result.id, f"{report.Modality}/dimensions")
    for item in [*(report.get("DimensionOrganizationSequence") or []), *(report.get("DimensionIndexSequence") or [])]:
        item.DimensionOrganizationUID = dimensions


def _local(at: datetime, source: Dataset) -> datetime:
    """In the source's offset from UTC where it names one (+0100), so that its times and ours agree; else in UTC."""
    offset = str(source.get("TimezoneOffsetFromUTC") or "+0000")
    sign = -1 if offset[0] == "-" else 1
    try:
        shift = sign * timedelta(hours=int(offset[-4:-2]), minutes=int(offset[-2:]))
    except ValueError:
        shift = timedelta()
    return (at - (at.utcoffset() or timedelta()) + shift).replace(tzinfo=None)


def write(report: Dataset, path: Path) -> None:
    """Write a report as a DICOM file; it appears under its name only when whole. Raises Failed OUTPUT_NOT_WRITABLE."""
    part = path.with_name(path.name + ".part")
    try:
        with quiet():  # pydicom warns of values that it finds invalid, and quotes them
            report.save_as(part, enforce_file_format=True)
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Failed(
            Reason.OUTPUT_NOT_WRITABLE, f"{path.name} can't be written: is the disk full?", retryable=True
        ) from error
