"""A rejection note: says in the archive that a result's objects, which lie there, are not to be used.

Key Object Selection, TID 2010, as IHE's Imaging Object Change Management has it: an archive that knows the profile
hides what the note names. An archive that is to delete them reads there what that is (`named_in`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from highdicom import sr
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes as dicom
from pydicom.uid import (
    Comprehensive3DSRStorage,
    KeyObjectSelectionDocumentStorage,
    MicroscopyBulkSimpleAnnotationsStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind
from server.domain.order import Order
from server.domain.ports import NamedObject
from server.domain.result import Result
from server.report import identity
from server.report.identity import derived_uid, write
from server.report.keep import beside_cells, keep_beside_cells, parts_of, signed_folder
from server.report.source import kept_source, main_image
from server.slides.dicom_header import guarded

SERIES_NUMBER = 9105
NOTE = KeyObjectSelectionDocumentStorage
"""Its SOP class."""
CLASSES = {
    ArtifactKind.SR: Comprehensive3DSRStorage,
    ArtifactKind.ANN: MicroscopyBulkSimpleAnnotationsStorage,
    ArtifactKind.SEG: SegmentationStorage,
    ArtifactKind.MAP: ParametricMapStorage,
    ArtifactKind.SC: SecondaryCaptureImageStorage,
}
TITLES = {EventKind.WITHDRAWN: "Rejected result", EventKind.SUPERSEDED: "Superseded result"}
_PICTURES = (SegmentationStorage, ParametricMapStorage, SecondaryCaptureImageStorage)
_NAMED = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID")
_OF_STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")


class RejectionReporter:
    """Of a result that was rejected, or in whose place another was signed: of all its objects that were made.

    `folder` holds the results' files.
    """

    kind = ArtifactKind.KOS
    events = frozenset(TITLES)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, event: Event) -> Artifact | None:
        """None where nothing of it was made, or the slide's header wasn't kept. Raises as SrReporter."""
        result = event.result
        header = kept_source(result) if result is not None and event.kind in self.events else []
        if result is None or not header:
            return None
        made = files_of(result, event.order, self._folder)
        note = build_rejection(result, header, made, event.kind)
        if note is None or event.kind is EventKind.WITHDRAWN:
            return keep_beside_cells(self.kind, result, note)
        path = signed_folder(self._folder, event.order) / f"{result.id}-{event.kind}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(note, path)
        return Artifact(kind=self.kind, path=path, identifier=str(note.SOPInstanceUID))


def files_of(result: Result, order: Order, folder: Path) -> list[Path]:
    """The objects of a result that were made: those that were sent, or wait to be."""
    worker = result.predecessor is None  # one that was scored anew has its cells where its predecessor has them
    beside = [beside_cells(result, kind, part) for kind in CLASSES for part in parts_of(result, kind)] if worker else []
    signed = sorted(signed_folder(folder, order).glob(f"{result.id}-*.dcm"))
    return [*beside, *(path for path in signed if not path.stem.endswith(tuple(TITLES)))]


def build_rejection(result: Result, source: list[Dataset], made: Sequence[Path], kind: EventKind) -> Dataset | None:
    """The note of these files; None where there are none. Raises Refused as `source.main_image`, SLIDE_DAMAGED."""
    if not made:
        return None
    image = main_image(result, source)
    objects = [_reference(path, image) for path in made]
    observer = sr.DeviceObserverIdentifyingAttributes(uid=identity.device_uid(result), name=identity.MANUFACTURER)
    content = KeyObjectSelection(
        document_title=dicom.DCM.RejectedForQualityReasons,
        referenced_objects=objects,
        observer_device_context=sr.ObserverContext(dicom.DCM.Device, observer_identifying_attributes=observer),
    )
    given = identity.identity(result, "KOS", series_number=SERIES_NUMBER, description=TITLES[kind])
    kept: dict[str, Any] = {key: value for key, value in given.items() if key in _TAKEN}
    if kind is not EventKind.WITHDRAWN:
        kept["sop_instance_uid"] = derived_uid(result.id, f"KOS/{kind}")
    note = KeyObjectSelectionDocument(evidence=objects, content=content, **kept)
    identity.settle(note, result, image)
    return note


_TAKEN = (
    "series_instance_uid",
    "series_number",
    "sop_instance_uid",
    "instance_number",
    "manufacturer",
    "specific_character_set",
    "series_description",
)
"""Of an object's identity what a note has."""


def _reference(path: Path, image: Dataset) -> Dataset:
    """What the note needs to know of an object: patient and study of the slide, and who it is."""
    named = guarded(path, lambda: dcmread(path, stop_before_pixels=True, specific_tags=list(_NAMED)))
    found = image.group_dataset(0x0010)
    for keyword in _OF_STUDY:
        setattr(found, keyword, image.get(keyword))
    for keyword in _NAMED:
        setattr(found, keyword, named[keyword].value)
    if found.SOPClassUID in _PICTURES:
        found.Rows = found.Columns = 1  # an image, and no other object, to highdicom
    return found


def named_in(note: Path) -> list[NamedObject]:
    """What a note rejects. Raises Refused SLIDE_DAMAGED."""
    return guarded(note, lambda: list(_named(dcmread(note))))


def _named(note: Dataset) -> Iterator[NamedObject]:
    for study in note.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            for item in series.ReferencedSOPSequence:
                yield NamedObject(
                    study_uid=str(study.StudyInstanceUID),
                    series_uid=str(series.SeriesInstanceUID),
                    sop_instance_uid=str(item.ReferencedSOPInstanceUID),
                )
