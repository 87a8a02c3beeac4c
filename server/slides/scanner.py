"""Which scanner made a slide, as far as its file says."""

from pathlib import Path

import pydicom
from tifffile import TiffFile

from server.slides.dicom_header import is_dicom
from server.slides.quiet import quiet
from server.slides.tiff_slide import MAGICS

_TAGS = ["Manufacturer", "ManufacturerModelName", "DeviceSerialNumber"]
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
    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_TAGS))
    return " ".join(str(header.get(tag) or "").strip() for tag in _TAGS).strip()


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
