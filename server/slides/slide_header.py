"""The attributes of a VL Whole Slide Microscopy Image (PS3.3 A.32.8) of a slide that is written here.

What its pixels and their place say is told here; whose slide it is and what made it, by a `SlideWords`.
"""

from dataclasses import dataclass
from functools import cache
from typing import Protocol

from PIL import ImageCms
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage
from pydicom.valuerep import DSfloat

from inference.geometry import Size
from server.slides.codestream import Colour

TRANSFER_SYNTAX = JPEGBaseline8Bit
THICKNESS_MM = 0.004  # a section of 4 µm
OPTICAL_PATH = "1"
ORIGIN_MM = (20.0, 40.0)  # of the matrix's top-left corner on the glass, from the slide's own corner
FIRST_LEVEL, LOWER_LEVEL = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
PHOTOMETRIC = {Colour.RGB: "RGB", Colour.YCBCR: "YBR_FULL_422"}


class SlideWords(Protocol):
    """What a slide says beside its pixels."""

    def uid(self, thing: str) -> UID:
        """The UID of one thing of this slide, always the same: study, series, level/0, ..."""
        ...

    def describe(self, ds: Dataset) -> None:
        """Patient, study, equipment, times, container, specimen and optical path."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFacts:
    """One level: index from 0 (largest), size in px, pixel side in µm, frames' side in px, frames, compressed bytes in
    all, and how their JPEG is coded.
    """

    index: int
    size: Size
    mpp: float
    frame: int
    frames: int
    compressed: int
    colour: Colour


def header(words: SlideWords, level: LevelFacts) -> Dataset:
    """The instance of a level without its pixel data."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.SOPInstanceUID = VLWholeSlideMicroscopyImageStorage, words.uid(f"level/{level.index}")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = str(words.uid("study")), str(words.uid("series"))
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "SM", 1, level.index + 1
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = words.uid("frame-of-reference"), "SLIDE_CORNER"
    ds.IssuerOfTheContainerIdentifierSequence = []
    ds.ContainerTypeCodeSequence = [coded(codes.SCT.MicroscopeSlide)]
    ds.AcquisitionContextSequence = []
    words.describe(ds)
    _describe_pixels(ds, level)
    _describe_matrix(ds, words, level)
    return ds


def _describe_pixels(ds: Dataset, level: LevelFacts) -> None:
    ds.ImageType = FIRST_LEVEL if level.index == 0 else LOWER_LEVEL
    ds.Rows = ds.Columns = level.frame
    ds.NumberOfFrames = level.frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, PHOTOMETRIC[level.colour], 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.BurnedInAnnotation, ds.VolumetricProperties = "NO", "VOLUME"
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_10918_1"
    ds.LossyImageCompressionRatio = f"{3 * level.frame**2 * level.frames / max(level.compressed, 1):.4f}"


def _describe_matrix(ds: Dataset, words: SlideWords, level: LevelFacts) -> None:
    """The total pixel matrix, its place on the slide, and the frames' order (TILED_FULL)."""
    ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows = level.size.width, level.size.height
    ds.TotalPixelMatrixFocalPlanes = ds.NumberOfOpticalPaths = 1
    ds.ImagedVolumeWidth, ds.ImagedVolumeHeight = (
        side * level.mpp / 1000 for side in (level.size.width, level.size.height)
    )
    ds.ImagedVolumeDepth = THICKNESS_MM * 1000  # µm (PS3.3 C.8.12.4), the sides are mm
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = ORIGIN_MM
    ds.TotalPixelMatrixOriginSequence = [origin]
    ds.ImageOrientationSlide = [0, -1, 0, -1, 0, 0]
    ds.SpecimenLabelInImage, ds.FocusMethod, ds.ExtendedDepthOfField = "NO", "AUTO", "NO"
    dimension = Dataset()
    dimension.DimensionOrganizationUID = words.uid("dimensions")
    ds.DimensionOrganizationSequence, ds.DimensionOrganizationType = [dimension], "TILED_FULL"
    ds.SharedFunctionalGroupsSequence = [_shared(ds, level)]


def _shared(ds: Dataset, level: LevelFacts) -> Dataset:
    """Pixel measures, frame type and optical path, the same for all frames."""
    shared, measures, kind, path = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [DSfloat(level.mpp / 1000, auto_format=True)] * 2  # in the 16 characters of a DS
    measures.SliceThickness = THICKNESS_MM
    kind.FrameType = ds.ImageType
    path.OpticalPathIdentifier = OPTICAL_PATH
    shared.PixelMeasuresSequence = [measures]
    shared.WholeSlideMicroscopyImageFrameTypeSequence = [kind]
    shared.OpticalPathIdentificationSequence = [path]
    return shared


def optical_path(profile: bytes | None = None) -> Dataset:
    """Bright field; `profile` is the scanner's ICC profile, sRGB where it gave none (DICOM wants one)."""
    path = Dataset()
    path.OpticalPathIdentifier = OPTICAL_PATH
    path.IlluminationTypeCodeSequence = [coded(codes.DCM.BrightfieldIllumination)]
    path.IlluminationColorCodeSequence = [coded(codes.SCT.FullSpectrum)]
    if profile:
        path.ICCProfile = profile + bytes(len(profile) % 2)
    else:
        path.ICCProfile, path.ColorSpace = _srgb(), "SRGB"
    return path


@cache
def _srgb() -> bytes:
    """An ICC profile of sRGB, of even length, its date fixed so that equal slides are equal files."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07ea00010001000000000000")  # dateTimeNumber, 2026-01-01 (ICC.1 7.2.8)
    profile[84:100] = bytes(16)  # profile ID: not computed (ICC.1 7.2.18)
    return bytes(profile) + bytes(len(profile) % 2)


def coded(code: Code) -> Dataset:
    """A code as an item of a sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
