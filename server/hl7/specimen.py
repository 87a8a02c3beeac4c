"""Which specimen and which slide an order means: named once, or refused; of two, none is chosen in silence."""

import re
from collections.abc import Callable

from server.domain.errors import Refused, ServiceReason
from server.domain.order import SlideReference, Specimen
from server.hl7.er7 import Message, Segment, check_length
from server.hl7.structure import SEGMENTS_AT_MOST

# OBX-3 of the observations that carry UIDs: DICOM PS3.16 Annex D.
STUDY_UID_CODE, SERIES_UID_CODE = ("110180", "DCM"), ("112002", "DCM")
# OBX-3 of the observations that say how the slide was stained and scanned; schemes that its codes may be of.
PREPARATION = ("CLONE", "STAINER", "SCANNER", "STAINING_RUN", "CONTROL_KIND")
PREPARATION_SCHEMES = frozenset({"99CHROMOGEN", "L", ""})
_UID = re.compile(r"[0-9]+(\.[0-9]+)+")
_UID_LENGTH = 64

WITHDRAWN = frozenset({"D", "X", "W"})
"""OBX-11 (HL7 table 0085): deleted, can't be had, wrong."""


def specimen_of(message: Message, obr: Segment | None) -> Specimen:
    """SPM-2 (placer's identifier before the filler's), SAC-3, SPM-8, SPM-11, and what OBX say of its preparation and of
    what control it is.

    Without SPM the site of OBR-15.4 of old versions.
    """
    spm, container = _meant(message), _container(message)
    if spm is not None:
        code, text, scheme = (spm.get(8, component) for component in (1, 2, 3))
    elif obr is not None:
        code, text, scheme = (obr.get(15, 4, part) for part in (1, 2, 3))
    else:
        code = text = scheme = ""
    return Specimen(
        id=_identifier(spm),
        container_id=container,
        site_code=code,
        site_text=text,
        site_scheme=scheme,
        role="" if spm is None else spm.get(11).upper(),
        **{name.lower(): _prepared(message, name) for name in PREPARATION},
    )


def _prepared(message: Message, name: str) -> str:
    """What the one OBX of that name says: its text, or a coded one's text, else its code."""
    possible = _possible(message, name)
    found = [obx for obx in possible if obx.get(3) == name and obx.get(3, 3) in PREPARATION_SCHEMES]
    said = {obx.get(5, 2) or obx.get(5) for obx in found if obx.get(11).upper() not in WITHDRAWN} - {""}
    if len(said) > 1:
        raise Refused(
            ServiceReason.MESSAGE_INVALID, f"OBX-5 names {len(said)} values of {name}: send one order a slide"
        )
    return said.pop().strip() if said else ""


def slide_of(message: Message) -> SlideReference:
    """UIDs, container and accession number where given; else the specimen's own identifier, which some labs print on
    the slide.

    All empty where the message names none of them.
    """
    named = named_slide(message)
    return SlideReference(container_id=_identifier(_meant(message))) if named == SlideReference() else named


def named_slide(message: Message) -> SlideReference:
    """UIDs, container and accession number, as far as they are given."""
    study = _uid(message, "IPC-3", lambda m: _values(m.segments("IPC"), 3))
    study = study or _uid(message, "ZDS-1", lambda m: _values(m.segments("ZDS"), 1))
    study = study or _uid(message, "OBX-5 (110180, DCM)", lambda m: _observed(m, STUDY_UID_CODE))
    series = _uid(message, "OBX-5 (112002, DCM)", lambda m: _observed(m, SERIES_UID_CODE))
    accession = _accession_number(message)
    return SlideReference(
        study_uid=study, series_uid=series, container_id=_container(message), accession_number=accession
    )


def _accession_number(message: Message) -> str:
    """SAC-2, else IPC-1; empty where several differ: it only helps to find what the other identifiers name."""
    for name, field in (("SAC", 2), ("IPC", 1)):
        found = _values(message.segments(name), field) - {""}
        if found:
            return found.pop() if len(found) == 1 else ""
    return ""


def _meant(message: Message) -> Segment | None:
    """The one SPM, or of several the one under which a container stands (SAC-3)."""
    found = message.segments("SPM")
    if len(found) < 2:
        return found[0] if found else None
    with_slide = _with_container(message)
    if len(with_slide) != 1:
        raise Refused(
            ServiceReason.MESSAGE_INVALID,
            f"of {len(found)} SPM segments {len(with_slide)} have a slide of their own (SAC-3): send one order a slide",
        )
    return found[with_slide.pop()]


def _with_container(message: Message) -> set[int]:
    """Places, among the SPM, of those that a SAC with a container follows."""
    containers = iter(message.segments("SAC"))
    place, found = -1, set[int]()
    for line in message.lines:
        if line.startswith("SPM"):
            place += 1
        elif line.startswith("SAC") and next(containers).get(3) and place >= 0:
            found.add(place)
    return found


def _identifier(spm: Segment | None) -> str:
    return "" if spm is None else spm.get(2, 1) or spm.get(2, 2)


def _container(message: Message) -> str:
    found = _values(message.segments("SAC"), 3) - {""}
    if len(found) > 1:
        raise Refused(ServiceReason.MESSAGE_INVALID, f"SAC-3 names {len(found)} containers: send one order a slide")
    return found.pop() if found else ""


def _uid(message: Message, place: str, values: Callable[[Message], set[str]]) -> str:
    found = values(message) - {""}
    if len(found) > 1:
        raise Refused(ServiceReason.MESSAGE_INVALID, f"{place} names {len(found)} UIDs: send one order a slide")
    uid = found.pop() if found else ""
    if uid and not (_UID.fullmatch(uid) and len(uid) <= _UID_LENGTH):
        raise Refused(ServiceReason.MESSAGE_INVALID, f"{place} is not a DICOM UID")
    return uid


def _observed(message: Message, code: tuple[str, str]) -> set[str]:
    found = [obx for obx in _possible(message, code[0]) if (obx.get(3), obx.get(3, 3)) == code]
    if any(obx.get(5) and obx.get(11).upper() in WITHDRAWN for obx in found):
        raise Refused(
            ServiceReason.MESSAGE_INVALID, f"OBX-11 withdraws the UID of OBX-5 ({', '.join(code)}): send it without"
        )
    return _values(found, 5)


def _possible(message: Message, code: str) -> list[Segment]:
    """The OBX in which a code stands, anywhere."""
    found = message.containing("OBX", code)
    if len(found) > SEGMENTS_AT_MOST:
        raise Refused(
            ServiceReason.MESSAGE_INVALID, f"more than {SEGMENTS_AT_MOST} OBX hold {code}: send one order a slide"
        )
    check_length("OBX", (obx.line for obx in found))
    return found


def _values(segments: list[Segment], field: int) -> set[str]:
    """Of all repetitions: of two, the second counts as much."""
    said = {repetition.text: repetition for segment in segments for repetition in segment.repetitions(field)}
    return {repetition.get() for repetition in said.values()}
