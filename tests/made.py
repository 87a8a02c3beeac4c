"""Made-up results, orders and slide headers for tests: random nuclei, an invented patient, no pixels."""

import uuid
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import VLWholeSlideMicroscopyImageStorage

from inference.analysis import Analysis, ModelFacts, TileCounts
from inference.analyzers.nuclear import NUCLEAR
from inference.analyzers.outlined import WITH_OUTLINES
from inference.assay import assay_of
from inference.cells.file import CellWriter
from inference.cells.histograms import Histograms, histograms_of
from inference.cells.values import Cells, made_cells
from inference.geometry import Size
from inference.grade import DENSITIES, HUES, VALUES
from inference.outline import OUTLINE, RAYS, area_um2
from inference.slide import Level, SlideFacts
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.order import (
    EntityIdentifier,
    Order,
    OrderId,
    Patient,
    Priority,
    Request,
    Sender,
    SlideReference,
    Specimen,
)
from server.domain.profile import Profile, built_in
from server.domain.result import Result, ResultId
from server.report.codes import coded

WIDTH, HEIGHT, MPP = 20_000, 12_000, 0.25
CONTAINER, SPECIMEN = "S26-TEST-1-A-2", "S26-TEST-1-A"
BREAST = "76752008"
CREATED_AT = datetime(2026, 3, 1, 9, 30, 15, 250_000, tzinfo=UTC)
_NAMESPACE = uuid.UUID("7d6f3c62-2c1b-4a4e-9b7f-3f1f5a0c9e11")


def both_colours(hue: npt.ArrayLike, value: npt.ArrayLike, dab_od_centi: npt.ArrayLike) -> dict[str, npt.ArrayLike]:
    """Colours of nuclei on a slide whose white point is white: raw ones, and the same by it."""
    raw = {"hue": hue, "value": value, "dab_od_centi": dab_od_centi}
    return raw | {"white_hue": hue, "white_value": value, "white_od_centi": dab_od_centi}


def made_nuclei(n: int, *, seed: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Cells:
    """n nuclei anywhere on a slide of that size in px; every number within its range."""
    random = np.random.default_rng(seed)
    return made_cells(
        NUCLEAR.schema,
        random.uniform(0, width - 1, n),
        random.uniform(0, height - 1, n),
        compartment=random.integers(0, 2, n, dtype=np.uint8),
        confidence=random.uniform(0.3, 1, n).astype(np.float32),
        **both_colours(
            random.integers(0, HUES, n, dtype=np.uint16),
            random.integers(0, VALUES, n, dtype=np.uint8),
            random.integers(0, DENSITIES, n, dtype=np.uint16),
        ),
    )


def with_outlines(nuclei: Cells, seed: int = 0) -> Cells:
    """The same ones, each with an outline of 2 to 4 µm radius."""
    random, n = np.random.default_rng(seed), len(nuclei)
    radii = random.integers(40, 80, (n, RAYS)).astype(np.uint8)
    density = random.integers(0, DENSITIES, n, dtype=np.uint16)
    more = {
        "nucleus": nuclei["confidence"],
        OUTLINE: radii,
        "area_um2": area_um2(radii),
        "nucleus_od_centi": density,
        "white_nucleus_od_centi": density,
    }
    return Cells(WITH_OUTLINES, nuclei.x, nuclei.y, {**nuclei.columns, **more})


def made_result(
    tmp_path: Path,
    n: int = 500,
    seed: int = 0,
    *,
    marker: str = "ER",
    site_code: str = BREAST,
    profile: Profile | None = None,
    warnings: tuple[str, ...] = (),
    only_compartment: int | None = None,
    outlines: bool = False,
) -> Result:
    """A result over n random nuclei of a nuclear stain, its Parquet file in `tmp_path`.

    Scores from the histograms, intervals from nine fields. `profile` is the one that ships unless given.
    """
    assay = assay_of(marker)
    used = profile or built_in(assay)
    nuclei = made_nuclei(n, seed=seed)
    if only_compartment is not None:
        nuclei["compartment"][:] = only_compartment
    if outlines:
        nuclei = with_outlines(nuclei)
    path, histograms = tmp_path / f"nuclei-{n}-{seed}.parquet", histograms_of(nuclei, NUCLEAR.histograms)
    with CellWriter(path, nuclei.schema, mpp=MPP) as writer:
        writer.add(nuclei)
    counts = NUCLEAR.counts(histograms, used.criteria)
    fields = np.stack([counts // 9 + (counts % 9 > k) for k in range(9)])
    rows = NUCLEAR.scores(assay.measures, counts, fields)
    return Result(
        id=ResultId(str(uuid.uuid5(_NAMESPACE, f"result {n} {seed}"))),
        order_id=None,
        created_at=CREATED_AT,
        marker=assay.marker,
        clinical_region=assay.clinical_region,
        profile=used,
        scores=coded(rows, assay, Specimen(site_code=site_code, site_scheme="SCT")),
        analysis=_analysis(histograms),
        artifacts=(Artifact(kind=ArtifactKind.CELLS, path=path),),
        warnings=warnings,
        software="9.8.7",
    )


def _analysis(histograms: Histograms) -> Analysis:
    size = Size(width=WIDTH, height=HEIGHT)
    return Analysis(
        slide=SlideFacts(
            mpp=MPP, size=size, levels=(Level(size=size, mpp=MPP),), container_id=CONTAINER, specimen_id=SPECIMEN
        ),
        model=ModelFacts(
            name="made-up",
            version="1.0.0",
            sha256="ab" * 32,
            graphs=(("detection", "cd" * 32), ("grading", "ef" * 32)),
            engine="none",
        ),
        histograms=histograms,
        tissue_mm2=15.0,
        tiles=TileCounts(planned=9, analysed=9, unreadable=0, overflowed=0),
        seconds={"infer": 1.0},
        warnings=(),
    )


def made_order(
    *, marker: str = "ER", container_id: str = CONTAINER, specimen_id: str = SPECIMEN, site_code: str = BREAST
) -> Order:
    """An order for the made-up slide, of an invented patient."""
    return Order(
        id=OrderId(str(uuid.uuid5(_NAMESPACE, "order"))),
        request=Request(
            lab="TEST-LAB",
            sender=Sender(application="LIS", facility="TEST"),
            message_control_id="MSG-1",
            message_type="OML^O21",
            placer_order_number=EntityIdentifier(identifier="P-4711"),
            placer_request="1",
            priority=Priority.ROUTINE,
            marker=marker,
            procedure_code="ERIHC",
            procedure_text="Oestrogenrezeptor µ (invented)",
            patient=Patient(id="TEST-0001", family_name="TEST-INVENTED", given_name="Zoë"),
            specimen=Specimen(id=specimen_id, container_id=container_id, site_code=site_code, site_scheme="SCT"),
            slide=SlideReference(container_id=container_id),
        ),
        received_at=CREATED_AT,
    )


def made_header(*, width: int = WIDTH, height: int = HEIGHT, mpp: float = MPP, kind: str = "VOLUME") -> Dataset:
    """The header of one image of a whole slide, conformant and without pixels.

    Latin-1, so that text must be re-encoded.
    """
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", kind, "NONE"]
    ds.SOPClassUID = VLWholeSlideMicroscopyImageStorage
    ds.SOPInstanceUID = _uid(f"instance {width} {kind}")
    ds.StudyDate, ds.StudyTime, ds.ContentDate, ds.ContentTime = "20260227", "101500", "20260227", "101600"
    ds.AccessionNumber, ds.StudyID, ds.Modality, ds.Manufacturer = "ACC-TEST-1", "1", "SM", "Made-up scanners"
    ds.ManufacturerModelName, ds.DeviceSerialNumber, ds.SoftwareVersions = "Scanner", "1", "1"
    ds.ReferringPhysicianName = ""
    ds.PatientName, ds.PatientID = "TEST-INVENTED^Zoë", "TEST-0001"
    ds.PatientBirthDate, ds.PatientSex = "19700101", "F"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = (
        _uid("study"),
        _uid("series"),
        _uid("frame of reference"),
    )
    ds.SeriesNumber, ds.InstanceNumber, ds.PositionReferenceIndicator = 1, 1, "SLIDE_CORNER"
    ds.SamplesPerPixel, ds.PhotometricInterpretation, ds.PlanarConfiguration = 3, "YBR_FULL_422", 0
    ds.Rows = ds.Columns = 256
    ds.NumberOfFrames = -(-width // 256) * -(-height // 256)
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    ds.TotalPixelMatrixColumns, ds.TotalPixelMatrixRows, ds.TotalPixelMatrixFocalPlanes = width, height, 1
    ds.ImagedVolumeWidth, ds.ImagedVolumeHeight, ds.ImagedVolumeDepth = width * mpp / 1000, height * mpp / 1000, 0.001
    ds.ImageOrientationSlide, ds.DimensionOrganizationType = [0, -1, 0, -1, 0, 0], "TILED_FULL"
    origin = Dataset()
    origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem = 20.0, 40.0
    ds.TotalPixelMatrixOriginSequence = [origin]
    _add_specimen(ds)
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = [mpp / 1000, mpp / 1000], 0.001
    shared.PixelMeasuresSequence = [measures]
    ds.SharedFunctionalGroupsSequence = [shared]
    return ds


def _add_specimen(ds: Dataset) -> None:
    kind, specimen = Dataset(), Dataset()
    kind.CodeValue, kind.CodingSchemeDesignator, kind.CodeMeaning = "433466003", "SCT", "Microscope slide"
    ds.ContainerIdentifier, ds.IssuerOfTheContainerIdentifierSequence, ds.ContainerTypeCodeSequence = (
        CONTAINER,
        [],
        [kind],
    )
    specimen.SpecimenIdentifier, specimen.SpecimenUID = SPECIMEN, _uid("specimen")
    specimen.IssuerOfTheSpecimenIdentifierSequence, specimen.SpecimenPreparationSequence = [], []
    ds.SpecimenDescriptionSequence = [specimen]


def _uid(name: str) -> str:
    return f"2.25.{uuid.uuid5(_NAMESPACE, name).int}"
