"""Does a slide look like the stain that it is ordered as? By its overview, and by a few fields of it."""

import numpy as np

from inference import quality
from inference.analyzers.analyzer import Analyzer, Mismatch
from inference.around import beside_nuclei, densities
from inference.errors import Reason, Refused
from inference.geometry import Region
from inference.pattern import SIDE_UM, Pattern, fields_pattern
from inference.scale import Look
from inference.slide import FrameUnreadable, Rgb, Slide
from inference.tissue import Tissue
from inference.white import WhitePoint


def mismatch_of(analyzer: Analyzer, slide: Slide, tissue: Tissue) -> Mismatch | None:
    """Before any inference."""
    return analyzer.mismatch(tissue.overview) or analyzer.misplaced(_pattern(slide, tissue))


def mismatch_of_look(analyzer: Analyzer, look: Look, threshold: float, white: WhitePoint) -> Mismatch | None:
    """By the nuclei of the first look whose probability is at least the threshold."""
    counted = ((window, window.probability >= threshold) for window in look.windows)
    measured = [densities(window.image, white.rgb, window.x[sure], window.y[sure]) for window, sure in counted]
    return analyzer.misplaced(Pattern.BESIDE) if beside_nuclei(measured) else None


def refuse(found: Mismatch | None, tissue: Tissue) -> None:
    """Raises it as Refused, or WRONG_COLOUR_SPACE, which has the look of a mismatch."""
    if found is None:
        return
    if quality.background_coloured(tissue.overview):
        message = "glass isn't white or grey: the colours seem to be decoded wrongly; have the slide converted"
        raise Refused(Reason.WRONG_COLOUR_SPACE, message)
    raise Refused(found.reason, found.message)


def _pattern(slide: Slide, tissue: Tissue) -> Pattern:
    """Where brown lies in cells, by a few fields of the slide."""
    size, mpp = slide.working.size, slide.working.mpp
    per_px = size.width / tissue.overview.shape[1]

    def read(x: int, y: int) -> tuple[Rgb, float]:
        side = round(SIDE_UM / mpp)
        box = Region(x=int(x * per_px), y=int(y * per_px), width=side, height=side).clipped(size)
        try:
            return slide.read(box), mpp
        except FrameUnreadable:
            return np.full((8, 8, 3), 255, np.uint8), mpp

    return fields_pattern(tissue.overview, mpp * per_px, read)
