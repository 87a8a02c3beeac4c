"""Which images of a slide an assay needs. Pure.

A slide's levels show the same at other scales, and only some of them are read: the largest, which coordinates are of,
the one that `server.slides.plan` reads at the working resolution, and the one of its overview. The others stay where
they are. Whatever isn't surely such a level is fetched, for the reader to judge.
"""

from collections.abc import Sequence
from math import log

from inference.model import Resolution
from inference.tissue import MASK_MPP
from server.slides.dicom_header import InstanceHeader
from server.slides.plan import SAME_MPP

SAME_EXTENT = 0.02
"""Share by which the sides that two levels show may differ."""


def needed(slide: Sequence[InstanceHeader], resolution: Resolution | None) -> list[InstanceHeader]:
    """Of one slide's instances those to be fetched; label and overview pictures, which may show a name, never."""
    volume = [header for header in slide if header.is_volume]
    if resolution is None or not all(h.spacing_um and min(h.size) > 0 for h in volume):
        return volume
    base = min(volume, key=_largest_first)
    levels = [h for h in volume if _shows_the_same(base, h)]
    if any(h.concatenation_uid for h in volume) or len({h.size for h in levels}) < len(levels):
        return volume  # parts of a level, focal planes, optical paths
    read = {base.sop_instance_uid, *(h.sop_instance_uid for h in _read(levels, resolution))}
    return [h for h in volume if h not in levels or h.sop_instance_uid in read]


def unread(slide: Sequence[InstanceHeader], resolution: Resolution | None) -> frozenset[str]:
    """SOP Instance UIDs of what is `needed` for its header alone: a largest level that coordinates are of, and that is
    too fine to be read.
    """
    if resolution is None:
        return frozenset()
    wanted = needed(slide, resolution)
    base = min(wanted, key=_largest_first)
    levels = [h for h in wanted if _shows_the_same(base, h)]
    if len(wanted) < 2 or len(levels) < len(wanted) or len({h.size for h in levels}) < len(levels):
        return frozenset()  # what it is isn't sure: all of it is looked at
    read = {h.sop_instance_uid for h in _read(levels, resolution)}
    return frozenset({base.sop_instance_uid} - read)


def _largest_first(header: InstanceHeader) -> tuple[int, str]:
    return -header.size[0] * header.size[1], header.sop_instance_uid


def _read(levels: Sequence[InstanceHeader], resolution: Resolution) -> list[InstanceHeader]:
    """Nearest to the working resolution, in all ways that `plan_working` may take; the coarsest fine enough for the
    overview.
    """
    fine = [h for h in levels if _mpp(h) <= resolution.coarsest * (1 + SAME_MPP)] or levels
    apart = {h.sop_instance_uid: abs(log(_mpp(h) / resolution.working)) for h in fine}
    finer = [h for h in fine if _mpp(h) <= resolution.working * (1 + SAME_MPP)]
    working = [h for h in fine if apart[h.sop_instance_uid] <= min(apart.values()) + 2 * SAME_MPP]
    overview = [h for h in levels if _mpp(h) <= MASK_MPP * (1 + SAME_MPP)]
    return [*working, *sorted(finer, key=_mpp)[-1:], *sorted(overview or levels, key=_mpp)[-1:]]


def _shows_the_same(base: InstanceHeader, level: InstanceHeader) -> bool:
    sides = zip(_extent(base), _extent(level), strict=True)
    return all(abs(a - b) <= SAME_EXTENT * a for a, b in sides)


def _extent(header: InstanceHeader) -> tuple[float, float]:
    x, y = header.spacing_um or (0.0, 0.0)
    return header.size[0] * x, header.size[1] * y


def _mpp(header: InstanceHeader) -> float:
    return min(header.spacing_um or (0.0,))
