"""Files as Hamamatsu's scanners write them, as far as readers ask: one JPEG a level, its magnification beside it."""

from pathlib import Path

import cv2
import numpy as np
import tifffile

_FORMAT, _MAGNIFICATION, _X, _Y, _Z = 65420, 65421, 65422, 65423, 65424
MACRO = -1.0
"""The magnification of the picture of the whole slide."""


def write_ndpi(path: Path, rgb: np.ndarray, *, mpp: float = 0.5, levels: int = 3) -> Path:
    """Each level has half the side of the one before; then the macro picture."""
    with tifffile.TiffWriter(path) as tiff:
        for k, magnification in enumerate([*(20.0 / 2**k for k in range(levels)), MACRO]):
            per_cm = 10_000 / mpp / 2**k
            places = [(tag, tifffile.DATATYPE.SLONG, 1, 0, True) for tag in (_X, _Y, _Z)]
            tiff.write(
                rgb,
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 95},
                rowsperstrip=rgb.shape[0],
                metadata=None,
                software=False,
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                extratags=[
                    (_FORMAT, tifffile.DATATYPE.LONG, 1, 1, True),
                    (_MAGNIFICATION, tifffile.DATATYPE.FLOAT, 1, magnification, True),
                    *places,
                ],
            )
            rgb = cv2.resize(rgb, (rgb.shape[1] // 2, rgb.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return path
