"""What a peer does with our network inside, run by the interpreter of the peer's own environment: prints its costs as
JSON.

    python same_network_program.py tiatoolbox|lazyslide_features|lazyslide_cells TASK.json

The peer reads, cuts, batches, joins, finds peaks where the graph doesn't, and stores, each as its documentation has it;
only the network's forward pass is ours: the same ONNX graph in OpenVINO with the settings of
`inference/engines/graphs.py`, on one thread. A small slide goes first and isn't counted, so that nothing is imported or
compiled within the measured time.
"""

import json
import resource
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openvino  # type: ignore[import-not-found,unused-ignore]
import torch

RADIUS = 5  # px of the disc that stands for a nucleus where a peer wants outlines
COMPARTMENTS = {0: "stroma", 1: "epithelium"}


@dataclass(frozen=True)
class Task:
    """Sides in px of 0.5 µm: the network's `tile`, the middle of it that is `kept`, from one to the next `stride`.

    `batch` tiles a call; a nucleus counts from probability `threshold`; slides are SVS, `graph` ONNX. `stored` is
    TIAToolbox's output_type.
    """

    slide: str
    warm_up: str
    graph: str
    out: str
    tile: int
    kept: int
    stride: int
    batch: int
    threshold: float
    stored: str = "annotationstore"


class Network:
    """The graph on one thread, for batches of one size; `core_seconds` it took so far."""

    def __init__(self, task: Task) -> None:
        core = openvino.Core()
        model = core.read_model(task.graph)
        model.reshape({"tiles": [task.batch, task.tile, task.tile, 3]})
        settings = {
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": "f32",
            "ENABLE_CPU_PINNING": False,
        }
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        self._outputs, self._batch = len(model.outputs), task.batch
        self.core_seconds = 0.0

    def __call__(self, tiles: Any) -> list[Any]:
        """The outputs for (b, h, w, 3) uint8 tiles, copied; a last batch that isn't full is filled up."""
        began = time.process_time()
        given = np.ascontiguousarray(tiles)
        full = given if len(given) == self._batch else np.resize(given, (self._batch, *given.shape[1:]))
        self._request.infer([full], share_inputs=True)
        out = [np.array(self._request.get_output_tensor(i).data[: len(given)]) for i in range(self._outputs)]
        self.core_seconds += time.process_time() - began
        return out


Run = Callable[[str], Any]
Count = Callable[[Any], int]


def tiatoolbox(task: Task, network: Network) -> tuple[Run, Count]:
    """NucleusDetector on a map of two channels, one a compartment: its own peaks, an annotation store in SQLite or
    Zarr.
    """
    import zarr  # type: ignore[import-not-found,unused-ignore]
    from tiatoolbox import logger  # type: ignore[import-not-found,unused-ignore]
    from tiatoolbox.annotation.storage import SQLiteStore  # type: ignore[import-not-found,unused-ignore]
    from tiatoolbox.models.architecture.utils import peak_detection_map_overlap  # type: ignore[import-not-found,unused-ignore]
    from tiatoolbox.models.engine.io_config import IOSegmentorConfig  # type: ignore[import-not-found,unused-ignore]
    from tiatoolbox.models.engine.nucleus_detector import NucleusDetector  # type: ignore[import-not-found,unused-ignore]
    from tiatoolbox.models.models_abc import ModelABC  # type: ignore[import-not-found,unused-ignore]

    logger.setLevel("ERROR")
    edge = (task.tile - task.kept) // 2
    middle = slice(edge, edge + task.kept)

    class HeatMap(ModelABC):  # type: ignore[misc,unused-ignore]
        """Peaks are searched as their MapDe (mapde-conic) does: 3 px apart, in tiles of 2048 px."""

        min_distance, tile_shape = 3, (2048, 2048)

        def forward(self, tiles: Any) -> Any:
            return torch.from_numpy(network(tiles.numpy())[0][:, middle, middle])

        @staticmethod
        def infer_batch(model: Any, batch_data: Any, *, device: str) -> Any:
            return model(batch_data).numpy()

        def postproc(self, block: Any, min_distance: int, block_info: Any = None, **given: Any) -> Any:
            return peak_detection_map_overlap(block, min_distance=min_distance, block_info=block_info, **given)

    at = [{"units": "mpp", "resolution": 0.5}]
    config = IOSegmentorConfig(
        input_resolutions=at,
        output_resolutions=at,
        save_resolution=at[0],
        patch_input_shape=(task.tile, task.tile),
        patch_output_shape=(task.kept, task.kept),
        stride_shape=(task.stride, task.stride),
    )
    detector = NucleusDetector(model=HeatMap(), batch_size=task.batch, num_workers=0, device="cpu", verbose=False)

    def run(slide: str) -> Any:
        stored = detector.run(
            images=[Path(slide)],
            patch_mode=False,
            ioconfig=config,
            save_dir=Path(task.out),
            overwrite=True,
            device="cpu",
            output_type=task.stored,
            auto_get_mask=True,
            threshold_abs=task.threshold,
            class_dict=COMPARTMENTS,
        )
        return next(iter(stored.values()))

    if task.stored == "zarr":
        return run, lambda path: int(zarr.open_group(path, mode="r")["x"].shape[0])
    return run, lambda path: len(SQLiteStore.open(path))


def lazyslide_features(task: Task, network: Network) -> tuple[Run, Count]:
    """feature_extraction with our peaks as each tile's row of features: the least that LazySlide does a tile.

    Joins no seams.
    """

    def peaks(tiles: Any) -> Any:
        x, y, label, nucleus, *_ = network(tiles.numpy())
        return np.concatenate([x, y, label.astype(np.float32), nucleus], axis=1)

    def run(slide: str) -> Any:
        zs, wsi = _tiled(task, slide)
        zs.tl.feature_extraction(
            wsi,
            model=peaks,
            model_name="peaks",
            transform=torch.from_numpy,
            batch_size=task.batch,
            device="cpu",
            pbar=False,
        )
        wsi.write(str(_fresh(task, slide)))
        return wsi

    def count(wsi: Any) -> int:
        x, y, _, nucleus = np.split(np.asarray(wsi.tables["peaks_tiles"].X), 4, axis=1)
        mine = (np.minimum(x, y) >= 0) & (np.maximum(x, y) < task.kept)
        return int(((nucleus >= task.threshold) & mine).sum())

    return run, count


def lazyslide_cells(task: Task, network: Network) -> tuple[Run, Count]:
    """seg.cells, their way to nuclei: a disc for each of our peaks, which they outline, join at the seams and store."""
    from lazyslide_models.base import ModelBase, SegmentationOutput  # type: ignore[import-not-found,unused-ignore]

    class Discs(ModelBase):  # type: ignore[misc,unused-ignore]
        model = torch.nn.Identity()

        def get_transform(self) -> Any:
            return torch.from_numpy

        def segment(self, image: Any) -> Any:
            x, y, _, nucleus, *_ = network(image.numpy())
            discs = np.zeros(image.shape[:3], np.int32)
            for tile in range(len(discs)):
                for i in np.flatnonzero(nucleus[tile] >= task.threshold):
                    cv2.circle(
                        discs[tile], (round(float(x[tile, i])), round(float(y[tile, i]))), RADIUS, int(i) + 1, -1
                    )
            return SegmentationOutput(instance_map=discs)

    def run(slide: str) -> Any:
        zs, wsi = _tiled(task, slide)
        zs.seg.cells(wsi, model=Discs(), batch_size=task.batch, device="cpu", overlap_ownership=True, pbar=False)
        wsi.write(str(_fresh(task, slide)))
        return wsi

    return run, lambda wsi: len(wsi.shapes["cells"])


def _tiled(task: Task, slide: str) -> tuple[Any, Any]:
    """LazySlide and the slide opened, its tissue found and tiled."""
    import lazyslide as zs  # type: ignore[import-not-found,unused-ignore]
    from wsidata import open_wsi  # type: ignore[import-not-found,unused-ignore]

    wsi = open_wsi(slide, store=None)
    zs.pp.find_tissues(wsi, filter_artifacts=False)  # with it, a slide without glass has hardly any tissue
    zs.pp.tile_tissues(wsi, task.tile, stride_px=task.stride, mpp=0.5, edge=True)
    return zs, wsi


def _fresh(task: Task, slide: str) -> Path:
    path = Path(task.out) / f"{Path(slide).stem}.zarr"
    shutil.rmtree(path, ignore_errors=True)
    return path


def _name_operators_of_torchvision() -> None:
    """A torchvision whose operators don't load beside this torch (another build) can be imported all the same: none is
    used.
    """
    try:
        import torchvision  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except RuntimeError:
        for name in ("nms", "qnms"):
            TORCHVISION.define(f"{name}(Tensor boxes, Tensor scores, float most) -> Tensor")  # type: ignore[no-untyped-call]


TORCHVISION = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
PROGRAMS = {"tiatoolbox": tiatoolbox, "lazyslide_features": lazyslide_features, "lazyslide_cells": lazyslide_cells}


def _core_seconds() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _peak_mb() -> int:
    """Of this process, or of the largest it started; its own `ru_maxrss` begins with that of whoever started it."""
    own = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
    return round(max(own, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss) / 1024)


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _name_operators_of_torchvision()
    task = Task(**json.loads(Path(sys.argv[2]).read_text()))
    network = Network(task)
    run, count = PROGRAMS[sys.argv[1]](task, network)
    run(task.warm_up)
    began, network.core_seconds = _core_seconds(), 0.0
    stored = run(task.slide)
    costs = {"core_seconds": _core_seconds() - began, "network_core_seconds": network.core_seconds}
    print(json.dumps({**costs, "peak_mb": _peak_mb(), "nuclei": count(stored)}))


if __name__ == "__main__":
    main()
