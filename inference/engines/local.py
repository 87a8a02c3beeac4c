"""The networks in this process: OpenVINO finds nuclei, ONNX Runtime grades them (each the faster one for its graph).

Precision is pinned to float32: left to itself OpenVINO takes bfloat16 where the processor has it, and the same slide would
score differently from machine to machine.
"""

import hashlib
import json
import os
import threading
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import openvino

from inference.analysis import ModelFacts
from inference.errors import Failed, Reason, Refused
from inference.infer import Detections

DETECTION, GRADING = "nuclei_detection", "staining_grading"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model repository: `model.json` beside `nuclei_detection/1/model.onnx` and `staining_grading/1/model.onnx`."""

    path: Path
    name: str
    version: str
    counting_threshold: float
    sha256: dict[str, str]

    def graph(self, name: str) -> bytes:
        """The bytes of a graph. Raises Refused MODEL_INVALID where they aren't those that `model.json` names."""
        data = read_model_file(self.path / name / "1" / "model.onnx")
        if hashlib.sha256(data).hexdigest() != self.sha256.get(name):
            raise Refused(Reason.MODEL_INVALID, f"{name}/1/model.onnx isn't the file that model.json names (SHA-256 differs)")
        return data


def shipped_models() -> Path:
    """The model repository that came with chromogen: of the source tree, or inside the installed wheel."""
    root = Path(__file__).resolve().parents[2]
    inside = root / "server" / "_shipped" / "triton_models"
    return inside if inside.is_dir() else root / "triton_models"


def read_model_folder(path: Path) -> ModelFolder:
    """Raises Refused MODEL_INVALID where `model.json` is missing or not as written by the export."""
    try:
        card = json.loads(read_model_file(path / "model.json"))
        return ModelFolder(
            path=path, name=str(card["name"]), version=str(card["version"]),
            counting_threshold=float(card["counting_threshold"]), sha256=dict(card["sha256"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        raise Refused(Reason.MODEL_INVALID, f"{path / 'model.json'} doesn't describe a model; export it again") from None


def read_model_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Refused(Reason.MODEL_INVALID, f"{path} can't be read; name a folder written by the export") from None


class LocalEngine:
    """Detection and grading on this machine's processor; `threads` calls run side by side, one core each."""

    def __init__(self, models: Path | None = None, *, threads: int | None = None) -> None:
        folder = read_model_folder(models or shipped_models())
        self._threads = threads or len(os.sched_getaffinity(0))
        self._threshold = folder.counting_threshold
        self._graph = folder.graph(DETECTION)
        grading = folder.graph(GRADING)
        self._facts = ModelFacts(name=folder.name, version=folder.version, sha256=folder.sha256[DETECTION], engine="local")
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._requests = threading.local()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._grading = onnxruntime.InferenceSession(grading, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise Refused(Reason.MODEL_INVALID, f"{GRADING} can't be loaded ({type(error).__name__}); export it again") from None

    @property
    def facts(self) -> ModelFacts:
        return self._facts

    @property
    def counting_threshold(self) -> float:
        return self._threshold

    @property
    def workers(self) -> int:
        return self._threads

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[Detections]:
        """See `inference.infer.Engine`."""
        peaks = self._infer(tiles)
        return [self._measure(tile, _Peaks(*(v[i] for v in peaks)), faintest) for i, tile in enumerate(tiles)]

    def _measure(self, tile: npt.NDArray[np.uint8], peaks: "_Peaks", faintest: float) -> Detections:
        if not np.isfinite(peaks.confidence).all():
            raise Failed(Reason.ENGINE_FAILED, "the network answered with numbers that aren't finite")
        keep = np.flatnonzero((peaks.nucleus >= faintest) & (peaks.nucleus > 0))
        keep = keep[np.lexsort((peaks.x[keep], peaks.y[keep]))]  # engines differ in how they order equal peaks
        x, y = peaks.x[keep], peaks.y[keep]
        hue, value, centi = (v[0] for v in self._grading.run(None, {"tiles": tile[None], "x": x[None], "y": y[None]}))
        return Detections(
            x=x, y=y, label=peaks.label[keep].astype(np.uint8), nucleus=peaks.nucleus[keep], confidence=peaks.confidence[keep],
            hue=hue.astype(np.uint16), value=value.astype(np.uint8), dab_od_centi=centi.astype(np.uint16),
            found=len(x) + (int(peaks.count) - len(peaks.x) if len(keep) == len(peaks.x) else 0),
        )  # fmt: skip

    def _infer(self, tiles: npt.NDArray[np.uint8]) -> list[npt.NDArray[Any]]:
        """The graph's six outputs, (b, k) but the last, count (b,); copied out of this thread's request."""
        request = self._request(tiles.shape)
        try:
            request.infer([tiles])
            return [np.array(request.get_output_tensor(i).data) for i in range(len(fields(_Peaks)))]
        except RuntimeError as error:
            raise Failed(Reason.ENGINE_FAILED, f"OpenVINO failed on a batch of {len(tiles)} tiles") from error

    def _request(self, shape: tuple[int, ...]) -> Any:
        kept = self._requests.__dict__.setdefault("of", {})
        if shape not in kept:
            kept[shape] = self._compile(shape).create_infer_request()
        return kept[shape]

    def _compile(self, shape: tuple[int, ...]) -> Any:
        with self._lock:
            if shape not in self._compiled:
                core = openvino.Core()
                settings = {
                    "INFERENCE_NUM_THREADS": self._threads, "NUM_STREAMS": self._threads, "INFERENCE_PRECISION_HINT": "f32",
                    "ENABLE_CPU_PINNING": False,
                }  # fmt: skip
                try:
                    model = core.read_model(self._graph)
                    model.reshape({"tiles": list(shape)})
                    self._compiled[shape] = core.compile_model(model, "CPU", settings)
                except RuntimeError as error:
                    kind = type(error).__name__
                    raise Refused(Reason.MODEL_INVALID, f"{DETECTION} can't be loaded ({kind}); export it again") from None
            return self._compiled[shape]


@dataclass(frozen=True, slots=True)
class _Peaks:
    """One tile's answer, in the order of the graph's outputs: arrays (k,), and the count of all peaks."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    label: npt.NDArray[np.int32]
    nucleus: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    count: npt.NDArray[np.int32]
