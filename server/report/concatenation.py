"""References to an image that is split over files (a concatenation, PS3.3, C.7.6.16.2.2.4): highdicom names the first.

Annotations refer to the whole, by the UID that it had before it was split (PS3.3, C.37.1.2.1.1); what is derived from
its pixels names each part.
"""

from collections.abc import Iterator
from copy import deepcopy

from pydicom import Dataset
from pydicom.sequence import Sequence

from server.domain.result import Result
from server.report.source import images_of

_REFERENCES = ("ReferencedImageSequence", "SourceImageSequence", "ReferencedInstanceSequence")


def name_all_parts(report: Dataset, result: Result, image: Dataset, *, annotates: bool = False) -> None:
    """Put references to every part where one to the first stands (in place).

    `annotates`: what refers to the image for coordinates refers to the whole, where the file says its UID.
    """
    uids = [str(part.SOPInstanceUID) for part in images_of(result, image)]
    if not image.get("ConcatenationUID"):
        return
    whole = str(image.get("SOPInstanceUIDOfConcatenationSource") or "") if annotates else ""
    for keyword, holder in _referring(report, uids[0]):
        named = uids if not whole else [whole] if keyword == "ReferencedImageSequence" else [whole, *uids]
        setattr(holder, keyword, Sequence(_named(getattr(holder, keyword), uids[0], named)))


def _named(items: Sequence, first: str, uids: list[str]) -> Iterator[Dataset]:
    for item in items:
        if item.get("ReferencedSOPInstanceUID") != first:
            yield item
            continue
        for uid in uids:
            copy = deepcopy(item)
            copy.ReferencedSOPInstanceUID = uid
            yield copy


def _referring(dataset: Dataset, uid: str) -> list[tuple[str, Dataset]]:
    """Each sequence of references that names an instance, by its keyword, with what holds it."""
    found: list[tuple[str, Dataset]] = []
    for element in dataset:
        if element.VR != "SQ":
            continue
        if element.keyword in _REFERENCES and any(i.get("ReferencedSOPInstanceUID") == uid for i in element.value):
            found.append((element.keyword, dataset))
            continue
        for item in element.value:
            found += _referring(item, uid)
    return found
