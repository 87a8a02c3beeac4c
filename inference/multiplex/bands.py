"""All pictures of an image, from top to bottom in bands: memory is flat in its height."""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from inference.geometry import Region, Size
from inference.multiplex import separated
from inference.multiplex.png import PngWriter, ViewWriter
from inference.multiplex.raster import Nuclei, raster
from inference.multiplex.segmentation import Gates, overlaid, read, refined
from inference.slide import Rgb, Slide

HEMA, DAPI, LAP2, MARKER, SEG = "Hema", "DAPI", "Lap2", "Marker", "Seg"
OVERLAID, REFINED = "SegOverlaid", "SegRefined"
SEPARATED = (HEMA, DAPI, LAP2, MARKER, SEG)
READ = (OVERLAID, REFINED)
"""What is read from the map by the gates."""
ORIGINAL = "Original"
"""The image itself, without whatever else its file held."""
LARGEST_VIEW = 2048
"""Pixels of the longer side of a view, which a browser shows."""

BAND_PX = 1 << 21
TALLEST_UM = 15.0
"""Of a nucleus: what a band shows above and below itself."""
LEAST_UM2 = 1.0
"""Of a nucleus, where the size gate is `auto`."""
AUTO_MARKER_LEAST = 34
"""Optical density 0.2: below it nothing is called positive where the marker gate is `auto`."""
OVERVIEW_MPP = 2.0

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Nuclei that passed the gates."""

    positive: int
    negative: int

    @property
    def total(self) -> int:
        return self.positive + self.negative


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """Of a region: the image, its probability map and marker, and the other pictures by name."""

    image: Rgb
    seg: Rgb
    marker: Rgb | None
    others: dict[str, Rgb]


LayersOf = Callable[[Region], Layers]


def least_px(mpp: float) -> int:
    """The size gate that `auto` stands for."""
    return max(int(np.ceil(LEAST_UM2 / mpp**2)), 1)


def auto_marker(image: Slide, marker: Slide | None) -> int:
    """The marker gate that `auto` stands for: what parts the picture's dark pixels from its bright ones best (Otsu)."""
    shown, _ = (marker or image).overview(max(OVERVIEW_MPP, image.facts.mpp))
    bright = shown if marker is not None else separated.marker(separated.densities(shown)[1])
    value, _ = cv2.threshold(np.ascontiguousarray(bright.max(axis=2)), 0, 255, cv2.THRESH_OTSU)
    return min(max(int(value), AUTO_MARKER_LEAST), 255)


def separated_layers(image: Slide, nuclei: Nuclei, shown: npt.NDArray[np.bool_]) -> LayersOf:
    """Of an image and its nuclei, of which DAPI and Lap2 show those `shown` (n,)."""

    def layers(region: Region) -> Layers:
        pixels, on = image.read(region), raster(nuclei, region)
        haematoxylin, dab = separated.densities(pixels)
        marker = separated.marker(dab)
        seg = separated.probability_map(nuclei, on)
        others = {
            HEMA: separated.haematoxylin_alone(haematoxylin),
            DAPI: separated.nuclei_alone(haematoxylin, dab, on, shown),
            LAP2: separated.borders_alone(on, shown, mpp=image.facts.mpp),
            MARKER: marker,
            SEG: seg,
        }
        return Layers(pixels, seg, marker, others)

    return layers


def given_layers(image: Slide, seg: Slide, marker: Slide | None) -> LayersOf:
    """Of a probability map that was made before."""

    def layers(region: Region) -> Layers:
        return Layers(image.read(region), seg.read(region), None if marker is None else marker.read(region), {})

    return layers


def write_pictures(
    image: Slide,
    layers_of: LayersOf,
    gates: Gates,
    folder: Path,
    wanted: Collection[str],
    progress: Progress = lambda _: None,
    *,
    views: Path | None = None,
) -> Counts:
    """Each wanted picture as NAME.png in the folder, all of the image's size; what passes the gates is counted.

    In the folder `views` each is left once more, at most LARGEST_VIEW a side.

    Raises FrameUnreadable.
    """
    size, positive, total = image.facts.size, 0, 0
    with _writers(folder, wanted, size, views) as write:
        for band, around in _bands(image):
            layers = layers_of(around)
            found = read(layers.seg, layers.marker, gates)
            rows = slice(band.y - around.y, band.bottom - around.y)
            counted = found.kept & (found.first_row >= rows.start) & (found.first_row < rows.stop)
            positive += int((counted & found.positive).sum())
            total += int(counted.sum())
            classes = found.classes
            drawn = {ORIGINAL: layers.image, OVERLAID: overlaid(layers.image, classes), REFINED: refined(classes)}
            write({name: picture[rows] for name, picture in (layers.others | drawn).items()})
            progress(band.bottom / size.height)
    return Counts(positive=positive, negative=total - positive)


def _bands(image: Slide) -> Iterator[tuple[Region, Region]]:
    """Each with what is looked at for it."""
    size = image.facts.size
    rows = max(BAND_PX // size.width, 64)
    halo = max(int(np.ceil(TALLEST_UM / image.facts.mpp)), 64)
    for y in range(0, size.height, rows):
        band = Region(x=0, y=y, width=size.width, height=min(rows, size.height - y))
        top, bottom = max(y - halo, 0), min(band.bottom + halo, size.height)
        yield band, replace(band, y=top, height=bottom - top)


def shrink_of(size: Size) -> int:
    """How many pixels of the image are one of a view, along each side."""
    return -(-max(size.width, size.height) // LARGEST_VIEW)


@contextmanager
def _writers(
    folder: Path, wanted: Collection[str], size: Size, views: Path | None
) -> Iterator[Callable[[dict[str, Rgb]], None]]:
    """Writes rows of the wanted ones, two at once: deflating takes most of the time, and lets others run."""
    with ExitStack() as stack:
        pool = stack.enter_context(ThreadPoolExecutor(2, thread_name_prefix="png"))
        files: list[tuple[str, PngWriter | ViewWriter]] = []
        for name in wanted:
            whole = PngWriter(folder / f"{name}.png", width=size.width, height=size.height)
            files.append((name, stack.enter_context(whole)))
            if views is not None:
                files.append((name, stack.enter_context(ViewWriter(views / f"{name}.png", size, shrink_of(size)))))

        def write(pictures: dict[str, Rgb]) -> None:
            list(pool.map(lambda file: file[1].write(pictures[file[0]]), files))

        yield write
