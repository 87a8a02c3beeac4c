"""What an archive lists (DICOM JSON) as the instances that a slide is chosen from. Pure but for pydicom."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from server.archive.web import wrong
from server.domain.errors import ChromogenError, Refused
from server.slides.dicom_header import InstanceHeader, guarded, identify, read_instance_header

FIELDS = {
    "00080005": "SpecificCharacterSet",
    "00080008": "ImageType",
    "00080016": "SOPClassUID",
    "00080018": "SOPInstanceUID",
    "0008002A": "AcquisitionDateTime",
    "00080050": "AccessionNumber",
    "00100020": "PatientID",
    "00100021": "IssuerOfPatientID",
    "0020000D": "StudyInstanceUID",
    "0020000E": "SeriesInstanceUID",
    "00209161": "ConcatenationUID",
    "00209162": "InConcatenationNumber",
    "00209163": "InConcatenationTotalNumber",
    "00209228": "ConcatenationFrameOffsetNumber",
    "00280008": "NumberOfFrames",
    "00400512": "ContainerIdentifier",
    "00400560": "SpecimenDescriptionSequence",
    "00480001": "ImagedVolumeWidth",
    "00480002": "ImagedVolumeHeight",
    "00480006": "TotalPixelMatrixColumns",
    "00480007": "TotalPixelMatrixRows",
    "00480010": "SpecimenLabelInImage",
    "22000002": "LabelText",
    "22000005": "BarcodeValue",
    "52009229": "SharedFunctionalGroupsSequence",
}
"""What is asked for of an instance: tag in DICOM JSON -> keyword."""
ESSENTIAL = ("00080008", "00080016", "00080018", "0020000D", "0020000E", "00480006", "00480007")
"""Without these an instance's own metadata are asked for."""
_PASSING = frozenset({"00081190", "00080056", "00083002", "00201206", "00201208", "00201209"})
"""What an archive says of itself and not of the instance: addresses, availability, counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An instance as its archive lists it; `key` is another as soon as the archive says anything else of it."""

    header: InstanceHeader
    key: str
    complete: bool
    """Whether all was said that a level is judged by."""


def listed(row: Mapping[str, Any], of: "Listed | None" = None) -> Listed:
    """One of a list. `of`: what was listed of it before, which this completes.

    Raises Failed ARCHIVE_ANSWER (retryable).
    """
    said = {tag: row[tag] for tag in FIELDS if tag in row}
    uid = text_of(row, "00080018")
    try:
        header = guarded(Path(f"{uid}.dcm"), lambda: identify(Path(f"{uid}.dcm"), Dataset.from_json(said)))
    except ChromogenError:
        raise wrong("an instance's attributes", "holds values that are none") from None
    kept = {tag: value for tag, value in row.items() if tag not in _PASSING}
    key = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    complete = all(tag in row and row[tag].get("Value") for tag in ESSENTIAL)
    return Listed(header=header, key=key if of is None else of.key + key, complete=complete)


def text_of(row: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute; empty where there is none. Raises Failed ARCHIVE_ANSWER (retryable)."""
    try:
        values = row.get(tag, {}).get("Value") or [""]
        return str(values[0] or "").strip()
    except (AttributeError, TypeError, KeyError, IndexError):
        raise wrong("a list", "is no DICOM JSON") from None


def check_is(part: Path, each: Listed) -> None:
    """Raises Failed ARCHIVE_ANSWER (retryable) where it isn't the instance that was listed."""
    try:
        came = read_instance_header(part)
    except Refused:
        raise wrong("an instance", "is no DICOM file, or a broken one") from None
    asked = each.header
    pairs = [
        (asked.sop_instance_uid, came.sop_instance_uid),
        (asked.series_uid, came.series_uid),
        (asked.study_uid, came.study_uid),
    ]
    if each.complete:
        pairs += [(asked.container_id, came.container_id)] if asked.container_id else []
        pairs += [(str(asked.size), str(came.size)), (asked.flavour, came.flavour)]
    if any(a != b for a, b in pairs):
        raise wrong("an instance", "is another instance than it lists, or it changed meanwhile")
