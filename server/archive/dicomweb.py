"""An archive behind DICOMweb (PS3.18): implements `server.domain.ports.SlideSource` and `ObjectSink`.

Own code over urllib3, where dicomweb-client is at hand: `docs/decisions/0005-own-dicomweb.md` says why.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from server.archive.header_stream import NoHeader, header_of
from server.archive.levels import needed, unread
from server.archive.listing import FIELDS, Listed, check_is, listed, text_of
from server.archive.locate import locate
from server.archive.multipart import Broken, boundary_of, only_part
from server.archive.orthanc import OrthancRest
from server.archive.spool import Spool, Writer
from server.archive.storing import store_instance
from server.archive.web import CHUNK, Web, object_refused, wrong
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.order import SlideReference
from server.domain.ports import NamedObject, SlideQuery
from server.slides.dicom_header import HEADER_ONLY, WHOLE_SLIDE_IMAGE, InstanceHeader, read_instance_header

HEADER_CHUNK = 1 << 16
"""Bytes that are taken at a time of an instance whose header alone is wanted."""
PAGE = 100
MOST_SERIES = 100
"""Of a case; an archive that lists more wasn't asked what it understands."""
DICOM_PARTS = 'multipart/related; type="application/dicom"'
AS_STORED = f"{DICOM_PARTS}; transfer-syntax=*"
"""Never re-encoded: Orthanc's default is to decode every frame."""

SPECIMENS = '"00400560"'
"""Specimen Description Sequence, in what was listed."""
INSTANCES = "00201209"
"""Number of Series Related Instances."""

SeriesName = tuple[str, str]
"""Study and series UID."""


class DicomWebArchive:
    """`name` as the site names it. `by_container`: it can be searched by a container's identifier. `orthanc`: its own
    interface, where it is one.
    """

    def __init__(
        self, name: str, web: Web, spool: Spool, *, by_container: bool = True, orthanc: OrthancRest | None = None
    ) -> None:
        self._name, self._web, self._spool, self._by_container = name, web, spool, by_container
        self._orthanc = orthanc

    def fetch(self, query: SlideQuery, spool: Path) -> Path:
        """Bring what of the slide is needed to `spool/<series UID>` and name that folder; again gives the same.

        Raises as `SlideSource.fetch`.
        """
        found = [each for series in self._series(query.slide) for each in self._instances(series)]
        located = locate(query, [each.header for each in found])
        slide = located if query.resolution is None else self._measured(located, found)
        wanted_uids = {header.sop_instance_uid for header in needed(slide, query.resolution)}
        alone = unread(slide, query.resolution)
        of_slide = (each for each in found if each.header.series_uid == slide[0].series_uid)
        mine = [each for each in of_slide if each.header.sop_instance_uid in wanted_uids]
        folder = spool / slide[0].series_uid
        wanted = {self._brought(each, folder, header=each.header.sop_instance_uid in alone) for each in mine}
        for stale in [path for path in folder.iterdir() if path.name not in wanted]:
            stale.unlink()
        return folder

    def store(self, objects: Sequence[Path]) -> None:
        """Send DICOM files one by one, and return once the archive lists each. Raises as `ObjectSink.store`."""
        for path in objects:
            header = read_instance_header(path)
            store_instance(self._web, path, header)
            self._check_there(header)

    def remove(self, named: NamedObject) -> None:
        """Delete an object, and return once it is gone; one that isn't there is gone. Raises as `ObjectRemover`."""
        of = (named.study_uid, named.series_uid)
        if self._orthanc is not None:
            self._orthanc.remove(named.sop_instance_uid)
        else:
            status = self._web.delete("deletion", f"{_path(of)}/instances/{quote(named.sop_instance_uid)}")
            if status in (400, 405, 501):
                raise object_refused(f"to delete it, status {status}")
        if self._lists(of, named.sop_instance_uid):
            raise wrong("deletion", "is that it was done, and the object is still there")

    def retrieve(self, study_uid: str, sop_instance_uid: str, target: Path) -> None:
        """One instance of a study, found by its list. Raises Refused SLIDE_NOT_FOUND, and as `fetch`."""
        fields = [("SOPInstanceUID", sop_instance_uid)]
        rows = self._web.rows("an object", f"/studies/{quote(study_uid)}/instances", fields) or []
        found = next((row for row in rows if text_of(row, "00080018") == sop_instance_uid), None)
        if found is None:
            raise Refused(ServiceReason.SLIDE_NOT_FOUND, "the archive doesn't list the object that is asked for")
        self._bring(listed({"0020000D": _value(study_uid), **found}), target)

    def there(self, days: int) -> Mapping[str, str]:
        """As `server.archive.feeds.Listing`: by series, with how many instances each has."""
        since = (datetime.now(UTC) - timedelta(days=days)).strftime("%Y%m%d")
        fields = [("Modality", "SM"), ("StudyDate", f"{since}-"), ("includefield", INSTANCES)]
        rows = self._pages("its slides", "/series", fields, "0020000E")
        return {uid: text_of(row, INSTANCES) for row in rows if (uid := text_of(row, "0020000E"))}

    def headers(self, series_uid: str) -> list[InstanceHeader]:
        """As `server.archive.feeds.Listing`."""
        names = self._listed_series("/series", [("SeriesInstanceUID", series_uid)])
        return [each.header for name in names for each in self._instances(name)]

    def ping(self) -> None:
        """Raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED, ARCHIVE_ANSWER, all retryable."""
        if self._web.rows("a study", "/studies", [("limit", "1")]) is None:
            raise wrong("a study", "is status 404")

    def _check_there(self, header: InstanceHeader) -> None:
        if not self._lists((header.study_uid, header.series_uid), header.sop_instance_uid):
            message = "the archive took an object and doesn't list it: it is sent again; see to the archive"
            raise Failed(ServiceReason.ARCHIVE_ANSWER, message, retryable=True)

    def _lists(self, of: SeriesName, sop_instance_uid: str) -> bool:
        fields = [("SOPInstanceUID", sop_instance_uid)]
        rows = self._web.rows("an object", f"{_path(of)}/instances", fields) or []
        return any(text_of(row, "00080018") == sop_instance_uid for row in rows)

    def _series(self, slide: SlideReference) -> list[SeriesName]:
        """Those that may be the slide, as few as the archive can tell. Raises Refused SLIDE_NOT_FOUND."""
        if slide.series_uid and slide.study_uid:
            return [(slide.study_uid, slide.series_uid)]
        if slide.series_uid:
            return self._listed_series("/series", [("SeriesInstanceUID", slide.series_uid)])
        if slide.study_uid:
            return self._series_of(slide.study_uid)
        by_container = slide.container_id and self._by_container
        found = self._with_container(slide.container_id) if by_container else []
        if not found and slide.accession_number:
            found = self._of_case(slide.accession_number)
        if not found and slide.container_id and not (by_container or slide.accession_number):
            message = (
                "the archive can't be searched by container: order with the accession number, or a study or series UID"
            )
            raise Refused(ServiceReason.SLIDE_NOT_FOUND, message)
        return found

    def _with_container(self, container_id: str) -> list[SeriesName]:
        """None where the archive doesn't understand the question: it refuses, or lists what wasn't asked for."""
        fields = [("ContainerIdentifier", container_id), ("SOPClassUID", WHOLE_SLIDE_IMAGE)]
        include = [("includefield", "00400512"), ("limit", str(10 * PAGE))]
        try:
            rows = self._web.rows("a container", "/instances", [*fields, *include]) or []
        except Failed as error:
            if error.reason == ServiceReason.ARCHIVE_ANSWER:
                return []
            raise
        names = [(text_of(row, "0020000D"), text_of(row, "0020000E")) for row in rows]
        found = list(dict.fromkeys(name for name in names if all(name)))
        return found if len(found) <= MOST_SERIES else []

    def _of_case(self, accession_number: str) -> list[SeriesName]:
        rows = self._pages("a case", "/studies", [("AccessionNumber", accession_number)], "0020000D")
        studies = [text_of(row, "0020000D") for row in rows[:MOST_SERIES]]
        return [name for study in studies for name in self._series_of(study)]

    def _series_of(self, study_uid: str) -> list[SeriesName]:
        return self._listed_series(f"/studies/{quote(study_uid)}/series", [("Modality", "SM")], study_uid)

    def _listed_series(self, path: str, fields: Sequence[tuple[str, str]], study_uid: str = "") -> list[SeriesName]:
        rows = self._pages("a series", path, fields, "0020000E")
        names = [(text_of(row, "0020000D") or study_uid, text_of(row, "0020000E")) for row in rows]
        found = list(dict.fromkeys(name for name in names if all(name)))
        if len(found) > MOST_SERIES:
            raise wrong("a series", f"lists more than {MOST_SERIES}")
        return found

    def _instances(self, series: SeriesName) -> list[Listed]:
        """All instances of a series. Many archives list no sequences: what the slide's specimens are, and how they were
        stained, then comes from its smallest level itself: that is in the spool then, and mostly needed anyway, where
        metadata of a large instance take an Orthanc as long as the instance.
        """
        found = list(self._listed_instances(series))
        levels = [each for each in found if each.header.is_volume]
        if not levels or any(SPECIMENS in each.key for each in levels):
            return found
        said = self._looked_at(min(levels, key=lambda each: each.header.size))
        parts = {part: getattr(said, part) for part in ("specimens", "stains", "descriptions", "sites")}
        return [replace(each, header=replace(each.header, **parts)) for each in found]

    def _measured(self, slide: Sequence[InstanceHeader], found: Sequence[Listed]) -> list[InstanceHeader]:
        """With the size of their pixels: of levels whose list doesn't have it (many archives list no sequences) their
        headers say it.
        """
        by_uid = {each.header.sop_instance_uid: each for each in found}
        bare = {h.sop_instance_uid for h in slide if h.is_volume and h.spacing_um is None}
        said = {uid: self._looked_at(by_uid[uid], header=True).spacing_um for uid in bare}
        return [replace(h, spacing_um=said.get(h.sop_instance_uid, h.spacing_um)) for h in slide]

    def _looked_at(self, each: Listed, *, header: bool = False) -> InstanceHeader:
        """What the instance itself says; as it was listed where it can't be had: that is told when it is wanted."""
        path = self._spool.looked_at() / f"{uuid.uuid4()}.dcm"
        try:
            self._bring(each, path, header=header)
            return read_instance_header(path)
        except NoHeader:
            return each.header
        except (Failed, Refused) as error:
            if error.reason not in (ServiceReason.ARCHIVE_ANSWER, ServiceReason.SPOOL_TOO_SMALL):
                raise
            return each.header
        finally:
            path.unlink(missing_ok=True)

    def _listed_instances(self, series: SeriesName) -> Iterator[Listed]:
        """All instances of a series; of one that the list says too little of, its metadata."""
        fields = [("includefield", tag) for tag in FIELDS]
        for row in self._pages("the slide's instances", f"{_path(series)}/instances", fields, "00080018"):
            filled = {"0020000D": _value(series[0]), "0020000E": _value(series[1]), **row}
            found = listed(filled)
            yield found if found.complete else self._completed(series, found)

    def _completed(self, series: SeriesName, found: Listed) -> Listed:
        """As it was listed where its metadata are longer than what is held in memory: the reader judges it then."""
        path = f"{_path(series)}/instances/{quote(found.header.sop_instance_uid)}/metadata"
        try:
            rows = self._web.rows("an instance's metadata", path)
        except Failed as error:
            if error.reason == ServiceReason.ARCHIVE_ANSWER:
                return found
            raise
        return listed(rows[0], found) if rows else found

    def _pages(self, what: str, path: str, fields: Sequence[tuple[str, str]], key: str) -> list[dict[str, object]]:
        """All pages of a list, however few rows an archive gives at a time: until one brings nothing new."""
        found, known = list[dict[str, object]](), set[str]()
        while len(found) <= PAGE * PAGE:
            page = [("limit", str(PAGE)), ("offset", str(len(found)))]
            rows = self._web.rows(what, path, [*fields, *page]) or []
            new = {text_of(row, key) for row in rows} - known
            if not new:
                break
            known |= new
            found += [row for row in rows if text_of(row, key) in new]
        return found

    def _brought(self, each: Listed, folder: Path, *, header: bool) -> str:
        """The name of its file there: of its header alone where that is asked for, and can be told from its pixels."""
        uid = each.header.sop_instance_uid
        if header:
            try:
                self._bring(each, folder / f"{uid}{HEADER_ONLY}", header=True)
            except NoHeader:
                pass
            else:
                return f"{uid}{HEADER_ONLY}"
        self._bring(each, folder / f"{uid}.dcm")
        return f"{uid}.dcm"

    def _bring(self, each: Listed, target: Path, *, header: bool = False) -> None:
        """Raises NoHeader where its header alone is asked for and can't be told."""
        said = each.header
        path = f"{_path((said.study_uid, said.series_uid))}/instances/{quote(said.sop_instance_uid)}"
        key = f"{self._name}\n{'header' if header else ''}{each.key}"

        def fill(writer: Writer) -> None:
            self._download(path, writer, header=header)

        self._spool.bring(key, target, fill, lambda part: check_is(part, each))

    def _download(self, path: str, writer: Writer, *, header: bool) -> None:
        what = "an instance"
        with self._web.stream(what, path, AS_STORED, chunk=HEADER_CHUNK if header else CHUNK) as (answer, chunks):
            if answer.status in (404, 410):
                raise wrong(what, "is that it isn't there, though it is listed")
            kind = answer.headers.get("content-type", "")
            boundary = boundary_of(kind)
            if boundary is None and kind.partition(";")[0].strip().lower() != "application/dicom":
                raise wrong(what, "is no DICOM by its Content-Type")
            length = answer.headers.get("content-length", "")
            if length.isdigit() and not header:
                writer.expect(int(length))
            try:
                content = chunks if boundary is None else only_part(chunks, boundary)
                for chunk in [header_of(content)] if header else content:
                    writer.write(chunk)
            except Broken as error:
                raise wrong(what, f"is broken: {error}") from None


def _path(series: SeriesName) -> str:
    return f"/studies/{quote(series[0])}/series/{quote(series[1])}"


def _value(text: str) -> dict[str, object]:
    return {"vr": "UI", "Value": [text]}
