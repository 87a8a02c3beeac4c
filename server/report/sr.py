"""A result as a DICOM structured report: Comprehensive 3D SR, TID 1500, one measurement group (TID 1501) a compartment.

It is partial, preliminary and unverified until a pathologist signs; then another document, complete, final and verified
by them, takes its place.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom
from pydicom.uid import UID, Comprehensive3DSRStorage

from inference.score import CompartmentScore
from server.domain.order import Order
from server.domain.profile import ANY
from server.domain.result import Result, ResultId
from server.report import codes, identity
from server.report.codes import Code, Tissue
from server.report.identity import concept, derived_uid
from server.report.source import check_same_specimen, main_image

SERIES_NUMBER = 9101
SIGNED_INSTANCE_NUMBER = 2

Value = tuple[Code, float | int]


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
    result: Result, order: Order | None, source: Sequence[Dataset], signature: Signature | None = None
) -> Dataset:
    """The report of a result on the slide whose headers are given (`source.read_source`); ready to be written.

    Raises Refused: SPECIMEN_MISMATCH where the order names another specimen, and as `source.main_image`.
    """
    if order is not None:
        check_same_specimen(order, source)
    image, is_signed = main_image(result, source), signature is not None
    previous = _replaced(result, signature)
    report = sr.Comprehensive3DSR(
        evidence=[image],
        content=_content(result, order, image),
        is_complete=is_signed,
        is_final=is_signed,
        is_verified=is_signed,
        verifying_observer_name=None if signature is None else _person(signature.by),
        verifying_organization=None if signature is None else _fitting(signature.lab) or identity.MANUFACTURER,
        performed_procedure_codes=[concept(codes.IMMUNOHISTOCHEMISTRY)],
        requested_procedures=None if order is None else [_requested(order, image)],
        previous_versions=None if previous is None else [_reference(previous, image)],
        **identity.identity(result, "SR", series_number=SERIES_NUMBER, description="Immunohistochemistry score"),
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


def _replaced(result: Result, signature: Signature | None) -> Document | None:
    if signature is not None:
        return signature.replaces
    return None if result.predecessor is None else Document(result_id=result.predecessor)


def _person(subject: str) -> str:
    """A PN with a token's subject as family name: without what separates parts of a name, and as
    long as a PN may be.
    """
    return "".join(c if c.isprintable() and c not in "\\^=" else " " for c in subject)[:62].strip() + "^"


def measurements(score: CompartmentScore, percent: Code) -> Iterator[Value]:
    """The numbers of a compartment with their codes; of no nuclei only the counts, for there is no score."""
    yield codes.NUCLEI, score.n
    yield from zip(codes.GRADE_COUNTS, score.counts, strict=True)
    if score.h_score is not None:
        yield codes.H_SCORE, score.h_score
    if score.h_score_ci95 is not None:
        yield codes.H_SCORE_CI95_LOW, score.h_score_ci95[0]
        yield codes.H_SCORE_CI95_HIGH, score.h_score_ci95[1]
    if score.percent_positive is not None:
        yield percent, score.percent_positive
    if score.allred is not None:
        yield codes.ALLRED_PS, score.allred.ps
        yield codes.ALLRED_IS, score.allred.is_
        yield codes.ALLRED_TOTAL, score.allred.total
    if score.irs is not None:
        yield codes.IRS, score.irs


def _content(result: Result, order: Order | None, image: Dataset) -> Dataset:
    report = sr.MeasurementReport(
        observation_context=_context(result, image),
        procedure_reported=concept(codes.IMMUNOHISTOCHEMISTRY),
        title=concept(codes.IMAGING_MEASUREMENT_REPORT),
        imaging_measurements=[
            _group(result, image, "stroma", codes.STROMA, result.scores.stroma, codes.PERCENT_POSITIVE),
            _group(
                result,
                image,
                "epithelium",
                codes.EPITHELIUM,
                result.scores.epithelium,
                _percent_of_epithelium(result, order),
            ),
            _group(result, image, "all", codes.ALL_COMPARTMENTS, result.scores.all, codes.PERCENT_POSITIVE),
        ],
    )
    root = report[0]
    root.ContentSequence.append(_evaluations(result))
    return root


def _percent_of_epithelium(result: Result, order: Order | None) -> Code:
    """LOINC's percentages are of tumour nuclei, so stroma and the sum of both never carry that code."""
    if order is not None:
        site = order.request.specimen
        tissue = codes.tissue_of(site.site_code, site.site_scheme, site.site_text)
        return codes.percent_positive_code(order.request.marker, tissue)
    marker = result.profile.key.marker
    return codes.PERCENT_POSITIVE if marker == ANY else codes.percent_positive_code(marker, Tissue.OTHER)


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
    result: Result, image: Dataset, name: str, site: Code, score: CompartmentScore, percent: Code
) -> sr.MeasurementsAndQualitativeEvaluations:
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=derived_uid(result.id, f"SR/{name}"), identifier=f"{identity.MANUFACTURER} {result.id} {name}"
        ),
        finding_type=concept(codes.NUCLEUS),
        finding_sites=[sr.FindingSite(anatomic_location=concept(site))],
        algorithm_id=sr.AlgorithmIdentification(
            name=identity.algorithm_name(result),
            version=identity.algorithm_version(result),
            parameters=[f"{k}={v}" for k, v in identity.algorithm_parameters(result).items()],
            family=concept(codes.ARTIFICIAL_INTELLIGENCE),
        ),
        measurements=[_measurement(code, value) for code, value in measurements(score, percent)],
        source_images=[sr.SourceImageForMeasurementGroup.from_source_image(image)],
    )


def _measurement(code: Code, value: float) -> sr.Measurement:
    assert code.unit is not None, "every code that `measurements` yields is of a quantity"
    return sr.Measurement(name=concept(code), value=value, unit=concept(code.unit))


def _evaluations(result: Result) -> Dataset:
    """The container of TID 1500 that highdicom doesn't build: the limits of use and each warning, as text."""
    container = sr.ContainerContentItem(
        name=concept(codes.QUALITATIVE_EVALUATIONS), relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
    texts = [(codes.USE, identity.RESEARCH_USE_ONLY), *((codes.WARNING, warning) for warning in result.warnings)]
    container.ContentSequence = sr.ContentSequence(
        [
            sr.TextContentItem(name=concept(code), value=text, relationship_type=sr.RelationshipTypeValues.CONTAINS)
            for code, text in texts
        ]
    )
    return container


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
