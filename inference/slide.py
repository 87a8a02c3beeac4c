"""What a slide is to this package: facts, a working grid near the model's resolution, and pixels of it on request."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from inference.errors import ChromogenError
from inference.geometry import Grid, Region, Size

Rgb = npt.NDArray[np.uint8]
"""(height, width, 3) uint8, red, green, blue, 0 to 255."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One level of the pyramid: size in px, pixel side in µm."""

    size: Size
    mpp: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SlideFacts:
    """What names a slide: `sha256` of the file for files, DICOM UIDs (SOP instance UIDs of the
    levels read) for DICOM.
    """

    mpp: float
    size: Size
    levels: tuple[Level, ...]
    sha256: str | None = None
    study_uid: str | None = None
    series_uid: str | None = None
    sop_instance_uids: tuple[str, ...] = ()
    container_id: str | None = None
    specimen_id: str | None = None
    icc_sha256: str | None = None
    white_point: tuple[float, float, float] | None = None
    """Red, green, blue, 0 to 255 (`inference.white`); None before it was analysed."""
    notes: tuple[str, ...] = ()
    """Warnings of the reader (UPPER_SNAKE): NO_SPECIMEN, NO_OPTICAL_PATH, ..."""


class FrameUnreadable(ChromogenError):
    """A frame doesn't decode; `message` names the frame. The analysis counts the tiles it spoils."""


class Slide(Protocol):
    """An open slide. `read` may be called from one thread at a time; neighbouring reads share decoded frames."""

    @property
    def facts(self) -> SlideFacts: ...

    @property
    def working(self) -> Grid:
        """The grid that is analysed: `mpp` within the model's finest and coarsest, as near its working resolution as a
        level and JPEG scaling (1/1 to 1/8) give.
        """
        ...

    def read(self, region: Region) -> Rgb:
        """Pixels of a region inside the working grid. Raises FrameUnreadable, ValueError outside of the grid."""
        ...

    def overview(self, mpp: float) -> tuple[Rgb, Grid]:
        """The whole slide at about `mpp` µm/px or finer (at most 4,096 px a side), and its grid."""
        ...

    def close(self) -> None: ...
