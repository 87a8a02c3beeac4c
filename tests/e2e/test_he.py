"""An H&E order by HL7, end to end on a drawn slide; the commands on a picture of it."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import grpc
import hl7
import numpy as np
import pytest
from chromogen.v1 import result_service_pb2, result_service_pb2_grpc
from pydicom import Dataset, dcmread

from inference.analyzers.he import NAMES
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.contour import CONTOUR, rings_of
from inference.draw.he import HeDrawing, Plan
from inference.draw.her2 import Her2Drawing
from inference.draw.her2 import Plan as Her2Plan
from inference.draw.scanner import Scanner
from inference.instances import KINDS
from inference.slide import Rgb
from server.bootstrap import bootstrap
from server.demo.api import serving
from server.demo.lis import ReceivingLis, order_message
from server.demo.run import case_services_of, listening, settings_for
from server.demo.slide_header import SlideIdentity
from server.domain.result import Result
from server.domain.states import OrderState
from server.hl7.sender import send
from server.pipeline import run_case
from server.slides.slide_writer import JpegFrames, write_dicom_slide
from tests.e2e.scored_page import Drawn

MPP = 0.25


@pytest.fixture(scope="module")
def drawing() -> HeDrawing:
    return HeDrawing(Plan(side_um=256, tissue=0.97), Scanner(mpp=MPP), seed=11)


@pytest.fixture(scope="module")
def pixels(drawing: HeDrawing) -> Rgb:
    return drawing.pixels()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    result: Result
    oru: hl7.Message
    objects: dict[str, Dataset]
    cells: Cells
    listed: dict[str, int]


@pytest.fixture(scope="module")
def answered(pixels: Rgb, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answered]:
    work = tmp_path_factory.mktemp("he")
    work.chmod(0o711)
    identity = SlideIdentity(key="he", marker="HE")
    write_dicom_slide(
        work / "archive" / "slide", JpegFrames(Drawn(pixels=pixels)), mpp=MPP, identity=identity, levels=2
    )
    (work / "received").mkdir()
    with ReceivingLis(work / "received") as lis, bootstrap(settings_for(work, lis.port)) as service:
        message = order_message(
            placer_number="P-HE",
            marker="H&E",
            control_id="C-HE",
            series_uid=identity.series_uid,
            container_id=identity.container_id,
            specimen_id=identity.specimen_id,
        )
        with listening(service) as port:
            send(message, host="127.0.0.1", port=port, timeout_s=20)
        services = case_services_of(service, work)
        service.worker(lambda claim: run_case(claim, services)).run_until_idle()
        (view,) = service.store.orders()
        assert (view.state, view.reason, view.detail) == (OrderState.DONE, "", "")
        assert view.result_id is not None
        result = service.store.result(view.result_id)
        with serving(service) as port, grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            api = result_service_pb2_grpc.ResultServiceStub(channel)  # type: ignore[no-untyped-call]
            asked = result_service_pb2.ListCellsRequest(result_id=view.result_id)
            head, *parts = api.ListCells(asked, timeout=20)
        (received,) = lis.received
        objects = {str(d.Modality): d for d in map(dcmread, (work / "archive").glob("*.dcm"))}
        yield Answered(
            result=result,
            oru=hl7.parse(received.read_bytes().decode()),
            objects=objects,
            cells=joined(list(read_cells(result.cells_file, result.assay.analyzer.schema))),
            listed=dict(Counter(head.groups[group].name for part in parts for group in part.cells.group)),
        )


@pytest.fixture(scope="module")
def by_class(answered: Answered) -> dict[str, int]:
    """Counted from the file."""
    return dict(zip(KINDS, np.bincount(answered.cells["kind"], minlength=4).tolist(), strict=True))


@pytest.mark.postgres
def test_most_drawn_nuclei_are_found_and_of_their_class(answered: Answered, drawing: HeDrawing) -> None:
    labels, kind = drawing.labels(), drawing.truth.kind
    column, row = (np.rint(v).astype(int).clip(0, drawing.size.width - 1) for v in (answered.cells.x, answered.cells.y))
    at = labels[row, column]
    drawn = len(np.unique(labels)) - 1
    assert len(np.unique(at[at > 0])) > 0.75 * drawn
    hit = at > 0
    epithelial = kind[at[hit] - 1] == KINDS.index("epithelial")
    called = answered.cells["kind"][hit] == KINDS.index("epithelial")
    assert (epithelial == called).mean() > 0.6


@pytest.mark.postgres
def test_the_lis_is_told_counts_and_densities_by_class(answered: Answered, by_class: dict[str, int]) -> None:
    said = {str(o[3]).split("^")[0]: (str(o[2]), str(o[5]), str(o[6])) for o in answered.oru.segments("OBX")}
    area = answered.result.analysis.tissue_mm2
    for name, n in by_class.items():
        assert said[f"HE_COUNT_{name.upper()}"][:2] == ("NM", str(n))
        kind, density, unit = said[f"HE_DENSITY_{name.upper()}"]
        assert (kind, unit.split("^")[0]) == ("NM", "/mm2")
        assert float(density) == pytest.approx(n / area, rel=0.01, abs=0.01)
    both = by_class["inflammatory"] + by_class["epithelial"]
    assert float(said["HE_INFILTRATING_SHARE"][1]) == pytest.approx(100 * by_class["inflammatory"] / both, abs=0.06)
    notes = " ".join(str(n[3]) for n in answered.oru.segments("NTE"))
    assert "not validated on patient material" in notes
    assert "isn't the stromal TIL score" in notes


@pytest.mark.postgres
def test_the_archive_has_report_polygons_and_segments_by_class(answered: Answered, by_class: dict[str, int]) -> None:
    text = answered.objects["SR"].to_json()
    assert all(said in text for said in ("HE_COUNT_EPITHELIAL", "/mm2", "HAEMATOXYLIN_AND_EOSIN", "not validated"))
    assert "117617002" not in text, "it is no immunohistochemistry"
    groups = answered.objects["ANN"].AnnotationGroupSequence
    there = {name: n for name, n in by_class.items() if n}
    assert {g.AnnotationGroupLabel: g.NumberOfAnnotations for g in groups} == there
    assert {g.GraphicType for g in groups} == {"POLYGON"}
    assert [s.SegmentLabel for s in answered.objects["SEG"].SegmentSequence] == list(KINDS)


@pytest.mark.postgres
def test_polygons_in_the_archive_are_the_outlines_of_the_file(answered: Answered) -> None:
    (group, *_) = answered.objects["ANN"].AnnotationGroupSequence
    of = answered.cells.taken(answered.cells["kind"] == KINDS.index(group.AnnotationGroupLabel))
    rings = rings_of(of[CONTOUR], of.x + 0.5, of.y + 0.5, mpp=MPP)
    points = np.frombuffer(group.PointCoordinatesData, np.float32).reshape(-1, 2)
    np.testing.assert_allclose(points, rings.corners, atol=0.02)
    first = np.frombuffer(group.LongPrimitivePointIndexList, np.uint32)
    np.testing.assert_array_equal((first - 1) // 2, rings.first)


@pytest.mark.postgres
def test_the_api_lists_every_nucleus_by_class(answered: Answered, by_class: dict[str, int]) -> None:
    assert answered.listed == {name: n for name, n in by_class.items() if n}


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "server.cli.main", *arguments], capture_output=True, text=True)


def test_the_commands_find_the_same_in_a_picture(pixels: Rgb, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "s.png"), pixels[..., ::-1])
    done = run("he", str(tmp_path / "s.png"), "--mpp", "0.25", "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads((tmp_path / "out" / "s.json").read_text())
    assert (told["image"], told["mpp"]) == (str(tmp_path / "s.png"), 0.25)
    assert list(told["counts"]) == list(told["per_mm2"]) == list(KINDS)
    assert told["nuclei"] == sum(told["counts"].values()) > 100
    area = pixels.shape[0] * pixels.shape[1] * 0.25**2 / 1e6
    assert told["per_mm2"]["epithelial"] == pytest.approx(told["counts"]["epithelial"] / area, abs=0.01)
    near = told["neighbours"]["percent"]
    assert told["neighbours"]["within_um"] == 20
    assert near["spindle"]["spindle"] > near["spindle"]["other"], "there are few others"
    features = json.loads((tmp_path / "out" / "s.geojson").read_text())["features"]
    assert Counter(f["properties"]["classification"]["name"] for f in features) == Counter(told["counts"])
    assert all(f["geometry"]["type"] == "Polygon" for f in features)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["s.geojson", "s.json"]
    done = run("score", str(tmp_path / "s.png"), "--mpp", "0.25", "--marker", "HE", "--json", "--out", str(tmp_path))
    scored = json.loads(done.stdout)
    counted = {r["code"]: r["value"] for r in scored["scores"]}
    assert counted["HE_COUNT_NUCLEI"] == pytest.approx(told["nuclei"], rel=0.02)
    assert "compartments" not in scored
    assert "NOT_VALIDATED" in scored["warnings"]
    assert {"cells.parquet", "cells.geojson"} <= {p.name for p in tmp_path.iterdir()}
    assert set(NAMES) >= {f["properties"]["classification"]["name"] for f in features}


def test_half_the_resolution_is_enlarged_and_warned_of_and_coarser_is_refused(pixels: Rgb, tmp_path: Path) -> None:
    half = cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(tmp_path / "s.png"), half[..., ::-1])
    scored = json.loads(run("score", str(tmp_path / "s.png"), "--mpp", "0.5", "--marker", "HE", "--json").stdout)
    assert "RESOLUTION_LOW" in scored["warnings"]
    assert next(r["value"] for r in scored["scores"] if r["code"] == "HE_COUNT_NUCLEI") > 50
    refused = run("he", str(tmp_path / "s.png"), "--mpp", "0.7", "--out", str(tmp_path))
    assert (refused.returncode, refused.stderr.split(": ")[1]) == (2, "TOO_COARSE")
    refused = run("he", str(tmp_path / "s.png"), "--out", str(tmp_path))
    assert (refused.returncode, refused.stderr.split(": ")[1]) == (2, "NO_PIXEL_SIZE")


def test_an_immunostain_and_bare_glass_are_refused(tmp_path: Path) -> None:
    ihc = Her2Drawing(Her2Plan(side_um=200, mix={"intense_complete": 1.0}), Scanner(mpp=0.25), seed=3).pixels()
    cv2.imwrite(str(tmp_path / "ihc.png"), ihc[..., ::-1])
    cv2.imwrite(str(tmp_path / "glass.png"), np.full((1024, 1024, 3), 244, np.uint8))
    for name, reason in (("ihc", "NOT_HE"), ("glass", "NO_TISSUE")):
        done = run("score", str(tmp_path / f"{name}.png"), "--mpp", "0.25", "--marker", "HE")
        assert (done.returncode, done.stderr.split(": ")[1], done.stderr.count("\n")) == (2, reason, 1)
    done = run("he", str(tmp_path / "ihc.png"), "--mpp", "0.25", "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr.split(": ")[1]) == (2, "NOT_HE")
    done = run("he", *[str(tmp_path / "ihc.png")] * 2, "--mpp", "0.25", "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr.split(": ")[1]) == (2, "OUTPUT_NOT_WRITABLE")
    assert not any((tmp_path / "out").iterdir())
