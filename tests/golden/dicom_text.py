"""A DICOM object as indented text: every element, bulk data summed up, codes and content items on a line each.

Modality: SR
ContentSequence
  CONTAINS NUM 1234|SCHEME|meaning = [points 152.2] {score}|UCUM|score
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import UID

from tests.golden.masks import TIME, VERSION, Masks
from tests.golden.tolerance import kind_of_quantity, number

_COPIED_TIMES = frozenset({"StudyDate", "StudyTime", "PatientBirthDate"})
"""Copied from the slide; all others are of when the report was made."""
_KINDS = {"NumberOfAnnotations": "nuclei", "LossyImageCompressionRatio": "size"}
_CODES = (
    {"CodeValue", "CodingSchemeDesignator", "CodeMeaning"},
    {"LongCodeValue", "CodingSchemeDesignator", "CodeMeaning"},
)
"""Of a code of at most 16 letters, and of a longer one."""
_INDENT = "  "


def dicom_text(path: Path, masks: Masks) -> list[str]:
    """A file's object, as lines; of a segmentation, the set pixels of each frame come last."""
    ds = pydicom.dcmread(path)
    pixels = list(_set_pixels(ds)) if "PixelData" in ds else []
    return [f"TransferSyntaxUID: {ds.file_meta.TransferSyntaxUID.name}", *_dataset(ds, masks), *pixels]


def _dataset(ds: Dataset, masks: Masks, without: frozenset[str] = frozenset()) -> Iterator[str]:
    for element in ds:
        if element.keyword not in without:
            yield from _element(element, masks)


def _element(element: DataElement, masks: Masks) -> Iterator[str]:
    name = element.keyword or str(element.tag)
    if element.VR == "SQ":
        yield from _sequence(name, element.value, masks)
    elif element.VR in ("OB", "OW", "OL", "OF", "OD"):
        yield f"{name}: {_bulk(name, element)}"
    else:
        yield f"{name}: {_plain(name, element, masks)}".rstrip()


def _sequence(name: str, items: list[Dataset], masks: Masks) -> Iterator[str]:
    if items and all(_is_code(item) for item in items):
        yield f"{name}: {', '.join(_code(item) for item in items)}"
        return
    yield f"{name}{'' if items else ': no item'}"
    for item in items:
        lines = _content_item(item, masks) if "ValueType" in item else _plain_item(item, masks)
        yield from (_INDENT + line for line in lines)


def _plain_item(item: Dataset, masks: Masks) -> Iterator[str]:
    for i, line in enumerate(_dataset(item, masks) if len(item) else ["(empty)"]):
        yield ("- " if i == 0 else _INDENT) + line


def _plain(name: str, element: DataElement, masks: Masks) -> str:
    if element.VR in ("DA", "TM", "DT") and name not in _COPIED_TIMES:
        return TIME
    if name == "SoftwareVersions":
        return VERSION
    if element.VR == "UI":
        return masks.text(_named(element.value))
    values = element.value if element.VM > 1 else [element.value]
    text = "\\".join("" if v is None else str(v) for v in values)
    return number(_KINDS[name], text) if name in _KINDS else masks.text(text)


def _named(uid: str) -> str:
    return UID(uid).name  # of a class or a syntax; itself where it is an identifier


def _bulk(name: str, element: DataElement) -> str:
    match name, element.VR:
        case "PointCoordinatesData", "OF":
            points = np.frombuffer(element.value, "<f4").reshape(-1, 2).T
            sides = (f"{side} {_summed(v, 'px', 1)}" for side, v in zip(("column", "row"), points, strict=True))
            return f"{number('nuclei', points.shape[1])} points; {'; '.join(sides)}"
        case "FloatingPointValues", "OF":
            values = np.frombuffer(element.value, "<f4")
            return f"{number('nuclei', len(values))} values; {_summed(values, 'confidence', 3)}"
        case "PixelData", _:
            return "below"
        case _:
            return f"{len(element.value)} bytes"


def _summed(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], what: str, digits: int) -> str:
    ends = {"px": "edge_px"}.get(what, what)
    least, most = (number(ends, f"{float(v):.{digits}f}") for v in (values.min(), values.max()))
    return f"sum {number(f'sum_{what}', f'{math.fsum(values.tolist()):.1f}')}, from {least} to {most}"


def _is_code(item: Dataset) -> bool:
    return {element.keyword for element in item} in _CODES


def _code(item: Dataset) -> str:
    return f"{_value_of(item)}|{item.CodingSchemeDesignator}|{item.CodeMeaning}"


def _value_of(item: Dataset) -> str:
    return str(item.get("CodeValue") or item.LongCodeValue)


# What a content item's own line says; any other element follows it, indented.
_ON_ITS_LINE = frozenset(
    {
        "RelationshipType", "ValueType", "ConceptNameCodeSequence", "ConceptCodeSequence", "TextValue", "UID",
        "PersonName", "MeasuredValueSequence", "ContentSequence",
    }
)  # fmt: skip


def _content_item(item: Dataset, masks: Masks) -> Iterator[str]:
    name = [_code(c) for c in item.get("ConceptNameCodeSequence") or []]
    words = [item.get("RelationshipType"), item.ValueType, *name]
    value = _content_value(item, masks)
    yield " ".join(w for w in words if w) + (f" = {value}" if value else "")
    yield from (_INDENT + line for line in _dataset(item, masks, without=_ON_ITS_LINE))
    for child in item.get("ContentSequence") or []:
        yield from (_INDENT + line for line in _content_item(child, masks))


def _content_value(item: Dataset, masks: Masks) -> str:
    if "ConceptCodeSequence" in item:
        return ", ".join(_code(c) for c in item.ConceptCodeSequence)
    if "MeasuredValueSequence" in item:
        return ", ".join(_quantity(item, m) for m in item.MeasuredValueSequence)
    return masks.text(str(item.get("TextValue") or item.get("UID") or item.get("PersonName") or ""))


def _quantity(item: Dataset, measured: Dataset) -> str:
    (unit,) = measured.MeasurementUnitsCodeSequence
    kind = kind_of_quantity(_value_of(item.ConceptNameCodeSequence[0]), unit.CodeValue)
    written = [measured.get("NumericValue"), measured.get("FloatingPointValue")]  # in decimal, and in double precision
    said = [number(kind, v) if kind else str(v) for v in written if v is not None]
    return f"{' or '.join(said)} {_code(unit)}"


def _set_pixels(ds: Dataset) -> Iterator[str]:
    frames = np.reshape(ds.pixel_array, (-1, ds.Rows, ds.Columns))
    for frame, groups in zip(frames, ds.PerFrameFunctionalGroupsSequence, strict=True):
        segment = groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        yield f"pixels set of segment {segment}: {number('nuclei', int(np.count_nonzero(frame)))}"
