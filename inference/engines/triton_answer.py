"""What is taken for an answer of a Triton server: all of a model's tensors, as its manifest says that they can be."""

from typing import Any

import numpy as np

from inference.engines.peaks import Answers, Array
from inference.model import COUNT, FINGERPRINT_NUMBERS, Dtype, Model

TYPES = {"FP32": Dtype.FLOAT32, "INT32": Dtype.INT32, "UINT8": Dtype.UINT8, "INT8": Dtype.INT8}
SLACK = 1e-3
"""By how much floats may pass their bounds: devices round in their own ways."""


class NotAnAnswer(Exception):
    """No network of ours can have answered this; the text says what is wrong and quotes nothing of the server's."""


def answer_of(response: Any, model: Model, b: int, side: int) -> Answers:
    """The tensors of a response to b tiles of `side` px by name, (b, ...), fingerprints (b, 8) among them.

    Raises NotAnAnswer where one is missing, misshapen or holds what can't be.
    """
    wanted = _wanted(model, side)
    arrays: dict[str, Array] = {}
    if len(response.raw_output_contents) == len(response.outputs):
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True):
            if output.name in wanted and (found := _read(output, raw, b, *wanted[output.name])) is not None:
                arrays[output.name] = found
    if arrays.keys() != wanted.keys():
        raise NotAnAnswer(f"its answer lacks a tensor or one has the wrong shape; tiles: {b} of {side} px")
    wrong = impossible(arrays, model, side)
    if wrong:
        raise NotAnAnswer(f"its answer holds {wrong}")
    return arrays


def others(answers: Answers, model: Model) -> bool:
    """Does any tile's answer come of another graph than the model's?"""
    return any((answers[g.fingerprint_output] != g.fingerprint_numbers()).any() for g in model.graphs)


def impossible(answers: Answers, model: Model, side: int) -> str:
    """What no network of ours can have answered; empty where all is well. Half an answer shows in the count."""
    if not all(np.isfinite(a).all() for a in answers.values() if a.dtype.kind == "f"):
        return "numbers that aren't finite"
    if model.finder is not None:
        likely = answers[model.finder.probability]
        if not np.array_equal((likely > 0).sum(axis=1), np.minimum(answers[COUNT], likely.shape[1])):
            return "another number of peaks than it says"
    for tensor in model.tensors:
        values, (low, high) = answers[tensor.name], tensor.bounds(side)
        slack = SLACK if tensor.dtype is Dtype.FLOAT32 else 0
        if values.size and not (low - slack <= values.min() and values.max() <= high + slack):
            return f"{tensor.name} outside of {low:g} to {high:g}"
    return ""


def _wanted(model: Model, side: int) -> dict[str, tuple[Dtype, tuple[int, ...]]]:
    """Type and shape of each tensor for one tile."""
    fingerprints = {graph.fingerprint_output: (Dtype.INT32, (FINGERPRINT_NUMBERS,)) for graph in model.graphs}
    return {tensor.name: (tensor.dtype, model.shape_of(tensor, side)) for tensor in model.tensors} | fingerprints


def _read(output: Any, raw: bytes, b: int, dtype: Dtype, shape: tuple[int, ...]) -> Array | None:
    """None where it isn't of this type and shape, or has too few bytes or too many."""
    kind = np.dtype(dtype).newbyteorder("<")
    said = TYPES.get(output.datatype) is dtype and list(output.shape) == [b, *(shape or (1,))]
    if not said or len(raw) != kind.itemsize * b * int(np.prod(shape)):
        return None
    return np.frombuffer(raw, kind).reshape((b, *shape))
