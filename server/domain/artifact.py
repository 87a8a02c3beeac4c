"""Artifacts: the files that a case, a signature or a refusal leaves, some of which are sent."""

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path


class ArtifactKind(StrEnum):
    """CELLS and HEADER are kept for later work; the others are what routes send."""

    CELLS = "CELLS"  # every cell, Parquet
    HEADER = "HEADER"  # of the slide's largest image, DICOM without pixels: for reports made when the slide is gone
    ORU = "ORU"
    SR = "SR"
    ANN = "ANN"
    SEG = "SEG"
    MAP = "MAP"
    SC = "SC"  # the picture of the slide with the score in it
    KOS = "KOS"  # a rejection note


class Coordinates(StrEnum):
    """Of annotations: DICOM's Annotation Coordinate Type; many viewers draw only 2D."""

    PIXELS = "2D"
    SLIDE = "3D"


class Nature(StrEnum):
    """What a destination must take to be sent an artifact; KEPT ones never leave."""

    KEPT = "KEPT"
    MESSAGE = "MESSAGE"  # HL7
    OBJECT = "OBJECT"  # DICOM


NATURES = {
    ArtifactKind.CELLS: Nature.KEPT,
    ArtifactKind.HEADER: Nature.KEPT,
    ArtifactKind.ORU: Nature.MESSAGE,
    ArtifactKind.SR: Nature.OBJECT,
    ArtifactKind.ANN: Nature.OBJECT,
    ArtifactKind.SEG: Nature.OBJECT,
    ArtifactKind.MAP: Nature.OBJECT,
    ArtifactKind.SC: Nature.OBJECT,
    ArtifactKind.KOS: Nature.OBJECT,
}

ON_REQUEST = frozenset({ArtifactKind.SC})
"""Sent only where a site's route names them."""


def not_made(kind: ArtifactKind) -> str:
    """The warning (UPPER_SNAKE) of a result of which an artifact couldn't be built."""
    return f"{kind.value}_NOT_MADE"


NOT_MADE = frozenset(map(not_made, ArtifactKind))


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file; `identifier` is what its receiver knows it by (MSH-10, SOP instance UID), empty where it never leaves.

    `more` are the other files of one that is split.
    """

    kind: ArtifactKind
    path: Path
    identifier: str = ""
    more: tuple["Artifact", ...] = ()

    @property
    def files(self) -> tuple["Artifact", ...]:
        """Each for itself, in their order."""
        return (replace(self, more=()), *self.more)
