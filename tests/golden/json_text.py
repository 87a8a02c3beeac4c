"""JSON as JSON: the same keys in the same order, masked, with numbers that may move written as such."""

import json
from pathlib import Path
from typing import Any

from tests.golden.masks import SECONDS, VERSION, Masks
from tests.golden.tolerance import NUMBER, kind_of_quantity, number

# By key, or for a list or an object of numbers by the key that holds it: in result.json, then in the API's answer.
_KINDS = {
    "n": "nuclei",
    "counts": "nuclei",
    "h_score": "points",
    "h_score_ci95": "points",
    "standard_deviation": "points",
    "percent_positive": "percent",
    "tissue_mm2": "size",
    "nuclei": "nuclei",
}
_VERSIONS = frozenset({"version", "software", "software_version"})
_OPAQUE = {"etag": "<etag>"}


def result_text(path: Path, masks: Masks) -> list[str]:
    """result.json, as lines."""
    return json_lines(json.loads(path.read_text()), masks)


def json_lines(value: Any, masks: Masks) -> list[str]:
    """What json.loads gives, as lines."""
    return json.dumps(_masked(value, "", masks), indent=2, ensure_ascii=False).splitlines()


def _masked(value: Any, key: str, masks: Masks) -> Any:
    """`key` is the nearest that says of what kind a number is."""
    if isinstance(value, dict):
        if key == "seconds":
            return dict.fromkeys(value, SECONDS)
        if {"code", "unit", "interval"} <= value.keys():
            value = _row(value)
        return {k: _masked(v, k if key not in _KINDS else key, masks) for k, v in value.items()}
    if isinstance(value, list):
        return [_masked(v, key, masks) for v in value]
    if isinstance(value, bool) or value is None or (isinstance(value, str) and NUMBER.fullmatch(value)):
        return value
    if key in _KINDS:
        return number(_KINDS[key], value)
    if isinstance(value, str) and value:
        return VERSION if key in _VERSIONS else _OPAQUE.get(key) or masks.text(value)
    return value


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """A score row: value and interval are numbers of the kind that its code and unit say."""
    kind = kind_of_quantity(row["code"], row["unit"])
    if kind is None:
        return row

    def said(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: said(v) for name, v in value.items()}
        return [said(v) for v in value] if isinstance(value, list) else value if value is None else number(kind, value)

    return row | {name: said(row[name]) for name in ("value", "interval") if name in row}
