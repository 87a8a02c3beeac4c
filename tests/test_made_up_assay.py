"""An assay that nobody knows of goes the whole way without a change elsewhere (DESIGN, decision 1).

Its columns, regions, criteria and scores, a category among them, are in `tests/made_up_assay/assay.py`, its model in
the manifest beside that. It is ordered by HL7 and scored by a worker, and read back from all that leaves: database,
reports, files and API.
"""

import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import hl7
import numpy as np
import pytest
from chromogen.v1 import result_pb2, result_service_pb2, result_service_pb2_grpc
from pydicom import Dataset, dcmread

from inference.assay import Assay, assay_of, register, unregister
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.errors import Reason, Refused
from inference.geometry import Region as Box
from inference.geometry import Size
from inference.slide import Rgb
from server.api.convert_result import score_in
from server.bootstrap import bootstrap
from server.demo.api import serving
from server.demo.lis import ReceivingLis, order_message
from server.demo.run import case_services_of, listening, settings_for
from server.demo.slide_header import SlideIdentity
from server.domain.artifact import ArtifactKind
from server.domain.profile import built_in, check_kind
from server.domain.result import Result
from server.domain.states import OrderState
from server.hl7.sender import send
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.made_up_assay.assay import (
    COUNT,
    GROUPS,
    MARKER,
    MODEL,
    NEST,
    REGIONS,
    SCHEMA,
    SEGMENTS,
    SHARE,
    VERDICT,
    GlowCriteria,
    MadeUpEngine,
    made_up_assay,
    made_up_model,
)

pytestmark = pytest.mark.postgres
SIDE_PX = 1100
TIMEOUT_S = 20.0


@pytest.fixture(scope="module")
def assay() -> Iterator[Assay]:
    made = made_up_assay()
    register(made)
    yield made
    unregister(MARKER)


@pytest.fixture(scope="module")
def engine() -> MadeUpEngine:
    return MadeUpEngine(made_up_model())


@dataclass(frozen=True, slots=True, kw_only=True)
class Speckled:
    """A slide that is tissue all over, and in focus."""

    size: Size

    def read(self, region: Box) -> Rgb:
        speckles = np.random.default_rng((region.x, region.y)).integers(0, 60, (region.height, region.width, 1))
        return (np.array((150, 130, 160)) + speckles).astype(np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """What has come out at every end of the path."""

    result: Result
    case: Path
    oru: hl7.Message
    objects: dict[str, Dataset]
    answered: result_pb2.Result
    listed: list[result_service_pb2.ListCellsResponse]
    of_the_nest: list[result_service_pb2.ListCellsResponse]


@pytest.fixture(scope="module")
def gone(assay: Assay, engine: MadeUpEngine) -> Iterator[Gone]:
    """An order by HL7, as far as it goes."""
    work = Path(tempfile.mkdtemp(prefix="chromogen-made-up-"))
    work.chmod(0o711)  # PostgreSQL, which root runs as another account, must get through
    try:
        yield _gone(work, engine)
    finally:
        shutil.rmtree(work)


def _gone(work: Path, engine: MadeUpEngine) -> Gone:
    identity = SlideIdentity(key="made-up", marker=MARKER)
    frames = JpegFrames(Speckled(size=Size(width=SIDE_PX, height=SIDE_PX)))
    write_dicom_slide(work / "archive" / "slide", frames, mpp=0.5, identity=identity, levels=1)
    (work / "received").mkdir()
    with ReceivingLis(work / "received") as lis, bootstrap(settings_for(work, lis.port)) as service:
        message = order_message(
            placer_number="P-1",
            marker="made-up stain",
            control_id="C-1",
            series_uid=identity.series_uid,
            container_id=identity.container_id,
            specimen_id=identity.specimen_id,
        )
        with listening(service) as port:
            send(message, host="127.0.0.1", port=port, timeout_s=TIMEOUT_S)
        services = replace(case_services_of(service, work), engine=lambda _: engine)
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        (view,) = service.store.orders()
        assert (view.state, view.reason, view.detail) == (OrderState.DONE, "", "")
        assert view.result_id is not None
        with serving(service) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            api: Any = result_service_pb2_grpc.ResultServiceStub(channel)  # type: ignore[no-untyped-call]
            asked = result_service_pb2.GetResultRequest(result_id=view.result_id)
            answered = api.GetResult(asked, timeout=TIMEOUT_S).result
            all_cells = result_service_pb2.ListCellsRequest(result_id=view.result_id)
            listed = list(api.ListCells(all_cells, timeout=TIMEOUT_S))
            some = result_service_pb2.ListCellsRequest(result_id=view.result_id, region=NEST)
            of_the_nest = list(api.ListCells(some, timeout=TIMEOUT_S))
        (parquet,) = (work / "cases").glob("*/*/cells.parquet")
        (received,) = lis.received
        datasets = [dcmread(path) for path in (work / "archive").glob("*.dcm")]
        return Gone(
            result=service.store.result(view.result_id),
            case=parquet.parent,
            oru=hl7.parse(received.read_bytes().decode()),
            objects={str(dataset.Modality): dataset for dataset in datasets},
            answered=answered,
            listed=listed,
            of_the_nest=of_the_nest,
        )


@pytest.fixture(scope="module")
def cells(gone: Gone) -> Cells:
    return joined(list(read_cells(gone.case / "cells.parquet", SCHEMA)))


@pytest.fixture(scope="module")
def by_group(gone: Gone, assay: Assay, cells: Cells) -> dict[str, int]:
    """Cells of each group that has some, counted from the file."""
    groups = assay.analyzer.group_of(cells, gone.result.profile.criteria)
    return dict(Counter(GROUPS[group].name for group in groups.tolist()))


def test_the_database_gives_back_rows_criteria_graphs_and_files(gone: Gone, assay: Assay, cells: Cells) -> None:
    result = gone.result
    assert (result.marker, result.clinical_region, result.assay) == (MARKER, NEST, assay)
    assert (result.profile.label, result.profile.criteria) == ("made-up/4", GlowCriteria(cut=35, lamp="daylight"))
    assert result.analysis.model.graphs == ((MODEL, "0d15ea5e" * 8),)
    counts = assay.analyzer.counts(result.analysis.histograms, result.profile.criteria)
    rows = assay.analyzer.scores(assay.measures, counts, counts[None])
    assert result.scores == rows
    assert {s.category for s in result.scores if s.measure == VERDICT.code} == {"bright"}
    assert len(cells) == counts.sum() == result.analysis.n > 500
    assert result.cells_file.name == "cells.parquet"
    assert ArtifactKind.CELLS in {artifact.kind for artifact in result.artifacts}
    assert result.warnings == ("TOO_FEW_NUCLEI",)  # by the kind's own least number


def test_the_oru_has_an_observation_of_each_row(gone: Gone) -> None:
    said = {(str(o[3]).split("^")[0], str(o[4])): (str(o[2]), str(o[5]), str(o[6])) for o in gone.oru.segments("OBX")}
    for row in gone.result.scores:
        kind, value, unit = said[row.code, row.region]
        if row.category is not None:
            assert (kind, value, unit) == ("ST", row.category, "")
        else:
            assert (kind, unit.split("^")[0]) == ("NM", row.unit)
            assert float(value) == pytest.approx(row.value, abs=0.01)
    assert NEST in str(gone.oru)


def test_the_sr_names_measures_regions_and_the_category(gone: Gone) -> None:
    text = gone.objects["SR"].to_json()
    assert all(said in text for said in (VERDICT.code, SHARE.code, COUNT.code, "MADEUP_NEST", "MADEUP_SEA", "bright"))
    assert all(said in text for said in ("made-up/4", "glow_from", "lamp", "daylight", "MADE_UP_SHINE"))
    assert "117617002" not in text, "it is no immunohistochemistry"


def test_annotations_are_the_groups_and_count_every_cell(gone: Gone, by_group: dict[str, int]) -> None:
    found = {g.AnnotationGroupLabel: g.NumberOfAnnotations for g in gone.objects["ANN"].AnnotationGroupSequence}
    assert found == by_group


def test_the_map_has_the_segments(gone: Gone) -> None:
    assert [s.SegmentLabel for s in gone.objects["SEG"].SegmentSequence] == [s.name for s in SEGMENTS]


def test_geojson_has_a_feature_of_each_group(gone: Gone, by_group: dict[str, int]) -> None:
    features = json.loads((gone.case / "cells.geojson").read_text())["features"]
    found = {f["properties"]["classification"]["name"]: len(f["geometry"]["coordinates"]) for f in features}
    assert found == {group.title: by_group[group.name] for group in GROUPS if group.name in by_group}


def test_result_json_has_the_rows_and_no_compartments(gone: Gone) -> None:
    said = json.loads((gone.case / "result.json").read_text())
    assert (said["marker"], said["clinical_region"]) == (MARKER, NEST)
    assert said["thresholds"] == {"method": GlowCriteria.method, "cut": 35, "lamp": "daylight"}
    assert "compartments" not in said
    found = [(r["code"], r["region"], r["value"], r["category"], r["unit"], r["n"]) for r in said["scores"]]
    assert found == [(s.code, s.region, s.value, s.category, s.unit, s.n) for s in gone.result.scores]


def test_the_api_answers_the_same_rows(gone: Gone) -> None:
    answered = gone.answered
    assert tuple(score_in(message) for message in answered.scores) == gone.result.scores
    assert (answered.marker, answered.clinical_region) == (MARKER, NEST)
    assert dict(answered.profile.criteria.numbers) == {"cut": 35}
    assert dict(answered.profile.criteria.texts) == {"lamp": "daylight"}
    assert [(graph.name, graph.sha256) for graph in answered.model.graphs] == list(gone.result.analysis.model.graphs)


def test_the_api_lists_cells_with_their_own_columns(gone: Gone, cells: Cells, by_group: dict[str, int]) -> None:
    head, *parts = gone.listed
    assert [(g.name, g.region) for g in head.groups] == [(g.name, g.region) for g in GROUPS]
    assert list(head.regions) == [r.name for r in REGIONS]
    assert Counter(head.groups[group].name for part in parts for group in part.cells.group) == by_group
    glow = [v for part in parts for m in part.cells.measurements if m.name == "glow" for v in m.values]
    assert glow == cells["glow"].tolist()
    assert {m.name for part in parts for m in part.cells.measurements} == {"lobes", "glow"}
    nest = sum(len(part.cells.x_px) for part in gone.of_the_nest)
    assert nest == sum(n for name, n in by_group.items() if name.startswith(NEST))


def test_criteria_of_another_kind_are_refused_rather_than_scored_by(assay: Assay) -> None:
    for profile, other in ((built_in(assay), assay_of("ER")), (built_in(assay_of("ER")), assay)):
        with pytest.raises(Refused, match="is scored by criteria of method") as refused:
            check_kind(profile, other)
        assert refused.value.reason is Reason.PROFILE_INVALID
