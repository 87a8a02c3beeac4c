"""What a DICOM file says of itself, without its pixels: who it is (`InstanceHeader`), read by pydicom.

The text of pydicom's exceptions may quote a patient's data and is not passed on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydicom import dcmread
from pydicom.dataset import Dataset

from inference.errors import ChromogenError, Reason, Refused
from server.retrieve.quiet import quiet

WHOLE_SLIDE_IMAGE = "1.2.840.10008.5.1.4.1.1.77.1.6"
PREAMBLE, MAGIC = 128, b"DICM"

PART = ".part"
"""Suffix of a file that is still being written, here or by a neighbour: never taken for an instance."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceHeader:
    """One instance in an archive. `flavour` is the third value of Image Type: VOLUME, LABEL, OVERVIEW, THUMBNAIL."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    series_uid: str
    study_uid: str
    container_id: str
    flavour: str

    @property
    def is_volume(self) -> bool:
        """Whether it is a level of a slide (not its label, overview, thumbnail or something else)."""
        return self.sop_class_uid == WHOLE_SLIDE_IMAGE and self.flavour == "VOLUME"


_WANTED = ["SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "ContainerIdentifier", "ImageType"]


def is_dicom(path: Path) -> bool:
    """Whether a file is whole and begins like DICOM (PS3.10, 7.1)."""
    if path.suffix == PART:
        return False
    with path.open("rb") as file:
        return file.read(PREAMBLE + len(MAGIC))[PREAMBLE:] == MAGIC


def read_instance_header(path: Path) -> InstanceHeader:
    """Identify a DICOM file. Raises Refused SLIDE_DAMAGED."""
    return guarded(path, lambda: _identify(path, dcmread(path, stop_before_pixels=True, specific_tags=list(_WANTED))))


def identify(path: Path, dataset: Dataset) -> InstanceHeader:
    """The same from a dataset that was read already. Raises Refused SLIDE_DAMAGED."""
    return guarded(path, lambda: _identify(path, dataset))


def guarded(path: Path, read: Callable[[], T]) -> T:
    """Call something that goes through pydicom; whatever it raises or warns of becomes Refused SLIDE_DAMAGED or silence."""
    try:
        with quiet():
            return read()
    except (ChromogenError, FileNotFoundError, PermissionError, IsADirectoryError):
        raise
    except Exception:  # pydicom raises what its value parsers raise; the text may quote a patient's data
        message = f"{path.name} has a damaged or incomplete DICOM header: fetch it again from the archive"
        raise Refused(Reason.SLIDE_DAMAGED, message) from None


def _identify(path: Path, dataset: Dataset) -> InstanceHeader:
    image_type = dataset.get("ImageType") or []
    kinds = [image_type] if isinstance(image_type, str) else list(image_type)
    return InstanceHeader(
        path=path,
        sop_class_uid=str(dataset.get("SOPClassUID") or ""),
        sop_instance_uid=str(dataset.get("SOPInstanceUID") or ""),
        series_uid=str(dataset.get("SeriesInstanceUID") or ""),
        study_uid=str(dataset.get("StudyInstanceUID") or ""),
        container_id=str(dataset.get("ContainerIdentifier") or "").strip(),
        flavour=str(kinds[2]) if len(kinds) > 2 else "",
    )
