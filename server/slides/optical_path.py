"""Optical paths of a DICOM image (PS3.3, C.8.12.5): which of them show what light leaves of a stained section."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

# Microscopy Illumination Type, CID 8123
_BRIGHT = {"111741", "111744"}  # transmission, bright field
_DARK = {"111742", "111743", "111745", "111746", "111747", "111748", "111749"}
# Microscopy Illumination Color, CID 8122, in SNOMED CT: full spectrum is what colour is seen by
_FULL_SPECTRUM = {"414298005", "R-102C0"}
_ONE_COLOUR = {"414497003", "415770004", "371240000", "405738005", "371246006"}
_FLUOROPHORE = re.compile(r"fluor|dapi|hoechst|fitc|tritc|texas red|\bcy-?[357]|alexa|rhodamin", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpticalPath:
    """`brightfield` is false where the file says that it is something else."""

    identifier: str
    brightfield: bool
    icc_profile: bytes | None = field(repr=False, default=None)


def read_optical_paths(dataset: Dataset) -> tuple[OpticalPath, ...]:
    """In the order of the file; none where it describes none."""
    return tuple(
        OpticalPath(
            identifier=str(item.get("OpticalPathIdentifier") or "").strip(),
            brightfield=_is_brightfield(item),
            icc_profile=_profile(item),
        )
        for item in items(dataset, "OpticalPathSequence")
    )


def items(dataset: Dataset, keyword: str) -> Sequence[Dataset]:
    """Of a sequence; none where it is absent, empty or no sequence."""
    found = dataset.get(keyword)
    return [item for item in found if isinstance(item, Dataset)] if isinstance(found, Sequence) else []


def _is_brightfield(path: Dataset) -> bool:
    kinds = items(path, "IlluminationTypeCodeSequence")
    values = {_value(kind) for kind in kinds}
    if values & _BRIGHT:
        return not _is_one_colour(path)
    if values & _DARK:
        return False
    said = " ".join(str(item.get("CodeMeaning") or "") for item in kinds)
    described = f"{said} {path.get('OpticalPathIdentifier') or ''} {path.get('OpticalPathDescription') or ''}"
    return not (_FLUOROPHORE.search(described) or path.get("IlluminationWaveLength") or _is_one_colour(path))


def _is_one_colour(path: Dataset) -> bool:
    colours = {_value(item) for item in items(path, "IlluminationColorCodeSequence")}
    return bool(colours & _ONE_COLOUR) and not colours & _FULL_SPECTRUM


def _value(code: Dataset) -> str:
    return str(code.get("CodeValue") or "").strip()


def _profile(path: Dataset) -> bytes | None:
    profile = path.get("ICCProfile")
    return bytes(profile) if isinstance(profile, (bytes, bytearray)) and profile else None
