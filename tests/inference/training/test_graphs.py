"""The exported graphs answer as torch does, in ONNX Runtime and in OpenVINO, whatever the size of the picture."""

import hashlib
import json
import shutil
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from inference.engines.graphs import DetectionGraph, GradingGraph, Peaks
from inference.engines.local import LocalEngine, Precision, read_model_folder
from inference.errors import Reason, Refused
from inference.training.calibrate import Fitted, read_fitted
from inference.training.export import export
from inference.training.graphs import Detection
from inference.training.model import NucleusNet, load
from inference.training.peaks import Calibration
from tests.inference.training.made_tiles import made_tile

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


def in_torch(checkpoint: Path, tiles: np.ndarray) -> Peaks:  # type: ignore[type-arg]
    with torch.no_grad():
        return Peaks(*(v.numpy() for v in Detection(load(checkpoint), CALIBRATION)(torch.from_numpy(tiles))))


def in_onnxruntime(graph: bytes, tiles: np.ndarray) -> Peaks:  # type: ignore[type-arg]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return Peaks(*session.run(None, {"tiles": tiles})[:-1])


def by_place(p: Peaks, i: int) -> np.ndarray:  # type: ignore[type-arg]
    """x, y, nucleus, confidence of a tile's peaks, (n, 4) from top to bottom: runtimes order equal peaks in their own
    ways.
    """
    rows = np.stack([p.x[i], p.y[i], p.nucleus[i], p.confidence[i]], axis=1)[p.nucleus[i] > 0]
    return rows[np.lexsort((np.floor((rows[:, 0] + 0.5) / 2), np.floor((rows[:, 1] + 0.5) / 2)))]


@pytest.mark.parametrize("shape", [(1, 256, 320), (2, 96, 96), (1, 32, 64)])
def test_float32_answers_the_same_in_torch_onnx_runtime_and_openvino(
    models: Path, checkpoint: Path, shape: tuple[int, ...]
) -> None:
    b, h, w = shape
    tiles = np.stack([made_tile(i, side=320, nuclei=60).image[:h, :w] for i in range(b)])
    graph = read_model_folder(models).graph("nuclei_detection", Precision.FLOAT32)
    answers = [in_torch(checkpoint, tiles), in_onnxruntime(graph, tiles), DetectionGraph(graph, threads=1).run(tiles)]
    counts = [p.count.tolist() for p in answers]
    assert min(counts[0]) > 0
    assert counts[0] == counts[1] == counts[2]
    for other in answers[1:]:
        assert other.x.shape == (b, h * w // 64)
        for i in range(b):
            ours, theirs = by_place(answers[0], i), by_place(other, i)
            assert len(ours) == len(theirs)
            assert np.abs(ours - theirs).max() < 1e-3


def test_both_runtimes_find_int8s_nuclei_in_the_same_places(models: Path) -> None:
    tiles = made_tile(5, side=256, nuclei=60).image[None]
    graph = read_model_folder(models).graph("nuclei_detection", Precision.INT8)
    ort, ov = in_onnxruntime(graph, tiles), DetectionGraph(graph, threads=1).run(tiles)
    assert abs(int(ort.count[0]) - int(ov.count[0])) <= 0.1 * int(ov.count[0])


def test_the_folder_names_the_calibration_that_it_was_written_with(models: Path) -> None:
    folder = read_model_folder(models)
    assert (folder.version, folder.counting_threshold) == ("7", 0.4)
    assert set(folder.sha256) == {"nuclei_detection", "nuclei_detection/float32", "staining_grading"}


def test_every_tiles_answer_says_which_graph_it_came_of(models: Path) -> None:
    """The SHA-256 of the graph without that output: other weights answer with another one."""
    folder = read_model_folder(models)
    tiles = np.stack([made_tile(i).image[:64, :96] for i in range(3)])
    points = np.zeros((3, 4), np.float32)
    answers = {
        f"nuclei_detection/{p}": DetectionGraph(folder.graph("nuclei_detection", p), threads=1).answer(tiles)[-1]
        for p in Precision
    }
    grading = GradingGraph(folder.graph("staining_grading"))
    answers["staining_grading/1"] = grading.answer(tiles, points, points, np.zeros(3, np.int32))[-1]
    for name, numbers in answers.items():
        assert [n.astype("<i4").tobytes().hex() for n in numbers] == [folder.fingerprint[name.removesuffix("/1")]] * 3
        model = onnx.load(models / (name if "/" in name else f"{name}/1") / "model.onnx")
        assert fingerprint_of(model) == folder.fingerprint[name.removesuffix("/1")]
    assert len(set(folder.fingerprint.values())) == 3


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


def test_a_graph_whose_weights_hold_nan_is_refused_before_it_answers(models: Path) -> None:
    model = onnx.load(models / "nuclei_detection" / "float32" / "model.onnx")
    weights = next(w for w in model.graph.initializer if len(w.dims) == 4)
    values = onnx.numpy_helper.to_array(weights).copy()
    values[0, 0, 0, 0] = np.nan
    weights.CopyFrom(onnx.numpy_helper.from_array(values, weights.name))
    with pytest.raises(Refused, match="NaN") as refused:
        DetectionGraph(model.SerializeToString(), threads=1).run(made_tile(1).image[None, :64, :64])
    assert refused.value.reason is Reason.MODEL_INVALID


@pytest.mark.parametrize("precision", list(Precision))
def test_a_graph_that_model_json_doesnt_name_is_refused(models: Path, tmp_path: Path, precision: Precision) -> None:
    changed = shutil.copytree(models, tmp_path / "changed")
    with (changed / "nuclei_detection" / precision / "model.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(Refused, match="SHA-256 differs") as refused:
        LocalEngine(changed, threads=1, precision=precision)
    assert refused.value.reason is Reason.MODEL_INVALID


def test_the_fit_that_export_reads_is_the_one_that_calibrate_wrote(tmp_path: Path) -> None:
    fitted = Fitted(calibration=CALIBRATION, counting_threshold=0.4)
    (tmp_path / "c.json").write_text(json.dumps(asdict(fitted)))
    assert read_fitted(tmp_path / "c.json") == fitted
