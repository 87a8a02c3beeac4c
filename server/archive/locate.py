"""Which instances of an archive are the slide that an order names. Pure."""

from collections.abc import Iterable

from inference.errors import Reason, Refused
from server.domain.errors import ServiceReason
from server.domain.order import SlideReference
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader


def locate(reference: SlideReference, headers: Iterable[InstanceHeader]) -> list[InstanceHeader]:
    """The whole-slide instances (levels, label, overview) of the one series meant, ordered by SOP instance UID.

    Every identifier that the order gives must fit. Raises Refused: SLIDE_NOT_FOUND, SEVERAL_SLIDES. Messages name the
    kind of identifier and not the identifier, because a container's may lead to a patient.
    """
    given = _given(reference)
    if not given:
        raise Refused(
            ServiceReason.SLIDE_NOT_FOUND, "the order names no slide: send its series, study or container identifier"
        )
    fitting = [header for header in headers if _fits(header, reference)]
    series = {header.series_uid for header in fitting if header.is_volume}
    if not series:
        raise Refused(ServiceReason.SLIDE_NOT_FOUND, _not_found(given, fitting))
    if len(series) > 1:
        message = f"{len(series)} scanned slides have the {given} asked for: order by series UID"
        raise Refused(Reason.SEVERAL_SLIDES, message)
    slide = [h for h in fitting if h.series_uid in series and h.sop_class_uid == WHOLE_SLIDE_IMAGE]
    return sorted({h.sop_instance_uid: h for h in slide}.values(), key=lambda h: h.sop_instance_uid)


def _given(reference: SlideReference) -> str:
    named = (
        (reference.series_uid, "series UID"),
        (reference.study_uid, "study UID"),
        (reference.container_id, "container identifier"),
    )
    return " and ".join(name for value, name in named if value)


def _fits(header: InstanceHeader, reference: SlideReference) -> bool:
    wanted = (
        (reference.series_uid, header.series_uid),
        (reference.study_uid, header.study_uid),
        (reference.container_id, header.container_id),
    )
    return all(value in ("", found) for value, found in wanted)


def _not_found(given: str, fitting: list[InstanceHeader]) -> str:
    if not fitting:
        return f"the archive has no image with the {given} asked for: see whether the slide has been scanned and sent"
    kinds = sorted({header.flavour.lower() or "another object" for header in fitting})
    return f"under the {given} asked for the archive has no level of a slide, only: {', '.join(kinds)}"
