"""An archive behind DIMSE (PS3.7): implements `server.domain.ports.SlideSource` and `ObjectSink`.

C-FIND lists, C-GET or C-MOVE brings, C-STORE keeps, and C-FIND says whether it is there. Many archives list little of
an image by C-FIND: what a slide is chosen by is then read from the instance itself, which waits in the spool meanwhile.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset

from server.archive.association import Peer
from server.archive.levels import needed
from server.archive.listing import FIELDS, Listed, check_is, listed
from server.archive.locate import locate
from server.archive.spool import Spool, Writer
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import SlideQuery
from server.slides.dicom_header import WHOLE_SLIDE_IMAGE, InstanceHeader, read_instance_header

SeriesName = tuple[str, str]
"""Study and series UID."""
MOST_SERIES = 100
STUDY_INSTANCES, SERIES_INSTANCES = "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Study:
    """As it was listed: how many instances it has, as the archive says, and of each of its series."""

    instances: str
    series: Mapping[str, str]


class DimseArchive:
    """`name` as the site names it."""

    def __init__(self, name: str, peer: Peer, spool: Spool) -> None:
        self._name, self._peer, self._spool = name, peer, spool
        self._studies: dict[str, _Study] = {}

    def fetch(self, query: SlideQuery, spool: Path) -> Path:
        """Bring what of the slide is needed to `spool/<series UID>` and name that folder; again gives the same.

        Raises as `SlideSource.fetch`.
        """
        looked_at = spool / "looked-at"
        found = [each for series in self._series(query.slide) for each in self._instances(series, looked_at)]
        slide = locate(query, [each.header for each in found])
        wanted_uids = {header.sop_instance_uid for header in needed(slide, query.resolution)}
        of_slide = (each for each in found if each.header.series_uid == slide[0].series_uid)
        wanted = {f"{uid}.dcm": each for each in of_slide if (uid := each.header.sop_instance_uid) in wanted_uids}
        folder = spool / slide[0].series_uid
        for name, each in wanted.items():
            self._bring(each, folder / name)
        for stale in [path for path in folder.iterdir() if path.name not in wanted]:
            stale.unlink()
        return folder

    def store(self, objects: Sequence[Path]) -> None:
        """Send DICOM files one by one, and return once the archive lists each. Raises as `ObjectSink.store`."""
        for path in objects:
            header = read_instance_header(path)
            self._peer.store(path)
            if not self._has(header):
                message = "the archive took an object and doesn't list it: it is sent again; see to the archive"
                raise Failed(ServiceReason.ARCHIVE_ANSWER, message, retryable=True)

    def there(self, days: int) -> Mapping[str, str]:
        """As `server.archive.feeds.Listing`: by series, with how many instances each has.

        One question, and one of each study that has more or fewer instances than the last time, or doesn't say.
        """
        since = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y%m%d")
        asked = {"StudyDate": f"{since}-", "ModalitiesInStudy": "SM", "StudyInstanceUID": "", STUDY_INSTANCES: ""}
        now = dict[str, _Study]()
        for row in self._peer.find("STUDY", asked):
            uid, count = str(row.get("StudyInstanceUID") or ""), str(row.get(STUDY_INSTANCES) or "")
            before = self._studies.get(uid)
            same = before is not None and count and before.instances == count
            if uid:
                now[uid] = before if before and same else _Study(instances=count, series=self._counts(uid))
        self._studies = now
        return {uid: said for study in now.values() for uid, said in study.series.items()}

    def headers(self, series_uid: str) -> list[InstanceHeader]:
        """As `server.archive.feeds.Listing`."""
        studies = [uid for uid, study in self._studies.items() if series_uid in study.series]
        folder = self._spool.looked_at()
        return [each.header for study in studies for each in self._instances((study, series_uid), folder)]

    def ping(self) -> None:
        """Raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED (retryable)."""
        self._peer.echo()

    def _has(self, header: InstanceHeader) -> bool:
        of = {"StudyInstanceUID": header.study_uid, "SeriesInstanceUID": header.series_uid}
        rows = self._peer.find("IMAGE", {**of, "SOPInstanceUID": header.sop_instance_uid})
        return any(row.get("SOPInstanceUID") == header.sop_instance_uid for row in rows)

    def _series(self, slide: SlideReference) -> list[SeriesName]:
        if slide.series_uid and slide.study_uid:
            return [(slide.study_uid, slide.series_uid)]
        if slide.study_uid:
            return self._series_of(slide.study_uid)
        if slide.accession_number:
            studies = self._peer.find("STUDY", {"AccessionNumber": slide.accession_number, "StudyInstanceUID": ""})
            uids = dict.fromkeys(str(row.get("StudyInstanceUID") or "") for row in studies[:MOST_SERIES])
            return [name for uid in uids if uid for name in self._series_of(uid)]
        if slide.series_uid:
            return self._listed_series({"SeriesInstanceUID": slide.series_uid, "StudyInstanceUID": ""})
        message = "the archive can't be searched by container: order with the accession number, or a study UID"
        raise Refused(ServiceReason.SLIDE_NOT_FOUND, message)

    def _series_of(self, study_uid: str) -> list[SeriesName]:
        return self._listed_series({"StudyInstanceUID": study_uid, "SeriesInstanceUID": "", "Modality": "SM"})

    def _listed_series(self, asked: dict[str, str]) -> list[SeriesName]:
        rows = self._peer.find("SERIES", asked)
        names = [(str(row.get("StudyInstanceUID") or ""), str(row.get("SeriesInstanceUID") or "")) for row in rows]
        return list(dict.fromkeys(name for name in names if all(name)))[:MOST_SERIES]

    def _counts(self, study_uid: str) -> dict[str, str]:
        """By series: how many instances it has, as the archive says or as it lists them."""
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": "", "Modality": "SM", SERIES_INSTANCES: ""}
        rows = {str(row.get("SeriesInstanceUID") or ""): row for row in self._peer.find("SERIES", asked)}
        return {uid: str(row.get(SERIES_INSTANCES) or self._listed(study_uid, uid)) for uid, row in rows.items() if uid}

    def _listed(self, study_uid: str, series_uid: str) -> int:
        of = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid, "SOPInstanceUID": ""}
        return len(self._peer.find("IMAGE", of))

    def _instances(self, series: SeriesName, looked_at: Path) -> Iterator[Listed]:
        """What an archive lists too little of lies in `looked_at` meanwhile."""
        asked = dict.fromkeys(FIELDS.values(), "") | dict(
            zip(("StudyInstanceUID", "SeriesInstanceUID"), series, strict=True)
        )
        for row in self._peer.find("IMAGE", asked):
            found = listed(_filled(row, series).to_json_dict(suppress_invalid_tags=True))
            if found.complete:
                yield found
            elif found.header.sop_class_uid in ("", WHOLE_SLIDE_IMAGE):
                yield self._looked_at(found, looked_at)

    def _looked_at(self, found: Listed, folder: Path) -> Listed:
        """What the instance itself says of it."""
        path = folder / found.header.path.name
        self._bring(found, path)
        header = read_instance_header(path)
        path.unlink()
        return replace(found, header=replace(header, path=found.header.path))

    def _bring(self, each: Listed, target: Path) -> None:
        def fill(writer: Writer) -> None:
            self._peer.retrieve(each.header, writer.write)

        self._spool.bring(f"{self._name}\n{each.key}", target, fill, lambda part: check_is(part, each))


def _filled(row: Dataset, series: SeriesName) -> Dataset:
    row.StudyInstanceUID, row.SeriesInstanceUID = series
    if "QueryRetrieveLevel" in row:
        del row.QueryRetrieveLevel
    return row
