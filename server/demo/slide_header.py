"""What a made slide says of itself: invented identity, and the attributes of a VL Whole Slide Microscopy Image (PS3.3
A.32.8).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from uuid import UUID, uuid5

from highdicom import (
    SpecimenCollection,
    SpecimenDescription,
    SpecimenPreparationStep,
    SpecimenSampling,
    SpecimenStaining,
)
from PIL import ImageCms
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import UID, JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage

from inference.assay import USUAL_MARKER
from inference.geometry import Size

NAMESPACE = UUID("5d0a4f0e-3c0b-5b8e-9a51-6e7d0c6a2b11")
TRANSFER_SYNTAX = JPEGBaseline8Bit
THICKNESS_MM = 0.004  # a section of 4 µm
OPTICAL_PATH = "1"
ORIGIN_MM = (20.0, 40.0)  # of the matrix's top-left corner on the glass, from the slide's own corner
FIRST_LEVEL, LOWER_LEVEL = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"], ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideIdentity:
    """Whose slide it is, all invented. Every UID derives from `key`: the same key names the same slide again."""

    key: str
    container_id: str = "INVENTED-S26-1-A-1"
    specimen_id: str = "INVENTED-S26-1-A"
    accession_number: str = "INVENTED-S26-1"
    patient_id: str = "INVENTED-1"
    patient_issuer: str = "DEMO-LAB"
    family_name: str = "TEST-INVENTED"
    given_name: str = "Drawn"
    birth_date: date = date(1960, 1, 1)
    sex: str = "F"
    marker: str = USUAL_MARKER
    acquired_at: datetime = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    manufacturer: str = "chromogen"
    model_name: str = "drawn slide"

    def uid(self, thing: str) -> UID:
        """The UID of one thing of this slide, under 2.25 (PS3.5 B.2)."""
        return UID(f"2.25.{uuid5(NAMESPACE, f'{self.key}/{thing}').int}")

    @property
    def study_uid(self) -> str:
        return str(self.uid("study"))

    @property
    def series_uid(self) -> str:
        return str(self.uid("series"))


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFacts:
    """One level: index from 0 (largest), size in px, pixel side in µm, frames' side in px, frames, compressed bytes in
    all.
    """

    index: int
    size: Size
    mpp: float
    frame: int
    frames: int
    compressed: int


def header(identity: SlideIdentity, level: LevelFacts) -> Dataset:
    """The instance of a level without its pixel data."""
    ds = Dataset()
    _identify(ds, identity, level)
    _describe_specimen(ds, identity)
    _describe_pixels(ds, level)
    _describe_matrix(ds, identity, level)
    _describe_optics(ds)
    return ds


def _identify(ds: Dataset, identity: SlideIdentity, level: LevelFacts) -> None:
    """Patient, study, series, equipment, SOP common."""
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    ds.SOPInstanceUID = identity.uid(f"level/{level.index}")
    ds.PatientName = f"{identity.family_name}^{identity.given_name}"
    ds.PatientID, ds.PatientSex = identity.patient_id, identity.sex
    if identity.patient_issuer:
        ds.IssuerOfPatientID = identity.patient_issuer
    ds.PatientBirthDate = identity.birth_date.strftime("%Y%m%d")
    ds.StudyInstanceUID, ds.SeriesInstanceUID = identity.study_uid, identity.series_uid
    ds.StudyID, ds.AccessionNumber, ds.ReferringPhysicianName = "1", identity.accession_number, ""
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "SM", 1, level.index + 1
    ds.Manufacturer, ds.ManufacturerModelName = identity.manufacturer, identity.model_name
    ds.DeviceSerialNumber, ds.SoftwareVersions = "0", "0"
    acquired = identity.acquired_at.astimezone(UTC)
    day, time = acquired.strftime("%Y%m%d"), acquired.strftime("%H%M%S")
    ds.StudyDate = ds.SeriesDate = ds.ContentDate = day
    ds.StudyTime = ds.SeriesTime = ds.ContentTime = time
    ds.AcquisitionDateTime, ds.TimezoneOffsetFromUTC = f"{day}{time}", "+0000"
    ds.FrameOfReferenceUID, ds.PositionReferenceIndicator = identity.uid("frame-of-reference"), "SLIDE_CORNER"


def _describe_specimen(ds: Dataset, identity: SlideIdentity) -> None:
    ds.ContainerIdentifier = identity.container_id
    ds.IssuerOfTheContainerIdentifierSequence = []
    ds.ContainerTypeCodeSequence = [_coded(codes.SCT.MicroscopeSlide)]
    specimen = SpecimenDescription(
        specimen_id=identity.specimen_id,
        specimen_uid=identity.uid("specimen"),
        specimen_type=codes.SCT.TissueSection,
        specimen_short_description=f"Drawn section, {identity.marker}",
        specimen_preparation_steps=_preparation(identity),
        primary_anatomic_structures=[codes.SCT.Endometrium],
    )
    if "IssuerOfTheSpecimenIdentifierSequence" not in specimen:
        specimen.IssuerOfTheSpecimenIdentifierSequence = []
    ds.SpecimenDescriptionSequence = [specimen]
    ds.AcquisitionContextSequence = []


def _second_stain(marker: str) -> str:
    return "water soluble eosin" if marker == "HE" else f"{marker} antibody, DAB"


def _preparation(identity: SlideIdentity) -> list[SpecimenPreparationStep]:
    """Collected, cut from its block, stained (TID 8001)."""
    part = identity.accession_number
    fixed = {"fixative": codes.SCT.Formalin, "embedding_medium": codes.SCT.ParaffinWax}
    collection = SpecimenCollection(procedure=codes.SCT.Excision)
    cut = SpecimenSampling(
        method=codes.SCT.BlockSectioning, parent_specimen_id=part, parent_specimen_type=codes.SCT.TissueSpecimen
    )
    staining = SpecimenStaining(substances=[codes.SCT.HematoxylinStain, _second_stain(identity.marker)])
    return [
        SpecimenPreparationStep(part, processing_procedure=collection, **fixed),
        SpecimenPreparationStep(identity.specimen_id, processing_procedure=cut, **fixed),
        SpecimenPreparationStep(identity.specimen_id, processing_procedure=staining, **fixed),
    ]


def _describe_pixels(ds: Dataset, level: LevelFacts) -> None:
    ds.ImageType = FIRST_LEVEL if level.index == 0 else LOWER_LEVEL
    ds.Rows = ds.Columns = level.frame
    ds.NumberOfFrames = level.frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "YBR_FULL_422", 0
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.BurnedInAnnotation, ds.VolumetricProperties = "NO", "VOLUME"
    ds.LossyImageCompression, ds.LossyImageCompressionMethod = "01", "ISO_10918_1"
    ds.LossyImageCompressionRatio = f"{3 * level.frame**2 * level.frames / max(level.compressed, 1):.4f}"


def _describe_matrix(ds: Dataset, identity: SlideIdentity, level: LevelFacts) -> None:
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
    dimension.DimensionOrganizationUID = identity.uid("dimensions")
    ds.DimensionOrganizationSequence, ds.DimensionOrganizationType = [dimension], "TILED_FULL"
    ds.SharedFunctionalGroupsSequence = [_shared(ds, level)]


def _shared(ds: Dataset, level: LevelFacts) -> Dataset:
    """Pixel measures, frame type and optical path, the same for all frames."""
    shared, measures, kind, path = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [level.mpp / 1000] * 2, THICKNESS_MM
    kind.FrameType = ds.ImageType
    path.OpticalPathIdentifier = OPTICAL_PATH
    shared.PixelMeasuresSequence = [measures]
    shared.WholeSlideMicroscopyImageFrameTypeSequence = [kind]
    shared.OpticalPathIdentificationSequence = [path]
    return shared


def _describe_optics(ds: Dataset) -> None:
    path = Dataset()
    path.OpticalPathIdentifier = OPTICAL_PATH
    path.IlluminationTypeCodeSequence = [_coded(codes.DCM.BrightfieldIllumination)]
    path.IlluminationColorCodeSequence = [_coded(codes.SCT.FullSpectrum)]
    path.ICCProfile, path.ColorSpace = _srgb(), "SRGB"
    path.ObjectiveLensPower = "20"
    ds.OpticalPathSequence = [path]


@cache
def _srgb() -> bytes:
    """An ICC profile of sRGB, of even length, its date fixed so that equal slides are equal files."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes.fromhex("07ea00010001000000000000")  # dateTimeNumber, 2026-01-01 (ICC.1 7.2.8)
    profile[84:100] = bytes(16)  # profile ID: not computed (ICC.1 7.2.18)
    return bytes(profile) + bytes(len(profile) % 2)


def _coded(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme_designator, code.meaning
    return item
