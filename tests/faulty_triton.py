"""Model repositories for a real Triton that fails on command: the shipped networks, and a file that says what goes
wrong.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from google.protobuf import text_format

from inference.draw import draw_slide
from inference.engines.triton_repository import MODEL_PY, read_config, render_cpu, stamp
from inference.geometry import Region, Size
from inference.model import MANIFEST, shipped_models
from inference.model import RUNNING as VERSION
from inference.slide import Rgb
from tests.models import DETECTION

SIDE = 256

FAULTY = (
    MODEL_PY
    + '''
import time
from pathlib import Path

import numpy as np

RIGHT = TritonPythonModel


class TritonPythonModel(RIGHT):
    """Answers rightly but for what the file `fault` beside the models says: a word, and seconds for `slow`."""

    def initialize(self, args):
        super().initialize(args)
        self._fault = Path(args["model_repository"]).parent / "fault"

    def _run(self, request):
        word, _, seconds = (self._fault.read_text() if self._fault.exists() else "").partition(" ")
        names, (x, y, label, nucleus, confidence, count, fingerprint) = super()._run(request)
        if word == "slow":
            time.sleep(float(seconds))
        if word == "nan":
            nucleus[:, 0] = np.nan
        if word == "half":
            nucleus[:, nucleus.shape[1] // 64 :] = 0
        if word == "outside":
            x[:, 0] = 5000
        if word == "shape":
            x, y, label, nucleus, confidence = (v[:, :-1] for v in (x, y, label, nucleus, confidence))
        if word == "overflow":
            nucleus[:], confidence[:], count[:] = 0.9, 0.9, nucleus.shape[1] + 5
        if word == "crash":
            raise RuntimeError("told to fail")
        return names, (x, y, label, nucleus, confidence, count, fingerprint)
'''
)


def render_faulty(
    folder: Path,
    *,
    queue: int | None = None,
    version: str = VERSION,
    sha256: str | None = None,
    models: Path | None = None,
    max_batch: int = 8,
) -> Path:
    """A CPU repository of 256 px tiles below `folder`, with the given length of queue, version, claimed hash, or
    models.
    """
    render_cpu(models or shipped_models(), folder, side=SIDE, instances=1, max_batch=max_batch)
    (folder / DETECTION / VERSION / "model.py").write_text(FAULTY)
    path = folder / DETECTION / "config.pbtxt"
    config = read_config(path)
    if queue is not None:
        config.dynamic_batching.default_queue_policy.max_queue_size = queue
        for level in (1, 2):
            config.dynamic_batching.priority_queue_policy[level].max_queue_size = queue
    if sha256 is not None:
        config.parameters["sha256"].string_value = sha256
        (folder / DETECTION / VERSION / "model.py").write_text(
            FAULTY.replace("super().initialize(args)", "_load(self, args)") + LOAD
        )
    path.write_text(text_format.MessageToString(config))
    if version != VERSION:
        for model in folder.iterdir():
            text = (model / "config.pbtxt").read_text()
            (model / "config.pbtxt").write_text(
                text.replace("versions: 1", f"versions: {version}").replace(
                    "model_version: 1", f"model_version: {version}"
                )
            )
            (model / VERSION).rename(model / version)
    return folder


LOAD = '''

def _load(self, args):
    """Another release: the graph that its own configuration names, only not the one that the client knows."""
    import hashlib
    import json

    config = json.loads(args["model_config"])
    graph = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
    config["parameters"]["sha256"]["string_value"] = hashlib.sha256(graph.read_bytes()).hexdigest()
    RIGHT.initialize(self, args | {"model_config": json.dumps(config)})
'''


def other_weights(folder: Path) -> Path:
    """The shipped models but for the detection, which is another training's: it finds half of the nuclei, and says who
    it is.
    """
    shutil.copytree(shipped_models(), folder)
    path = folder / DETECTION / VERSION / "model.onnx"
    model = onnx.load(path)
    changed = {}
    for tensor in model.graph.initializer:
        if tensor.name in ("net.head.bias", "detection_fingerprint_numbers"):
            changed[tensor.name] = onnx.numpy_helper.to_array(tensor) - 2
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed[tensor.name], tensor.name))
    onnx.save(model, path)
    manifest = folder / DETECTION / MANIFEST
    card = json.loads(manifest.read_text())
    card["files"][VERSION] = {
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "fingerprint": changed["detection_fingerprint_numbers"].tobytes().hex(),
    }
    manifest.write_text(json.dumps(card))
    stamp(folder)
    return folder


def set_fault(repository: Path, word: str) -> None:
    """From the next request on; empty: all is well."""
    (repository / "fault").write_text(word)


def drawn_tiles(n: int, *, side: int = SIDE) -> Rgb:
    """(n, side, side, 3) neighbouring squares of a drawn slide."""
    columns = 4
    size = Size(width=columns * side, height=-(-n // columns) * side)
    drawing = draw_slide(size=size, seed=1, h_score=150)
    squares = [Region(x=(i % columns) * side, y=(i // columns) * side, width=side, height=side) for i in range(n)]
    return np.stack([drawing.read(square) for square in squares])
