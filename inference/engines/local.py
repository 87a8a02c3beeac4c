"""The networks in this process, and the folder that they come in."""

import hashlib
import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.engines.graphs import DETECTION, GRADING, DetectionGraph, GradingGraph, Peaks, Stains, chosen, detections
from inference.errors import Reason, Refused
from inference.infer import Detections


class Precision(StrEnum):
    """Arithmetic of the detection network; the value is its graph's folder.

    Triton passes over folders that are no number.
    """

    INT8 = "1"
    FLOAT32 = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFolder:
    """A model repository: `model.json` beside NAME/1/model.onnx, and the detection network in float32, the int8's
    reference.

    `sha256` of the files; `fingerprint` is what a graph answers with (hexadecimal, 32 bytes), to tell which one it was.
    """

    path: Path
    name: str
    version: str
    counting_threshold: float
    sha256: dict[str, str]
    fingerprint: dict[str, str]

    def graph(self, name: str, version: str = "1") -> bytes:
        """The bytes of a graph. Raises Refused MODEL_INVALID where they aren't those that `model.json` names."""
        data = read_model_file(self.path / name / version / "model.onnx")
        if hashlib.sha256(data).hexdigest() != self.digest(name, version):
            raise Refused(
                Reason.MODEL_INVALID,
                f"{name}/{version}/model.onnx isn't the file that model.json names (SHA-256 differs)",
            )
        return data

    def digest(self, name: str, version: str = "1") -> str:
        """SHA-256 of a graph by model.json, where that names it: `name` of what runs, `name/version` of others."""
        return self.sha256.get(name if version == "1" else f"{name}/{version}", "")


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
            path=path,
            name=str(card["name"]),
            version=str(card["version"]),
            counting_threshold=float(card["counting_threshold"]),
            sha256=dict(card["sha256"]),
            fingerprint={name: bytes.fromhex(value).hex() for name, value in dict(card["fingerprint"]).items()},
        )
    except (ValueError, KeyError, TypeError):
        raise Refused(
            Reason.MODEL_INVALID, f"{path / 'model.json'} doesn't describe a model; export it again"
        ) from None


def read_model_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise Refused(Reason.MODEL_INVALID, f"{path} can't be read; name a folder written by the export") from None


class LocalEngine:
    """Detection and grading on this machine's processor; `threads` calls run side by side, one core each.

    With `together` the cores share one call at a time, for a picture that somebody waits for; the numbers are the same.
    """

    def __init__(
        self,
        models: Path | None = None,
        *,
        threads: int | None = None,
        precision: Precision = Precision.INT8,
        together: bool = False,
    ) -> None:
        folder = read_model_folder(models or shipped_models())
        threads = threads or len(os.sched_getaffinity(0))
        # One call more than cores: while one reads its tile or grades its peaks, the network has others to go on with.
        self._workers = 1 if together or threads == 1 else threads + 1
        self._threshold = folder.counting_threshold
        self._detection = DetectionGraph(folder.graph(DETECTION, precision), threads=threads, together=together)
        self._grading = GradingGraph(folder.graph(GRADING))
        self._facts = ModelFacts(
            name=folder.name, version=folder.version, sha256=folder.digest(DETECTION, precision), engine="local"
        )

    @property
    def facts(self) -> ModelFacts:
        return self._facts

    @property
    def counting_threshold(self) -> float:
        return self._threshold

    @property
    def workers(self) -> int:
        return self._workers

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[Detections]:
        """See `inference.infer.Engine`."""
        peaks = self._detection.run(tiles)
        return [self._measure(tile, peaks.of(i), faintest) for i, tile in enumerate(tiles)]

    def _measure(self, tile: npt.NDArray[np.uint8], peaks: Peaks, faintest: float) -> Detections:
        keep = chosen(peaks, faintest)
        stains = self._grading.run(tile[None], peaks.x[keep][None], peaks.y[keep][None])
        return detections(peaks, keep, Stains(stains.hue[0], stains.value[0], stains.dab_od_centi[0]))
