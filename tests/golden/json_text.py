"""JSON as JSON: the same keys in the same order, masked, with numbers that may move written as such."""

import json
from pathlib import Path
from typing import Any

from tests.golden.masks import SECONDS, VERSION, Masks
from tests.golden.tolerance import COUNT, kind_of_quantity, number

# By key, or for a list or an object of numbers by the key that holds it: in result.json, then in the API's answer.
_KINDS = {
    "n": "nuclei",
    "counts": "nuclei",
    "h_score": "points",
    "h_score_ci95": "points",
    "standard_deviation": "points",
    "percent_positive": "percent",
    "percent_positive_ci95": "percent",
    "score": "points",
    "tissue_mm2": "size",
    "nuclei": "nuclei",
}
_VERSIONS = frozenset({"version", "software", "software_version"})
_ROW = frozenset({"code", "unit", "n"})
"""Keys of every score."""
_MAPS = frozenset({"numbers", "texts"})
"""Of the API's answer: maps of protobuf, which come in any order."""
_OPAQUE = {"etag": "<etag>"}


def result_text(path: Path, masks: Masks) -> list[str]:
    """result.json, as lines."""
    return json_lines(json.loads(path.read_text()), masks)


def json_lines(value: Any, masks: Masks) -> list[str]:
    """What json.loads gives, as lines."""
    return json.dumps(_masked(value, "", masks), indent=2, ensure_ascii=False).splitlines()


def _row(row: dict[str, Any], masks: Masks) -> dict[str, Any]:
    """A score: its numbers are of the kind that its code and unit say."""
    kind = kind_of_quantity(row["code"], row["unit"])
    kinds = {"value": kind, "interval": kind, "n": COUNT}
    return {k: _numbers(kinds[k], v) if k in kinds else _masked(v, k, masks) for k, v in row.items()}


def _numbers(kind: str | None, value: Any) -> Any:
    if value is None or kind is None:
        return value
    if isinstance(value, dict):
        return {k: number(kind, v) for k, v in value.items()}
    return [number(kind, v) for v in value] if isinstance(value, list) else number(kind, value)


def _masked(value: Any, key: str, masks: Masks) -> Any:
    """`key` is the nearest that says of what kind a number is."""
    if isinstance(value, dict):
        if key == "seconds":
            return dict.fromkeys(value, SECONDS)
        if key in _MAPS:
            return dict(sorted(value.items()))
        if value.keys() >= _ROW:
            return _row(value, masks)
        return {k: _masked(v, k if key not in _KINDS else key, masks) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v, key, masks) for v in value]
    if isinstance(value, bool) or value is None:
        return value
    if key in _KINDS:
        return number(_KINDS[key], value)
    if isinstance(value, str) and value:
        return VERSION if key in _VERSIONS else _OPAQUE.get(key) or masks.text(value)
    return value
