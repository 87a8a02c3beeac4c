"""DICOM whole-slide images: a file, or the folder that holds a slide's instances.

A level of one file whose frames come in order is read by their positions in the file (`dicom_image`), everything else
by wsidicom (`wsidicom_image`, which says why there are two).
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from pydicom.uid import UID

from inference.errors import ChromogenError, Reason, Refused
from inference.model import Resolution
from inference.slide import Level, SlideFacts
from server.slides.colour import icc_digest, to_srgb
from server.slides.dicom_header import InstanceHeader, is_dicom, read_instance_header
from server.slides.dicom_image import is_indexable, read_image
from server.slides.dicom_level import DicomLevel, LevelHeader, read_level_header
from server.slides.framed_slide import FramedSlide
from server.slides.pixel_size import square
from server.slides.plan import level_scales, scan_finer
from server.slides.quiet import quiet


def open_dicom(path: Path, resolution: Resolution, *, mpp: float | None, icc: bool) -> FramedSlide:
    """Open a DICOM file or folder. Raises Refused: no slide, several, no pixel size, too coarse, damaged."""
    headers = [read_instance_header(file) for file in dicom_files(path)]
    volume = _volume(headers)
    if not volume:
        raise Refused(Reason.NOT_A_SLIDE, f"{path.name} {_instead(headers)}")
    if len(volume) > 1:
        raise _several(path, volume, resolution if mpp is None else None)
    images = _read_all(volume[0])
    try:
        return _assemble(path, images, resolution, mpp=mpp, icc=icc)
    except ChromogenError:
        _closing(images)()
        raise


def dicom_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder and below that begin like DICOM, by name."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and is_dicom(file))


def _volume(headers: Sequence[InstanceHeader]) -> list[list[InstanceHeader]]:
    """The levels' instances of each slide (series) there; the same instance twice is taken once."""
    volume = {header.sop_instance_uid: header for header in headers if header.is_volume}
    slides: dict[str, list[InstanceHeader]] = {}
    for header in volume.values():
        slides.setdefault(header.series_uid, []).append(header)
    return list(slides.values())


def _several(path: Path, slides: Sequence[Sequence[InstanceHeader]], resolution: Resolution | None) -> Refused:
    """What to say of a folder of several slides: to name one, or where none is fine enough for `resolution`, where that
    is judged, that it's no use.
    """
    finest = 0.0 if resolution is None else min(_finest_um(slide) for slide in slides)
    if resolution is not None and finest > resolution.coarsest:
        all_of_them = f"{len(slides)} slides, all coarser than {resolution.coarsest:g} µm/px"
        what = f"{path.name} holds {all_of_them} (the finest has {finest:.4g}): {scan_finer(resolution)}"
        return Refused(Reason.TOO_COARSE, what)
    return Refused(
        Reason.SEVERAL_SLIDES, f"{path.name} holds {len(slides)} slides (series): name the folder or file of one"
    )


def _finest_um(slide: Sequence[InstanceHeader]) -> float:
    """µm per pixel of a slide's best level; 0 where that can't be told, so that it isn't called coarse."""
    try:
        spacings = [read_level_header(instance.path).spacing_um for instance in slide]
    except ChromogenError:
        return 0.0
    return min(0.0 if spacing is None else min(spacing) for spacing in spacings)


def _instead(headers: Sequence[InstanceHeader]) -> str:
    if not headers:
        return "holds no DICOM file: name a slide, or the folder of its instances"
    kinds = sorted({header.flavour.lower() or _kind(header.sop_class_uid) for header in headers})
    return f"holds no level of a whole-slide image, only: {', '.join(kinds)}"


def _kind(sop_class_uid: str) -> str:
    with quiet():  # pydicom warns of a UID that is none, and quotes it
        uid = UID(sop_class_uid)
    return "an unknown object" if uid.name == uid else uid.name


def _read_all(instances: Sequence[InstanceHeader]) -> list[DicomLevel]:
    """Each level of a slide: a file, or the files of a concatenation."""
    parts: dict[str, list[LevelHeader]] = {}
    for instance in instances:
        name = instance.concatenation_uid or instance.sop_instance_uid
        parts.setdefault(name, []).append(read_level_header(instance.path))
    images: list[DicomLevel] = []
    try:
        for headers in parts.values():
            images.append(_read_level(headers))
    except ChromogenError:
        _closing(images)()
        raise
    return images


def _read_level(parts: Sequence[LevelHeader]) -> DicomLevel:
    if len(parts) == 1 and is_indexable(parts[0]):
        return read_image(parts[0])
    from server.slides.wsidicom_image import read_by_wsidicom  # importing wsidicom takes 0.9 s, and few slides need it

    return read_by_wsidicom(parts)


def _assemble(
    path: Path, images: list[DicomLevel], resolution: Resolution, *, mpp: float | None, icc: bool
) -> FramedSlide:
    levels = _levels(images)
    base, header = levels[0], levels[0].header
    base_mpp = square(path.name, header.spacing_um, mpp)
    notes = _notes(base, repeated=len(levels) < len(images), icc=icc)
    scales = level_scales([level.layout.size for level in levels])
    facts = SlideFacts(
        mpp=base_mpp,
        size=base.layout.size,
        levels=tuple(Level(size=v.layout.size, mpp=base_mpp * s) for v, s in zip(levels, scales, strict=True)),
        study_uid=header.who.study_uid or None,
        series_uid=header.who.series_uid or None,
        sop_instance_uids=tuple(uid for level in levels for uid in level.sop_instance_uids),
        container_id=header.who.container_id or None,
        specimen_id=next(iter(header.specimens), "") or None,
        icc_sha256=icc_digest(header.icc_profile),
        notes=notes,
    )
    transform = to_srgb(header.icc_profile) if icc and header.icc_profile else None
    return FramedSlide(levels, facts, resolution, close=_closing(images), transform=transform)


def _levels(images: Sequence[DicomLevel]) -> list[DicomLevel]:
    """Largest first, one of each size: others of the same size are focal planes or optical paths."""
    by_size: dict[tuple[int, int], list[DicomLevel]] = {}
    for image in sorted(images, key=lambda i: (-i.layout.size.area, i.sop_instance_uids)):
        by_size.setdefault((image.layout.size.width, image.layout.size.height), []).append(image)
    return [_one_of(alike) for alike in by_size.values()]


def _one_of(alike: Sequence[DicomLevel]) -> DicomLevel:
    """The first optical path by name, so that all levels show the same one, and of it the focal plane in the middle."""
    path = min(image.header.optical_paths[:1] for image in alike)
    mine = [image for image in alike if image.header.optical_paths[:1] == path]
    depths = sorted({image.header.depth_um for image in mine})
    return next(image for image in mine if image.header.depth_um == depths[len(depths) // 2])


def _notes(base: DicomLevel, *, repeated: bool, icc: bool) -> tuple[str, ...]:
    header = base.header
    found = [
        ("NO_SPECIMEN", not any(header.specimens)),
        ("SEVERAL_SPECIMENS", len(header.specimens) > 1),
        ("NO_OPTICAL_PATH", not header.optical_paths),
        ("NO_ICC_PROFILE", icc and header.icc_profile is None),
        ("SEVERAL_IMAGES_OF_A_LEVEL", repeated),
    ]
    return tuple(note for note, true in found if true) + base.notes


def _closing(images: Sequence[DicomLevel]) -> Callable[[], None]:
    def close() -> None:
        for image in images:
            image.close()

    return close
