"""What comes to an archive: implementations of `server.domain.arrival.Feed`.

A slide is there whole once its archive says the same of its series twice in a row, or, of an Orthanc, says so itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from server.archive.orthanc import OrthancRest
from server.domain.arrival import Arrived, Site
from server.hl7.markers import mentioned
from server.slides.dicom_header import InstanceHeader


class Listing(Protocol):
    """An archive that can be asked what slides it has."""

    def there(self, days: int) -> Mapping[str, str]:
        """Slides of studies of the last `days` days: series UID -> what changes when more of it comes."""
        ...

    def headers(self, series_uid: str) -> Sequence[InstanceHeader]:
        """All instances of a series."""
        ...


class PollFeed:
    """Asks for the list each time. `days` as `Listing.there` has it."""

    def __init__(self, archive: Listing, days: int) -> None:
        self._archive, self._days = archive, days
        self._before: Mapping[str, str] = {}
        self._told: dict[str, str] = {}

    def arrived(self) -> list[Arrived]:
        now = dict(self._archive.there(self._days))
        whole = [uid for uid, said in now.items() if self._before.get(uid) == said and self._told.get(uid) != said]
        found = [slide for uid in whole for slide in arrived_as(self._archive.headers(uid))]
        self._before = now
        self._told = {uid: said for uid, said in {**self._told, **{u: now[u] for u in whole}}.items() if uid in now}
        return found


class OrthancFeed:
    """What is there at first by polls, then what changes: its number is asked for before, so that nothing is missed."""

    def __init__(self, archive: Listing, rest: OrthancRest, days: int) -> None:
        self._archive, self._rest, self._poll = archive, rest, PollFeed(archive, days)
        self._last: int | None = None
        self._polls = 2

    def arrived(self) -> list[Arrived]:
        if self._last is None:
            self._last = self._rest.last_change()
        if self._polls:
            found = self._poll.arrived()
            self._polls -= 1
            return found
        return self._changed()

    def _changed(self) -> list[Arrived]:
        last, found, done = self._last or 0, list[Arrived](), False
        while not done:
            changes = self._rest.changes(last)
            uids = filter(None, map(self._rest.series_uid, changes.series))
            found += [slide for uid in uids for slide in arrived_as(self._archive.headers(uid))]
            last, done = changes.last, changes.done
        self._last = last
        return found


def arrived_as(headers: Iterable[InstanceHeader]) -> list[Arrived]:
    """The slide of one series; none where it has no level."""
    levels = [header for header in headers if header.is_volume]
    if not levels:
        return []
    one = levels[0]
    specimens = {name for header in levels for name in header.specimens}
    return [
        Arrived(
            series_uid=one.series_uid,
            study_uid=one.study_uid,
            container_id=one.container_id,
            accession_number=one.accession_number,
            specimen_id=next(iter(specimens)) if len(specimens) == 1 else "",
            patient_id=one.patient_id,
            patient_issuer=one.patient_issuer,
            markers=frozenset(name for h in levels for text in h.stains for name in mentioned(text)),
            sites=tuple(
                Site(code=c, scheme=s, text=t) for c, s, t in dict.fromkeys(x for h in levels for x in h.sites)
            ),
        )
    ]
