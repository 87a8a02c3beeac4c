"""A level of which only the header is here: coordinates are of it, and its pixels stayed in the archive."""

from dataclasses import dataclass

from inference.slide import Rgb
from server.slides.codec import Undecodable
from server.slides.dicom_image import notes_of
from server.slides.dicom_level import LevelHeader
from server.slides.frames import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderLevel:
    """Implements `server.slides.dicom_level.DicomLevel`."""

    header: LevelHeader

    @property
    def layout(self) -> Layout:
        return self.header.layout

    @property
    def sop_instance_uids(self) -> tuple[str, ...]:
        return (self.header.who.sop_instance_uid,)

    @property
    def lengths(self) -> None:
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        return notes_of(planes=self.header.focal_planes, paths=self.header.optical_path_count)

    def decode(self, column: int, row: int, shrink: int) -> Rgb | None:
        """Raises Undecodable."""
        raise Undecodable("only its header was fetched")

    def close(self) -> None: ...
