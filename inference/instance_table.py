"""What is measured of labelled pixels: sums over runs of a row, then over the runs of each label. No loop over labels.

A run is closed form in x, and numbers of pixels are summed run by run, which reads each pixel once.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """k runs: `label` 1 to n (0: none of them), `row`, `first` column, `length`; `pixels` are the flat places of all
    labelled pixels, and `starts` where each run begins among them.
    """

    n: int
    label: npt.NDArray[np.int32]
    row: Ints
    first: Ints
    length: Ints
    pixels: Ints
    starts: Ints

    def summed(self, values: npt.NDArray[np.generic]) -> Floats:
        """(n,) sums by label of what each of `pixels` holds."""
        if len(self.starts) == 0:
            return np.zeros(self.n)
        wide = values.astype(np.int32) if values.dtype.kind in "bui" else values
        return self.of_runs(np.add.reduceat(wide, self.starts))

    def of_runs(self, values: npt.NDArray[np.generic]) -> Floats:
        """(n,) sums by label of a number of each run."""
        return np.asarray(np.bincount(self.label, values, self.n + 1)[1:], np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """n nuclei: `x`, `y` centre of mass and `area` in px; `kind` 0 to 3, and `probability` 0 to 1 that it is;
    `major`, `minor` axes in px of the ellipse of the same moments, `angle` of the major one, degrees from x towards y,
    0 to 180.
    """

    x: Floats
    y: Floats
    area: Ints
    kind: npt.NDArray[np.uint8]
    probability: Floats
    major: Floats
    minor: Floats
    angle: Floats

    def __len__(self) -> int:
        return len(self.x)


def runs_of(labels: npt.NDArray[np.int32]) -> Runs:
    """Of labels (h, w)."""
    flat, width = labels.ravel(), labels.shape[1]
    pixels = np.flatnonzero(flat != 0)
    of = flat[pixels]
    begins = np.ones(len(pixels), bool)
    begins[1:] = (np.diff(pixels) > 1) | (of[1:] != of[:-1]) | (pixels[1:] % width == 0)
    starts = np.flatnonzero(begins)
    row, first = np.divmod(pixels[starts], width)
    length = np.diff(np.append(starts, len(pixels)))
    n = int(of.max()) if len(of) else 0
    return Runs(n=n, label=of[starts], row=row, first=first, length=length, pixels=pixels, starts=starts)


def without_doubtful(
    labels: npt.NDArray[np.int32], nucleus: npt.NDArray[np.uint8], *, least_px: int, sure_from: float = 0.0
) -> tuple[npt.NDArray[np.int32], Runs]:
    """Labels (in place) 1 to n in their order, and their runs: without those of fewer pixels, or of a mean of `nucleus`
    (h, w), probability x 255, below `sure_from`.
    """
    found = runs_of(labels)
    area = found.of_runs(found.length)
    enough = area >= least_px
    if sure_from > 0:
        enough &= found.summed(nucleus.ravel()[found.pixels]) >= 255 * sure_from * area
    kept = np.append(False, enough)
    anew = np.where(kept, np.cumsum(kept), 0).astype(np.int32)
    flat = labels.ravel()
    flat[found.pixels] = anew[flat[found.pixels]]
    return flat.reshape(labels.shape), replace(found, n=int(kept.sum()), label=anew[found.label])


def table_of(runs: Runs, kind: npt.NDArray[np.uint8], *, majority: bool = False) -> Table:
    """`kind` (k, h, w): probabilities times 255.

    The kind is the one of the greatest sum; with `majority` the one that most pixels are likeliest of.
    """
    area = runs.of_runs(runs.length).astype(np.int64)
    share = _shares(runs, kind, area, majority=majority)
    x, y, xx, yy, xy = _moments(runs, area)
    major, minor, angle = ellipse(xx, yy, xy)
    of = share.argmax(axis=0).astype(np.uint8)
    likely = share.max(axis=0, initial=0.0)
    return Table(x=x, y=y, area=area, kind=of, probability=likely, major=major, minor=minor, angle=angle)


def _shares(runs: Runs, kind: npt.NDArray[np.uint8], area: Ints, *, majority: bool) -> Floats:
    """(k, n), 0 to 1."""
    planes = kind.reshape(len(kind), -1)[:, runs.pixels]
    if majority:
        likeliest = planes.argmax(axis=0)
        planes = np.stack([likeliest == k for k in range(len(kind))]).astype(np.uint8) * np.uint8(255)
    sums = np.stack([runs.summed(plane) for plane in planes])
    return sums / np.maximum(sums.sum(axis=0) if not majority else 255 * area, 1)


def _moments(runs: Runs, area: Ints) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Centres, and central second moments of squares, not points."""
    n, rows = runs.length.astype(np.float64), runs.row.astype(np.float64)
    middle = runs.first + (n - 1) / 2
    mass = np.maximum(area, 1)
    x, y = runs.of_runs(n * middle) / mass, runs.of_runs(n * rows) / mass
    right, down = middle - np.append(0, x)[runs.label], rows - np.append(0, y)[runs.label]
    xx = runs.of_runs(n * (right**2 + (n**2 - 1) / 12)) / mass + 1 / 12
    yy = runs.of_runs(n * down**2) / mass + 1 / 12
    return x, y, xx, yy, runs.of_runs(n * right * down) / mass


def ellipse(xx: Floats, yy: Floats, xy: Floats) -> tuple[Floats, Floats, Floats]:
    """Major and minor axis (whole, not half), and the angle in degrees, of second moments."""
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    major, minor = 4 * np.sqrt(middle + spread), 4 * np.sqrt(np.maximum(middle - spread, 0))
    return major, minor, np.degrees(np.arctan2(2 * xy, xx - yy) / 2) % 180
