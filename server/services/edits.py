"""What a person changed, as the analysis has it."""

import numpy as np

from inference.change import Edits, Polygon
from server.domain.change import Change, RegionClass


def edits_of(change: Change) -> Edits:
    """Polygons by what they are for, groups by row."""
    polygons: dict[str, list[Polygon]] = {}
    for region in change.regions:
        polygons.setdefault(str(region.kind), []).append(np.array(region.points, np.float64))
    exclude = polygons.pop(str(RegionClass.EXCLUDE), [])
    return Edits(exclude=exclude, drawn=polygons, cells={cell.row: cell.group for cell in change.cells})
