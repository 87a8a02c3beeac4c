"""The images of a DICOM slide, file by file."""

from collections.abc import Iterator
from pathlib import Path

from inference.errors import ChromogenError
from server.slides.colour import icc_digest
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader, read_instance_header
from server.slides.dicom_image import ENCODINGS, is_indexable, wsidicom_takes
from server.slides.dicom_level import LevelHeader, read_level_header
from server.slides.dicom_slide import dicom_files, kind_of
from server.slides.found_image import FoundImage
from server.slides.optical_path import OpticalPath


def images_in_dicom(path: Path) -> Iterator[FoundImage]:
    """Of a file, or of each in a folder, by name; what can't be read names its problem."""
    for file in dicom_files(path):
        try:
            yield _image(read_instance_header(file, described=False))
        except ChromogenError as error:
            yield FoundImage(name=file.name, kind="unreadable", problem=str(error))


def _image(who: InstanceHeader) -> FoundImage:
    kind = "level" if who.is_volume else who.flavour.lower() or kind_of(who.sop_class_uid)
    if who.sop_class_uid != WHOLE_SLIDE_IMAGE:
        return FoundImage(name=who.path.name, kind=kind)
    try:
        header = read_level_header(who.path, who)
    except ChromogenError as error:
        return FoundImage(name=who.path.name, kind=kind, problem=str(error))
    origin = header.place.origin_um
    return FoundImage(
        name=who.path.name + (f" (part {who.part})" if who.concatenation_uid else ""),
        kind=kind,
        size=header.layout.size,
        frame=header.layout.frame,
        spacing_um=header.spacing_um,
        origin_mm=None if origin is None else (origin[0] / 1000, origin[1] / 1000),
        pyramid=header.place.pyramid_uid,
        optical_paths=tuple(map(_path_text, header.optical_paths)),
        focal_planes=header.focal_planes,
        compression=("Deflated " if header.packed else "") + header.syntax.name,
        colour=header.photometric,
        icc_sha256=icc_digest(header.icc_profile),
        reader=_reader(header),
    )


def _path_text(path: OpticalPath) -> str:
    return path.identifier + ("" if path.brightfield else " (not bright field)")


def _reader(header: LevelHeader) -> str:
    by_us = is_indexable(header) or (header.syntax in ENCODINGS and not wsidicom_takes(header))
    return "frame index" if by_us else "wsidicom"
