"""A slide of another format as frames that a DICOM slide holds, and what is said of it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from pathlib import Path
from uuid import UUID, uuid4, uuid5

import numpy as np
from highdicom import SpecimenDescription, SpecimenPreparationStep, SpecimenStaining
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import UID

from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from inference.model import Resolution
from inference.slide import FrameUnreadable, Rgb
from server.slides.codec import Undecodable
from server.slides.codestream import Colour, colour_of_jpeg, is_baseline, with_colour
from server.slides.dicom_header import is_dicom
from server.slides.framed_slide import FramedSlide
from server.slides.frames import WHITE
from server.slides.opening import open_framed
from server.slides.pixel_size import FINEST_UM
from server.slides.scanner import Made
from server.slides.slide_header import coded, optical_path
from server.slides.slide_writer import FrameSource, JpegFrames, encode
from server.slides.tiff_frames import TiffFrames

UNKNOWN = "unknown"
"""Where DICOM wants a value and nothing is known."""
_AS_IT_IS = Resolution(working=FINEST_UM, finest=0.0, coarsest=inf)
_PURPOSE = codes.DCM.ModifyingEquipment


def open_to_convert(path: Path, *, mpp: float | None, untried: frozenset[str]) -> FramedSlide:
    """A slide in its own pixels. Raises Refused as `open_slide` does, and UNSUPPORTED_SYNTAX of DICOM."""
    if path.is_dir():
        message = f"{path.name} is a folder: name one SVS or TIFF; a folder of DICOM instances is read as it is"
        raise Refused(Reason.NOT_A_SLIDE, message)
    with suppress(OSError):  # what can't be read is refused by the opener, with its reason
        if is_dicom(path):
            raise Refused(Reason.UNSUPPORTED_SYNTAX, f"{path.name} is DICOM already: it is read as it is")
    return open_framed(path, _AS_IT_IS, mpp=mpp, untried=untried)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The frames of a slide's largest level, how they are coded, and whether they are the source's own."""

    frames: FrameSource
    colour: Colour
    passed_through: bool


def conversion_of(slide: FramedSlide, *, quality: int, tell: Callable[[float], None]) -> Conversion:
    """`tell` takes the share done, 0 to 1. Reading the frames raises Refused SLIDE_DAMAGED."""
    level = slide.base
    if isinstance(level, TiffFrames) and level.tiled_jpeg:
        colour = _coded_in(level)
        if colour is not None:
            frames = _Told(_Passed(level, colour, quality), tell)
            return Conversion(frames=frames, colour=colour, passed_through=True)
    return Conversion(
        frames=_Told(JpegFrames(_Whole(slide), quality=quality), tell), colour=Colour.YCBCR, passed_through=False
    )


def _coded_in(level: TiffFrames) -> Colour | None:
    """As its first tile is, which must decode; None where DICOM can't hold that as it is."""
    side = level.layout.frame.width
    number = next((k for k, length in enumerate(level.lengths) if length), None)
    if number is None or side % 2:
        return None
    row, column = divmod(number, level.layout.columns)
    try:
        level.decode(column, row, 1)
        stream = level.jpeg(column, row) or b""
    except Undecodable:
        raise _damaged(f"tile {column}, {row}") from None
    return colour_of_jpeg(stream, level.colour) if is_baseline(stream, side, side) else None


class _Passed:
    """The tiles of a TIFF as they are; one that is missing is white, one that is coded otherwise than the first is
    coded anew.
    """

    def __init__(self, level: TiffFrames, colour: Colour, quality: int) -> None:
        self._level, self._colour, self._quality = level, colour, quality
        self.size, self.frame = level.layout.size, level.layout.frame.width
        self._white = encode(np.full((self.frame, self.frame, 3), WHITE, np.uint8), quality, colour)

    def rows(self) -> Iterator[Sequence[bytes]]:
        for row in range(self._level.layout.rows):
            yield [self._one(column, row) for column in range(self._level.layout.columns)]

    def _coded(self, stream: bytes) -> Colour:
        return colour_of_jpeg(stream, self._level.colour)

    def _one(self, column: int, row: int) -> bytes:
        try:
            stream = self._level.jpeg(column, row)
            if stream is None:
                return self._white
            if is_baseline(stream, self.frame, self.frame) and self._colour is self._coded(stream):
                return with_colour(stream, self._colour)
            pixels = self._level.decode(column, row, 1)
        except Undecodable:
            raise _damaged(f"tile {column}, {row}") from None
        return self._white if pixels is None else encode(pixels, self._quality, self._colour)


class _Whole:
    """The pixels of a slide's largest level."""

    def __init__(self, slide: FramedSlide) -> None:
        self._slide, self.size = slide, slide.facts.size

    def read(self, region: Region) -> Rgb:
        try:
            return self._slide.read(region)
        except FrameUnreadable as error:
            raise _damaged(error.message) from None


class _Told:
    """Frames that tell how far they are."""

    def __init__(self, frames: FrameSource, tell: Callable[[float], None]) -> None:
        self._frames, self._tell = frames, tell

    @property
    def size(self) -> Size:
        return self._frames.size

    @property
    def frame(self) -> int:
        return self._frames.frame

    def rows(self) -> Iterator[Sequence[bytes]]:
        for done, row in enumerate(self._frames.rows()):
            yield row
            self._tell((done + 1) * self.frame / max(self.size.height, self.frame))


def _damaged(what: str) -> Refused:
    return Refused(Reason.SLIDE_DAMAGED, f"{what}: the slide can't be converted whole; copy it again from its source")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertedWords:
    """What is said of a converted slide (implements `server.slides.slide_header.SlideWords`): what was given, what its
    file says, and else nothing or UNKNOWN. Its UIDs are new.
    """

    software: str
    made: Made = field(default_factory=Made)
    profile: bytes | None = field(default=None, repr=False)
    accession: str = ""
    patient_id: str = ""
    patient_name: str = ""
    container: str = ""
    specimen: str = ""
    stain: str = ""
    key: UUID = field(default_factory=uuid4)
    now: datetime = field(default_factory=lambda: datetime.now().astimezone())

    def uid(self, thing: str) -> UID:
        return UID(f"2.25.{uuid5(self.key, thing).int}")

    def describe(self, ds: Dataset) -> None:
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = self.patient_name, self.patient_id, "", ""
        ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "", self.accession, ""
        ds.Manufacturer, ds.ManufacturerModelName = self.made.manufacturer or UNKNOWN, self.made.model or UNKNOWN
        ds.DeviceSerialNumber, ds.SoftwareVersions = self.made.serial or UNKNOWN, UNKNOWN
        self._describe_times(ds)
        ds.ContributingEquipmentSequence = [self._converter()]
        ds.ContainerIdentifier = self.container or UNKNOWN
        ds.SpecimenDescriptionSequence = [self._specimen()]
        ds.OpticalPathSequence = [optical_path(self.profile)]

    def _describe_times(self, ds: Dataset) -> None:
        """DICOM wants a time of acquisition: that of the conversion, where the file says none."""
        at = self.made.at or self.now
        if self.made.at is None:
            ds.TimezoneOffsetFromUTC = self.now.strftime("%z")
        ds.StudyDate = ds.SeriesDate = at.strftime("%Y%m%d")
        ds.StudyTime = ds.SeriesTime = at.strftime("%H%M%S")
        ds.AcquisitionDateTime = at.strftime("%Y%m%d%H%M%S")
        ds.ContentDate, ds.ContentTime = self.now.strftime("%Y%m%d"), self.now.strftime("%H%M%S")

    def _converter(self) -> Dataset:
        item = Dataset()
        item.PurposeOfReferenceCodeSequence = [coded(_PURPOSE)]
        item.Manufacturer, item.ManufacturerModelName = "chromogen", "chromogen convert"
        item.SoftwareVersions = self.software
        item.ContributionDateTime = self.now.strftime("%Y%m%d%H%M%S%z")
        item.ContributionDescription = "Converted to DICOM"
        return item

    def _specimen(self) -> SpecimenDescription:
        name = self.specimen or self.container or UNKNOWN
        steps = []
        if self.stain:
            steps = [SpecimenPreparationStep(name, processing_procedure=SpecimenStaining(substances=[self.stain]))]
        specimen = SpecimenDescription(
            specimen_id=name, specimen_uid=self.uid("specimen"), specimen_preparation_steps=steps
        )
        if "IssuerOfTheSpecimenIdentifierSequence" not in specimen:
            specimen.IssuerOfTheSpecimenIdentifierSequence = []
        return specimen
