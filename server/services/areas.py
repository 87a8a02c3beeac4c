"""Areas that a result's cells are counted by, in mm²: of the tissue, and of what a person drew."""

from collections.abc import Mapping

from inference.drawn_area import area_px
from inference.measures import ALL
from server.domain.result import Result
from server.services.edits import edits_of


def areas_of(result: Result) -> Mapping[str, float]:
    """By region. Of a drawn one what was drawn, but for what is left out; none of all tissue where some is left out:
    how much of that is tissue isn't kept.
    """
    tissue = {ALL: result.analysis.tissue_mm2}
    if result.change is None:
        return tissue
    slide, edits = result.analysis.slide, edits_of(result.change)
    of_px = (slide.mpp / 1000) ** 2
    drawn = {name: area_px(polygons, slide.size, edits.exclude) * of_px for name, polygons in edits.drawn.items()}
    return drawn if edits.exclude else drawn | tissue
