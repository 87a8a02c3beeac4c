"""Write a trained network as the two graphs that run: `nuclei_detection` and `staining_grading` (ONNX, opset 17).

    python -m inference.training.export --checkpoint RUN/best.pt --out triton_models [--threshold 0.3]

Pre- and post-processing are inside: uint8 tiles go in, peaks come out as a fixed number of places and a count.
Height and width are free in the file and fixed by whoever runs it (Triton's configuration, the local engine); places are
height x width / 64, that is 1,024 for a tile of 128 µm.
"""

import argparse
import hashlib
import json
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from inference.stain import SIDE, unmixing
from inference.training.evaluate import peaks
from inference.training.model import NucleusNet, multiply_adds_per_pixel

OPSET = 17
PIXELS_PER_PLACE = 64
FAINTEST = 0.01  # a peak counts from this nucleus probability


class Detection(nn.Module):
    """(b, h, w, 3) uint8 RGB to x, y, label, nucleus, confidence, each (b, k), and count (b,) of all peaks, beyond k too."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, tiles: Tensor) -> tuple[Tensor, ...]:
        logits = self.net(tiles.permute(0, 3, 1, 2).float() / 255)
        k = tiles.shape[1] * tiles.shape[2] // PIXELS_PER_PLACE
        x, y, label, nucleus, confidence, count = peaks(logits, top=k, faintest=FAINTEST)
        return x, y, label.int(), nucleus, confidence, count.int()


class Grading(nn.Module):
    """(b, h, w, 3) uint8 RGB and keypoints (b, k) to hue (degrees), value, DAB density (hundredths), each (b, k) int32."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("dab", torch.tensor(unmixing()[:, 1], dtype=torch.float32))
        self.register_buffer("reach", torch.arange(SIDE) - SIDE // 2)

    def forward(self, tiles: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        b, h, w = tiles.shape[0], tiles.shape[1], tiles.shape[2]
        rows = (y.round().long()[..., None] + self.reach).clamp(min=0).minimum(torch.as_tensor(h - 1))  # (b, k, side)
        columns = (x.round().long()[..., None] + self.reach).clamp(min=0).minimum(torch.as_tensor(w - 1))
        index = (rows[..., :, None] * w + columns[..., None, :]).reshape(b, -1, 1).expand(-1, -1, 3)
        squares = tiles.reshape(b, -1, 3).gather(1, index).reshape(b, -1, SIDE * SIDE, 3)
        rgb = squares.float().sum(dim=2) / SIDE**2  # (b, k, 3)
        high, low = rgb.amax(dim=2), rgb.amin(dim=2)
        spread = torch.where(high > low, high - low, torch.ones_like(high))
        red, green, blue = rgb.unbind(dim=2)
        first = (green - blue) / spread
        first = torch.where(first < 0, first + 6, first)
        sector = torch.where(high == red, first, torch.where(high == green, (blue - red) / spread + 2, (red - green) / spread + 4))
        degrees = torch.where(high > low, torch.floor(sector * 60 + 0.5), torch.zeros_like(high)).int()
        hue = torch.where(degrees >= 360, degrees - 360, degrees)
        density = (-torch.log10((rgb + 1) / 256) * self.dab).sum(dim=2)
        centi = torch.floor(density * 100 + 0.5).clamp(0, 300).int()
        return hue, torch.floor(high + 0.5).int(), centi


DETECTION_OUTPUTS = ["x", "y", "label", "nucleus", "confidence", "count"]
GRADING_OUTPUTS = ["hue", "value", "dab_od_centi"]


def export(checkpoint: Path, out: Path, threshold: float, version: str) -> None:
    """Write both graphs and `model.json` (name, version, counting threshold, hashes) below `out`."""
    net = NucleusNet().eval()
    net.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["net"])
    if not all(bool(torch.isfinite(p).all()) for p in net.state_dict().values()):
        raise SystemExit(f"{checkpoint}: weights hold NaN or infinity; nothing was written")
    tiles = torch.randint(0, 256, (2, 256, 320, 3), dtype=torch.uint8)
    points = torch.rand(2, 7) * 200
    places = {1: "places"}
    batch = {0: "batch"}
    write(
        Detection(net).eval(), (tiles,), out / "nuclei_detection/1/model.onnx", ["tiles"], DETECTION_OUTPUTS,
        {"tiles": batch | {1: "height", 2: "width"}, "count": batch} | dict.fromkeys(DETECTION_OUTPUTS[:-1], batch | places),
    )  # fmt: skip
    write(
        Grading().eval(), (tiles, points, points), out / "staining_grading/1/model.onnx", ["tiles", "x", "y"], GRADING_OUTPUTS,
        {"tiles": batch | {1: "height", 2: "width"}} | dict.fromkeys(["x", "y", *GRADING_OUTPUTS], batch | places),
    )  # fmt: skip
    files = {n: out / n / "1/model.onnx" for n in ("nuclei_detection", "staining_grading")}
    card = {
        "name": "chromogen-nuclei",
        "version": version,
        "mpp": 0.5,
        "counting_threshold": threshold,
        "multiply_adds_per_pixel": round(multiply_adds_per_pixel(net)),
        "sha256": {n: hashlib.sha256(p.read_bytes()).hexdigest() for n, p in files.items()},
    }
    (out / "model.json").write_text(json.dumps(card, indent=2) + "\n")


def write(
    module: nn.Module, inputs: tuple[Tensor, ...], path: Path, names: list[str], outputs: list[str], axes: dict[str, dict[int, str]]
) -> None:
    """Trace and write one graph; checked by onnx."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the tracer's notes on shapes
        torch.onnx.export(
            module, inputs, str(path), input_names=names, output_names=outputs, dynamic_axes=axes, opset_version=OPSET, dynamo=False
        )
    onnx.checker.check_model(onnx.load(path), full_check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("triton_models"))
    parser.add_argument("--threshold", type=float, required=True, help="nucleus probability from which a nucleus is counted")
    parser.add_argument("--version", default="1")
    args = parser.parse_args()
    torch.set_num_threads(1)
    export(args.checkpoint, args.out, args.threshold, args.version)


if __name__ == "__main__":
    main()
