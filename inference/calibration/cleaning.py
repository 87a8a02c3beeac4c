"""One person's marks of a region as annotated nuclei: each nucleus once, within the region, all of one compartment and
grade.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from inference.annotations import Mark
from inference.calibration.sample import Annotated
from inference.errors import Reason, Refused
from inference.geometry import Region, Size
from inference.keypoints import near

SAME_UM = 1.0
"""Two marks nearer than that are of one nucleus."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Cleaned:
    """Annotated nuclei of a region; None where no mark has a grade. `duplicates` and `contradictory` count marks that
    were left out: second ones of a nucleus, and those that say different things of one.
    """

    annotated: Annotated | None
    duplicates: int
    contradictory: int


def cleaned(marks: Sequence[Mark], size: Size, region: Region | None, *, mpp: float, where: str) -> Cleaned:
    """Marks in px of the largest level, which has that `size`; those outside of the region are passed over.

    Raises Refused ANNOTATION_INVALID where one lies outside of the image, says no compartment, or only some are graded.
    """
    _check(marks, size, where)
    graded = [m.kind.grade is not None for m in marks]
    if any(graded) and not all(graded):
        message = f"{where}: {graded.count(False)} of {len(marks)} nuclei have no grade: grade all of them, or none"
        raise Refused(Reason.ANNOTATION_INVALID, message)
    if not any(graded):
        return Cleaned(annotated=None, duplicates=0, contradictory=0)
    inside = _within(_of(marks), region)
    again, contrary = _doubled(inside, mpp)
    kept = inside.taken(~(again | contrary))
    return Cleaned(annotated=kept, duplicates=int((again & ~contrary).sum()), contradictory=int(contrary.sum()))


def _check(marks: Sequence[Mark], size: Size, where: str) -> None:
    outside = [m for m in marks if not (-0.5 <= m.x <= size.width - 0.5 and -0.5 <= m.y <= size.height - 0.5)]
    if outside:
        first = f"{outside[0].x:g}, {outside[0].y:g}"
        message = (
            f"{where}: {len(outside)} of {len(marks)} nuclei lie outside of the image, {size.width} x {size.height} px,"
            f" the first at {first}; coordinates are pixels of the largest level"
        )
        raise Refused(Reason.ANNOTATION_INVALID, message)
    if any(m.kind.compartment is None for m in marks):
        message = f"{where}: a class names no compartment; map it by --classes"
        raise Refused(Reason.ANNOTATION_INVALID, message)


def _of(marks: Sequence[Mark]) -> Annotated:
    return Annotated(
        xy=np.array([(m.x, m.y) for m in marks], np.float64).reshape(-1, 2),
        compartment=np.array([m.kind.compartment for m in marks], np.int64),
        grade=np.array([m.kind.grade for m in marks], np.uint8),
    )


def _within(annotated: Annotated, region: Region | None) -> Annotated:
    if region is None:
        return annotated
    corner = np.array([region.x, region.y]) - 0.5
    x, y = ((annotated.xy - corner) / np.array([region.width, region.height])).T
    return annotated.taken((x >= 0) & (x < 1) & (y >= 0) & (y < 1))


def _doubled(a: Annotated, mpp: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which marks repeat an earlier one, and which are contradicted by another of the same nucleus."""
    again, contrary = np.zeros(len(a), bool), np.zeros(len(a), bool)
    first, second = near(a.xy, a.xy, SAME_UM / mpp)
    earlier = first < second
    first, second = first[earlier], second[earlier]
    again[second] = True
    differ = (a.grade[first] != a.grade[second]) | (a.compartment[first] != a.compartment[second])
    contrary[first[differ]] = contrary[second[differ]] = True
    return again, contrary
