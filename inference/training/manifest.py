"""Manifests as the export writes them; `inference.model` reads them back."""

import json
from math import isfinite
from pathlib import Path
from typing import Any

from inference.model import MANIFEST, Graph, Model, Tensor

WIDTH = 100
"""What fits on a line of so many signs stays on it."""


def write_graph(repository: Path, graph: Graph, *, opset: int) -> None:
    """Write REPOSITORY/GRAPH/manifest.json."""
    card = {
        "role": graph.role,
        "runtime": graph.runtime,
        "inputs": graph.inputs,
        "outputs": [_tensor(tensor) for tensor in graph.outputs],
        "fingerprint_output": graph.fingerprint_output,
        **({"probability": graph.probability} if graph.probability else {}),
        "opset": opset,
        "files": {
            version: {"sha256": sha256, "fingerprint": graph.fingerprint[version]}
            for version, sha256 in graph.sha256.items()
        },
    }
    _write(repository / graph.name / MANIFEST, card)


def write_model(model: Model, *, multiply_adds_per_pixel: int) -> None:
    """Write REPOSITORY/MODEL/manifest.json; its graphs have theirs."""
    resolution, tile = model.resolution, model.tile
    bounds = {"enlarged_from": resolution.enlarged_from, "kept_within": resolution.kept_within}
    card = {
        "name": model.name,
        "version": model.version,
        "cells": model.cells,
        "mpp": {
            "working": resolution.working,
            "finest": resolution.finest,
            "coarsest": resolution.coarsest,
            **{name: bound for name, bound in bounds.items() if isfinite(bound)},
            **({"coarser": resolution.coarser} if resolution.coarser else {}),
        },
        "tile": {
            "core": tile.core,
            "halo": tile.halo,
            "stride": tile.stride,
            "pixels_per_place": model.pixels_per_place,
        },
        "counting_threshold": model.counting_threshold,
        "multiply_adds_per_pixel": multiply_adds_per_pixel,
        **({"postprocess": dict(model.postprocess)} if model.postprocess else {}),
        "graphs": [graph.name for graph in model.graphs],
    }
    _write(model.repository / model.folder / MANIFEST, card)


def _tensor(tensor: Tensor) -> dict[str, Any]:
    bounds = {"low": tensor.low, "high": tensor.high}
    known = {name: _plain(bound) for name, bound in bounds.items() if bound is not None}
    return {"name": tensor.name, "dtype": tensor.dtype, "shape": tensor.shape, **known}


def _plain(bound: float | str) -> float | str:
    """1.0 as 1."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound


def _write(path: Path, card: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_text(card, 0) + "\n")


def _text(value: Any, depth: int) -> str:
    """JSON in which what is short stays on one line, but for the whole."""
    flat = json.dumps(value)
    if not isinstance(value, dict | list | tuple) or (depth and len(flat) < WIDTH):
        return flat
    inner, outer = "  " * (depth + 1), "  " * depth
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(key)}: {_text(entry, depth + 1)}" for key, entry in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{outer}}}"
    return "[\n" + ",\n".join(inner + _text(entry, depth + 1) for entry in value) + f"\n{outer}]"
