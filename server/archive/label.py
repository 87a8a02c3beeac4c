"""Whether a slide's label is of the specimen that the order and the slide's header name. Pure; no picture is read.

Scanners put what they read on the label into Barcode Value and Label Text (PS3.3, C.8.12.8). A barcode must hold one of
the identifiers of order and header; a text, in which anything may stand, must not hold another of the same form.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.errors import Refused, ServiceReason
from server.domain.ports import SlideQuery
from server.slides.dicom_header import InstanceHeader

LEAST = 4
"""Signs of an identifier that is looked for inside of something longer."""
_TOKEN = re.compile(r"[^\s,;|]+")


def check_label(query: SlideQuery, slide: Sequence[InstanceHeader]) -> None:
    """Raises Refused SPECIMEN_MISMATCH, naming no identifier."""
    if not query.labels:
        return
    wanted = _wanted(query, slide)
    if not wanted.identifiers:
        return
    for header in slide:
        if header.barcode and not wanted.held_by(header.barcode):
            raise _other("barcode", "Barcode Value")
        if header.label_text and not wanted.held_by(header.label_text) and _holds_like(header.label_text, wanted):
            raise _other("text", "Label Text")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    """What order and header call the slide; `extended`: none of it is the container's, which may begin so."""

    identifiers: frozenset[str]
    extended: bool

    def held_by(self, text: str) -> bool:
        """Whole, not as the beginning of another: S26-1 isn't in S26-12. Separators may be left out."""
        return any(_bare(text) == _bare(each) or self._within(each, text.casefold()) for each in self.identifiers)

    def _within(self, each: str, text: str) -> bool:
        after = r"(?![^\W_])" if self.extended else r"(?![-./]?[^\W_])"
        return len(each) >= LEAST and bool(re.search(rf"(?<![^\W_])(?<![^\W_][-./]){re.escape(each)}{after}", text))


def _wanted(query: SlideQuery, slide: Sequence[InstanceHeader]) -> _Wanted:
    containers = {query.slide.container_id, *(h.container_id for h in slide)} - {""}
    others = {query.specimen_id, query.slide.accession_number}
    said = {value for h in slide for value in (h.accession_number, *h.specimens)}
    found = {value.strip().casefold() for value in containers | others | said} - {""}
    return _Wanted(identifiers=frozenset(found), extended=not containers)


def _holds_like(text: str, wanted: _Wanted) -> bool:
    """Whether it holds something of the form of one of them."""
    forms = {_form(each) for each in wanted.identifiers if len(each) >= LEAST and any(c.isdigit() for c in each)}
    return any(_form(token) in forms for token in _TOKEN.findall(text.casefold()))


def _form(text: str) -> str:
    """Runs of letters and of digits, and what stands between them."""
    return re.sub(r"\d+", "9", re.sub(r"[^\W\d_]+", "A", text))


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.casefold())


def _other(what: str, element: str) -> Refused:
    message = (
        f"the {what} of the slide's label ({element}) names another specimen than order and slide: check the slide"
    )
    return Refused(ServiceReason.SPECIMEN_MISMATCH, message)
