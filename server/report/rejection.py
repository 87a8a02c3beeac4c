"""A rejection note: says in the archive that a result's objects, which lie there, are not to be used.

Key Object Selection, TID 2010, as IHE's Imaging Object Change Management has it: an archive that knows the profile
hides what the note names.
"""

from typing import Any

from highdicom import sr
from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
from pydicom import Dataset
from pydicom.sr.codedict import codes as dicom
from pydicom.uid import (
    Comprehensive3DSRStorage,
    MicroscopyBulkSimpleAnnotationsStorage,
    ParametricMapStorage,
    SegmentationStorage,
)

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.events import Event, EventKind
from server.domain.result import Result
from server.report import identity
from server.report.identity import derived_uid, part_of
from server.report.keep import beside_cells, keep_beside_cells, parts_of
from server.report.source import kept_source, main_image

SERIES_NUMBER = 9105
CLASSES = {
    ArtifactKind.SR: Comprehensive3DSRStorage,
    ArtifactKind.ANN: MicroscopyBulkSimpleAnnotationsStorage,
    ArtifactKind.SEG: SegmentationStorage,
    ArtifactKind.MAP: ParametricMapStorage,
}
_PICTURES = (ArtifactKind.SEG, ArtifactKind.MAP)
_OF_STUDY = ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName")


class RejectionReporter:
    """Of a preliminary result that a pathologist rejected: of all its objects that were made."""

    kind = ArtifactKind.KOS
    events = frozenset({EventKind.WITHDRAWN})

    def build(self, event: Event) -> Artifact | None:
        """None where nothing of it was made, or the slide's header wasn't kept. Raises as SrReporter."""
        result = event.result
        header = kept_source(result) if result is not None and event.kind in self.events else []
        if result is None or not header:
            return None
        return keep_beside_cells(self.kind, result, build_rejection(result, header, made_of(result)))


def made_of(result: Result) -> tuple[ArtifactKind, ...]:
    """The objects that lie beside a result's cells: those that were sent, or wait to be."""
    return tuple(kind for kind in CLASSES if beside_cells(result, kind).is_file())


def build_rejection(result: Result, source: list[Dataset], made: tuple[ArtifactKind, ...]) -> Dataset | None:
    """The note; None where nothing was made. Raises Refused as `source.main_image`."""
    if not made:
        return None
    image = main_image(result, source)
    objects = [_reference(result, image, kind, part) for kind in made for part in parts_of(result, kind)]
    observer = sr.DeviceObserverIdentifyingAttributes(uid=identity.device_uid(result), name=identity.MANUFACTURER)
    content = KeyObjectSelection(
        document_title=dicom.DCM.RejectedForQualityReasons,
        referenced_objects=objects,
        observer_device_context=sr.ObserverContext(dicom.DCM.Device, observer_identifying_attributes=observer),
    )
    given = identity.identity(result, "KOS", series_number=SERIES_NUMBER, description="Rejected result")
    kept: dict[str, Any] = {key: value for key, value in given.items() if key in _TAKEN}
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


def _reference(result: Result, image: Dataset, kind: ArtifactKind, part: int) -> Dataset:
    """What the note needs to know of an object: patient and study of the slide, and who it is."""
    found = image.group_dataset(0x0010)
    for keyword in _OF_STUDY:
        setattr(found, keyword, image.get(keyword))
    found.SOPClassUID, found.SOPInstanceUID = CLASSES[kind], derived_uid(result.id, part_of(kind.value, part))
    found.SeriesInstanceUID = derived_uid(result.id, f"{kind.value}/series")
    if kind in _PICTURES:
        found.Rows = found.Columns = 1  # an image, and no other object, to highdicom
    return found
