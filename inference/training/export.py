"""Write a trained network as the graphs that run (ONNX, opset 17): `nuclei_detection` in int8 and float32,
`staining_grading`.

    python -m inference.training.export --checkpoint RUN/best.pt --calibration RUN/calibration.json --endonuke FOLDER

Pre- and post-processing are inside: uint8 tiles go in, peaks come out as a fixed number of places and a count.
Height and width are free in the file and fixed by whoever runs it (Triton's configuration, the local engine); places
are height x width / 64, that is 1,024 for a tile of 128 µm. `model.json` beside them names, counts and hashes.
"""

import argparse
import hashlib
import json
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from inference.training import data
from inference.training.calibrate import Fitted, read_fitted
from inference.training.fingerprint import fingerprinted
from inference.training.graphs import DETECTION_OUTPUTS, GRADING_OUTPUTS, Detection, Grading
from inference.training.model import load, multiply_adds_per_pixel
from inference.training.quantise import quantised

OPSET = 17
DETECTION, DETECTION_FLOAT32, GRADING = "nuclei_detection", "nuclei_detection/float32", "staining_grading"
FINGERPRINTS = {
    DETECTION: "detection_fingerprint",
    DETECTION_FLOAT32: "detection_fingerprint",
    GRADING: "grading_fingerprint",
}
"""The graphs, and the output of each that says which graph answered."""


def export(checkpoint: Path, fitted: Fitted, out: Path, version: str, training: list[data.Tile]) -> None:
    """Write the graphs and `model.json` below `out`; int8 is calibrated on the training tiles.

    Raises Refused MODEL_INVALID.
    """
    net = load(checkpoint)
    tiles = torch.randint(0, 256, (2, 256, 320, 3), dtype=torch.uint8)
    points = torch.rand(2, 7) * 200
    places, batch = {1: "places"}, {0: "batch"}
    write(
        Detection(net, fitted.calibration).eval(),
        (tiles,),
        file_of(out, DETECTION_FLOAT32),
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
    onnx.save(quantised(file_of(out, DETECTION_FLOAT32), training), file_of(out, DETECTION))
    fingerprints = {name: add_fingerprint(file_of(out, name), output) for name, output in FINGERPRINTS.items()}
    card = {
        "name": "chromogen-nuclei",
        "version": version,
        "mpp": 0.5,
        "opset": OPSET,
        "counting_threshold": fitted.counting_threshold,
        "multiply_adds_per_pixel": round(multiply_adds_per_pixel(net)),
        "sha256": {n: hashlib.sha256(file_of(out, n).read_bytes()).hexdigest() for n in FINGERPRINTS},
        "fingerprint": fingerprints,
    }
    (out / "model.json").write_text(json.dumps(card, indent=2) + "\n")


def file_of(out: Path, name: str) -> Path:
    return out / (name if "/" in name else f"{name}/1") / "model.onnx"


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
