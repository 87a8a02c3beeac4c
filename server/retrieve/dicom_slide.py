"""DICOM whole-slide images: a file, or the folder that holds a slide's instances.

Headers are read by pydicom and frames by their position in the file (see `dicom_index`), because the fast decoder wants
the encoded bytes at a chosen scaling and nothing between; wsidicom is the tests' second opinion on the same pixels.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydicom.uid import UID

from inference.errors import ChromogenError, Reason, Refused
from inference.slide import Level, SlideFacts
from server.retrieve.colour import icc_digest, to_srgb
from server.retrieve.dicom_header import InstanceHeader, is_dicom, read_instance_header
from server.retrieve.dicom_image import DicomImage, read_image
from server.retrieve.framed_slide import FramedSlide
from server.retrieve.pixel_size import square
from server.retrieve.plan import level_scales


def open_dicom(path: Path, *, mpp: float | None, icc: bool, allow_coarse: bool) -> FramedSlide:
    """Open a DICOM file or folder. Raises Refused: no slide, several, no pixel size, too coarse, damaged."""
    headers = [read_instance_header(file) for file in dicom_files(path)]
    images = _read_all([header.path for header in _volume(path, headers)])
    try:
        return _assemble(path, images, mpp=mpp, icc=icc, allow_coarse=allow_coarse)
    except ChromogenError:
        _closing(images)()
        raise


def dicom_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder and below that begin like DICOM, by name."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and is_dicom(file))


def _volume(path: Path, headers: Sequence[InstanceHeader]) -> list[InstanceHeader]:
    """The levels of the one slide there; the same instance twice is taken once."""
    volume = {header.sop_instance_uid: header for header in headers if header.is_volume}
    series = {header.series_uid for header in volume.values()}
    if len(series) > 1:
        message = f"{path.name} holds {len(series)} slides (series): name the folder or file of one"
        raise Refused(Reason.SEVERAL_SLIDES, message)
    if not volume:
        raise Refused(Reason.NOT_A_SLIDE, f"{path.name} {_instead(headers)}")
    return list(volume.values())


def _instead(headers: Sequence[InstanceHeader]) -> str:
    if not headers:
        return "holds no DICOM file: name a slide, or the folder of its instances"
    kinds = sorted(
        {header.flavour.lower() if header.flavour else UID(header.sop_class_uid).name or "an unknown object" for header in headers}
    )
    return f"holds no level of a whole-slide image, only: {', '.join(kinds)}"


def _read_all(paths: Sequence[Path]) -> list[DicomImage]:
    images: list[DicomImage] = []
    try:
        for path in paths:
            images.append(read_image(path))
    except ChromogenError:
        _closing(images)()
        raise
    return images


def _assemble(path: Path, images: list[DicomImage], *, mpp: float | None, icc: bool, allow_coarse: bool) -> FramedSlide:
    levels = _levels(images)
    base = levels[0]
    base_mpp = square(path.name, base.spacing_um, mpp)
    notes = _notes(base, repeated=len(levels) < len(images), icc=icc)
    scales = level_scales([level.layout.size for level in levels])
    facts = SlideFacts(
        mpp=base_mpp,
        size=base.layout.size,
        levels=tuple(Level(size=v.layout.size, mpp=base_mpp * s) for v, s in zip(levels, scales, strict=True)),
        study_uid=base.who.study_uid or None,
        series_uid=base.who.series_uid or None,
        sop_instance_uids=tuple(level.who.sop_instance_uid for level in levels),
        container_id=base.who.container_id or None,
        specimen_id=next(iter(base.specimens), "") or None,
        icc_sha256=icc_digest(base.icc_profile),
        notes=notes,
    )
    transform = to_srgb(base.icc_profile) if icc and base.icc_profile else None
    return FramedSlide(levels, facts, close=_closing(images), transform=transform, allow_coarse=allow_coarse)


def _levels(images: Sequence[DicomImage]) -> list[DicomImage]:
    """Largest first, one of each size: a second of the same size is another focal plane or optical path."""
    by_size: dict[tuple[int, int], DicomImage] = {}
    for image in sorted(images, key=lambda i: (-i.layout.size.area, i.who.sop_instance_uid)):
        by_size.setdefault((image.layout.size.width, image.layout.size.height), image)
    return list(by_size.values())


def _notes(base: DicomImage, *, repeated: bool, icc: bool) -> tuple[str, ...]:
    found = [
        ("NO_SPECIMEN", not any(base.specimens)),
        ("SEVERAL_SPECIMENS", len(base.specimens) > 1),
        ("NO_OPTICAL_PATH", not base.has_optical_path),
        ("NO_ICC_PROFILE", icc and base.icc_profile is None),
        ("SEVERAL_IMAGES_OF_A_LEVEL", repeated),
    ]
    return tuple(note for note, true in found if true) + base.notes


def _closing(images: Sequence[DicomImage]) -> Callable[[], None]:
    def close() -> None:
        for image in images:
            image.file.close()

    return close
