"""The nuclei of an image as its probability map shows them."""

import numpy as np
import numpy.typing as npt

from inference.analyze import find_cells
from inference.analyzers.nuclear import NUCLEAR
from inference.cells.values import Cells
from inference.criteria import Criteria
from inference.grade import GRADES
from inference.infer import Engine
from inference.multiplex.raster import Nuclei
from inference.multiplex.resampled import Resampled
from inference.outline import OUTLINE, UNIT_UM
from inference.slide import Slide

FAINTEST = 0.1
"""Probability from which on a nucleus is in the map: the slider may go down that far."""
USUAL_THRESHOLD = 150
"""Of the map, 0-254: it parts nuclei that our counting threshold counts from fainter ones."""
_LEAST_COUNTED = 202.0
"""So that all of a counted nucleus, its outline too, is above the usual threshold (separated.FALL)."""


def found_in(image: Slide, engine: Engine) -> Cells:
    """With outlines, in px of the image, the faintest first."""
    cells = find_cells(Resampled(image, engine.model.resolution), engine, NUCLEAR, FAINTEST, outlines=True)
    return cells.taken(np.argsort(cells["nucleus"], kind="stable"))


def on_map(cells: Cells, criteria: Criteria, *, counting: float, mpp: float) -> Nuclei:
    """Cells with outlines as the map has them: `counting` is the model's threshold, `mpp` that of the image."""
    positive = NUCLEAR.group_of(cells, criteria) % GRADES > 0
    radii = (cells[OUTLINE] * (UNIT_UM / mpp)).astype(np.float32)
    return Nuclei(cells.x, cells.y, radii, strength(cells["nucleus"], counting), positive)


def strength(probability: npt.NDArray[np.float32], counting: float) -> npt.NDArray[np.float32]:
    """0 to 255, rising with the probability; counted nuclei above the usual threshold, the others not above it."""
    above = _LEAST_COUNTED + (255 - _LEAST_COUNTED) * (probability - counting) / (1 - counting)
    return np.where(probability >= counting, above, USUAL_THRESHOLD * probability / counting).astype(np.float32)
