"""A result as a DICOM structured report: Comprehensive 3D SR, TID 1500, one measurement group (TID 1501) a region.

It is partial, preliminary and unverified until a pathologist signs; then another document, complete, final and verified
by them, takes its place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom
from pydicom.uid import UID, Comprehensive3DSRStorage

from inference.area import Area
from inference.measures import ALL, ONE
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind, Signing
from server.domain.order import Order
from server.domain.result import Result, ResultId
from server.report import codes, identity
from server.report.control_text import control_notes, is_said
from server.report.identity import concept, derived_uid
from server.report.keep import digest_of, keep, keep_beside_cells, signed_folder
from server.report.quantities import Quantity, notes_of, quantities, regions
from server.report.scope_text import use_notes, whole_tissue_notes
from server.report.source import check_same_specimen, images_of, kept_source, main_image
from server.report.sr_regions import UM2_PER_MM2, drawn_areas, region_groups

SERIES_NUMBER = 9101
SIGNED_INSTANCE_NUMBER = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A report as others refer to it: of a result, and `part` of what its UID derives from."""

    result_id: ResultId
    part: str = "SR"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who signed (a token's subject), in which laboratory, when, to what state, and the document that the signed one
    replaces.
    """

    by: str
    lab: str
    at: datetime
    state: str
    replaces: Document


def signed(result_id: ResultId, state: str, by: str) -> Document:
    """The report that a signature makes of a result."""
    return Document(result_id=result_id, part=f"SR/{state}/{by}")


def build_sr(
    result: Result,
    order: Order | None,
    source: Sequence[Dataset],
    signature: Signature | None = None,
    areas: Sequence[Area] = (),
) -> Dataset:
    """The report of a result on the slide whose headers are given (`source.read_source`); ready to be written.

    `areas` were named to be scored; those that a pathologist drew afterwards stand in the result.

    Raises Refused: SPECIMEN_MISMATCH where the order names another specimen, and as `source.main_image`.
    """
    if order is not None:
        check_same_specimen(order, source)
    image, is_signed = main_image(result, source), signature is not None
    images = images_of(result, image)
    stain = codes.stain_of(result.assay.analyzer)
    previous = _replaced(result, signature)
    report = sr.Comprehensive3DSR(
        evidence=images,
        content=_content(result, images, (*areas, *drawn_areas(result))),
        is_complete=is_signed,
        is_final=is_signed,
        is_verified=is_signed,
        verifying_observer_name=None if signature is None else _person(signature.by),
        verifying_organization=None if signature is None else _fitting(signature.lab) or identity.MANUFACTURER,
        performed_procedure_codes=[concept(stain)],
        requested_procedures=None if order is None else [_requested(order, image)],
        previous_versions=None if previous is None else [_reference(previous, image)],
        **identity.identity(result, "SR", series_number=SERIES_NUMBER, description=f"{stain.meaning} score"),
    )
    report.copy_specimen_information(image)
    if signature is None:
        identity.settle(report, result, image)
        return report
    report.SOPInstanceUID = UID(derived_uid(result.id, signed(result.id, signature.state, signature.by).part))
    report.file_meta.MediaStorageSOPInstanceUID = report.SOPInstanceUID
    report.InstanceNumber = SIGNED_INSTANCE_NUMBER
    identity.settle(report, result, image, at=signature.at)
    return report


class SrReporter:
    """The structured report: preliminary, and verified once a pathologist signed."""

    kind = ArtifactKind.SR
    events = frozenset({EventKind.PRELIMINARY, EventKind.FINAL, EventKind.CORRECTED})

    def __init__(self, folder: Path) -> None:
        """`folder` holds the results' files."""
        self._folder = folder

    def build(self, event: Event) -> Artifact | None:
        """None where the slide's header wasn't kept. Raises Refused as `build_sr`, Failed where it can't be written."""
        result = event.result
        header = kept_source(result) if result is not None and event.kind in self.events else []
        if result is None or not header:
            return None
        report = build_sr(result, event.order, header, _signature(event))
        if event.kind is EventKind.PRELIMINARY:
            return keep_beside_cells(self.kind, result, report)
        content = _bytes_of(report)
        name = f"{result.id}-{event.kind}-{digest_of(content)}.dcm"  # another signer or time is another document
        path = signed_folder(self._folder, event.order) / name
        keep(path, content)
        return Artifact(kind=self.kind, path=path, identifier=str(report.SOPInstanceUID))


def _signature(event: Event) -> Signature | None:
    signing = event.signing
    if event.kind is EventKind.PRELIMINARY:
        return None
    assert signing is not None, "an event of a signature says who signed"
    lab, state = event.order.request.lab, event.kind.value
    return Signature(by=signing.by, lab=lab, at=signing.at, state=state, replaces=_document_of(signing))


def _document_of(signing: Signing) -> Document:
    if signing.replaces_event is EventKind.PRELIMINARY:
        return Document(result_id=signing.replaces_result)
    return signed(signing.replaces_result, signing.replaces_event.value, signing.replaces_by)


def _bytes_of(report: Dataset) -> bytes:
    content = BytesIO()
    report.save_as(content, enforce_file_format=True)
    return content.getvalue()


def _replaced(result: Result, signature: Signature | None) -> Document | None:
    if signature is not None:
        return signature.replaces
    return None if result.predecessor is None else Document(result_id=result.predecessor)


def _person(subject: str) -> str:
    """A PN with a token's subject as family name: without what separates parts of a name, and as
    long as a PN may be.
    """
    return "".join(c if c.isprintable() and c not in "\\^=" else " " for c in subject)[:62].strip() + "^"


def _content(result: Result, images: Sequence[Dataset], areas: Sequence[Area]) -> Dataset:
    said = [q for q in quantities(result) if q.number is not None or q.answer is not None]
    about = regions(result) or (result.clinical_region,)  # a score that is withheld has no row, and a report a group
    groups = [_group(result, images, region, [q for q in said if q.region == region]) for region in about]
    report = sr.MeasurementReport(
        observation_context=_context(result, images[0]),
        procedure_reported=concept(codes.stain_of(result.assay.analyzer)),
        title=concept(codes.IMAGING_MEASUREMENT_REPORT),
        imaging_measurements=[*groups, *region_groups(result, images[0], areas)],
        referenced_images=images,
    )
    root = report[0]
    root.ContentSequence.append(_evaluations(result))
    return root


def _context(result: Result, image: Dataset) -> sr.ObservationContext:
    observer = sr.DeviceObserverIdentifyingAttributes(
        uid=identity.device_uid(result),
        name=identity.MANUFACTURER,
        manufacturer_name=identity.MANUFACTURER,
        model_name=result.analysis.model.name,
        serial_number=identity.device_serial_number(result),
    )
    return sr.ObservationContext(
        observer_device_context=sr.ObserverContext(dicom.DCM.Device, observer_identifying_attributes=observer),
        subject_context=_subject(image),
    )


def _subject(image: Dataset) -> sr.SubjectContext | None:
    """The slide's specimen where it names exactly one: a score of a slide with several is of no single one of them."""
    specimens = image.get("SpecimenDescriptionSequence") or []
    if len(specimens) != 1 or not specimens[0].get("SpecimenUID"):
        return None
    specimen = sr.SubjectContextSpecimen(
        uid=specimens[0].SpecimenUID,
        identifier=specimens[0].get("SpecimenIdentifier") or None,
        container_identifier=image.get("ContainerIdentifier") or None,
    )
    return sr.SubjectContext(subject_class=dicom.DCM.Specimen, subject_class_specific_context=specimen)


def _group(
    result: Result, images: Sequence[Dataset], region: str, said: Sequence[Quantity]
) -> sr.MeasurementsAndQualitativeEvaluations:
    """What is said of a region, counts first; where there are no cells there are counts and no score."""
    analyzer = result.assay.analyzer
    counts_first = sorted(said, key=lambda q: q.code.unit is None or q.code.unit.value != ONE)
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(result, region),
        finding_type=concept(codes.structure_of(analyzer)),
        finding_sites=[sr.FindingSite(anatomic_location=concept(codes.region_of(analyzer, region)))],
        algorithm_id=_algorithm(result),
        measurements=[_measurement(q) for q in (*counts_first, *_tissue(result, region)) if q.answer is None],
        qualitative_evaluations=[
            *_control_status(result, region),
            *(_evaluation(q) for q in said if q.answer is not None),
        ],
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(image) for image in images],
    )


def _tissue(result: Result, region: str) -> list[Quantity]:
    """How much tissue was analysed, said once."""
    area = round(result.analysis.tissue_mm2 * UM2_PER_MM2)
    return [Quantity(code=codes.AREA, region=region, number=area)] if region == ALL else []


def _tracking(result: Result, name: str) -> sr.TrackingIdentifier:
    identifier = f"{identity.MANUFACTURER} {result.id} {name}"
    return sr.TrackingIdentifier(uid=derived_uid(result.id, f"SR/{name}"), identifier=identifier)


def _algorithm(result: Result) -> sr.AlgorithmIdentification:
    return sr.AlgorithmIdentification(
        name=identity.algorithm_name(result),
        version=identity.algorithm_version(result),
        parameters=[f"{k}={v}" for k, v in identity.algorithm_parameters(result).items()],
        family=concept(codes.ARTIFICIAL_INTELLIGENCE),
    )


def _control_status(result: Result, region: str) -> list[sr.QualitativeEvaluation]:
    """In the group of the clinical region: what a score's reader must know, or why there is none."""
    if region != result.clinical_region or not is_said(result.control):
        return []
    answer = codes.CONTROL_ANSWERS[result.control.status]
    return [sr.QualitativeEvaluation(name=concept(codes.CONTROL_STATUS), value=concept(answer))]


def _measurement(q: Quantity) -> sr.Measurement:
    assert q.number is not None
    return sr.Measurement(name=concept(q.code), value=q.number, unit=concept(q.code.unit or codes.ONE))


def _evaluation(q: Quantity) -> sr.QualitativeEvaluation:
    assert q.answer is not None
    return sr.QualitativeEvaluation(name=concept(q.code), value=concept(q.answer))


def _evaluations(result: Result) -> Dataset:
    """The container of TID 1500 that highdicom doesn't build.

    As texts: the limits of use, the region that the clinical score is about, guidelines' comments, each warning.
    """
    container = sr.ContainerContentItem(
        name=concept(codes.QUALITATIVE_EVALUATIONS), relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    about = [(codes.CLINICAL_REGION, result.clinical_region)] if result.clinical_region else []
    notes = [(codes.USE, note) for note in (*use_notes(result), *whole_tissue_notes(result))]
    warnings = [(codes.WARNING, warning) for warning in result.warnings]
    refusal = [(codes.REFUSAL, result.control.withheld)] if result.control.withheld else []
    comments = [(codes.COMMENT, note) for row in result.scores for note in [" ".join(notes_of(row))] if note]
    texts = [(codes.USE, identity.use_of(result)), *notes, *refusal, *_control(result), *about, *comments, *warnings]
    container.ContentSequence = sr.ContentSequence(
        [
            sr.TextContentItem(name=concept(code), value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS)
            for code, text in texts
        ]
    )
    return container


def _control(result: Result) -> list[tuple[codes.Code, str]]:
    """A line each: its status, what each core was, and why there is no score."""
    if not is_said(result.control):
        return []
    return [(codes.CONTROL, note) for note in control_notes(result.control)]


def _requested(order: Order, image: Dataset) -> Dataset:
    """The Referenced Request: what was asked for, under the identifiers of the order."""
    item = Dataset()
    item.StudyInstanceUID = image.StudyInstanceUID
    item.ReferencedStudySequence = []
    item.AccessionNumber = image.AccessionNumber
    item.PlacerOrderNumberImagingServiceRequest = _fitting(order.request.placer_order_number.name)
    item.FillerOrderNumberImagingServiceRequest = str(order.id)
    item.RequestedProcedureID = None
    item.RequestedProcedureDescription = _fitting(order.request.procedure_text)
    item.RequestedProcedureCodeSequence = []
    return item


def _fitting(text: str) -> str | None:
    """Text as an LO takes it (64 characters, no backslash, no control character), else nothing:
    half a number is none.
    """
    return text if 0 < len(text) <= 64 and "\\" not in text and text.isprintable() else None


def _reference(document: Document, image: Dataset) -> Dataset:
    item, of = Dataset(), document.result_id
    item.SOPClassUID, item.SOPInstanceUID = Comprehensive3DSRStorage, derived_uid(of, document.part)
    item.StudyInstanceUID, item.SeriesInstanceUID = image.StudyInstanceUID, derived_uid(of, "SR/series")
    return item
