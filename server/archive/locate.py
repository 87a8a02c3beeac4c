"""Which instances of an archive are the slide that an order means. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from inference.errors import Reason, Refused
from inference.model import Resolution
from server.archive.label import check_label
from server.domain.errors import ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.hl7.markers import mentioned
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader

MOST_NAMED = 5
"""Candidates that a refusal names."""

Series = Sequence[InstanceHeader]
"""The levels of one scanned slide."""
Says = Callable[[Series], bool | None]
"""Whether a series says of itself what is wanted; None: it says nothing of it."""


def locate(query: SlideQuery, headers: Iterable[InstanceHeader]) -> list[InstanceHeader]:
    """The whole-slide instances (levels, label, overview) of the one series meant, ordered by SOP instance UID.

    Every identifier that the order gives must fit. Of several slides that do, the order's accession number, specimen,
    stain and resolution leave some; where they leave more than one, none is chosen. Raises Refused: SLIDE_NOT_FOUND,
    SEVERAL_SLIDES, SPECIMEN_MISMATCH, SLIDE_DAMAGED. Messages name the kind of identifier and not the identifier,
    because a container's may lead to a patient.
    """
    given = _given(query.slide)
    if not given:
        message = "the order names no slide: send its series, study or container identifier, or its accession number"
        raise Refused(ServiceReason.SLIDE_NOT_FOUND, message)
    there = list(headers)
    fitting = [header for header in there if _fits(header, query.slide)]
    slides = _slides(fitting)
    if not slides:
        raise Refused(ServiceReason.SLIDE_NOT_FOUND, _not_found(given, fitting))
    chosen = _only_one(query, given, slides)
    check_label(query, [h for h in there if h.series_uid == chosen and h.sop_class_uid == WHOLE_SLIDE_IMAGE])
    slide = [h for h in fitting if h.series_uid == chosen and h.sop_class_uid == WHOLE_SLIDE_IMAGE]
    return sorted({h.sop_instance_uid: h for h in slide}.values(), key=lambda h: h.sop_instance_uid)


def _given(reference: SlideReference) -> str:
    named = (
        (reference.series_uid, "series UID"),
        (reference.study_uid, "study UID"),
        (reference.container_id, "container identifier"),
    )
    found = " and ".join(name for value, name in named if value)
    return found or ("accession number" if reference.accession_number else "")


def _fits(header: InstanceHeader, reference: SlideReference) -> bool:
    wanted = [
        (reference.series_uid, header.series_uid),
        (reference.study_uid, header.study_uid),
        (reference.container_id, header.container_id),
    ]
    if not any(value for value, _ in wanted):
        wanted.append((reference.accession_number, header.accession_number))
    return all(value in ("", found) for value, found in wanted)


def _slides(fitting: Sequence[InstanceHeader]) -> dict[str, list[InstanceHeader]]:
    """The levels of each series. Raises Refused SLIDE_DAMAGED where one UID is of two different instances."""
    known: dict[str, InstanceHeader] = {}
    slides: dict[str, list[InstanceHeader]] = {}
    for header in (h for h in fitting if h.is_volume):
        first = known.setdefault(header.sop_instance_uid, header)
        if (first.series_uid, first.size) != (header.series_uid, header.size):
            message = "the archive has two different images under one SOP instance UID: have their sender correct them"
            raise Refused(Reason.SLIDE_DAMAGED, message)
        if first is header:
            slides.setdefault(header.series_uid, []).append(header)
    return slides


def _only_one(query: SlideQuery, given: str, slides: Mapping[str, Series]) -> str:
    """The series UID of the one that is left."""
    accession, specimen = query.slide.accession_number, query.specimen_id
    left = _left(slides, lambda s: _one_of(accession, {h.accession_number for h in s})) or slides
    left = _left(left, lambda s: _one_of(specimen, {i for h in s for i in h.specimens})) or left
    stained = _left(left, lambda s: stained_as(query.marker, s))
    if not stained:
        raise _stained_otherwise(query, given)
    fine = _left(stained, lambda s: _fine_enough(query.resolution, s)) or stained
    if len(fine) > 1:
        raise Refused(Reason.SEVERAL_SLIDES, f"{_several(given, fine)}: order by series UID")
    return next(iter(fine))


def _left(slides: Mapping[str, Series], says: Says) -> dict[str, Series]:
    """Those that say what is wanted, else those that say nothing of it; never one that says otherwise."""
    said = {uid: says(series) for uid, series in slides.items()}
    wanted = {uid: slides[uid] for uid, answer in said.items() if answer}
    return wanted or {uid: slides[uid] for uid, answer in said.items() if answer is None}


def _one_of(wanted: str, found: set[str]) -> bool | None:
    known = found - {""}
    return wanted in known if wanted and known else None


def stained_as(marker: str, series: Series) -> bool | None:
    """By its stains; a description can say that it is stained so, and never that it isn't."""
    if not marker:
        return None
    texts = {text for header in series for text in header.stains}
    named = {name for text in texts for name in mentioned(text)}
    if not named and any("eosin" in text.lower() for text in texts):
        named = {"HE"}
    described = {name for header in series for text in header.descriptions for name in mentioned(text)}
    if marker in named or (marker in described and not named):
        return True
    return False if named else None


def _fine_enough(resolution: Resolution | None, series: Series) -> bool | None:
    known = [min(header.spacing_um) for header in series if header.spacing_um]
    return min(known) <= resolution.coarsest * (1 + 1e-6) if resolution and known else None


def _stained_otherwise(query: SlideQuery, given: str) -> Refused:
    """One that the order names outright is the wrong one; of a case, the right one may still come."""
    if query.slide.series_uid or query.slide.container_id:
        message = f"the slide with the {given} asked for is stained for another marker than {query.marker}"
        return Refused(ServiceReason.SPECIMEN_MISMATCH, f"{message}: check which slide is meant, then order again")
    message = f"under the {given} asked for the archive has no slide stained for {query.marker}, only for others"
    return Refused(ServiceReason.SLIDE_NOT_FOUND, f"{message}: see whether it has been scanned and sent")


def _several(given: str, slides: Mapping[str, Series]) -> str:
    named = [_described(uid, series) for uid, series in sorted(slides.items())]
    more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    return f"{len(named)} scanned slides have the {given} asked for ({'; '.join(named[:MOST_NAMED])}{more})"


def _described(uid: str, series: Series) -> str:
    spacings = [min(header.spacing_um) for header in series if header.spacing_um]
    scanned = max((header.acquired[:8] for header in series), default="")
    parts = [f"series {uid}", *([f"{min(spacings):.3g} µm/px"] if spacings else [])]
    return ", ".join([*parts, *([f"scanned {scanned}"] if scanned.isdigit() else [])])


def _not_found(given: str, fitting: list[InstanceHeader]) -> str:
    if not fitting:
        return f"the archive has no image with the {given} asked for: see whether the slide has been scanned and sent"
    kinds = sorted({header.flavour.lower() or "another object" for header in fitting})
    return f"under the {given} asked for the archive has no level of a slide, only: {', '.join(kinds)}"
