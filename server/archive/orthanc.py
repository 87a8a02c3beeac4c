"""What an Orthanc says and does by its own REST interface beside its DICOMweb: its changes, and deletion."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inference.json_text import read_json
from server.archive.web import Web, wrong

STABLE = "StableSeries"
"""A series of which nothing came for a while (Orthanc's StableAge)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Series that became stable, as Orthanc names them, and up to which number of its feed; `done`: no more there."""

    series: tuple[str, ...]
    last: int
    done: bool


class OrthancRest:
    """`web` is at Orthanc's root. Every method raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED, ARCHIVE_ANSWER."""

    def __init__(self, web: Web) -> None:
        self._web = web

    def remove(self, sop_instance_uid: str) -> None:
        """Delete an instance; none is there is as good."""
        for name in self._instances(sop_instance_uid):
            self._web.delete("deletion", f"/instances/{name}")

    def changes(self, since: int, limit: int = 1000) -> Changes:
        """After number `since` of the feed."""
        what = "its changes"
        found = self._web.value(what, f"/changes?since={since}&limit={limit}")
        try:
            series = [str(each["ID"]) for each in found["Changes"] if each["ChangeType"] == STABLE]
            return Changes(series=tuple(dict.fromkeys(series)), last=int(found["Last"]), done=bool(found["Done"]))
        except (KeyError, TypeError, ValueError, OverflowError):
            raise wrong(what, "is no feed of changes") from None

    def last_change(self) -> int:
        """The newest number of the feed."""
        found: Any = self._web.value("its changes", "/changes?last")
        try:
            return int(found["Last"])
        except (KeyError, TypeError, ValueError):
            raise wrong("its changes", "is no feed of changes") from None

    def series_uid(self, name: str) -> str:
        """Series Instance UID of what Orthanc names so; empty where it is gone."""
        found: Any = self._web.value("a series", f"/series/{name}", missing={})
        tags = found.get("MainDicomTags") if isinstance(found, dict) else None
        return str(tags.get("SeriesInstanceUID") or "") if isinstance(tags, dict) else ""

    def _instances(self, sop_instance_uid: str) -> Iterator[str]:
        what, body = "an object", sop_instance_uid.encode()
        answer = self._web.send(what, "/tools/lookup", [body], size=len(body), content_type="text/plain")
        try:
            rows = read_json(answer.body)
            yield from [str(row["ID"]) for row in rows if row["Type"] == "Instance"]
        except (ValueError, KeyError, TypeError):
            raise wrong(what, f"is status {answer.status} and no list: check orthanc_url") from None
