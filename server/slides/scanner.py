"""Which scanner made a slide, as far as its file says."""

from pathlib import Path

from pydicom.tag import BaseTag, Tag
from tifffile import TiffFile

from server.slides.dicom_header import is_dicom
from server.slides.dicom_stream import open_dicom_file, read_until
from server.slides.quiet import quiet
from server.slides.tiff_slide import MAGICS

_KEYWORDS = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber")
_TAGS: list[BaseTag | int] = [Tag(keyword) for keyword in _KEYWORDS]
_LAST_TAG = max(_TAGS)
_APERIO = "ScanScope ID"


def scanner_of(path: Path) -> str:
    """Manufacturer, model and serial number; empty where the file says nothing, or can't be read."""
    try:
        with quiet():
            first = next((p for p in sorted(path.iterdir()) if is_dicom(p)), path) if path.is_dir() else path
            return _dicom(first) if is_dicom(first) else _tiff(first)
    except Exception:  # what can't be read is refused where the slide is opened, with its reason
        return ""


def _dicom(path: Path) -> str:
    with open_dicom_file(path) as file:
        header = read_until(file, lambda tag, vr, length: tag > _LAST_TAG, specific_tags=list(_TAGS))
    return " ".join(str(header.get(tag) or "").strip() for tag in _KEYWORDS).strip()


def _tiff(path: Path) -> str:
    with path.open("rb") as file:
        if not file.read(4).startswith(tuple(MAGICS)):
            return ""
    with TiffFile(path) as tiff:
        page = tiff.pages.first
        said = dict(part.split("=", 1) for part in page.description.split("|") if "=" in part)
        own = {key.strip(): value.strip() for key, value in said.items()}
        names = [str(page.tags[tag].value) for tag in ("Make", "Model") if tag in page.tags]
    return " ".join([*names, own.get(_APERIO, "")]).strip()
