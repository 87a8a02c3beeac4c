"""Invented orders and results for the tests of the store. No patient here exists."""

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from inference.analysis import Analysis, ModelFacts, TileCounts
from inference.analyzers.nuclear import NUCLEAR
from inference.assay import assay_of
from inference.cells.histograms import histograms_of
from inference.cells.values import made_cells
from inference.geometry import Size
from inference.measures import Score
from inference.slide import Level, SlideFacts
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.order import EntityIdentifier, OrderId, Patient, Priority, Request, Sender, SlideReference, Specimen
from server.domain.profile import Profile, built_in
from server.domain.result import Result, ResultId
from server.report.codes import coded

ER = assay_of("ER")
BUILT_IN = built_in(ER)


def request(
    number: int | str = 1, *, priority: Priority = Priority.ROUTINE, message: str | None = None, lab: str = "LAB"
) -> Request:
    return Request(
        lab=lab,
        sender=Sender(application="LIS", facility="LAB"),
        message_control_id=message or f"M{number}",
        message_type="OML^O21",
        placer_order_number=EntityIdentifier(identifier=f"P{number}"),
        placer_request="1",
        priority=priority,
        marker="ER",
        procedure_code="85310-1",
        procedure_text="Estrogen receptor",
        patient=Patient(
            id="0000",
            family_name="TEST-INVENTED",
            given_name="Ünïcode \\ 'quoted' %s",
            birth_date=date(1950, 2, 28),
            sex="F",
        ),
        specimen=Specimen(
            id=f"S{number}", container_id=f"C{number}", site_code="76752008", site_scheme="SCT", site_text="Breast"
        ),
        slide=SlideReference(container_id=f"C{number}"),
        requested_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    )


def result(
    order_id: OrderId | None,
    *,
    seed: int = 0,
    nuclei: int = 500,
    profile: Profile = BUILT_IN,
    folder: Path = Path("/nowhere"),
) -> Result:
    random = np.random.default_rng(seed)
    cells = made_cells(
        NUCLEAR.schema,
        np.zeros(nuclei),
        np.zeros(nuclei),
        compartment=random.integers(0, 2, nuclei),
        confidence=np.ones(nuclei),
        hue=random.integers(0, 360, nuclei),
        value=random.integers(0, 256, nuclei),
        dab_od_centi=random.integers(0, 301, nuclei),
    )
    histograms = histograms_of(cells, NUCLEAR.histograms)
    identity = ResultId(str(uuid.UUID(int=seed + 1, version=4)))
    counts = NUCLEAR.counts(histograms, profile.criteria)
    fields = random.multinomial(20, [0.125] * len(NUCLEAR.groups), size=6)
    return Result(
        id=identity,
        order_id=order_id,
        created_at=datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC),
        marker=ER.marker,
        clinical_region=ER.clinical_region,
        profile=profile,
        scores=coded(
            [_without_interval(row) for row in NUCLEAR.scores(ER.measures, counts, fields)], ER, request().specimen
        ),
        analysis=Analysis(
            slide=SlideFacts(
                mpp=0.25,
                size=Size(width=40_000, height=30_000),
                levels=(
                    Level(size=Size(width=40_000, height=30_000), mpp=0.25),
                    Level(size=Size(width=10_000, height=7_500), mpp=1.0),
                ),
                study_uid="1.2.3",
                series_uid="1.2.3.4",
                sop_instance_uids=("1.2.3.4.5", "1.2.3.4.6"),
                container_id="C1",
                notes=("NO_OPTICAL_PATH",),
            ),
            model=ModelFacts(
                name="ihc_tile", version="1", sha256="ab" * 32, graphs=(("ihc_tile", "cd" * 32),), engine="local"
            ),
            histograms=histograms,
            tissue_mm2=12.345678901234567,
            tiles=TileCounts(planned=10, analysed=9, unreadable=1, overflowed=0),
            seconds={"decode": 1.25, "infer": 0.1 + 0.2},
            warnings=("FEW_NUCLEI",),
        ),
        artifacts=(Artifact(kind=ArtifactKind.CELLS, path=folder / f"{identity}.parquet"),),
        warnings=("FEW_NUCLEI", "OUT_OF_SCOPE"),
        software="9.8.7",
    )


def _without_interval(row: Score) -> Score:
    """The clinical region's rows have none, as where too few fields hold cells."""
    return replace(row, interval=None) if row.region == ER.clinical_region else row
