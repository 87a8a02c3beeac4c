"""Post-training int8: weights and activations of the convolutions, ranges measured on stained training tiles (NNCF).

Pre- and post-processing stay float32, and so do the first convolution and the head where accuracy asks. Weights take 7
bits where an 8-bit product could overflow 16 bits on processors without VNNI, so that every processor answers the same.
"""

import logging
from pathlib import Path

import cv2
import numpy as np
import onnx

from inference.training import data
from inference.training.augment import STRONG, Image, disturbed

SIDE = 512  # px of a calibration picture, four or more tiles
PICTURES = 24
SEED = 5
FIRST, HEAD = "/net/down.0/down.0.0/Conv", "/net/head/Conv"


def quantised(path: Path, training: list[data.Tile]) -> onnx.ModelProto:
    """The int8 form of a float32 detection graph."""
    model = onnx.load(path)
    return in_int8(model, calibration_pictures(training), outside_of_network(model))


def in_int8(model: onnx.ModelProto, pictures: list[Image], left: list[str]) -> onnx.ModelProto:
    """With QuantizeLinear and DequantizeLinear nodes, but for the nodes `left`; ranges are those of `pictures`."""
    import nncf

    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(  # type: ignore[no-any-return]
        model,
        nncf.Dataset(pictures, lambda picture: {"tiles": picture[None]}),
        subset_size=len(pictures),
        preset=nncf.QuantizationPreset.MIXED,
        fast_bias_correction=True,
        target_device=nncf.TargetDevice.CPU,
        ignored_scope=nncf.IgnoredScope(names=left, validate=False),
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.ENABLE),
    )


def outside_of_network(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes of pre- and post-processing, of the first convolution and of the head."""
    names = [n.name for n in model.graph.node if n.op_type != "Constant"]
    first, last = names.index(FIRST), names.index(HEAD)
    return [*names[: first + 1], *names[last:]]


def calibration_pictures(training: list[data.Tile]) -> list[Image]:
    """Pictures (SIDE, SIDE, 3) of tiles laid side by side, every second stained anew."""
    random = np.random.default_rng(SEED)
    pictures = []
    for i in range(PICTURES):
        rows = [np.concatenate([_square(training, random) for _ in range(3)], axis=1) for _ in range(3)]
        picture = np.asarray(cv2.resize(np.concatenate(rows), (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)
        pictures.append(disturbed(picture, STRONG, random) if i % 2 else picture)
    return pictures


def _square(training: list[data.Tile], random: np.random.Generator) -> Image:
    return training[random.integers(len(training))].image[:176, :176]
