"""A laboratory's archives as one source of slides."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from inference.errors import Reason
from server.archive.several import SeveralArchives
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery

SLIDE = SlideQuery(slide=SlideReference(container_id="C"))
AWAY = Failed(ServiceReason.ARCHIVE_UNREACHABLE, "the archive is away", retryable=True)
ABSENT = Refused(ServiceReason.SLIDE_NOT_FOUND, "no slide of this container")
SEVERAL = Refused(Reason.SEVERAL_SLIDES, "two slides of this container")


@dataclass
class Archive:
    """One that has the slide, or answers so."""

    answer: ChromogenError | None = None
    asked: list[SlideQuery] = field(default_factory=list)

    def fetch(self, query: SlideQuery, spool: Path) -> Path:
        self.asked.append(query)
        self.ping()
        return spool / "slide"

    def ping(self) -> None:
        if self.answer is not None:
            raise self.answer


def fetched(*archives: Archive) -> str:
    """Empty, or the reason why not."""
    try:
        SeveralArchives(archives).fetch(SLIDE, Path("spool"))
    except ChromogenError as error:
        return str(error.reason)
    return ""


@pytest.mark.parametrize("first", [ABSENT, AWAY])
def test_the_first_archive_that_has_the_slide_brings_it(first: ChromogenError) -> None:
    second, third = Archive(), Archive()
    assert fetched(Archive(first), second, third) == ""
    assert (len(second.asked), third.asked) == (1, [])


@pytest.mark.parametrize("archives", [(ABSENT, AWAY), (AWAY, ABSENT), (AWAY, AWAY)])
def test_one_that_is_away_might_have_it_so_the_order_is_not_refused(archives: tuple[ChromogenError, ...]) -> None:
    assert fetched(*map(Archive, archives)) == "ARCHIVE_UNREACHABLE"


def test_a_slide_that_every_archive_lacks_is_not_found() -> None:
    assert fetched(Archive(ABSENT), Archive(ABSENT)) == fetched() == "SLIDE_NOT_FOUND"


def test_whatever_else_an_archive_says_counts_at_once() -> None:
    other = Archive()
    assert fetched(Archive(SEVERAL), other) == "SEVERAL_SLIDES"
    assert other.asked == []


def test_it_answers_where_all_of_them_do() -> None:
    SeveralArchives([Archive(), Archive()]).ping()
    with pytest.raises(Failed, match="ARCHIVE_UNREACHABLE"):
        SeveralArchives([Archive(), Archive(AWAY)]).ping()
