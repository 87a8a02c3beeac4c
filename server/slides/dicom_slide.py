"""DICOM whole-slide images: a file, or the folder that holds a slide's instances.

A level of one file whose frames come in order is read by their positions in the file (`dicom_image`), everything else
by wsidicom (`wsidicom_image`, which says why there are two).
"""

from collections.abc import Sequence
from pathlib import Path

from pydicom.uid import UID

from inference.errors import ChromogenError, Reason, Refused
from inference.model import Resolution
from inference.slide import Level, SlideFacts
from server.slides.colour import icc_digest, to_srgb
from server.slides.dicom_header import InstanceHeader, is_dicom, read_instance_header
from server.slides.dicom_level import DicomLevel, LevelHeader, read_level_header
from server.slides.framed_slide import FramedSlide
from server.slides.open_images import OpenImages
from server.slides.pixel_size import contradicted, square
from server.slides.place import imaged_um
from server.slides.plan import scan_finer
from server.slides.pyramids import Parts
from server.slides.quiet import quiet
from server.slides.view import Chosen, View, choose


def open_dicom(
    path: Path, resolution: Resolution, *, mpp: float | None, icc: bool, view: View | None = None
) -> FramedSlide:
    """Open a DICOM file or folder.

    Raises Refused: no slide, several, not bright field, no pixel size, too coarse, damaged.
    """
    headers = [read_instance_header(file, described=False) for file in dicom_files(path)]
    volume = _volume(headers)
    if not volume:
        raise Refused(Reason.NOT_A_SLIDE, f"{path.name} {_instead(headers)}")
    if len(volume) > 1:
        raise _several(path, volume, resolution if mpp is None else None)
    images = OpenImages()
    try:
        chosen = choose(path.name, _images(volume[0]), view or View(), resolution, images)
        base_mpp = square(path.name, chosen.pyramid.base.spacing_um, mpp)
        images.close_all_but(level.parts for level in chosen.pyramid.levels)
        return _assemble(chosen, images, resolution, mpp=base_mpp, icc=icc)
    except BaseException:
        images.close()
        raise


def dicom_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder and below that begin like DICOM, by name."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and is_dicom(file))


def _volume(headers: Sequence[InstanceHeader]) -> list[list[InstanceHeader]]:
    """The levels' instances of each slide (series) there; the same instance twice is taken once.

    What says that it shows the slide's label is no level beside others that don't, whatever kind it calls itself.
    """
    volume = {header.sop_instance_uid: header for header in headers if header.is_volume}
    slides: dict[str, list[InstanceHeader]] = {}
    for header in volume.values():
        slides.setdefault(header.series_uid, []).append(header)
    return [[each for each in slide if not each.shows_label] or slide for slide in slides.values()]


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
        spacings = [read_level_header(instance.path, instance).spacing_um for instance in slide]
    except ChromogenError:
        return 0.0
    return min(0.0 if spacing is None else min(spacing) for spacing in spacings)


def _instead(headers: Sequence[InstanceHeader]) -> str:
    if not headers:
        return "holds no DICOM file: name a slide, or the folder of its instances"
    kinds = sorted({header.flavour.lower() or kind_of(header.sop_class_uid) for header in headers})
    return f"holds no level of a whole-slide image, only: {', '.join(kinds)}"


def kind_of(sop_class_uid: str) -> str:
    """What an object is, by the standard's name of its class."""
    with quiet():  # pydicom warns of a UID that is none, and quotes it
        uid = UID(sop_class_uid)
    return "an unknown object" if uid.name == uid else uid.name


def _images(instances: Sequence[InstanceHeader]) -> list[Parts]:
    """Each image of a slide: a file, or the files of a concatenation in their order."""
    parts: dict[str, list[LevelHeader]] = {}
    for instance in instances:
        name = instance.concatenation_uid or instance.sop_instance_uid
        parts.setdefault(name, []).append(read_level_header(instance.path, instance))
    return [sorted(headers, key=lambda h: (h.who.first_frame, h.who.part)) for headers in parts.values()]


def _assemble(chosen: Chosen, images: OpenImages, resolution: Resolution, *, mpp: float, icc: bool) -> FramedSlide:
    opened = [images.of(level.parts) for level in chosen.pyramid.levels]
    base, header = opened[0], opened[0].header
    scales = [level.scale for level in chosen.pyramid.levels]
    facts = SlideFacts(
        mpp=mpp,
        size=base.layout.size,
        levels=tuple(Level(size=v.layout.size, mpp=mpp * s) for v, s in zip(opened, scales, strict=True)),
        study_uid=header.who.study_uid or None,
        series_uid=header.who.series_uid or None,
        sop_instance_uids=tuple(uid for image in opened for uid in image.sop_instance_uids),
        container_id=header.who.container_id or None,
        specimen_id=next(iter(header.specimens), "") or None,
        icc_sha256=icc_digest(header.icc_profile),
        notes=tuple(dict.fromkeys((*_notes(base, icc=icc), *chosen.notes, *base.notes))),
    )
    unread = {number for number, image in enumerate(opened) if image.header.pixels_left}
    transform = to_srgb(header.icc_profile) if icc and header.icc_profile else None
    return FramedSlide(opened, facts, resolution, close=images.close, transform=transform, unread=unread)


def _notes(base: DicomLevel, *, icc: bool) -> tuple[str, ...]:
    header = base.header
    found = [
        ("NO_SPECIMEN", not any(header.specimens)),
        ("SEVERAL_SPECIMENS", len(header.specimens) > 1),
        ("NO_OPTICAL_PATH", not header.optical_paths),
        ("NO_ICC_PROFILE", icc and header.icc_profile is None),
        ("NO_IMAGE_TYPE", not header.who.flavour),
        ("NO_FRAME_OF_REFERENCE", not header.place.frame_of_reference),
        ("PIXEL_SIZE_CONTRADICTED", contradicted(header.spacing_um, imaged_um(header.dataset))),
    ]
    return tuple(note for note, true in found if true)
