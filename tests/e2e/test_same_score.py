"""The same slide, model and profile give the same score: exactly, whatever the batch, workers or file format; within
0.5 % of the nuclei and 1 point of H-score whatever the tile's size (DESIGN, decision 2). Real networks on a laid
slide."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from inference.analyze import Options, analyze
from inference.analyzers.nuclear import H_SCORE
from inference.assay import assay_of
from inference.cells.file import read_cells
from inference.cells.histograms import Histograms, histograms_of
from inference.cells.values import joined
from inference.engines.factory import make_engine
from inference.engines.local import LocalEngine
from inference.fields import fields_of
from inference.geometry import Size
from inference.infer import Engine
from inference.measures import Score, find
from inference.model import read_model, shipped_models
from inference.tile import TileShape
from server.domain.order import Specimen
from server.domain.profile import built_in
from server.scoring import scores_of
from server.slides.opening import open_slide
from tests.laid import lay_tiles, write_tiff_slide

SIDE_PX = 2100
MOST_NUCLEI_APART = 0.005
MOST_POINTS_APART = 1.0
ER = assay_of("ER")
PROFILE = built_in(ER)


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


def scored(
    path: Path, out: Path, engine: Engine, options: Options | None = None
) -> tuple[tuple[Score, ...], Histograms]:
    slide = open_slide(path, resolution=engine.model.resolution)
    try:
        analysis = analyze(slide, engine, ER.analyzer, out / "cells.parquet", options or Options())
    finally:
        slide.close()
    fields = fields_of(out / "cells.parquet", ER.analyzer, PROFILE.criteria, mpp=analysis.slide.mpp)
    return scores_of(ER, analysis.histograms, PROFILE, fields, Specimen()), analysis.histograms


def h_score(scores: tuple[Score, ...]) -> Score:
    row = find(scores, H_SCORE)
    assert row is not None
    return row


def shape(core: int) -> TileShape:
    return TileShape(core=core, halo=32, stride=32)


@pytest.fixture(scope="module")
def engine() -> Engine:
    return make_engine(model="ihc_tile")


@pytest.fixture(scope="module")
def reference(laid: Laid, engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Score, ...]:
    found, _ = scored(laid.dicom, tmp_path_factory.mktemp("reference"), engine, Options(shape=shape(448)))
    assert h_score(found).n > 1000
    return found


@pytest.mark.parametrize("batch", [2, 3, 5])
def test_batches_change_nothing(
    laid: Laid, engine: Engine, reference: tuple[Score, ...], tmp_path: Path, batch: int
) -> None:
    assert scored(laid.dicom, tmp_path, engine, Options(shape=shape(448), batch=batch))[0] == reference


def test_the_number_of_workers_changes_nothing(laid: Laid, reference: tuple[Score, ...], tmp_path: Path) -> None:
    model = read_model(shipped_models(), ER.model)
    for threads in (1, 3):
        engine = LocalEngine(model, threads=threads)
        assert scored(laid.dicom, tmp_path, engine, Options(shape=shape(448)))[0] == reference


def test_dicom_and_tiff_of_the_same_frames_score_the_same(
    laid: Laid, engine: Engine, reference: tuple[Score, ...], tmp_path: Path
) -> None:
    """The same nuclei; their colour by a white point that overviews of other levels show within a grey level."""
    found = h_score(scored(laid.tiff, tmp_path, engine, Options(shape=shape(448)))[0])
    assert found.n == h_score(reference).n
    assert found.value == pytest.approx(h_score(reference).value, abs=1)


@pytest.mark.parametrize("core", [704, 960, 1216])
def test_tiles_of_other_sizes_score_within_the_tolerance(
    laid: Laid, engine: Engine, reference: tuple[Score, ...], tmp_path: Path, core: int
) -> None:
    found, expected = h_score(scored(laid.dicom, tmp_path, engine, Options(shape=shape(core)))[0]), h_score(reference)
    assert abs(found.n - expected.n) <= MOST_NUCLEI_APART * expected.n
    assert found.value is not None
    assert expected.value is not None
    assert abs(found.value - expected.value) <= MOST_POINTS_APART


def test_the_file_and_the_histograms_score_the_same(laid: Laid, engine: Engine, tmp_path: Path) -> None:
    scores, histograms = scored(laid.dicom, tmp_path, engine)
    analyzer = ER.analyzer
    again = histograms_of(joined(list(read_cells(tmp_path / "cells.parquet", analyzer.schema))), analyzer.histograms)
    assert all((again[spec.name] == histograms[spec.name]).all() for spec in analyzer.histograms)
    fields = fields_of(tmp_path / "cells.parquet", analyzer, PROFILE.criteria, mpp=0.5)
    assert (fields.counts.sum(axis=0) == analyzer.counts(histograms, PROFILE.criteria)).all()
    assert scores_of(ER, again, PROFILE, fields, Specimen()) == scores
