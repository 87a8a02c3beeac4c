"""What a peer does, run by the interpreter of an environment of its own: prints core-seconds and pixels as JSON.

python peer_program.py openslide SLIDE_FILE | watershed TILES.npy | blob_log TILES.npy
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

SIDE = 1024


def openslide(path: str) -> int:
    """Reads regions of 1024 px of the largest level, row by row."""
    import openslide as reader  # type: ignore[import-not-found,unused-ignore]

    slide = reader.OpenSlide(path)
    width, height = slide.dimensions
    for y in range(0, height - SIDE + 1, SIDE):
        for x in range(0, width - SIDE + 1, SIDE):
            np.asarray(slide.read_region((x, y), 0, (SIDE, SIDE)))
    return int(width // SIDE * SIDE * (height // SIDE) * SIDE)


def watershed(path: str) -> int:
    """Colour deconvolution, Otsu's threshold, watershed on the distance: nuclei outlined and their DAB measured."""
    from scipy import ndimage  # type: ignore[import-untyped,unused-ignore]
    from skimage import color, feature, filters, measure, segmentation  # type: ignore[import-not-found,unused-ignore]

    def one(tile: Any) -> None:
        stains = color.rgb2hed(tile)
        nuclei = filters.gaussian(np.maximum(stains[..., 0], stains[..., 2]), 1.5)
        mask = nuclei > filters.threshold_otsu(nuclei)
        distance = ndimage.distance_transform_edt(mask)
        peaks = feature.peak_local_max(distance, min_distance=5, labels=measure.label(mask))
        markers = np.zeros(mask.shape, np.int32)
        markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        labels = segmentation.watershed(-distance, markers, mask=mask)
        measure.regionprops_table(labels, stains[..., 2], properties=("centroid", "mean_intensity"))

    return _over(path, one)


def blob_log(path: str) -> int:
    """Colour deconvolution, blobs of the Laplacian of Gaussian."""
    from skimage import color, feature  # type: ignore[import-not-found,unused-ignore]

    def one(tile: Any) -> None:
        stains = color.rgb2hed(tile)
        feature.blob_log(
            np.maximum(stains[..., 0], stains[..., 2]), min_sigma=4, max_sigma=8, num_sigma=4, threshold=0.02
        )

    return _over(path, one)


def _over(path: str, one: Callable[[Any], None]) -> int:
    tiles = np.load(path)
    for tile in tiles:
        one(tile)
    return int(tiles.shape[0] * tiles.shape[1] * tiles.shape[2])


if __name__ == "__main__":
    program = {"openslide": openslide, "watershed": watershed, "blob_log": blob_log}[sys.argv[1]]
    began = time.process_time()
    pixels = program(sys.argv[2])
    print(json.dumps({"core_seconds": time.process_time() - began, "pixels": pixels}))
