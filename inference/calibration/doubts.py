"""What is doubtful in annotations themselves, whatever is fitted to them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from inference.calibration.concerns import Advice, Concern

DOUBTS = {
    Concern.DUPLICATE_ANNOTATIONS: "nuclei are annotated twice; they count once",
    Concern.CONTRADICTORY_ANNOTATIONS: "marks contradict another of the same nucleus and are left out; correct them",
    Concern.OFF_TISSUE: "annotated nuclei lie off the tissue; check the coordinates",
}
NAMED = 3
"""Regions that a warning names; it counts the others."""
MPP_VARIES = 0.02
"""Share by which pixel sizes may differ unsaid."""


def doubtful(doubts: Mapping[Concern, Mapping[str, int]]) -> Iterator[Advice]:
    """One warning for each concern, whatever the number of regions; `doubts` are nuclei by the region's name."""
    for concern, regions in doubts.items():
        more = f" and {len(regions) - NAMED} regions more" if len(regions) > NAMED else ""
        text = f"{sum(regions.values())} {DOUBTS[concern]}: {', '.join(list(regions)[:NAMED])}{more}"
        yield Advice(concern=concern, text=text)


def differing(scanners: Iterable[str], mpps: Sequence[float]) -> Iterator[Advice]:
    """Slides of different scanners (empty: not known) or pixel sizes: criteria are for one scanner."""
    known = sorted({scanner for scanner in scanners if scanner})
    if len(known) > 1:
        text = f"the slides are of different scanners ({'; '.join(known)}): calibrate each apart"
        yield Advice(concern=Concern.SCANNERS_DIFFER, text=text)
    if mpps and np.ptp(mpps) > MPP_VARIES * min(mpps):
        text = f"pixels are of {min(mpps):g} to {max(mpps):g} µm: check mpp, and calibrate each scanner apart"
        yield Advice(concern=Concern.PIXEL_SIZES_DIFFER, text=text)
