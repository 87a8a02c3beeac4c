"""What persons changed of a result, as the database keeps it (JSON)."""

from collections.abc import Mapping
from typing import Any

from server.domain.change import CellChange, Change, DrawnRegion, RegionClass


def to_json(change: Change) -> dict[str, Any]:
    return {
        "by": change.by,
        "why": change.why,
        "regions": [{"class": str(r.kind), "points": [list(p) for p in r.points]} for r in change.regions],
        "cells": [[c.row, c.group] for c in change.cells],
    }


def from_json(kept: Mapping[str, Any] | None) -> Change | None:
    """The inverse; None for none."""
    if kept is None:
        return None
    return Change(
        by=kept["by"],
        why=kept["why"],
        regions=tuple(_region(r) for r in kept["regions"]),
        cells=tuple(CellChange(row=row, group=group) for row, group in kept["cells"]),
    )


def _region(kept: Mapping[str, Any]) -> DrawnRegion:
    return DrawnRegion(kind=RegionClass(kept["class"]), points=tuple((x, y) for x, y in kept["points"]))
