"""What comes to an archive: implementations of `server.domain.arrival.Feed`.

A slide is there whole once its archive says the same of its series twice in a row, or, of an Orthanc, says so itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Protocol, runtime_checkable

from server.archive.orthanc import OrthancRest
from server.archive.unread import Unread
from server.domain.arrival import Arrived, Site
from server.hl7.markers import mentioned
from server.slides.dicom_header import InstanceHeader


@runtime_checkable
class Listing(Protocol):
    """An archive that can be asked what slides it has."""

    def there(self, days: int) -> Mapping[str, str]:
        """Slides of studies of the last `days` days: series UID -> what changes when more of it comes."""
        ...

    def headers(self, series_uid: str) -> Sequence[InstanceHeader]:
        """All instances of a series that `there` listed last, or that came since."""
        ...

    def ping(self) -> None:
        """Raises Failed where the archive isn't there, or refuses us."""
        ...


class PollFeed:
    """Asks for the list each time. `days` as `Listing.there` has it."""

    def __init__(self, archive: Listing, days: int, unread: Unread | None = None) -> None:
        self._archive, self._days, self._unread = archive, days, unread or Unread(archive.ping)
        self._before: Mapping[str, str] = {}
        self._told: dict[str, str] = {}

    def arrived(self) -> list[Arrived]:
        now = dict(self._archive.there(self._days))
        self._unread.keep(lambda uid: uid in now and self._told.get(uid) == now[uid])
        whole = [uid for uid, said in now.items() if self._before.get(uid) == said and self._told.get(uid) != said]
        found = [slide for uid in whole for slide in self._unread.first(uid, partial(slide_of, self._archive, uid))]
        found += self._unread.again()
        self._before = now
        self._told = {uid: said for uid, said in {**self._told, **{u: now[u] for u in whole}}.items() if uid in now}
        return found


class OrthancFeed:
    """What is there at first by polls, then what changes: its number is asked for before, so that nothing is missed."""

    def __init__(self, archive: Listing, rest: OrthancRest, days: int) -> None:
        self._archive, self._rest, self._unread = archive, rest, Unread(archive.ping)
        self._poll = PollFeed(archive, days, self._unread)
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
            found += [slide for name in changes.series for slide in self._unread.first(name, partial(self._of, name))]
            last, done = changes.last, changes.done
        found += self._unread.again()
        self._last = last
        return found

    def _of(self, name: str) -> list[Arrived]:
        """By Orthanc's name of its series."""
        uid = self._rest.series_uid(name)
        return slide_of(self._archive, uid) if uid else []


def slide_of(archive: Listing, series_uid: str) -> list[Arrived]:
    return arrived_as(archive.headers(series_uid))


def arrived_as(headers: Iterable[InstanceHeader]) -> list[Arrived]:
    """The slide of one series; none where it has no level."""
    levels = [header for header in headers if header.is_volume]
    if not levels:
        return []
    one = levels[0]
    return [
        Arrived(
            series_uid=one.series_uid,
            study_uid=one.study_uid,
            container_id=one.container_id,
            accession_number=one.accession_number,
            specimens=frozenset(name for header in levels for name in header.specimens),
            patient_id=one.patient_id,
            patient_issuer=one.patient_issuer,
            markers=frozenset(name for h in levels for text in h.stains for name in mentioned(text)),
            sites=tuple(
                Site(code=c, scheme=s, text=t) for c, s, t in dict.fromkeys(x for h in levels for x in h.sites)
            ),
        )
    ]
