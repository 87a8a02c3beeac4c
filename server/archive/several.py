"""The archives of a laboratory as one: implements `server.domain.ports.SlideSource`."""

from collections.abc import Sequence
from pathlib import Path

from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.domain.ports import SlideQuery, SlideSource


class SeveralArchives:
    """Asked in their order; the first that has a slide brings it."""

    def __init__(self, archives: Sequence[SlideSource]) -> None:
        self._archives = tuple(archives)

    def fetch(self, query: SlideQuery, spool: Path) -> Path:
        """Raises Refused SLIDE_NOT_FOUND only where every archive answered: one that is away might have it, and its
        Failed ARCHIVE_UNREACHABLE (retryable) is raised then. Refused SEVERAL_SLIDES at once.
        """
        missed: list[ChromogenError] = []
        for archive in self._archives:
            try:
                return archive.fetch(query, spool)
            except (Refused, Failed) as error:
                if error.reason not in (ServiceReason.SLIDE_NOT_FOUND, ServiceReason.ARCHIVE_UNREACHABLE):
                    raise
                missed.append(error)
        if not missed:
            raise Refused(ServiceReason.SLIDE_NOT_FOUND, "the laboratory has no archive: name one in the site file")
        raise next((e for e in missed if e.reason == ServiceReason.ARCHIVE_UNREACHABLE), missed[0])

    def ping(self) -> None:
        """Raises Failed ARCHIVE_UNREACHABLE where one of them doesn't answer."""
        for archive in self._archives:
            archive.ping()
