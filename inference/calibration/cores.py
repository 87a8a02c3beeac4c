"""The density scale that the control cores of a slide show, where no laboratory's slides have told it."""

from collections.abc import Sequence

from inference.analyzers.her2 import SCORES
from inference.analyzers.membrane_criteria import MembraneCriteria
from inference.calibration.membrane import Known, fit_scale
from inference.cells.histograms import Histograms
from inference.criteria import Criteria

LEAST_SCORES = 3
"""Cores of fewer expected scores don't tell a pale picture from a stain that failed: of two, some scale finds both
right whatever was stained."""


def scale_of_cores(criteria: Criteria, cores: Sequence[tuple[str, Histograms]]) -> Criteria | None:
    """Criteria by which the most cores, each of an expected score (one of `SCORES`, others don't count) and its cells,
    are found what is expected of them.

    None where the cores can't tell a scale, or the criteria have none.
    """
    known = [Known(name=score, histograms=cells, score=score) for score, cells in cores if score in SCORES]
    if not isinstance(criteria, MembraneCriteria) or len({one.score for one in known}) < LEAST_SCORES:
        return None
    return fit_scale(known).criteria
