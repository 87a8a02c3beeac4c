"""Series that an archive has and can't be read: they hold up no other, and are tried again, more and more rarely."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from server.domain.arrival import Arrived
from server.domain.errors import ChromogenError, ServiceReason

AWAY = (ServiceReason.ARCHIVE_UNREACHABLE, ServiceReason.ARCHIVE_DENIED)
"""Of the archive, or of this series alone: asked whether it is there, the archive tells."""
TRIES, MOST_LOOKS = 20, 64
"""How often one is tried, and at most how many looks lie between: at a look a minute, for 14 hours."""

Read = Callable[[], Sequence[Arrived]]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    read: Read
    tries: int
    due: int


class Unread:
    """Of one archive. A series is named by its UID, or as the archive names it.

    `ping` raises where the archive isn't there; `first` and `again` raise then, as it does.
    """

    def __init__(self, ping: Callable[[], None]) -> None:
        self._ping, self._looks = ping, 0
        self._failed: dict[str, _Failed] = {}

    def first(self, name: str, read: Read) -> Sequence[Arrived]:
        """What is read; nothing where that fails, and then it is tried again."""
        self._failed.pop(name, None)
        found = self._tried(name, read)
        if found is None:
            self._put_off(name, read, tries=1)
        return found or ()

    def again(self) -> list[Arrived]:
        """Once a look, at its end: those whose time it is. Where it raises, nothing is forgotten."""
        due = {name: each for name, each in self._failed.items() if each.due <= self._looks}
        found = {name: self._tried(name, each.read) for name, each in due.items()}
        for name, each in due.items():
            del self._failed[name]
            if found[name] is None:
                self._put_off(name, each.read, tries=each.tries + 1)
        self._looks += 1
        return [slide for slides in found.values() for slide in slides or ()]

    def keep(self, wanted: Callable[[str], bool]) -> None:
        """Forget the others."""
        self._failed = {name: each for name, each in self._failed.items() if wanted(name)}

    def _tried(self, name: str, read: Read) -> Sequence[Arrived] | None:
        try:
            return read()
        except ChromogenError as error:
            if error.reason in AWAY:
                self._ping()
            log.warning("slide_unreadable", series=name, reason=str(error.reason), error=error.message)
            return None

    def _put_off(self, name: str, read: Read, tries: int) -> None:
        if tries >= TRIES:
            log.error("slide_given_up", series=name, tries=tries)
            return
        due = self._looks + min(2 ** (tries - 1), MOST_LOOKS)
        self._failed[name] = _Failed(read=read, tries=tries, due=due)
