"""Small slides for the tests of the readers, written with nothing of the readers: every patient is invented."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import simplejpeg
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
WSI = "1.2.840.10008.5.1.4.1.1.77.1.6"
UID = "2.25.4711."


@pytest.fixture
def slides() -> Path:
    folder = SHARED / "slides"
    if not folder.is_dir():
        pytest.skip("../shared/data/slides is not there: it holds real slides, which the project doesn't ship")
    return folder


def picture(width: int, height: int, seed: int = 1) -> np.ndarray:
    """A smooth colour picture with some texture, (height, width, 3) uint8, so that JPEG keeps it nearly."""
    y, x = np.mgrid[:height, :width].astype(float)
    noise = np.random.default_rng(seed).normal(0, 4, (height, width, 1))
    waves = np.stack([np.sin(x / 23 + y / 61), np.cos(y / 31), np.sin((x - y) / 47)], axis=-1)
    return np.clip(150 + 70 * waves + noise, 0, 255).astype(np.uint8)


def cut(rgb: np.ndarray, side: int) -> list[np.ndarray]:
    """Frames of side x side px, row by row; what is missing at the edges repeats the edge."""
    high, wide = -(-rgb.shape[0] // side) * side, -(-rgb.shape[1] // side) * side
    full = np.pad(rgb, ((0, high - rgb.shape[0]), (0, wide - rgb.shape[1]), (0, 0)), mode="edge")
    return [
        np.ascontiguousarray(full[y : y + side, x : x + side])
        for y in range(0, high, side)
        for x in range(0, wide, side)
    ]


def jpeg(rgb: np.ndarray) -> bytes:
    return bytes(simplejpeg.encode_jpeg(rgb, quality=90, colorsubsampling="422"))


def jpeg2000(rgb: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(rgb, level=0, reversible=True, codecformat="j2k"))


@dataclass(kw_only=True)
class Instance:
    """What one DICOM file is to hold.

    `places` (column, row) makes it TILED_SPARSE, `table` says how offsets are given.
    """

    size: tuple[int, int]
    frames: Sequence[bytes]
    side: int = 64
    um: tuple[float, float] | None = (0.5, 0.5)
    syntax: str = JPEGBaseline8Bit
    photometric: str = "YBR_FULL_422"
    flavour: str = "VOLUME"
    sop_class: str = WSI
    series: str = "1"
    number: str = "1"
    places: Sequence[tuple[float, float]] | None = None
    table: str = "basic"
    specimen: str = "TEST-SPECIMEN"
    container: str = "TEST-CONTAINER"
    optical_path: bool = True
    more: dict[str, object] = field(default_factory=dict)

    def write(self, path: Path) -> Path:
        header = self._header()
        if self.syntax == ExplicitVRLittleEndian:
            header.PixelData = b"".join(self.frames)
            header["PixelData"].VR = "OB"
        elif self.table == "extended":
            header.PixelData, header.ExtendedOffsetTable, header.ExtendedOffsetTableLengths = encapsulate_extended(
                list(self.frames)
            )
        else:
            pieces = 2 if self.table == "fragments" else 1
            header.PixelData = encapsulate(list(self.frames), fragments_per_frame=pieces, has_bot=self.table == "basic")
        header.save_as(path, enforce_file_format=True)
        return path

    def _header(self) -> Dataset:
        ds = Dataset()
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = self.syntax
        ds.SOPClassUID, ds.SOPInstanceUID = self.sop_class, UID + f"{self.series}.{self.number}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = UID + "9", UID + self.series
        ds.PatientID, ds.PatientName, ds.Modality = "INVENTED-1", "TEST-INVENTED^Case", "SM"
        ds.FrameOfReferenceUID = UID + "7"
        ds.ImageType = ["ORIGINAL", "PRIMARY", self.flavour, "NONE"]
        ds.Rows = ds.Columns = self.side
        ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows = self.size
        ds.NumberOfFrames = len(self.frames)
        ds.SamplesPerPixel, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 3, 8, 8, 7
        ds.PixelRepresentation = ds.PlanarConfiguration = 0
        ds.PhotometricInterpretation = self.photometric
        ds.ContainerIdentifier = self.container
        if self.specimen:
            ds.SpecimenDescriptionSequence = [_item(SpecimenIdentifier=self.specimen)]
        if self.optical_path:
            ds.OpticalPathSequence = [_item(OpticalPathIdentifier="1")]
        if self.um is not None:
            measures = _item(PixelSpacing=[self.um[1] / 1000, self.um[0] / 1000])
            ds.SharedFunctionalGroupsSequence = [_item(PixelMeasuresSequence=[measures])]
        self._place(ds)
        for keyword, value in self.more.items():
            setattr(ds, keyword, value)
        return ds

    def _place(self, ds: Dataset) -> None:
        ds.DimensionOrganizationType = "TILED_FULL" if self.places is None else "TILED_SPARSE"
        if self.places is not None:
            ds.PerFrameFunctionalGroupsSequence = [self._position(*place) for place in self.places]

    def _position(self, column: float, row: float) -> Dataset:
        x, y = int(column * self.side) + 1, int(row * self.side) + 1
        position = _item(ColumnPositionInTotalImagePixelMatrix=x, RowPositionInTotalImagePixelMatrix=y)
        return _item(PlanePositionSlideSequence=[position])


def _item(**values: object) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


class Kit:
    """The functions above, for tests (files here can't import each other)."""

    instance = Instance
    picture = staticmethod(picture)
    cut = staticmethod(cut)
    jpeg = staticmethod(jpeg)
    jpeg2000 = staticmethod(jpeg2000)

    def level(self, rgb: np.ndarray, **values: object) -> Instance:
        """A picture as one JPEG level."""
        frames = [self.jpeg(frame) for frame in self.cut(rgb, 64)]
        return Instance(size=(rgb.shape[1], rgb.shape[0]), frames=frames, **values)  # type: ignore[arg-type]

    def raw(self, rgb: np.ndarray, **values: object) -> Instance:
        """A picture as one uncompressed level."""
        frames = [frame.tobytes() for frame in self.cut(rgb, 64)]
        return Instance(
            size=(rgb.shape[1], rgb.shape[0]), frames=frames, syntax=ExplicitVRLittleEndian, photometric="RGB", **values
        )  # type: ignore[arg-type]

    def lossless(self, rgb: np.ndarray, **values: object) -> Instance:
        """A picture as one JPEG 2000 level, reversible."""
        frames = [self.jpeg2000(frame) for frame in self.cut(rgb, 64)]
        return Instance(
            size=(rgb.shape[1], rgb.shape[0]), frames=frames, syntax=JPEG2000Lossless, photometric="YBR_RCT", **values
        )  # type: ignore[arg-type]


@pytest.fixture
def kit() -> Kit:
    return Kit()
