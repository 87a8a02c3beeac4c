"""Every code that a report carries: the one table, imported by the HL7 and the DICOM writers alike. Imports no library.

A value, its scheme as DICOM and HL7 name it (LN, SCT, DCM, UCUM, 99CHROMOGEN), a meaning, the unit where the concept is
a quantity, and where the pair comes from. Meanings fit DICOM's LO (64 characters). 85329-1 is the percentage for ER;
Ki-67's is 85330-9.

What is measured, and where, has the private code that its assay gives it (`inference.measures`): a new assay needs no
line here, unless a public scheme knows a number or an answer of it.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from inference.analyzers import nuclear
from inference.analyzers.analyzer import Analyzer
from inference.assay import Assay, assays
from inference.control import ControlStatus
from inference.guideline import ER_STATUS, PGR_STATUS
from inference.guideline import NEGATIVE as NEGATIVE_STATUS
from inference.guideline import POSITIVE as POSITIVE_STATUS
from inference.measures import PRIVATE_SCHEME, Measure, Region, Score, recoded
from server.domain.change import RegionClass
from server.domain.order import Specimen


class Scheme(StrEnum):
    """Coding scheme designators."""

    LOINC = "LN"
    SNOMED_CT = "SCT"
    DICOM = "DCM"
    UCUM = "UCUM"
    UMLS = "UMLS"
    CHROMOGEN = PRIVATE_SCHEME


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A coded concept; `unit` (a UCUM code) where it is a quantity, `source` the list or document that defines it."""

    value: str
    scheme: Scheme
    meaning: str
    unit: "Code | None" = None
    source: str = ""


def _unit(value: str, meaning: str) -> Code:
    return Code(value=value, scheme=Scheme.UCUM, meaning=meaning, source="ucum.org")


def _loinc(value: str, meaning: str, unit: Code | None = None) -> Code:
    return Code(value=value, scheme=Scheme.LOINC, meaning=meaning, unit=unit, source="loinc.org")


def _sct(value: str, meaning: str, unit: Code | None = None, source: str = "SNOMED CT") -> Code:
    return Code(value=value, scheme=Scheme.SNOMED_CT, meaning=meaning, unit=unit, source=source)


def _dcm(value: str, meaning: str, source: str = "DICOM PS3.16 Annex D") -> Code:
    return Code(value=value, scheme=Scheme.DICOM, meaning=meaning, source=source)


def _own(value: str, meaning: str, unit: Code | None = None) -> Code:
    return Code(value=value, scheme=Scheme.CHROMOGEN, meaning=meaning, unit=unit, source="docs/dicom-conformance.md")


# Units. Nothing else is used.
PERCENT = _unit("%", "percent")
SCORE = _unit("{score}", "score")
SQUARE_MICROMETRE = _unit("um2", "square micrometer")
MICROMETRE = _unit("um", "micrometer")
PER_SQUARE_MILLIMETRE = _unit("/mm2", "per square millimeter")
ONE = _unit("1", "no units")
_UNITS = {unit.value: unit for unit in (PERCENT, SCORE, SQUARE_MICROMETRE, MICROMETRE, PER_SQUARE_MILLIMETRE, ONE)}


def unit_of(value: str) -> Code | None:
    """The unit of a UCUM code; None for none."""
    return (_UNITS.get(value) or _unit(value, value)) if value else None


# No LOINC or SNOMED CT code is known for these; docs/dicom-conformance.md defines each.
DETECTION_CONFIDENCE = _own("CONFIDENCE", "Confidence of detection, 0 to 1", ONE)
OUTLINED_DENSITY = _own("NUCLEUS_DAB_OD", "Mean DAB optical density within the outline", ONE)
CLINICAL_REGION = _own("CLINICAL_REGION", "Region that the clinical score is about")
WARNING = _own("WARNING", "Warning")
COMMENT = _own("COMMENT", "What a guideline's category means")
USE = _own("INTENDED_USE", "Intended use")
PROFILE = _own("PROFILE", "Profile and revision of the thresholds")
MODEL_SHA256 = _own("MODEL_SHA256", "SHA-256 of the model")
CONTROL_STATUS = _own("CONTROL_STATUS", "Status of the control: passed, failed, absent")
CONTROL = _own("CONTROL", "Control tissue: what was expected and what was found")
CONTROL_PASSED = _own("CONTROL_PASSED", "Control passed")
CONTROL_FAILED = _own("CONTROL_FAILED", "Control failed")
CONTROL_ABSENT = _own("CONTROL_ABSENT", "Control absent")
PAGE = _own("RESULT_PAGE", "Address of the result's page")
REFUSAL = _own("REFUSAL", "Reason why there is no score")
QUALITATIVE_EVALUATIONS = Code(
    value="C0034375", scheme=Scheme.UMLS, meaning="Qualitative Evaluations", source="DICOM PS3.16 TID 1500"
)

# Concepts of any marker.
STUDY_IMMUNE_STAIN = _loinc("55229-9", "Immune stain study")
OBSERVATION_BY_IHC = _sct("1234806008", "Observation by immunohistochemistry")
IMMUNOHISTOCHEMISTRY = _sct("117617002", "Immunohistochemistry", source="DICOM PS3.16 CID 8131")
HAEMATOXYLIN_STAIN = _sct("12710003", "hematoxylin stain", source="DICOM PS3.16 CID 8112")
NUCLEUS = _sct("84640000", "Nucleus", source="DICOM PS3.16 CID 8135")
CELL = _sct("4421005", "Cell", source="DICOM PS3.16 CID 8135")
AREA = _sct("42798000", "Area", SQUARE_MICROMETRE, source="DICOM PS3.16 CID 7469")
BREAST = _sct("76752008", "Breast", source="DICOM PS3.16 CID 4013")
POSITIVE = _sct("10828004", "Positive", source="DICOM PS3.16 CID 250")
NEGATIVE = _sct("260385009", "Negative", source="DICOM PS3.16 CID 250")
EQUIVOCAL = _sct("42425007", "Equivocal", source="DICOM PS3.16 CID 3120")
PRESENT = _sct("52101004", "Present", source="DICOM PS3.16 CID 240")
ABSENT = _sct("272519000", "Absent", source="DICOM PS3.16 CID 240")
ANATOMICAL_STRUCTURE = _sct("91723000", "Anatomical Structure", source="DICOM PS3.16 CID 7150")
FINDING_SITE = _sct("363698007", "Finding Site", source="DICOM PS3.16 TID 1501")
ER_PERCENT_BREAST = _sct("1234804006", "Percent of ER positive nuclei, breast", PERCENT)
PR_PERCENT_BREAST = _sct("1234803000", "Percent of PR positive nuclei, breast", PERCENT)
ER_INTENSITY = _sct("1236874005", "ER stain intensity")
PR_INTENSITY = _sct("1237278006", "PR stain intensity")

# Answers of LOINC lists.
HER2_SCORES = (_loinc("LA6111-4", "0"), _loinc("LA11841-6", "1+"), _loinc("LA11842-4", "2+"), _loinc("LA11843-2", "3+"))
HER2_INDETERMINATE = _loinc("LA11884-6", "Indeterminate")
ANSWER_POSITIVE = _loinc("LA6576-8", "Positive")
ANSWER_NEGATIVE = _loinc("LA6577-6", "Negative")

# DICOM's own.
IMAGING_MEASUREMENT_REPORT = _dcm("126000", "Imaging Measurement Report", "DICOM PS3.16 CID 7021")
IMAGING_MEASUREMENTS = _dcm("126010", "Imaging Measurements")
MEASUREMENT_GROUP = _dcm("125007", "Measurement Group")
TRACKING_IDENTIFIER = _dcm("112039", "Tracking Identifier")
TRACKING_UNIQUE_IDENTIFIER = _dcm("112040", "Tracking Unique Identifier")
ALGORITHM_FAMILY = _dcm("111000", "Algorithm Family")
ALGORITHM_NAME = _dcm("111001", "Algorithm Name")
ALGORITHM_PARAMETERS = _dcm("111002", "Algorithm Parameters")
ALGORITHM_VERSION = _dcm("111003", "Algorithm Version")
ARTIFICIAL_INTELLIGENCE = _dcm("123110", "Artificial Intelligence", "DICOM PS3.16 CID 7162")
FINDING = _dcm("121071", "Finding")
SPECIMEN_IDENTIFIER = _dcm("121041", "Specimen Identifier")
SPECIMEN_UID = _dcm("121039", "Specimen UID")
SPECIMEN_CONTAINER_IDENTIFIER = _dcm("111700", "Specimen Container Identifier")
DEVICE_OBSERVER_UID = _dcm("121012", "Device Observer UID")


class Tissue(StrEnum):
    """LOINC has one set of codes for breast cancer specimens and one for any other tissue."""

    BREAST = "BREAST"
    OTHER = "OTHER"


_PERCENT_POSITIVE = nuclear.PERCENT_POSITIVE.code
PUBLIC: dict[tuple[str, str, Tissue], Code] = {
    ("ER", _PERCENT_POSITIVE, Tissue.BREAST): _loinc(
        "85329-1", "ER percent of nuclei, breast cancer specimen", PERCENT
    ),
    ("ER", _PERCENT_POSITIVE, Tissue.OTHER): _loinc("14228-1", "ER percent of nuclei, tissue", PERCENT),
    ("ER", ER_STATUS.code, Tissue.BREAST): _loinc("85337-4", "ER presence, breast cancer specimen"),
    ("ER", ER_STATUS.code, Tissue.OTHER): _loinc("40556-3", "ER presence, tissue"),
    ("PR", PGR_STATUS.code, Tissue.BREAST): _loinc("85339-0", "PR presence, breast cancer specimen"),
    ("PR", PGR_STATUS.code, Tissue.OTHER): _loinc("40557-1", "PR presence, tissue"),
    ("PR", _PERCENT_POSITIVE, Tissue.BREAST): _loinc(
        "85325-9", "PR percent of nuclei, breast cancer specimen", PERCENT
    ),
    ("PR", _PERCENT_POSITIVE, Tissue.OTHER): _loinc("14230-7", "PR percent of nuclei, tissue", PERCENT),
    ("KI67", _PERCENT_POSITIVE, Tissue.BREAST): _loinc(
        "85330-9", "Ki-67 percent of nuclei, breast cancer specimen", PERCENT
    ),
    ("KI67", _PERCENT_POSITIVE, Tissue.OTHER): _loinc("29593-1", "Ki-67 percent of nuclei, tissue", PERCENT),
}
"""What a public scheme calls a measure of a marker in a tissue: rows bear it, and the marker is ordered by it."""

ORDERED: dict[str, tuple[Code, ...]] = {
    "ER": (
        _loinc("16112-5", "ER interpretation, tissue"),
        ER_PERCENT_BREAST,
        ER_INTENSITY,
    ),
    "PR": (
        _loinc("16113-3", "PR interpretation, tissue"),
        PR_PERCENT_BREAST,
        PR_INTENSITY,
    ),
    "KI67": (_loinc("33055-5", "Ki-67 presence, tissue"),),
    "HER2": (
        _loinc("85319-2", "HER2 by immune stain, breast cancer specimen"),
        _loinc("18474-7", "HER2 by immune stain, tissue"),
        _loinc("48676-1", "HER2 interpretation, tissue"),
    ),
}
"""By what else a marker is ordered."""

CONTROL_ANSWERS = {
    ControlStatus.PASSED: CONTROL_PASSED,
    ControlStatus.FAILED: CONTROL_FAILED,
    ControlStatus.ABSENT: CONTROL_ABSENT,
}

_BREAST_SITES = (("SCT", "76752008"), ("SNM", "76752008"), ("SRT", "T-04000"), ("SNM3", "T-04000"))
_ANSWERS = {(of, answer.meaning): answer for of in ("HER2_SCORE", "HER2_OTHER_SCORE") for answer in HER2_SCORES} | {
    (status.code, category): answer
    for status in (ER_STATUS, PGR_STATUS)
    for category, answer in ((POSITIVE_STATUS, ANSWER_POSITIVE), (NEGATIVE_STATUS, ANSWER_NEGATIVE))
}
"""What public lists call a measure's categories."""
_CODED = frozenset({"HER2_LOW", "HER2_REFLEX"})
"""Measures whose categories are coded though no public list is known."""
_STRUCTURES = {"nucleus": NUCLEUS, "cell": CELL}
_STAINS = {"immunohistochemistry": IMMUNOHISTOCHEMISTRY}


def percent_positive_code(marker: str, tissue: Tissue) -> Code:
    """LOINC's code for the percentage of positive nuclei where the marker has one, else the private one."""
    return PUBLIC.get((marker, _PERCENT_POSITIVE, tissue)) or of_measure(nuclear.PERCENT_POSITIVE)


def markers_by_code() -> dict[tuple[Scheme, str], str]:
    """The marker that each public code orders, by scheme and value."""
    ordered = [(code, marker) for marker, codes in ORDERED.items() for code in codes]
    reported = [(code, marker) for (marker, _, _), code in PUBLIC.items()]
    return {(code.scheme, code.value): marker for code, marker in (*ordered, *reported)}


def of_measure(measure: Measure) -> Code:
    """Its private code."""
    return _own(measure.code, measure.display, unit_of(measure.unit))


def of_score(row: Score) -> Code:
    """The code that a row bears: a public one where `coded` found one."""
    return Code(value=row.code, scheme=Scheme(row.scheme), meaning=row.display, unit=unit_of(row.unit))


def limits_of(measure: str, display: str, unit: str) -> tuple[Code, Code]:
    """The codes of the lower and upper limit of an interval, by the private code and display of what it is of."""
    low = _own(f"{measure}_CI95_LOW", f"{display}, lower limit of the 95 % interval", unit_of(unit))
    return low, _own(f"{measure}_CI95_HIGH", f"{display}, upper limit of the 95 % interval", unit_of(unit))


def answer_of(row: Score) -> Code:
    """A category as coded reports say it: a public list's answer where there is one, else our own."""
    return _answer(row.measure, row.category or "")


def has_public_answers(measure: str) -> bool:
    """Are a measure's answers, by its code, coded: has a public list some, even where it has none for each category?"""
    return measure in _CODED or any(of == measure for of, _ in _ANSWERS)


def _answer(measure: str, category: str) -> Code:
    own = re.sub(r"[^A-Z0-9+]+", "_", f"{measure}_{category}".upper()).strip("_")
    return _ANSWERS.get((measure, category)) or _own(own, category)


def of_region(region: Region) -> Code:
    return _own(region.code, region.display)


def region_of(analyzer: Analyzer, name: str) -> Code:
    """The code of a region of rows, groups or segments; one that the analyzer doesn't list bears its own name."""
    known = next((r for r in analyzer.regions if r.name == name), None)
    return of_region(known or Region(name=name, code=name.upper().replace(" ", "_"), display=name))


def structure_of(analyzer: Analyzer) -> Code:
    """What one cell of it is."""
    return _STRUCTURES.get(analyzer.structure, CELL)


def stain_of(analyzer: Analyzer) -> Code:
    """How its slides are stained; what no list is known for bears its own name."""
    stain = analyzer.stain
    own = re.sub(r"[^A-Z0-9]+", "_", stain.upper())
    return _STAINS.get(stain) or _own(own, stain[:1].upper() + stain[1:])


def coded(scores: Sequence[Score], assay: Assay, specimen: Specimen) -> tuple[Score, ...]:
    """The rows under public codes, where the marker has some in the specimen's tissue.

    Those are of tumour cells, so only the clinical region's rows bear them; where it is withheld, those of a drawn
    tumour.
    """
    tissue = tissue_of(specimen.site_code, specimen.site_scheme, specimen.site_text)
    there = {row.region for row in scores}
    about = assay.clinical_region if assay.clinical_region in there else str(RegionClass.TUMOUR)
    return tuple(_coded(row, assay, tissue) if row.region == about else row for row in scores)


def _coded(row: Score, assay: Assay, tissue: Tissue) -> Score:
    public = PUBLIC.get((assay.marker, row.measure, tissue))
    return row if public is None else recoded(row, code=public.value, scheme=public.scheme, display=public.meaning)


def tissue_of(site_code: str, site_scheme: str, site_text: str = "") -> Tissue:
    """BREAST for the breast's own code (SNOMED CT, SNOMED RT, ICD-O C50) or, where nothing is coded, its name.

    Else OTHER.
    """
    if site_code:
        icd_o = site_scheme.upper().startswith(("ICDO", "ICD-O", "I10")) and site_code.upper().startswith("C50")
        return Tissue.BREAST if icd_o or (site_scheme.upper(), site_code) in _BREAST_SITES else Tissue.OTHER
    return Tissue.BREAST if site_text.strip().lower() == "breast" else Tissue.OTHER


def table() -> tuple[Code, ...]:
    """Every code of this module, those in tuples and tables too, and the private ones of the assays."""
    named = [v for v in globals().values() if isinstance(v, Code)]
    listed = [c for v in globals().values() if isinstance(v, tuple) for c in v if isinstance(c, Code)]
    ordered = [c for those in ORDERED.values() for c in those if c not in named]
    own = {c.value: c for c in _of_assays() if c not in named and c not in listed}
    return (*named, *listed, *ordered, *PUBLIC.values(), *own.values())


def _of_assays() -> Iterator[Code]:
    """With repeats: assays share measures and regions."""
    for assay in assays():
        for measure in assay.measures:
            yield of_measure(measure)
            yield from (_answer(measure.code, category) for category in measure.categories)
            if measure.interval:
                yield from limits_of(measure.code, measure.display, measure.unit)
        yield from map(of_region, assay.analyzer.regions)
        if assay.analyzer.stain not in _STAINS:
            yield stain_of(assay.analyzer)
