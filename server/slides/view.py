"""What of a slide is read where its series holds more than one picture of it: by rule, or as the caller names it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inference.errors import Reason, Refused
from inference.model import Resolution
from server.slides.dicom_level import LevelHeader
from server.slides.plan import SAME_MPP
from server.slides.pyramids import Parts, Pictures, Pyramid, group

SMALLER_PART = 0.5
"""A region with less than this share of the largest one's area is left out with a warning; more is refused."""

_SAME_AREA = 0.98
_WITHIN = 0.9  # share of a region that lies in another, from which they show the same tissue


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Names of what is to be read; None leaves it to the rule.

    `pyramid` is a Pyramid UID or a number, from 1, among those that a refusal names; `optical_path` an identifier;
    `focal_plane` a number, from 1 in the order of depth.
    """

    pyramid: str | None = None
    optical_path: str | None = None
    focal_plane: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The pyramid that is read, and warnings (UPPER_SNAKE) about those that aren't."""

    pyramid: Pyramid
    notes: tuple[str, ...]


def choose(name: str, images: Sequence[Parts], view: View, resolution: Resolution, pictures: Pictures) -> Chosen:
    """The pyramid to read of a slide called `name`.

    The largest region, of its optical paths the first bright-field one, of equals the finest, of focal planes the one
    in the middle. Raises Refused: NOT_BRIGHTFIELD; SEVERAL_SLIDES where several regions are too large to leave one out,
    images of one place show different pictures, or what the caller names isn't there.
    """
    shown = _on_path(name, images, view)
    pyramids = sorted(group(shown, pictures), key=_by_area)
    candidates = _measured(_named(name, pyramids, view))
    scans = [p for p in candidates if p.mpp <= resolution.coarsest * (1 + 1e-6)] or _finest(candidates)
    largest = scans[0]
    same = [p for p in scans if p.area >= _SAME_AREA * largest.area and p.share_within(largest) >= _WITHIN]
    if view.pyramid is None:
        _check_smaller(name, pyramids, [p for p in scans if p.share_within(largest) < _WITHIN], largest)
    alike = _of_first_path(same)
    chosen, planes = _in_focus(name, alike, view)
    if view.pyramid is None and any(_contradicts(p, chosen, pictures) for p in same):
        what = f"holds different pictures of one place: name one by --pyramid ({candidates_text(pyramids)})"
        raise Refused(Reason.SEVERAL_SLIDES, f"{name} {what}")
    return Chosen(
        pyramid=chosen, notes=_notes(pyramids, chosen, scans, alike=len(planes) < len(alike) or len(same) > 1)
    )


def _by_area(pyramid: Pyramid) -> tuple[float, float, str]:
    return -pyramid.area, pyramid.mpp, pyramid.base.who.sop_instance_uid


def _on_path(name: str, images: Sequence[Parts], view: View) -> list[Parts]:
    """The images that show the optical path that is asked for, or any bright-field one."""
    if view.optical_path is None:
        found = [parts for parts in images if _brightfield(parts[0])]
        if not found:
            message = "shows fluorescence or another contrast than bright field: only bright-field slides can be scored"
            raise Refused(Reason.NOT_BRIGHTFIELD, f"{name} {message}")
        return [_planed(parts, view) for parts in found]
    named = [_shown(parts, view.optical_path) for parts in images]
    kept = [parts for parts in named if parts is not None]
    if not kept:
        names = sorted({path.identifier for parts in images for path in parts[0].optical_paths})
        message = f"{name} has no optical path {view.optical_path!r}: name one of {', '.join(names) or 'none'}"
        raise Refused(Reason.SEVERAL_SLIDES, message)
    return _on_path(name, [_planed(parts, view) for parts in kept], replace(view, optical_path=None))


def _brightfield(header: LevelHeader) -> bool:
    return header.path_shown is None or header.path_shown.brightfield


def _shown(parts: Parts, path: str) -> Parts | None:
    names = [known.identifier for known in parts[0].optical_paths]
    return [replace(part, shown=names.index(path)) for part in parts] if path in names else None


def _planed(parts: Parts, view: View) -> Parts:
    """The focal plane that is asked for, in an image that holds several."""
    if view.focal_plane is None or not 1 < parts[0].focal_planes >= view.focal_plane >= 1:
        return parts
    return [replace(part, focal_plane=view.focal_plane) for part in parts]


def _named(name: str, pyramids: Sequence[Pyramid], view: View) -> Sequence[Pyramid]:
    if view.pyramid is None:
        return pyramids
    found = [p for k, p in enumerate(pyramids, 1) if view.pyramid in (str(k), p.base.place.pyramid_uid)]
    if not found:
        message = f"{name} has no pyramid {view.pyramid!r}: name one of {candidates_text(pyramids)}"
        raise Refused(Reason.SEVERAL_SLIDES, message)
    return found


def _measured(pyramids: Sequence[Pyramid]) -> Sequence[Pyramid]:
    """Those whose pixels have a size, unless one without has more of them: that would be the slide."""
    known = [p for p in pyramids if p.base.spacing_um]
    most = max((p.base.layout.size.area for p in known), default=0)
    return known if all(p.base.layout.size.area <= most for p in pyramids) else pyramids


def _finest(pyramids: Sequence[Pyramid]) -> list[Pyramid]:
    limit = 2 * min(p.mpp for p in pyramids)
    return [p for p in pyramids if p.mpp <= limit]


def _check_smaller(name: str, all_of_them: Sequence[Pyramid], others: Sequence[Pyramid], largest: Pyramid) -> None:
    if any(p.area >= SMALLER_PART * largest.area for p in others):
        message = (
            f"holds several regions, and none is the slide: name one by --pyramid ({candidates_text(all_of_them)})"
        )
        raise Refused(Reason.SEVERAL_SLIDES, f"{name} {message}")


def candidates_text(pyramids: Sequence[Pyramid]) -> str:
    return ", ".join(f"{k}: {_described(p)}" for k, p in enumerate(pyramids, 1))


def _described(pyramid: Pyramid) -> str:
    size, spacing, at = pyramid.base.layout.size, pyramid.base.spacing_um, pyramid.base.place.origin_um
    extent = f"{size.width} x {size.height} px" + (f" of {spacing[0]:.4g} µm" if spacing else "")
    return extent + (f" at {at[0] / 1000:.4g}, {at[1] / 1000:.4g} mm" if at else "")


def _of_first_path(same: Sequence[Pyramid]) -> list[Pyramid]:
    """Those on the first optical path by name that are as fine as the finest of it."""
    path = min(p.base.path_name for p in same)
    mine = [p for p in same if p.base.path_name == path]
    finest = min(p.mpp for p in mine)
    return [p for p in mine if p.mpp <= finest * (1 + SAME_MPP)]


def _in_focus(name: str, alike: Sequence[Pyramid], view: View) -> tuple[Pyramid, list[float]]:
    """The pyramid in the middle plane, or the plane that is asked for, and the depths there are."""
    depths = sorted({p.base.place.depth_um for p in alike})
    wanted, within = view.focal_plane, alike[0].base.focal_planes
    if wanted is not None and not 1 <= wanted <= max(len(depths), within):
        message = f"{name} has no focal plane {wanted}: name one from 1 to {max(len(depths), within)}"
        raise Refused(Reason.SEVERAL_SLIDES, message)
    depth = depths[len(depths) // 2 if wanted is None or within > 1 else wanted - 1]
    return next(p for p in alike if p.base.place.depth_um == depth), depths


def _contradicts(other: Pyramid, chosen: Pyramid, pictures: Pictures) -> bool:
    """Whether it shows something else in the same plane and light, where both may be scored."""
    a, b = sorted((chosen, other), key=lambda p: p.mpp)
    elsewhere = a.base.path_name != b.base.path_name or a.base.place.depth_um != b.base.place.depth_um
    if a is b or elsewhere:
        return False
    sizes = [p.base.layout.size.width for p in (a, b)]
    ratio = max(1.0, b.mpp / a.mpp if a.mpp else sizes[0] / sizes[1])
    return not pictures.show_the_same(a.levels[0].parts, b.levels[0].parts, ratio)


def _notes(pyramids: Sequence[Pyramid], chosen: Pyramid, scans: Sequence[Pyramid], *, alike: bool) -> tuple[str, ...]:
    others = [p for p in pyramids if p is not chosen]
    elsewhere = any(p.share_within(chosen) < _WITHIN for p in others if p in scans)
    left_out = any(p not in scans or abs(p.mpp - chosen.mpp) > SAME_MPP * chosen.mpp for p in others)
    found = [("SEVERAL_IMAGES_OF_A_LEVEL", alike), ("SEVERAL_PYRAMIDS", elsewhere), ("LEVELS_LEFT_OUT", left_out)]
    return tuple(note for note, true in found if true)
