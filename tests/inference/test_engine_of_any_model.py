"""Engines know no graph by name: a made-up model of other graphs, outputs and runtimes runs like the shipped one."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx", reason="onnx comes with the train extra")

from inference.engines.local import LocalEngine
from inference.engines.peaks import cropped, tile_answer
from inference.errors import Reason, Refused
from inference.model import Model, Role, models_of, read_model
from inference.slide import Rgb
from inference.training.manifest import write_model
from tests.inference.made_model import lay_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return lay_model(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def engine(model: Model) -> LocalEngine:
    return LocalEngine(model, threads=1)


def tiles() -> Rgb:
    """Two white ones of 64 px, 64 places, the second with black pixels at columns 3 and 7 and a grey one at 5."""
    pixels = np.full((2, 64, 64, 3), 255, np.uint8)
    pixels[1, 0, 3], pixels[1, 0, 7], pixels[1, 0, 5] = 0, 0, 204
    return pixels


def test_a_model_reads_as_it_was_laid(model: Model) -> None:
    assert read_model(model.repository, model.folder) == model
    assert models_of(model.repository) == (model,)


def test_peaks_maps_and_measurements_come_by_the_outputs_names(engine: LocalEngine) -> None:
    white, black = engine.detect(tiles(), 0.4)
    assert (len(white.columns["x"]), white.found, white.overflowed) == (0, 0, False)
    assert black.columns["x"].tolist() == [3, 7]
    assert black.found == 2
    np.testing.assert_array_equal(black.maps["dusk"], tiles()[1, ::2, ::2])
    mean = black.maps["dusk"].mean()
    np.testing.assert_allclose(black.columns["pair"], [[3, 1 + mean], [7, 1 + mean]], rtol=1e-5)
    assert white.columns.keys() == black.columns.keys() == {"x", "y", "likely", "pair"}


def test_fainter_peaks_are_kept_where_they_are_asked_for(engine: LocalEngine) -> None:
    assert engine.detect(tiles(), 0.1)[1].columns["x"].tolist() == [3, 5, 7]


def test_facts_name_every_graph_and_change_with_any(model: Model, engine: LocalEngine) -> None:
    assert [name for name, _ in engine.facts.graphs] == ["shade", "dark", "reds"]
    for graph in model.graphs:
        changed = replace(graph, sha256={"1": "0" * 64})
        other = replace(model, graphs=tuple(changed if g is graph else g for g in model.graphs))
        assert other.digest() != model.digest() == engine.facts.sha256
    assert replace(model, counting_threshold=0.5).digest() != model.digest()
    assert replace(model, postprocess={"least_px": 12}).digest() != model.digest()


def test_post_processing_is_read_from_the_manifest(model: Model, tmp_path: Path) -> None:
    shutil.copytree(model.repository, tmp_path / "copy")
    written = replace(model, repository=tmp_path / "copy", postprocess={"least_px": 12, "nucleus_from": 0.5})
    write_model(written, multiply_adds_per_pixel=1)
    assert read_model(tmp_path / "copy", model.folder) == written
    assert read_model(model.repository, model.folder).postprocess == {}


def test_a_tile_that_was_filled_up_gives_the_maps_of_its_own_pixels(model: Model) -> None:
    (dusk,) = model.maps
    whole = np.arange(32 * 32 * 3, dtype=np.float32).reshape(32, 32, 3)
    np.testing.assert_array_equal(cropped(whole, dusk, 32, 48), whole[:16, :24])
    answers = {"x": [1, 40], "y": [0, 0], "likely": [1, 1], "count": 2, "pair": [[1, 2], [3, 4]], "dusk": whole}
    found = tile_answer(
        model, {name: np.asarray(v, np.float32) for name, v in answers.items()}, 0.4, height=32, width=32
    )
    assert found.columns["pair"].tolist() == [[1, 2]]
    assert found.maps["dusk"].shape == (16, 16, 3)


def test_a_model_of_maps_alone_has_no_columns(model: Model) -> None:
    alone = replace(model, graphs=tuple(g for g in model.graphs if g.role is Role.MAP))
    (_, answer) = LocalEngine(alone, threads=1).detect(tiles(), 0.4)
    assert (answer.columns, answer.found, answer.overflowed) == ({}, 0, False)
    assert answer.maps["dusk"].shape == (32, 32, 3)


def test_shapes_follow_the_side_of_the_tile(model: Model) -> None:
    by_name = {tensor.name: tensor for tensor in model.tensors}
    assert model.shape_of(by_name["pair"], 128) == (256, 2)
    assert model.shape_of(by_name["dusk"], 128) == (64, 64, 3)
    assert model.shape_of(by_name["count"], 128) == ()
    assert by_name["x"].bounds(128) == (0, 127.5)


@pytest.mark.parametrize(
    ("path", "before", "after", "why"),
    [
        ("made_tile", '"working": 0.25', '"working": "fine"', "could not convert string to float: 'fine'"),
        ("made_tile", '"core": 64', '"core": 65', "core 65 and halo 32 must be multiples of 32"),
        ("made_tile", '"cells"', '"sells"', "cells is missing"),
        ("made_tile", '"dark", ', "", "made_tile measures at peaks that no graph of it finds"),
        ("made_tile", '"dark"', '"nowhere"', "nowhere/manifest.json can't be read"),
        ("made_tile", "{", "", "Extra data: line 2"),
        ("made_tile", '"tile": {', '"tile": 7, "was": {', "is not subscriptable"),
        ("dark", '"find"', '"guess"', "'guess' is not a valid Role"),
        ("dark", '"probability": "likely"', '"probability": "unlikely"', "dark finds peaks: it needs x, y, count"),
        ("dark", '"float32"', '"float64"', "'float64' is not a valid Dtype"),
        ("dark", '"1": {', '"2": {', "dark has no version 1"),
        ("reds", '["places", 2]', "[2]", "each of its outputs needs the shape of places"),
        ("reds", '"pair"', '"x"', "a name of its own for each of their outputs"),
        ("shade", '"side/2"', '"side/half"', "'half'"),
    ],
)
def test_a_manifest_that_describes_no_model_is_refused_with_what_is_wrong(
    tmp_path: Path, path: str, before: str, after: str, why: str
) -> None:
    model = lay_model(tmp_path)
    manifest = tmp_path / path / "manifest.json"
    assert before in manifest.read_text()
    manifest.write_text(manifest.read_text().replace(before, after))
    with pytest.raises(Refused) as refused:
        read_model(tmp_path, model.folder)
    assert refused.value.reason is Reason.MODEL_INVALID
    assert why in refused.value.message
    assert "export" in refused.value.message


@pytest.mark.parametrize("graph", ["dark", "shade"])
def test_a_graph_that_answers_otherwise_than_its_manifest_says_is_refused(tmp_path: Path, graph: str) -> None:
    model = lay_model(tmp_path)
    manifest = tmp_path / graph / "manifest.json"
    manifest.write_text(manifest.read_text().replace(f"{graph}_mark", "another_mark"))
    with pytest.raises(Refused, match=f"MODEL_INVALID: {graph} answers otherwise than its manifest says") as refused:
        LocalEngine(read_model(tmp_path, model.folder), threads=1).detect(tiles(), 0.5)
    expected, found = refused.value.message.split("; it answers ")
    assert "another_mark" in expected
    assert f"{graph}_mark" in found
