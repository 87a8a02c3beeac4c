"""The same slide, model and profile give the same score: exactly, whatever the batch, workers or file format; within
0.5 % of the nuclei and 1 point of H-score whatever the tile's size (DESIGN, decision 2). Real networks on a laid
slide."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from inference.analyze import Options, analyze
from inference.engines.local import LocalEngine
from inference.fields import fields_of
from inference.geometry import Size
from inference.nuclei import Histograms, joined, read_nuclei
from inference.score import score
from inference.tile import TileShape
from server.domain.profile import BUILT_IN
from server.domain.result import Scores
from server.pipeline import scores_of
from server.slides.opening import open_slide
from tests.laid import lay_tiles, write_tiff_slide

SIDE_PX = 2100
MOST_NUCLEI_APART = 0.005
MOST_POINTS_APART = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Laid:
    """A slide laid of tiles, as DICOM and as TIFF of the very same JPEG frames."""

    dicom: Path
    tiff: Path


@pytest.fixture(scope="module")
def laid(tmp_path_factory: pytest.TempPathFactory) -> Laid:
    folder = tmp_path_factory.mktemp("laid")
    frames = lay_tiles(folder / "dicom", size=Size(width=SIDE_PX, height=SIDE_PX), seed=11)
    write_tiff_slide(folder / "slide.tiff", frames)
    return Laid(dicom=folder / "dicom", tiff=folder / "slide.tiff")


def scored(path: Path, out: Path, engine: LocalEngine, options: Options | None = None) -> tuple[Scores, Histograms]:
    slide = open_slide(path)
    try:
        analysis = analyze(slide, engine, out / "nuclei.parquet", options or Options())
    finally:
        slide.close()
    fields = fields_of(out / "nuclei.parquet", BUILT_IN.thresholds, mpp=analysis.slide.mpp)
    return scores_of(analysis.histograms, BUILT_IN, fields), analysis.histograms


@pytest.fixture(scope="module")
def engine() -> LocalEngine:
    return LocalEngine()


@pytest.fixture(scope="module")
def reference(laid: Laid, engine: LocalEngine, tmp_path_factory: pytest.TempPathFactory) -> Scores:
    found, _ = scored(laid.dicom, tmp_path_factory.mktemp("reference"), engine, Options(shape=TileShape(core=448)))
    assert found.all.n > 1000
    return found


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_batches_change_nothing(laid: Laid, engine: LocalEngine, reference: Scores, tmp_path: Path, batch: int) -> None:
    assert scored(laid.dicom, tmp_path, engine, Options(shape=TileShape(core=448), batch=batch))[0] == reference


def test_the_number_of_workers_changes_nothing(laid: Laid, reference: Scores, tmp_path: Path) -> None:
    for threads in (1, 3):
        assert (
            scored(laid.dicom, tmp_path, LocalEngine(threads=threads), Options(shape=TileShape(core=448)))[0]
            == reference
        )


def test_dicom_and_tiff_of_the_same_frames_score_the_same(
    laid: Laid, engine: LocalEngine, reference: Scores, tmp_path: Path
) -> None:
    assert scored(laid.tiff, tmp_path, engine, Options(shape=TileShape(core=448)))[0] == reference


@pytest.mark.parametrize("core", [704, 960, 1216])
def test_tiles_of_other_sizes_score_within_the_tolerance(
    laid: Laid, engine: LocalEngine, reference: Scores, tmp_path: Path, core: int
) -> None:
    found, _ = scored(laid.dicom, tmp_path, engine, Options(shape=TileShape(core=core)))
    assert abs(found.all.n - reference.all.n) <= MOST_NUCLEI_APART * reference.all.n
    assert found.all.h_score is not None
    assert reference.all.h_score is not None
    assert abs(found.all.h_score - reference.all.h_score) <= MOST_POINTS_APART


def test_the_file_and_the_histograms_score_the_same(laid: Laid, engine: LocalEngine, tmp_path: Path) -> None:
    scores, histograms = scored(laid.dicom, tmp_path, engine)
    again = Histograms.empty()
    again.add(joined(list(read_nuclei(tmp_path / "nuclei.parquet"))))
    assert (again.hue_value == histograms.hue_value).all()
    assert (again.density == histograms.density).all()
    fields = fields_of(tmp_path / "nuclei.parquet", BUILT_IN.thresholds, mpp=0.5)
    assert score(fields.counts.sum(axis=(0, 1)), fields.counts.sum(axis=1)) == scores.all
