"""A slide's header made fit for every report: what is invalid left out, what reports need checked or given.

Checked before a tile is inferred, so that no report finds out afterwards that a scanner wrote a date that is none.
highdicom copies whole modules (patient, study, specimen) and raises on what a reader of pixels never looks at.
"""

import re
import uuid
from collections.abc import Sequence
from math import isfinite

from pydicom import DataElement, Dataset
from pydicom.config import IGNORE, RAISE
from pydicom.datadict import dictionary_VM, dictionary_VR
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.uid import VLWholeSlideMicroscopyImageStorage
from pydicom.valuerep import DA, DT, TM, PersonName, validate_value

from inference.errors import Reason, Refused
from server.slides.place import numbers
from server.slides.quiet import quiet

CHARACTER_SET = "ISO_IR 192"
"""UTF-8: the source's text in whatever character set it came, and ours, are written in it."""

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_SIZES = ("TotalPixelMatrixColumns", "TotalPixelMatrixRows", "Columns", "Rows")
# Type 2 in what is written, so present there even where a source without them breaks the standard.
_MAY_BE_EMPTY = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
)
_SEXES = ("M", "F", "O", "")
_OFFSET = re.compile(r"[+-](0[0-9]|1[0-4])[0-5][0-9]")
_WHOLE = {"US", "SS", "UL", "SL", "UV", "SV", "IS"}
_REAL = {"FL", "FD", "DS"}
_BYTES = {"OB", "OW", "OD", "OF", "OL", "OV", "UN"}
_TIMES = {"DA": DA, "TM": TM, "DT": DT}
_CODE = ("CodeValue", "LongCodeValue", "URNCodeValue")


def valid(header: Dataset) -> Dataset:
    """A copy in UTF-8 of what the standard's dictionary knows and the value of which is what it says."""
    with quiet():
        kept = _valid_items(header)
    kept.SpecificCharacterSet = CHARACTER_SET
    if hasattr(header, "file_meta"):
        kept.file_meta = header.file_meta
    return kept


def reportable(header: Dataset, *, mpp: float) -> Dataset:
    """A header that every report can be built from. `mpp`, µm per pixel, is for a file that gives no valid spacing.

    Raises Refused NOT_A_SLIDE where study, series, instance or size are missing, which nothing can stand for.
    """
    kept = valid(header)
    missing = [k for k in _NEEDED if not kept.get(k)] + [k for k in _SIZES if int(kept.get(k) or 0) < 1]
    if missing:
        raise Refused(
            Reason.NOT_A_SLIDE, f"the slide's image has no valid {missing[0]}, so no DICOM report can be tied to it"
        )
    _give_identity(kept)
    _give_geometry(kept, mpp)
    for keyword in _MAY_BE_EMPTY:
        if keyword not in kept:
            setattr(kept, keyword, None)
    if (kept.PatientSex or "") not in _SEXES:
        kept.PatientSex = None
    if not _OFFSET.fullmatch(str(kept.get("TimezoneOffsetFromUTC") or "")):
        kept.pop("TimezoneOffsetFromUTC", None)
    return kept


def frame_of_reference(series_uid: str) -> str:
    """The UID of ours for a series whose scanner gave its slide none (PS3.5, B.2): always the same."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'frame of reference of {series_uid}').int}"


def _give_identity(kept: Dataset) -> None:
    kept.SOPClassUID, kept.Modality = VLWholeSlideMicroscopyImageStorage, "SM"
    if len(kept.get("ImageType") or []) < 3:
        kept.ImageType = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
    if int(kept.get("NumberOfFrames") or 0) < 1:
        kept.NumberOfFrames = 1
    if not kept.get("FrameOfReferenceUID"):
        kept.FrameOfReferenceUID = frame_of_reference(kept.SeriesInstanceUID)
    if "PositionReferenceIndicator" not in kept:
        kept.PositionReferenceIndicator = None
    if not kept.get("ContainerIdentifier"):
        kept.ContainerIdentifier = "unknown"
    for keyword in ("IssuerOfTheContainerIdentifierSequence", "ContainerTypeCodeSequence"):
        if keyword not in kept:
            setattr(kept, keyword, [])
    kept.SpecimenDescriptionSequence = [
        s for s in kept.get("SpecimenDescriptionSequence") or [] if s.get("SpecimenUID")
    ]


def _give_geometry(kept: Dataset, mpp: float) -> None:
    if numbers(kept.get("ImageOrientationSlide"), 6) is None or not _orthonormal(kept.ImageOrientationSlide):
        kept.ImageOrientationSlide = list(UPRIGHT)
    origin = (kept.get("TotalPixelMatrixOriginSequence") or [Dataset()])[0]
    for axis in "XY":
        if origin.get(f"{axis}OffsetInSlideCoordinateSystem") is None:
            setattr(origin, f"{axis}OffsetInSlideCoordinateSystem", 0.0)
    kept.TotalPixelMatrixOriginSequence = [origin]
    shared = (kept.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    measures = (shared.get("PixelMeasuresSequence") or [Dataset()])[0]
    spacing = numbers(measures.get("PixelSpacing"), 2)
    if spacing is None or min(spacing) <= 0:
        measures.PixelSpacing = [round(mpp / 1000, 12)] * 2
    shared.PixelMeasuresSequence = [measures]
    kept.SharedFunctionalGroupsSequence = [shared]


def _orthonormal(cosines: Sequence[float]) -> bool:
    row, column = [float(v) for v in cosines[:3]], [float(v) for v in cosines[3:]]
    lengths = (sum(v * v for v in row), sum(v * v for v in column))
    across = sum(a * b for a, b in zip(row, column, strict=True))
    return all(abs(v - 1) < 0.01 for v in lengths) and abs(across) < 0.01


def _valid_items(source: Dataset) -> Dataset:
    kept = Dataset()
    for tag in source.keys():  # noqa: SIM118  (the elements themselves may not be readable)
        element = _valid_element(source, tag)
        if element is not None:
            kept.add(element)
    return kept


def _valid_element(source: Dataset, tag: BaseTag) -> DataElement | None:
    """None where it is private, unknown, of another kind than the dictionary has it, or no value of its kind."""
    try:
        element = source[tag]
        allowed = dictionary_VR(tag).split(" or ")
        if tag.is_private or tag.element == 0 or tag.group < 8 or element.VR not in allowed:
            return None
        if element.VR == "SQ":
            return _valid_sequence(element)
        if not _counts(element, dictionary_VM(tag)):
            return None
        return DataElement(tag, element.VR, _value(element), validation_mode=IGNORE)
    except Exception:  # the values' own parsers raise nearly anything, and their text may hold a patient's data
        return None


def _valid_sequence(element: DataElement) -> DataElement | None:
    items = [_valid_items(item) for item in element.value]
    whole = [item for item in items if len(item) > 0 and _is_whole(item)]
    return None if items and not whole else DataElement(element.tag, "SQ", whole)


def _is_whole(item: Dataset) -> bool:
    """A code has its three parts; what isn't a code is taken as it is."""
    if not any(keyword in item for keyword in (*_CODE, "CodeMeaning", "CodingSchemeDesignator")):
        return True
    return bool(item.get("CodeMeaning") and item.get("CodingSchemeDesignator")) and any(map(item.get, _CODE))


def _counts(element: DataElement, allowed: str) -> bool:
    """Whether as many values stand there as may."""
    several = len(element.value) if isinstance(element.value, MultiValue | list) else 1
    if allowed == "1":
        return several <= 1
    return "-" in allowed or several == int(allowed) or element.is_empty


def _value(element: DataElement) -> object:
    """The element's value. Raises whatever its parser does where it is none of its kind."""
    if element.is_empty:
        return None
    values = list(element.value) if isinstance(element.value, MultiValue | list) else [element.value]
    for value in values:
        _check_value(element.VR, value)
    return element.value


def _check_value(vr: str, value: object) -> None:
    if vr in _WHOLE:
        int(value)  # type: ignore[call-overload]
        if vr != "IS" and not isinstance(value, int):
            raise TypeError(vr)
    elif vr in _REAL:
        if not isfinite(float(value)):  # type: ignore[arg-type]
            raise ValueError(vr)
    elif vr in _BYTES:
        if not isinstance(value, bytes):
            raise TypeError(vr)
    elif vr in _TIMES:
        validate_value(vr, str(value), RAISE)
        _TIMES[vr](str(value))
    else:
        if not isinstance(value, str | PersonName):
            raise TypeError(vr)
        validate_value(vr, value, RAISE)
        if any(ord(c) < 32 and c not in "\t\r\n\f\x1b" for c in str(value)):
            raise ValueError(vr)
