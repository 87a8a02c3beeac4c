"""Write a trained network as the graphs that run (ONNX, opset 17): `nuclei_detection` in int8 and float32,
`staining_grading`.

    python -m inference.training.export --checkpoint RUN/best.pt --calibration RUN/calibration.json --endonuke FOLDER

Pre- and post-processing are inside: uint8 tiles go in, peaks come out as a fixed number of places and a count.
Height and width are free in the file and fixed by whoever runs it (Triton's configuration, the local engine); places
are height x width / 64, that is 1,024 for a tile of 128 µm. A `manifest.json` for each graph and for the model of both
(`ihc_tile`) says what they are; `triton_repository stamp` then brings the hashes into Triton's configurations.
"""

import argparse
import hashlib
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from inference.analyzers.nuclear import SCHEMA
from inference.model import FLOAT32, RUNNING, Graph, Model, Resolution
from inference.tile import TileShape
from inference.training import data
from inference.training.calibrate import Fitted, read_fitted
from inference.training.fingerprint import fingerprinted
from inference.training.graphs import (
    DETECTION,
    DETECTION_OUTPUTS,
    FINGERPRINTS,
    GRADING,
    GRADING_OUTPUTS,
    PIXELS_PER_PLACE,
    Detection,
    Grading,
    detection_graph,
    grading_graph,
)
from inference.training.manifest import write_graph, write_model
from inference.training.model import STRIDE, load, multiply_adds_per_pixel
from inference.training.quantise import quantised

OPSET = 17
FOLDER, NAME = "ihc_tile", "chromogen-nuclei"
RESOLUTION = Resolution(working=0.5, finest=0.4, coarsest=0.625, kept_within=0.01, coarser=(0.75, 1.0))
TILE = TileShape(core=1024, halo=STRIDE, stride=STRIDE)


def export(checkpoint: Path, fitted: Fitted, out: Path, version: str, training: list[data.Tile]) -> None:
    """Write the graphs and their manifests below `out`; int8 is calibrated on the training tiles.

    Raises Refused MODEL_INVALID.
    """
    net = load(checkpoint)
    tiles = torch.randint(0, 256, (2, 256, 320, 3), dtype=torch.uint8)
    points = torch.rand(2, 7) * 200
    places, batch = {1: "places"}, {0: "batch"}
    write(
        Detection(net, fitted.calibration).eval(),
        (tiles,),
        file_of(out, DETECTION, FLOAT32),
        ["tiles"],
        DETECTION_OUTPUTS,
        {"tiles": batch | {1: "height", 2: "width"}, "count": batch}
        | dict.fromkeys(DETECTION_OUTPUTS[:-1], batch | places),
    )
    write(
        Grading().eval(),
        (tiles, points, points, torch.tensor([7, 5], dtype=torch.int32)),
        file_of(out, GRADING),
        ["tiles", "x", "y", "count"],
        GRADING_OUTPUTS,
        {"tiles": batch | {1: "height", 2: "width"}, "count": batch}
        | dict.fromkeys(["x", "y", *GRADING_OUTPUTS], batch | places),
    )
    file_of(out, DETECTION).parent.mkdir(parents=True, exist_ok=True)
    onnx.save(quantised(file_of(out, DETECTION, FLOAT32), training), file_of(out, DETECTION))
    describe(
        out,
        (detection_graph(*marked(out, DETECTION, RUNNING, FLOAT32)), grading_graph(*marked(out, GRADING, RUNNING))),
        version=version,
        counting_threshold=fitted.counting_threshold,
        multiply_adds=round(multiply_adds_per_pixel(net)),
    )


def describe(
    out: Path,
    graphs: tuple[Graph, ...],
    *,
    name: str = NAME,
    version: str,
    counting_threshold: float,
    multiply_adds: int,
) -> None:
    """Write the manifests of graphs and of the model of them; `multiply_adds` a pixel."""
    for graph in graphs:
        write_graph(out, graph, opset=OPSET)
    model = Model(
        repository=out,
        folder=FOLDER,
        name=name,
        version=version,
        cells=f"{SCHEMA.name}/{SCHEMA.version}",
        resolution=RESOLUTION,
        tile=TILE,
        pixels_per_place=PIXELS_PER_PLACE,
        counting_threshold=counting_threshold,
        graphs=graphs,
    )
    write_model(model, multiply_adds_per_pixel=multiply_adds)


def file_of(out: Path, name: str, version: str = RUNNING) -> Path:
    return out / name / version / "model.onnx"


def marked(out: Path, name: str, *versions: str) -> tuple[dict[str, str], dict[str, str]]:
    """Add its fingerprint to each version of a graph, once it is as it will run; SHA-256 and fingerprint by version."""
    fingerprints = {v: add_fingerprint(file_of(out, name, v), FINGERPRINTS[name]) for v in versions}
    return {v: hashlib.sha256(file_of(out, name, v).read_bytes()).hexdigest() for v in versions}, fingerprints


def add_fingerprint(path: Path, output: str) -> str:
    """To a graph's file, once it is as it will run; returns the fingerprint in hexadecimal."""
    model = onnx.load(path)
    digest = fingerprinted(model, output)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    return digest


def write(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    path: Path,
    names: list[str],
    outputs: list[str],
    axes: dict[str, dict[int, str]],
) -> None:
    """Trace and write one graph; checked by onnx."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's notes on shapes
        torch.onnx.export(
            module,
            inputs,
            str(path),
            input_names=names,
            output_names=outputs,
            dynamic_axes=axes,
            opset_version=OPSET,
            dynamo=False,
        )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--calibration", type=Path, required=True, help="written by inference.training.calibrate")
    parser.add_argument(
        "--endonuke", type=Path, required=True, help="training tiles, on which int8 ranges are measured"
    )
    parser.add_argument("--out", type=Path, default=Path("triton_models"))
    parser.add_argument("--version", default="1")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    training, _ = data.split(data.endonuke(args.endonuke))
    export(args.checkpoint, read_fitted(args.calibration), args.out, args.version, training)


if __name__ == "__main__":
    main()
