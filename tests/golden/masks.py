"""Puts names in place of what differs from run to run or may after a reshape: identifiers, digests, times, versions.

Equal values get equal names within a document, and the slide's own UIDs are called what they are: what refers to what
is still compared.
"""

import re
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pydicom

TIME, VERSION, SECONDS, MESSAGE_ID = "<time>", "<version>", "<seconds>", "<message id>"

_NUMBERED = {
    "uid": re.compile(r"(?<![\d.])2\.25\.\d+(?![\d.])"),
    "id": re.compile(r"(?<!\w)[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}(?!\w)"),
    "order number": re.compile(r"(?<!\w)DEMO-[0-9A-F]{12}(?!\w)"),
    "digest": re.compile(r"(?<![\w.])(?:[0-9a-f]{64}|[0-9a-f]{16})(?!\w)"),
}
_ISO_8601 = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)"
_HL7 = r"\d{14}(?:\.\d+)?[+-]\d{4}"
_TIMES = re.compile(rf"(?<!\w)(?:{_ISO_8601}|{_HL7})(?!\w)")
_MODEL_VERSION = re.compile(r"\(model [^()]*\)")


class Masks:
    """Of one document: the numbers in names start at 1. `known` names some values, as `known_of` does."""

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._names: dict[str, str] = {}
        self._count: dict[str, int] = {}
        self._own_version = re.compile(rf"(?<![\w.]){re.escape(_own_version())}(?![\w.])")

    def text(self, text: str) -> str:
        """The text with names where it has identifiers, digests, times or versions."""
        text = _TIMES.sub(TIME, text)
        for kind, pattern in _NUMBERED.items():
            text = pattern.sub(self._namer(kind), text)
        text = _MODEL_VERSION.sub(f"(model {VERSION})", text)
        return self._own_version.sub(VERSION, text)

    def _namer(self, kind: str) -> Callable[[re.Match[str]], str]:
        return lambda match: self._name(kind, match[0])

    def _name(self, kind: str, value: str) -> str:
        if value in self._known:
            return self._known[value]
        if value not in self._names:
            self._count[kind] = self._count.get(kind, 0) + 1
            self._names[value] = f"<{kind} {self._count[kind]}>"
        return self._names[value]


def known_of(slide: Path) -> dict[str, str]:
    """UID to name, of the slide whose levels lie in a folder."""
    names: dict[str, str] = {}
    for path in sorted(slide.glob("level-*.dcm")):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        names[header.StudyInstanceUID] = "<slide's study>"
        names[header.SeriesInstanceUID] = "<slide's series>"
        names[header.FrameOfReferenceUID] = "<slide's frame of reference>"
        names[header.SpecimenDescriptionSequence[0].SpecimenUID] = "<slide's specimen>"
        names[header.SOPInstanceUID] = f"<slide's {path.stem}>"
    return names


def _own_version() -> str:
    try:
        return version("chromogen")
    except PackageNotFoundError:
        return "unknown"
