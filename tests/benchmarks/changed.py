"""What a cast, exposure or gamma changes of percent positive and H-score, and which warnings are said of how many.

    python -m tests.benchmarks.changed [--side 1100] [--seed 3] [--sets drawn endonuke]

Pictures are drawn slides, the usual and the difficult kinds at three H-scores each, and EndoNuke tiles of neighbouring
numbers laid side by side as one slide; each goes through the whole analysis, unchanged and changed, and is graded by
the built-in profile, and by the same numbers on raw colours. One JSON line a picture; after each set its worst moves
and how many pictures moved by more than the aims, then how often each warning was said of the unchanged pictures, and
`COLOUR_CAST` of those under a cast. Percent positive in points; moves are against the unchanged picture.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from inference.analyzers.nuclear import NUCLEAR
from inference.assay import USUAL_MARKER, assay_of
from inference.cells.histograms import Histograms
from inference.draw.difficult import KINDS
from inference.engines.local import LocalEngine
from inference.evaluation import robustness
from inference.geometry import Region
from inference.grade import Colour, HueValueThresholds
from inference.slide import Rgb
from server.domain.profile import built_in
from server.scoring import uncalibrated
from tests.benchmarks.difficult import USUAL, drawn, scores, seen
from tests.benchmarks.measure import Figures, report
from tests.laid import SIDE, runs_of_tiles
from tests.models import IHC_TILE

MOST_PERCENT, MOST_H = 3.0, 12.0
H_SCORES = (20.0, 140.0, 260.0)
LEAST_SQUARES = 5  # a side: 500 µm
ASSAY = assay_of(USUAL_MARKER)
Change = Callable[[Rgb], Rgb]


def _gain(red: float, green: float, blue: float) -> Change:
    return lambda picture: np.asarray(np.clip(np.rint(picture * np.array([red, green, blue])), 0, 255), np.uint8)


CASTS = ("warm", "cold")
CHANGES: dict[str, Change] = {
    "warm": _gain(1.03, 1.0, 0.92),
    "cold": _gain(0.92, 1.0, 1.03),
    "darker": _gain(0.9, 0.9, 0.9),
    "brighter": _gain(1.08, 1.08, 1.08),
    "gamma_0.8": lambda picture: robustness.gamma(picture, 0.8),
    "gamma_1.25": lambda picture: robustness.gamma(picture, 1.25),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Of one picture: nuclei, (H-score, percent positive) by the built-in profile and on raw colours, warnings."""

    nuclei: int
    white: tuple[float, float]
    raw: tuple[float, float]
    warnings: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--side", type=int, default=1100, help="px of a drawn slide's side at 0.5 µm/px")
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=("drawn", "endonuke"), default=("drawn", "endonuke"))
    args = parser.parse_args()
    engine = LocalEngine(IHC_TILE, threads=1)
    sets = {"drawn": drawn_pictures(args.side, args.seed), "endonuke": endonuke_pictures()}
    for name in args.sets:
        if found := [changed(kind, picture, engine) for kind, picture in sets[name]]:
            summarise(name, found)


def drawn_pictures(side: int, seed: int) -> Iterator[tuple[str, Rgb]]:
    for kind in (USUAL, *KINDS):
        for h in H_SCORES:
            drawing = drawn(kind, side, seed, h)
            yield f"{kind} {h:.0f}", drawing.read(Region(x=0, y=0, width=side, height=side))


def endonuke_pictures() -> Iterator[tuple[str, Rgb]]:
    """Of each run of neighbours, its tiles in turn in a square of at least LEAST_SQUARES a side."""
    for first, tiles in runs_of_tiles():
        across = max(LEAST_SQUARES, int(np.ceil(len(tiles) ** 0.5)))
        picture = np.empty((across * SIDE, across * SIDE, 3), np.uint8)
        for i in range(across**2):
            top, left = (v * SIDE for v in divmod(i, across))
            picture[top : top + SIDE, left : left + SIDE] = tiles[i % len(tiles)]
        yield f"{first} and {len(tiles) - 1} more", picture


def changed(kind: str, picture: Rgb, engine: LocalEngine) -> dict[str, Told]:
    """What is told of it unchanged (by the name of "") and under each change."""
    all_told = {"": told(picture, engine)} | {name: told(change(picture), engine) for name, change in CHANGES.items()}
    plain = all_told[""]
    figures: Figures = {"picture": kind, "nuclei": plain.nuclei, "h_score": plain.white[0], "percent": plain.white[1]}
    for name in CHANGES:
        now = all_told[name]
        figures[f"{name}_nuclei_percent"] = round(100 * (now.nuclei / max(plain.nuclei, 1) - 1), 1)
        figures[f"{name}_h"], figures[f"{name}_percent"] = moved(plain.white, now.white)
        figures[f"{name}_raw_h"], figures[f"{name}_raw_percent"] = moved(plain.raw, now.raw)
    report("changed", **figures, warnings=" ".join(plain.warnings))
    return all_told


def told(picture: Rgb, engine: LocalEngine) -> Told:
    cells, warnings = seen(picture, engine)
    histograms, profile = Histograms.empty(NUCLEAR.histograms), built_in(ASSAY)
    histograms.add(cells, NUCLEAR.histograms)
    criteria = profile.criteria
    assert isinstance(criteria, HueValueThresholds)
    white, raw = (scores(cells, replace(criteria, colour=colour)) for colour in (Colour.WHITE_POINT, Colour.RAW))
    said = (*warnings, *uncalibrated(ASSAY, profile, histograms))
    return Told(nuclei=len(cells), white=white, raw=raw, warnings=said)


def moved(was: tuple[float, float], now: tuple[float, float]) -> tuple[float, float]:
    return round(now[0] - was[0], 1), round(now[1] - was[1], 1)


def summarise(name: str, pictures: list[dict[str, Told]]) -> None:
    """A line a change, and one of warnings."""
    for change in CHANGES:
        figures: Figures = {"set": name, "change": change, "pictures": len(pictures)}
        for colours in ("white", "raw"):
            moves = np.abs([moved(getattr(p[""], colours), getattr(p[change], colours)) for p in pictures])
            for i, (score, most) in enumerate((("h", MOST_H), ("percent", MOST_PERCENT))):
                figures |= {
                    f"{colours}_{score}_worst": round(float(moves[:, i].max()), 1),
                    f"{colours}_{score}_mean": round(float(moves[:, i].mean()), 1),
                    f"{colours}_{score}_missed": int((moves[:, i] > most).sum()),
                }
        report("changed_worst", **figures)
    said = Counter(word for p in pictures for word in p[""].warnings)
    casts = sum("COLOUR_CAST" in p[cast].warnings for p in pictures for cast in CASTS)
    report("changed_warnings", set=name, pictures=len(pictures), under_a_cast=casts, **dict(sorted(said.items())))


if __name__ == "__main__":
    main()
