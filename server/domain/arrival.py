"""Slides that come to an archive: what waits for them, and which are scored without an order. Pure."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from server.domain.order import (
    EntityIdentifier,
    Patient,
    Priority,
    Request,
    Sender,
    SlideReference,
    Specimen,
)

OURSELVES = "CHROMOGEN"
"""Who orders what nobody ordered: sender, and namespace of its numbers."""
DIGITS = 18


class WatchKind(StrEnum):
    """How what comes to an archive is seen."""

    POLL = "poll"  # its list of slides, time and again
    CHANGES = "changes"  # an Orthanc's own feed


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Of an archive: every how many seconds; a poll looks at studies of so many days."""

    kind: WatchKind
    every_s: float = 60
    days: int = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class UnorderedRule:
    """Which slides of a laboratory are scored without an order: stained for one of `markers`, of one of `sites` (codes;
    none: of any), once no order has come `after_s` after the slide.
    """

    markers: tuple[str, ...]
    sites: tuple[str, ...] = ()
    after_s: float = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A coded body site."""

    code: str
    scheme: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """A slide that is there whole, by what its images say; `markers` are those that its stains name."""

    series_uid: str
    study_uid: str
    container_id: str = ""
    accession_number: str = ""
    specimens: frozenset[str] = frozenset()
    patient_id: str = ""
    patient_issuer: str = ""
    markers: frozenset[str] = frozenset()
    sites: tuple[Site, ...] = ()


class Feed(Protocol):
    """What comes to an archive."""

    def arrived(self) -> Sequence[Arrived]:
        """Slides that came whole since the last call; at first those of the days that are looked at.

        Raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED, ARCHIVE_ANSWER (all retryable): then nothing is lost.
        """
        ...


def scored_unordered(rules: Sequence[UnorderedRule], slide: Arrived) -> tuple[str, UnorderedRule] | None:
    """The marker, and by which rule; None: by none, or the slide doesn't say one stain alone."""
    if len(slide.markers) != 1:
        return None
    (marker,) = slide.markers
    return next(((marker, rule) for rule in rules if marker in rule.markers and _of_site(rule, slide)), None)


def _of_site(rule: UnorderedRule, slide: Arrived) -> bool:
    return not rule.sites or (bool(slide.sites) and all(site.code in rule.sites for site in slide.sites))


def request_for(slide: Arrived, marker: str, lab: str) -> Request:
    """An order of our own for a slide; the same slide makes the same one, which is accepted once."""
    number = f"S{int(hashlib.sha256(f'{slide.series_uid} {marker}'.encode()).hexdigest(), 16) % 10**DIGITS:0{DIGITS}}"
    site = slide.sites[0] if len(slide.sites) == 1 else Site(code="", scheme="", text="")
    return Request(
        lab=lab,
        sender=Sender(application=OURSELVES, facility=lab),
        message_control_id=number,
        message_type="",
        placer_order_number=EntityIdentifier(identifier=number, namespace=OURSELVES),
        placer_request="",
        priority=Priority.ROUTINE,
        marker=marker,
        procedure_code=marker,
        procedure_text="",
        patient=Patient(id=slide.patient_id, id_authority=slide.patient_issuer),
        specimen=Specimen(
            id=next(iter(slide.specimens)) if len(slide.specimens) == 1 else "",
            container_id=slide.container_id,
            site_code=site.code,
            site_scheme=site.scheme,
            site_text=site.text,
        ),
        slide=SlideReference(
            study_uid=slide.study_uid, series_uid=slide.series_uid, accession_number=slide.accession_number
        ),
    )


def references_of(slide: Arrived) -> Iterator[tuple[str, str]]:
    """By what orders may name the slide: attribute of their SlideReference and value, without empty ones."""
    for name in ("series_uid", "study_uid", "container_id", "accession_number"):
        if value := getattr(slide, name):
            yield name, value
