"""The exported graphs answer as torch does, in ONNX Runtime and in OpenVINO, whatever the size of the picture."""

import hashlib
import json
import shutil
import warnings
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from inference.engines.graphs import loaded
from inference.engines.local import LocalEngine
from inference.errors import Reason, Refused
from inference.model import FLOAT32, MANIFEST, RUNNING, Graph, Model, read_model
from inference.training.calibrate import Fitted, read_fitted
from inference.training.export import FOLDER, export
from inference.training.graphs import DETECTION_OUTPUTS, Detection
from inference.training.manifest import write_graph, write_model
from inference.training.model import NucleusNet, load
from inference.training.peaks import Calibration
from tests.inference.training.made_tiles import made_tile
from tests.models import IHC_TILE

Answers = dict[str, np.ndarray]  # type: ignore[type-arg]

CALIBRATION = Calibration(nucleus_slope=1.2, nucleus_offset=0.1, compartment_slope=1.1)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained network whose norms have seen tiles: its peaks mean nothing, and there are plenty."""
    torch.manual_seed(3)
    net = NucleusNet().train()
    images = (
        torch.from_numpy(np.stack([made_tile(i).image[:192, :192] for i in range(4)])).permute(0, 3, 1, 2).float() / 255
    )
    with torch.no_grad():
        for _ in range(20):
            net(images)
        net.head.weight *= 4
    path = tmp_path_factory.mktemp("net") / "net.pt"
    torch.save({"net": net.state_dict()}, path)
    return path


@pytest.fixture(scope="module")
def models(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the quantiser's libraries
        export(
            checkpoint,
            Fitted(calibration=CALIBRATION, counting_threshold=0.4),
            out,
            "7",
            [made_tile(i) for i in range(3)],
        )
    return out


@pytest.fixture(scope="module")
def model(models: Path) -> Model:
    return read_model(models, FOLDER)


@pytest.fixture(scope="module")
def finder(model: Model) -> Graph:
    assert model.finder is not None
    return model.finder


def in_torch(checkpoint: Path, tiles: np.ndarray) -> Answers:  # type: ignore[type-arg]
    with torch.no_grad():
        answers = Detection(load(checkpoint), CALIBRATION)(torch.from_numpy(tiles))
    return {name: v.numpy() for name, v in zip(DETECTION_OUTPUTS, answers, strict=True)}


def in_openvino(finder: Graph, graph: bytes, tiles: np.ndarray) -> Answers:  # type: ignore[type-arg]
    return dict(zip(finder.output_names, loaded(finder, graph).answer(tiles), strict=True))


def in_onnxruntime(finder: Graph, graph: bytes, tiles: np.ndarray) -> Answers:  # type: ignore[type-arg]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return dict(zip(finder.output_names, session.run(None, {"tiles": tiles}), strict=True))


def by_place(p: Answers, i: int) -> np.ndarray:  # type: ignore[type-arg]
    """x, y, nucleus, confidence of a tile's peaks, (n, 4) from top to bottom: runtimes order equal peaks in their own
    ways.
    """
    rows = np.stack([p[name][i] for name in ("x", "y", "nucleus", "confidence")], axis=1)[p["nucleus"][i] > 0]
    return rows[np.lexsort((np.floor((rows[:, 0] + 0.5) / 2), np.floor((rows[:, 1] + 0.5) / 2)))]


@pytest.mark.parametrize("shape", [(1, 256, 320), (2, 96, 96), (1, 32, 64)])
def test_float32_answers_the_same_in_torch_onnx_runtime_and_openvino(
    model: Model, finder: Graph, checkpoint: Path, shape: tuple[int, ...]
) -> None:
    b, h, w = shape
    tiles = np.stack([made_tile(i, side=320, nuclei=60).image[:h, :w] for i in range(b)])
    graph = model.graph_bytes(finder, FLOAT32)
    answers = [in_torch(checkpoint, tiles), *(run(finder, graph, tiles) for run in (in_onnxruntime, in_openvino))]
    counts = [p["count"].tolist() for p in answers]
    assert min(counts[0]) > 0
    assert counts[0] == counts[1] == counts[2]
    for other in answers[1:]:
        assert other["x"].shape == (b, h * w // 64)
        for i in range(b):
            ours, theirs = by_place(answers[0], i), by_place(other, i)
            assert len(ours) == len(theirs)
            assert np.abs(ours - theirs).max() < 1e-3


def test_both_runtimes_find_int8s_nuclei_in_the_same_places(model: Model, finder: Graph) -> None:
    tiles = made_tile(5, side=256, nuclei=60).image[None]
    graph = model.graph_bytes(finder, RUNNING)
    ort, ov = (int(run(finder, graph, tiles)["count"][0]) for run in (in_onnxruntime, in_openvino))
    assert abs(ort - ov) <= 0.1 * ov


def test_the_manifest_names_the_calibration_that_it_was_written_with_and_every_graph(model: Model) -> None:
    assert (model.version, model.counting_threshold) == ("7", 0.4)
    assert [(g.name, set(g.sha256)) for g in model.graphs] == [
        ("nuclei_detection", {RUNNING, FLOAT32}),
        ("staining_grading", {RUNNING}),
    ]


def test_the_export_describes_its_model_as_the_shipped_one_is_described(model: Model) -> None:
    def but_for_weights(model: Model) -> Model:
        graphs = tuple(replace(g, sha256={RUNNING: ""}, fingerprint={RUNNING: ""}) for g in model.graphs)
        return replace(model, repository=Path(), version="", counting_threshold=0, graphs=graphs)

    assert but_for_weights(model) == but_for_weights(IHC_TILE)


def test_a_manifest_is_written_as_it_was_read(tmp_path: Path) -> None:
    for graph in IHC_TILE.graphs:
        write_graph(tmp_path, graph, opset=17)
    write_model(replace(IHC_TILE, repository=tmp_path), multiply_adds_per_pixel=30464)
    for name in (IHC_TILE.folder, *(graph.name for graph in IHC_TILE.graphs)):
        assert (tmp_path / name / MANIFEST).read_text() == (IHC_TILE.repository / name / MANIFEST).read_text()


def test_every_tiles_answer_says_which_graph_it_came_of(model: Model, models: Path) -> None:
    """The SHA-256 of the graph without that output: other weights answer with another one."""
    tiles = np.stack([made_tile(i).image[:64, :96] for i in range(3)])
    points = np.zeros((3, 4), np.float32)
    fed = {"tiles": tiles, "x": points, "y": points, "count": np.zeros(3, np.int32)}
    for graph in model.graphs:
        for version, fingerprint in graph.fingerprint.items():
            numbers = loaded(graph, model.graph_bytes(graph, version)).answer(*(fed[n] for n in graph.inputs))[-1]
            assert (numbers == graph.fingerprint_numbers(version)).all()
            assert numbers.shape == (3, 8)
            assert fingerprint_of(onnx.load(models / graph.name / version / "model.onnx")) == fingerprint
    assert len({fingerprint for graph in model.graphs for fingerprint in graph.fingerprint.values()}) == 3


def fingerprint_of(model: onnx.ModelProto) -> str:
    """Computed anew, of the graph without its last output and what that is made of."""
    output = model.graph.output.pop().name
    for parts in (model.graph.node, model.graph.initializer):
        for part in [p for p in parts if (getattr(p, "name", "") or p.output[0]).startswith(output)]:
            parts.remove(part)
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def test_a_checkpoint_with_nan_writes_nothing(checkpoint: Path, tmp_path: Path) -> None:
    kept = torch.load(checkpoint, weights_only=True)
    kept["net"]["head.bias"][0] = float("nan")
    torch.save(kept, tmp_path / "nan.pt")
    with pytest.raises(Refused, match="NaN"):
        export(tmp_path / "nan.pt", Fitted(calibration=CALIBRATION, counting_threshold=0.4), tmp_path / "out", "1", [])
    assert not (tmp_path / "out").exists()


def test_a_graph_whose_weights_hold_nan_is_refused_before_it_answers(finder: Graph, models: Path) -> None:
    exported = onnx.load(models / finder.name / FLOAT32 / "model.onnx")
    weights = next(w for w in exported.graph.initializer if len(w.dims) == 4)
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0, 0, 0, 0] = np.nan
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    with pytest.raises(Refused, match="NaN") as refused:
        loaded(finder, exported.SerializeToString()).answer(made_tile(1).image[None, :64, :64])
    assert refused.value.reason is Reason.MODEL_INVALID


@pytest.mark.parametrize("version", [RUNNING, FLOAT32])
def test_a_graph_that_its_manifest_doesnt_name_is_refused(models: Path, tmp_path: Path, version: str) -> None:
    changed = shutil.copytree(models, tmp_path / "changed")
    with (changed / "nuclei_detection" / version / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(Refused, match="SHA-256 differs") as refused:
        LocalEngine(read_model(changed, FOLDER), threads=1, version=version)
    assert refused.value.reason is Reason.MODEL_INVALID


def test_the_fit_that_export_reads_is_the_one_that_calibrate_wrote(tmp_path: Path) -> None:
    fitted = Fitted(calibration=CALIBRATION, counting_threshold=0.4)
    (tmp_path / "c.json").write_text(json.dumps(asdict(fitted)))
    assert read_fitted(tmp_path / "c.json") == fitted
