"""What is doubtful in annotations themselves, whatever is fitted to them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np

from inference.calibration.concerns import Advice, Concern
from inference.calibration.observers import Observed
from inference.calibration.sample import Sample
from inference.keypoints import FloatArray, near

DOUBTS = {
    Concern.DUPLICATE_ANNOTATIONS: "nuclei are annotated twice; they count once",
    Concern.CONTRADICTORY_ANNOTATIONS: "marks contradict another of the same nucleus and are left out; correct them",
    Concern.OFF_TISSUE: "annotated nuclei lie off the tissue; check the coordinates",
}
NAMED = 3
"""Regions that a warning names; it counts the others."""
NEAREST_UM, FARTHEST_UM, ENOUGH_SPACED, SPACED = 4.0, 11.0, 50, 20_000
"""Median distance of a nucleus to the next, where there are so many, of which as many are looked at: 5.9 µm over the
endonuke tiles (single ones 4.0 to 9.7), about 6.4 as drawn. A scan at 40x
taken for one at 20x, or the reverse, leaves it."""
MPP_VARIES = 0.02
"""Share by which pixel sizes may differ unsaid."""


def doubtful(doubts: Mapping[Concern, Mapping[str, int]]) -> Iterator[Advice]:
    """One warning for each concern, whatever the number of regions; `doubts` are nuclei by the region's name."""
    for concern, regions in doubts.items():
        more = f" and {len(regions) - NAMED} regions more" if len(regions) > NAMED else ""
        text = f"{sum(regions.values())} {DOUBTS[concern]}: {', '.join(list(regions)[:NAMED])}{more}"
        yield Advice(concern=concern, text=text)


def misplaced(observed: Sequence[Observed], samples: Sequence[Sample]) -> Iterator[Advice]:
    """What the places of regions and nuclei make doubtful; both in the order of the regions."""
    names = [sample.name for sample in samples]
    pairs = combinations(zip(observed, names, strict=True), 2)
    doubled = [f"{one} and {other}" for (a, one), (b, other) in pairs if _overlap(a, b)]
    if doubled:
        text = f"the same nuclei count twice where regions overlap: {_some(doubled)}; draw them apart, or leave one out"
        yield Advice(concern=Concern.REGIONS_OVERLAP, text=text)
    odd = [sample.name for sample, each in zip(samples, observed, strict=True) if not _usual(sample, each.mpp)]
    if odd:
        usual = f"{NEAREST_UM:g} to {FARTHEST_UM:g} µm"
        text = f"most nuclei lie nearer to the next one, or farther from it, than {usual} in {_some(odd)}: check mpp"
        yield Advice(concern=Concern.PIXEL_SIZE_DOUBTFUL, text=text)


def _overlap(a: Observed, b: Observed) -> bool:
    if (a.image, a.annotator) != (b.image, b.annotator):
        return False
    if a.region is None or b.region is None:
        return True
    across = a.region.x < b.region.right and b.region.x < a.region.right
    return across and a.region.y < b.region.bottom and b.region.y < a.region.bottom


def _usual(sample: Sample, mpp: float) -> bool:
    """Is the nucleus next to most nuclei as far away as nuclei are? Of too few nuclei nothing is said."""
    found = np.stack([sample.cells.x, sample.cells.y], axis=1)
    xy = (found if sample.annotated is None else sample.annotated.xy)[:SPACED]
    if len(xy) < ENOUGH_SPACED:
        return True
    return _neighboured(xy, NEAREST_UM / mpp) <= 0.5 <= _neighboured(xy, FARTHEST_UM / mpp)


def _neighboured(xy: FloatArray, radius: float) -> float:
    """Share of points with another within the radius, in px."""
    one, other = near(xy, xy, radius)
    return len(np.unique(one[one != other])) / len(xy)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{', '.join(names[:NAMED])}{more}"


def differing(scanners: Iterable[str], mpps: Sequence[float]) -> Iterator[Advice]:
    """Slides of different scanners (empty: not known) or pixel sizes: criteria are for one scanner."""
    known = sorted({scanner for scanner in scanners if scanner})
    if len(known) > 1:
        text = f"the slides are of different scanners ({'; '.join(known)}): calibrate each apart"
        yield Advice(concern=Concern.SCANNERS_DIFFER, text=text)
    if mpps and np.ptp(mpps) > MPP_VARIES * min(mpps):
        text = f"pixels are of {min(mpps):g} to {max(mpps):g} µm: check mpp, and calibrate each scanner apart"
        yield Advice(concern=Concern.PIXEL_SIZES_DIFFER, text=text)
