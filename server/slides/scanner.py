"""Which scanner made a slide, as far as its file says."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.tag import BaseTag, Tag
from tifffile import TiffFile, TiffPage

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """By what and when a slide was scanned: empty and None where its file doesn't say."""

    manufacturer: str = ""
    model: str = ""
    serial: str = ""
    at: datetime | None = None
    """Local time: a TIFF doesn't say of which zone."""


def made_by(path: Path) -> Made:
    """As a TIFF's tags say, and Aperio's description."""
    try:
        with quiet():
            return _made(path)
    except Exception:  # what can't be read is refused where the slide is opened
        return Made()


def _dicom(path: Path) -> str:
    with open_dicom_file(path) as file:
        header = read_until(file, lambda tag, vr, length: tag > _LAST_TAG, specific_tags=list(_TAGS))
    return " ".join(str(header.get(tag) or "").strip() for tag in _KEYWORDS).strip()


def _tiff(path: Path) -> str:
    made = _made(path)
    return " ".join([*filter(None, (made.manufacturer, made.model)), made.serial]).strip()


def _made(path: Path) -> Made:
    with path.open("rb") as file:
        if not file.read(4).startswith(tuple(MAGICS)):
            return Made()
    with TiffFile(path) as tiff:
        page = tiff.pages.first
        said = dict(part.split("=", 1) for part in page.description.split("|") if "=" in part)
        own = {key.strip(): value.strip() for key, value in said.items()}
        make, model = (str(page.tags[tag].value).strip() if tag in page.tags else "" for tag in ("Make", "Model"))
        return Made(manufacturer=make, model=model, serial=own.get(_APERIO, ""), at=_scanned_at(page, own))


def _scanned_at(page: TiffPage, own: dict[str, str]) -> datetime | None:
    """Aperio's own words, for the tag may tell when a copy was written; or the tag."""
    try:
        return datetime.strptime(f"{own['Date']} {own['Time']}", "%m/%d/%y %H:%M:%S")
    except (KeyError, ValueError):
        return page.datetime
