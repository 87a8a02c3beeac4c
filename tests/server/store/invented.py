"""Invented orders and results for the tests of the store. No patient here exists."""

import uuid
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np

from inference.analysis import Analysis, ModelFacts, TileCounts
from inference.assay import assay_of
from inference.cells.histograms import Histograms, histograms_of
from inference.cells.values import made_cells
from inference.control import ControlStatus
from inference.geometry import Size
from inference.guideline import commented
from inference.slide import Level, SlideFacts
from server.domain.artifact import Artifact, ArtifactKind
from server.domain.choice import Against, Alternative, Preparation, ProfileChoice
from server.domain.order import EntityIdentifier, OrderId, Patient, Priority, Request, Sender, SlideReference, Specimen
from server.domain.profile import Profile, built_in
from server.domain.result import Result, ResultId
from tests.made import both_colours

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
    histograms = _histograms(random, nuclei)
    counted = ER.analyzer.counts(histograms, profile.criteria)
    fields = random.multinomial(20, [1 / len(counted)] * len(counted), size=6)
    identity = ResultId(str(uuid.UUID(int=seed + 1, version=4)))
    return Result(
        id=identity,
        order_id=order_id,
        created_at=datetime(2026, 5, 6, 7, 8, 9, 123456, tzinfo=UTC),
        marker=ER.marker,
        clinical_region=ER.clinical_region,
        profile=profile,
        scores=commented(
            ER.analyzer.scores(ER.measures, counted, fields), control=ControlStatus.ABSENT, site_known=False
        ),
        analysis=_analysis(histograms),
        artifacts=(
            Artifact(kind=ArtifactKind.CELLS, path=folder / f"{identity}.parquet"),
            Artifact(kind=ArtifactKind.HEADER, path=folder / "header.dcm"),
        ),
        warnings=("FEW_NUCLEI", "OUT_OF_SCOPE"),
        software="9.8.7",
        choice=ProfileChoice(
            preparation=Preparation(clone="SP1", scanner="GT 450", by_slide=("scanner",)),
            alternatives=(Alternative(label="er/1", against=Against.LESS_SPECIFIC),),
        ),
    )


def _histograms(random: np.random.Generator, nuclei: int) -> Histograms:
    cells = made_cells(
        ER.analyzer.schema,
        random.uniform(0, 9000, nuclei),
        random.uniform(0, 9000, nuclei),
        compartment=random.integers(0, 2, nuclei),
        confidence=random.uniform(0.3, 1, nuclei),
        **both_colours(
            random.integers(0, 360, nuclei),
            random.integers(0, 256, nuclei),
            random.integers(0, 301, nuclei),
        ),
    )
    return histograms_of(cells, ER.analyzer.histograms)


def _analysis(histograms: Histograms) -> Analysis:
    return Analysis(
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
            name="ihc",
            version="1",
            sha256="ab" * 32,
            graphs=(("find", "cd" * 32), ("grade", "ef" * 32)),
            engine="local",
        ),
        histograms=histograms,
        tissue_mm2=12.345678901234567,
        tiles=TileCounts(planned=10, analysed=9, unreadable=1, overflowed=0),
        seconds={"decode": 1.25, "infer": 0.1 + 0.2},
        warnings=("FEW_NUCLEI",),
    )
