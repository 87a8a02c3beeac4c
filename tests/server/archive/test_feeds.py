"""One series that can't be read stops no feed: the others are told, and it is tried again, more and more rarely."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from server.archive.feeds import OrthancFeed, PollFeed
from server.archive.orthanc import Changes, OrthancRest
from server.archive.unread import TRIES
from server.domain.arrival import Feed
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader

BROKEN = Failed(ServiceReason.ARCHIVE_ANSWER, "no DICOM JSON", retryable=True)
DAMAGED = Refused(ServiceReason.SLIDE_NOT_FOUND, "damaged")
AWAY = Failed(ServiceReason.ARCHIVE_UNREACHABLE, "away", retryable=True)
DENIED = Failed(ServiceReason.ARCHIVE_DENIED, "not this one", retryable=True)


@dataclass
class Archive(OrthancRest):
    """Of series by name; those in `troubles` can't be read."""

    series: dict[str, str]
    troubles: dict[str, ChromogenError] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)
    away: bool = False

    def ping(self) -> None:
        if self.away:
            raise AWAY

    def there(self, days: int) -> Mapping[str, str]:
        return dict(self.series)

    def headers(self, series_uid: str) -> list[InstanceHeader]:
        self.asked[series_uid] += 1
        if series_uid in self.troubles:
            raise self.troubles[series_uid]
        return [level(series_uid)]

    def last_change(self) -> int:
        return len(self.changed)

    def changes(self, since: int, limit: int = 1000) -> Changes:
        return Changes(series=tuple(self.changed[since:]), last=len(self.changed), done=True)

    def series_uid(self, name: str) -> str:
        if name in self.troubles:
            raise self.troubles[name]
        return name.removeprefix("orthanc-")


def level(series_uid: str) -> InstanceHeader:
    return InstanceHeader(
        path=Path("x"),
        sop_class_uid=WHOLE_SLIDE_IMAGE,
        sop_instance_uid=f"{series_uid}.1",
        series_uid=series_uid,
        study_uid="1",
        container_id="",
        flavour="VOLUME",
    )


def told(feed: Feed, looks: int = 1) -> list[str]:
    return [slide.series_uid for _ in range(looks) for slide in feed.arrived()]


FEEDS: dict[str, Callable[[Archive], Feed]] = {
    "poll": lambda archive: PollFeed(archive, 7),
    "changes": lambda archive: OrthancFeed(archive, archive, 7),
}


@pytest.mark.parametrize("kind", FEEDS)
@pytest.mark.parametrize("trouble", [BROKEN, DAMAGED, AWAY, DENIED])
def test_one_that_can_t_be_read_stops_no_other_and_is_told_once_it_can_be(kind: str, trouble: ChromogenError) -> None:
    archive = Archive({"1.1": "2", "1.2": "2"}, {"1.1": trouble})
    feed = FEEDS[kind](archive)
    with capture_logs() as logs:
        assert told(feed, 2) == ["1.2"]
    assert [(e["event"], e["series"]) for e in logs] == [("slide_unreadable", "1.1")]
    assert told(feed, 5) == []
    archive.troubles = {}
    assert told(feed, 10) == ["1.1"]


@pytest.mark.parametrize("named", ["1.1", "orthanc-1.1"])
def test_of_changes_too(named: str) -> None:
    archive = Archive({})
    feed = FEEDS["changes"](archive)
    assert told(feed, 3) == []
    archive.troubles, archive.changed = {named: BROKEN}, ["orthanc-1.1", "orthanc-1.2"]
    assert told(feed, 3) == ["1.2"]
    archive.troubles = {}
    assert told(feed, 3) == ["1.1"]
    assert told(feed, 3) == []


@pytest.mark.parametrize("kind", FEEDS)
def test_while_the_archive_is_away_nothing_is_lost(kind: str) -> None:
    archive = Archive({"1.1": "2", "1.2": "2"}, {"1.1": BROKEN})
    feed = FEEDS[kind](archive)
    assert told(feed, 2) == ["1.2"]
    archive.troubles, archive.away = {"1.1": AWAY}, True
    with pytest.raises(Failed, match="away"):
        told(feed, 5)
    archive.troubles, archive.away = {}, False
    assert told(feed, 5) == ["1.1"]


def test_of_those_tried_again_one_that_fails_by_an_outage_takes_none_with_it() -> None:
    archive = Archive({"1.1": "2", "1.2": "2"}, {"1.1": BROKEN, "1.2": BROKEN})
    feed = FEEDS["poll"](archive)
    assert told(feed, 2) == []
    archive.troubles, archive.away = {"1.2": AWAY}, True
    with pytest.raises(Failed, match="away"):
        told(feed)
    archive.troubles, archive.away = {}, False
    assert sorted(told(feed, 2)) == ["1.1", "1.2"]


def test_it_is_tried_more_and_more_rarely_then_given_up_until_it_changes() -> None:
    archive = Archive({"1.1": "2"}, {"1.1": BROKEN})
    feed = FEEDS["poll"](archive)
    told(feed, 20)
    assert archive.asked["1.1"] == 5
    with capture_logs() as logs:
        told(feed, 2000)
    assert archive.asked["1.1"] == TRIES
    assert [e["series"] for e in logs if e["event"] == "slide_given_up"] == ["1.1"]
    archive.series, archive.troubles = {"1.1": "3"}, {}
    assert told(feed, 3) == ["1.1"]
