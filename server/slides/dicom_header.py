"""What a DICOM file says of itself, without its pixels: who it is (`InstanceHeader`), read by pydicom.

The text of pydicom's exceptions may quote a patient's data and is not passed on.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from inference.errors import ChromogenError, Reason, Refused
from server.slides.dicom_stream import BEGINNING, begins_like_dicom, open_dicom_file, read_until
from server.slides.place import numbers, spacing_um
from server.slides.quiet import quiet
from server.slides.specimens import descriptions, sites, specimen_ids, stains

WHOLE_SLIDE_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"

PART = ".part"
"""Suffix of a file that is still being written, here or by a neighbour: never taken for an instance."""

HEADER_ONLY = ".header.dcm"
"""How the name of a file ends that holds what stands before an instance's pixels, and was never to hold more."""

_CODE_STRING = re.compile(r"[A-Z0-9_ ]{1,16}")  # PS3.5, 6.2

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceHeader:
    """One instance in an archive.

    `flavour` is the third value of Image Type: VOLUME, LABEL, OVERVIEW, THUMBNAIL; empty where the file has none.
    `shows_label` is what it says of the slide's label in the picture.

    A level may be split over instances (a concatenation, PS3.3, C.7.6.16.2.2.4): this is part `part` (from 1) of
    `parts` (0 where the file doesn't say), and its first frame is the level's frame `first_frame` (from 0).
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    container_id: str
    flavour: str
    shows_label: bool = False
    concatenation_uid: str = ""
    part: int = 1
    parts: int = 0
    first_frame: int = 0
    accession_number: str = ""
    specimens: tuple[str, ...] = ()
    stains: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    size: tuple[int, int] = (0, 0)
    """Columns and rows of the level; (0, 0) where the file doesn't say."""
    spacing_um: tuple[float, float] | None = None
    acquired: str = ""
    """Date and time of the scan as DICOM writes them; empty where the file doesn't say."""
    patient_id: str = ""
    patient_issuer: str = ""
    sites: tuple[tuple[str, str, str], ...] = ()
    """Code, scheme and meaning of where its specimens were taken from."""
    label_text: str = ""
    barcode: str = ""

    @property
    def is_volume(self) -> bool:
        """Whether it is a level of a slide (not its label, overview, thumbnail or something else).

        Converters leave the kind of image out: then everything is taken that doesn't show the label.
        """
        wanted = self.flavour == "VOLUME" or (not self.flavour and not self.shows_label)
        return self.sop_class_uid == WHOLE_SLIDE_IMAGE and wanted


_WANTED: list[BaseTag | int] = [
    Tag(keyword)
    for keyword in (
        "SOPClassUID",
        "SOPInstanceUID",
        "SeriesInstanceUID",
        "StudyInstanceUID",
        "AccessionNumber",
        "PatientID",
        "IssuerOfPatientID",
        "AcquisitionDateTime",
        "ContainerIdentifier",
        "SpecimenDescriptionSequence",
        "ImagedVolumeWidth",
        "ImagedVolumeHeight",
        "TotalPixelMatrixColumns",
        "TotalPixelMatrixRows",
        "ImageType",
        "ConcatenationUID",
        "InConcatenationNumber",
        "InConcatenationTotalNumber",
        "ConcatenationFrameOffsetNumber",
        "SpecimenLabelInImage",
        "LabelText",
        "BarcodeValue",
    )
]
_LAST_WANTED = 0x22000005  # Barcode Value; elements come in the order of their tags (PS3.5, 7.1)


def is_dicom(path: Path) -> bool:
    """Whether a file is whole and begins like DICOM."""
    if path.suffix == PART:
        return False
    with path.open("rb") as file:
        return begins_like_dicom(file.read(BEGINNING))


def read_instance_header(path: Path, *, described: bool = True) -> InstanceHeader:
    """Identify a DICOM file; without `described` its stains, sites and descriptions are left out, which take three
    quarters of the time. Raises Refused SLIDE_DAMAGED.
    """
    return guarded(path, lambda: _identify(path, _beginning(path), described=described))


def identify(path: Path, dataset: Dataset, *, described: bool = True) -> InstanceHeader:
    """The same from a dataset that was read already. Raises Refused SLIDE_DAMAGED."""
    return guarded(path, lambda: _identify(path, dataset, described=described))


def guarded(path: Path, read: Callable[[], T]) -> T:
    """Call something that goes through pydicom.

    Whatever it raises or warns of becomes Refused SLIDE_DAMAGED or silence.
    """
    try:
        with quiet():
            return read()
    except (ChromogenError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception:  # pydicom raises what its value parsers raise; the text may quote a patient's data
        message = f"{path.name} has a damaged or incomplete DICOM header: fetch it again from the archive"
        raise Refused(Reason.SLIDE_DAMAGED, message) from None


def code_string(value: object) -> str:
    """A coded value as text, in upper case; empty where it is none, so that a message never shows a damaged one."""
    text = "" if value is None else str(value).strip().upper()
    return text if _CODE_STRING.fullmatch(text) else ""


def _beginning(path: Path) -> Dataset:
    """The elements up to the identity of the container and the picture's kind.

    Frames may follow by the hundred thousand, a sequence item each.
    """
    with open_dicom_file(path) as file:
        return read_until(file, lambda tag, vr, length: tag > _LAST_WANTED, specific_tags=_WANTED)


def _identify(path: Path, dataset: Dataset, *, described: bool) -> InstanceHeader:
    image_type = dataset.get("ImageType") or []
    kinds = [image_type] if isinstance(image_type, str) else list(image_type)
    return InstanceHeader(
        path=path,
        sop_class_uid=str(dataset.get("SOPClassUID") or ""),
        sop_instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        series_uid=str(dataset.get("SeriesInstanceUID") or ""),
        study_uid=str(dataset.get("StudyInstanceUID") or ""),
        container_id=str(dataset.get("ContainerIdentifier") or "").strip(),
        flavour=code_string(kinds[2]) if len(kinds) > 2 else "",
        shows_label=str(dataset.get("SpecimenLabelInImage") or "").strip() == "YES",
        concatenation_uid=str(dataset.get("ConcatenationUID") or ""),
        part=int(dataset.get("InConcatenationNumber") or 1),
        parts=int(dataset.get("InConcatenationTotalNumber") or 0),
        first_frame=int(dataset.get("ConcatenationFrameOffsetNumber") or 0),
        accession_number=str(dataset.get("AccessionNumber") or "").strip(),
        specimens=specimen_ids(dataset),
        stains=stains(dataset) if described else (),
        descriptions=descriptions(dataset) if described else (),
        size=_size(dataset),
        spacing_um=spacing_um(dataset),
        acquired=str(dataset.get("AcquisitionDateTime") or ""),
        patient_id=str(dataset.get("PatientID") or "").strip(),
        patient_issuer=str(dataset.get("IssuerOfPatientID") or "").strip(),
        sites=sites(dataset) if described else (),
        label_text=str(dataset.get("LabelText") or "").strip(),
        barcode=str(dataset.get("BarcodeValue") or "").strip(),
    )


def _size(dataset: Dataset) -> tuple[int, int]:
    sides = [numbers(dataset.get(f"TotalPixelMatrix{side}"), 1) for side in ("Columns", "Rows")]
    columns, rows = (0 if side is None else int(side[0]) for side in sides)
    return columns, rows
