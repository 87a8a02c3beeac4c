"""Slides of any size laid of small tiles side by side, for benchmarks and property tests; memory flat in the slide's
size.

The tiles are the real ones of `../shared/data/endonuke`, read when a test runs, or else cut from a drawn slide
(`source` says which). A tile and its three mirror images make a block, so that seams inside of a block show no edge.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import tifffile

from inference.draw import draw_slide
from inference.geometry import Region, Size
from inference.slide import Rgb
from server.demo.slide_header import SlideIdentity
from server.slides.slide_writer import FrameSource, JpegFrames, Pixels, write_dicom_slide

MPP = 0.5
SIDE = 200
ENDONUKE = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "endonuke"


class LaidBlocks:
    """A slide of `size` of squares of one side drawn by lot (`seed`), each with its mirror images as a block."""

    def __init__(self, size: Size, squares: Sequence[Rgb], *, seed: int = 0) -> None:
        self.size = size
        self._side = 2 * len(squares[0])
        border = self._side // 2
        self._blocks = [
            np.asarray(cv2.copyMakeBorder(t, 0, border, 0, border, cv2.BORDER_REFLECT), np.uint8) for t in squares
        ]
        rows, columns = (-(-side // self._side) for side in (size.height, size.width))
        self._lot = np.random.default_rng(seed).integers(0, len(squares), (rows, columns))

    def read(self, region: Region) -> Rgb:
        """Pixels of a region inside the slide."""
        if not region.inside(self.size):
            raise ValueError(f"{region} is outside of {self.size}")
        out = np.empty((region.height, region.width, 3), np.uint8)
        wide = self._side
        for row in range(region.y // wide, (region.bottom - 1) // wide + 1):
            for column in range(region.x // wide, (region.right - 1) // wide + 1):
                block = self._blocks[self._lot[row, column]]
                top, left = max(row * wide, region.y), max(column * wide, region.x)
                bottom, right = min((row + 1) * wide, region.bottom), min((column + 1) * wide, region.right)
                part = block[top - row * wide : bottom - row * wide, left - column * wide : right - column * wide]
                out[top - region.y : bottom - region.y, left - region.x : right - region.x] = part
        return out


class LaidTiles(LaidBlocks):
    """Of immunostained tiles; `source` is "endonuke" or "drawn"."""

    def __init__(self, size: Size, *, seed: int = 0, real: bool = True) -> None:
        self.source = "endonuke" if real and ENDONUKE.is_dir() else "drawn"
        super().__init__(size, _real_tiles() if self.source == "endonuke" else _drawn_tiles(), seed=seed)


def lay_tiles(
    folder: Path, *, size: Size, seed: int = 0, levels: int = 3, quality: int = 90, real: bool = True
) -> JpegFrames:
    """Write a DICOM slide of laid tiles at 0.5 µm/px into `folder`.

    Returns its frames, for a second file of the very same.
    """
    frames = JpegFrames(LaidTiles(size, seed=seed, real=real), quality=quality)
    identity = SlideIdentity(key=f"laid/{size.width}x{size.height}/{seed}", model_name="laid tiles")
    write_dicom_slide(folder, frames, mpp=MPP, identity=identity, levels=levels, quality=quality)
    return frames


def write_tiff_slide(path: Path, *levels: FrameSource, mpp: float = MPP, description: str | None = None) -> None:
    """A tiled TIFF that holds the frames of its levels (largest first) as they are, pixel sizes in
    the resolution tags.
    """
    with tifffile.TiffWriter(path) as tiff:
        for level in levels:
            per_cm = 10_000 / mpp * level.size.width / levels[0].size.width
            tiff.write(
                _in_turn(level),
                shape=(level.size.height, level.size.width, 3),
                dtype=np.uint8,
                tile=(level.frame, level.frame),
                photometric="ycbcr",
                subsampling=(2, 1),
                compression="jpeg",
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=int(level is not levels[0]),
                description=description,
                metadata=None,
                software=False,
            )


def lay_svs_slide(path: Path, *, size: Size, levels: int = 3, quality: int = 90) -> Path:
    """The slide that `lay_tiles` lays by default as SVS of halved levels, made where it isn't there yet.

    Returns `path`.
    """
    if not path.exists():
        pictures: list[Pixels] = [LaidTiles(size)]
        while len(pictures) < levels:
            pictures.append(Halved(pictures[-1]))
        path.parent.mkdir(parents=True, exist_ok=True)
        levels_as_frames = (JpegFrames(p, quality=quality) for p in pictures)
        write_tiff_slide(
            path, *levels_as_frames, description=f"Aperio Image Library\r\nlaid tiles|AppMag = 20|MPP = {MPP}"
        )
    return path


class Halved:
    """A picture at half its resolution, by means of 2 x 2."""

    def __init__(self, whole: Pixels) -> None:
        self._whole = whole
        self.size = Size(width=whole.size.width // 2, height=whole.size.height // 2)

    def read(self, region: Region) -> Rgb:
        twice = Region(x=2 * region.x, y=2 * region.y, width=2 * region.width, height=2 * region.height)
        size = (region.width, region.height)
        return np.asarray(cv2.resize(self._whole.read(twice), size, interpolation=cv2.INTER_AREA), np.uint8)


def _in_turn(frames: FrameSource) -> Iterator[bytes]:
    for row in frames.rows():
        yield from row


def runs_of_tiles(gap: int = 6, least: int = 3) -> Iterator[tuple[str, list[Rgb]]]:
    """Real tiles whose numbers are at most `gap` apart, which will be of one slide, and the first one's name; runs of
    fewer than `least` are left out.
    """
    paths, run = _paths(), list[Path]()
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        run.append(path)
        if following is None or int(following.stem) - int(path.stem) > gap:
            if len(run) >= least:
                yield run[0].stem, [_tile(p) for p in run]
            run = []


def _real_tiles() -> list[Rgb]:
    return [_tile(path) for path in _paths()]


def _paths() -> list[Path]:
    return sorted((ENDONUKE / "images").glob("*.png"), key=lambda p: int(p.stem))


def _tile(path: Path) -> Rgb:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_COLOR_RGB), np.uint8)


def _drawn_tiles() -> list[Rgb]:
    """Squares of a drawn slide that hold at least 50 nuclei."""
    drawing = draw_slide(size=Size(width=2048, height=2048), seed=1, h_score=150)
    n = 2048 // SIDE
    nuclei, _, _ = np.histogram2d(drawing.truth.y, drawing.truth.x, bins=np.arange(n + 1) * SIDE)
    squares = [Region(x=int(c) * SIDE, y=int(r) * SIDE, width=SIDE, height=SIDE) for r, c in np.argwhere(nuclei >= 50)]
    return [drawing.read(square) for square in squares]
