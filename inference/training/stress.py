"""How a network bears what endometrium of one laboratory doesn't show, measured on changed validation tiles of a fold.

    python -m inference.training.stress --endonuke FOLDER --consep FOLDER --checkpoint RUN/best.pt \\
        --calibration RUN/calibration.json --fold 0 --name NAME --out FILE [--scales]

Sets: the tiles larger and smaller (there the radius of the metric grows with the nuclei), restained, hollow, under
casts; H&E tiles of the fold made IHC; invented tiles of small, middling and large nuclei, whose seeds no training uses;
a slide of `inference.draw`. Figures at the network's own counting threshold; mAP and AP need none. `--scales`: the mean
over 0.5 and 0.7 µm/px.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import torch
from torch import nn

from inference.draw import draw_slide
from inference.evaluation import robustness
from inference.evaluation.metric import Points, evaluate, matches
from inference.geometry import Region, Size
from inference.keypoints import MATCH_RADIUS_UM
from inference.training import data, groups, wide
from inference.training.augment import Image
from inference.training.calibrate import read_fitted
from inference.training.evaluate import BORDER, PLACES, RAW, bordered, logits_of
from inference.training.model import load
from inference.training.peaks import Calibration, find_peaks
from inference.training.recoloured import consep_as_ihc
from inference.training.rendered import rendered
from inference.training.teach import over_scales

Floats = npt.NDArray[np.float64]
Found = tuple[Points, Floats]  # keypoints, and the probability of each that it is a nucleus
Find = Callable[[Image], Found]

FACTORS = (0.6, 0.75, 1.5, 2.0)
INVENTED = 16  # tiles of each kind
FIRST_SEED = 90_000_000  # of invented tiles; training's are smaller
RECOLOURED_SEED = 12
ZOOMS = (1.0, 1.5)
HOLLOW = (0.5, 3.0)  # strength, sigma in px


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """Tiles with keypoints, and µm per pixel by which the metric's radius is measured."""

    name: str
    tiles: list[data.Tile]
    mpp: float = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """All in [0, 1]; precision, recall, f1 and bias (counted over annotated, less 1) at the counting threshold."""

    name: str
    n: int
    mAP: float  # noqa: N815 - the field's spelling
    stroma: float
    epithelium: float
    agnostic: float
    best_f1: float
    f1: float
    precision: float
    recall: float
    bias: float


def gain(red: float, green: float, blue: float) -> Callable[[Image], Image]:
    """A cast: each channel times its gain."""
    return lambda p: np.asarray(np.clip(np.rint(p * np.array([red, green, blue])), 0, 255), np.uint8)


CHANGES: dict[str, Callable[[Image], Image]] = {
    "warm cast": gain(1.03, 1.0, 0.92),
    "very warm cast": gain(1.06, 1.0, 0.85),
    "cold cast": gain(0.92, 1.0, 1.03),
    "green cast": gain(0.96, 1.03, 0.94),
    "exposure -10 %": gain(0.9, 0.9, 0.9),
    "exposure +8 %": gain(1.08, 1.08, 1.08),
    "gamma 0.8": lambda p: robustness.gamma(p, 0.8),
    "gamma 1.25": lambda p: robustness.gamma(p, 1.25),
    "gamma 1.8": lambda p: robustness.gamma(p, 1.8),
    "vignette 30 %": lambda p: np.asarray(
        p * wide.vignette(p.shape[:2], 0.3, np.random.default_rng(4))[..., None], np.uint8
    ),
    "haematoxylin x 0.4": lambda p: robustness.restained(p, haematoxylin=0.4),
    "all stain x 0.5": lambda p: robustness.restained(p, haematoxylin=0.5, dab=0.5, residual=0.5),
    "hollow": lambda p: wide.pixels(wide.hollowed(wide.densities(p), *HOLLOW)),
    **robustness.STRANGERS,
}


def sets(endonuke: list[data.Tile], consep: Path, fold: int) -> list[Set]:
    """All sets, of which `plain` comes first."""
    found = [Set(name="plain", tiles=endonuke)]
    found += [Set(name=f"x {f:g}", tiles=[_scaled(t, f) for t in endonuke], mpp=0.5 / f) for f in FACTORS]
    found += [Set(name=name, tiles=[_changed(t, change) for t in endonuke]) for name, change in CHANGES.items()]
    for zoom in ZOOMS:
        _, held = groups.split(consep_as_ihc(consep, (zoom,), RECOLOURED_SEED), fold, "consep")
        found.append(Set(name=f"H&E made IHC, x {zoom:g}", tiles=held))
    for i, (name, um) in enumerate(
        (("4 to 6 µm", (4.0, 6.0)), ("6 to 10 µm", (6.0, 10.0)), ("10 to 16 µm", (10.0, 16.0)))
    ):
        tiles = [rendered(FIRST_SEED + 1000 * i + j, um) for j in range(INVENTED)]
        found.append(Set(name=f"invented, {name}", tiles=tiles))
    slide = draw_slide(size=Size(width=1024, height=1024), seed=5, h_score=150)
    truth = slide.truth
    xy, label = np.stack([truth.x, truth.y], axis=1), truth.compartment.astype(np.int64)
    points = Points(xy=xy, label=label, confidence=np.ones(len(xy)))
    drawn = data.Tile(name="drawn", image=slide.read(Region(x=0, y=0, width=1024, height=1024)), points=points)
    return [*found, Set(name="drawn slide", tiles=[drawn]), Set(name="drawn slide, x 1.8", tiles=[_scaled(drawn, 1.8)])]


def _scaled(tile: data.Tile, factor: float) -> data.Tile:
    return data.Tile(
        name=tile.name, image=robustness.rescaled(tile.image, factor), points=data.zoomed(tile.points, factor)
    )


def _changed(tile: data.Tile, change: Callable[[Image], Image]) -> data.Tile:
    return data.Tile(name=tile.name, image=change(tile.image), points=tile.points)


def of_network(net: nn.Module, calibration: Calibration, *, scales: bool = False) -> Find:
    """What a network finds, at its own scale or as the mean over 0.5 and 0.7 µm/px."""

    def find(image: Image) -> Found:
        logits = over_scales(net, image, calibration) if scales else logits_of(net, image)
        p = find_peaks(logits, top=PLACES, calibration=RAW if scales else calibration)
        values = (v[0].double().numpy() for v in (p.x, p.y, p.label, p.nucleus, p.confidence))
        return _inside(image, *values)

    return find


def of_graph(path: Path) -> Find:
    """What a detection graph finds by ONNX Runtime on one core."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def find(image: Image) -> Found:
        answers = session.run(["x", "y", "label", "nucleus", "confidence"], {"tiles": bordered(image)[None]})
        return _inside(image, *(np.asarray(a[0], np.float64) for a in answers))

    return find


def _inside(image: Image, x: Floats, y: Floats, label: Floats, nucleus: Floats, confidence: Floats) -> Found:
    """Those of a bordered image's peaks that lie in the image, (n,) each."""
    x, y = x - BORDER, y - BORDER
    h, w = image.shape[:2]
    keep = (nucleus > 0) & (x >= -0.5) & (y >= -0.5) & (x < w - 0.5) & (y < h - 0.5)
    xy = np.stack([x, y], axis=1)[keep]
    return Points(xy=xy, label=label[keep].astype(np.int64), confidence=confidence[keep]), nucleus[keep]


def figures(s: Set, find: Find, threshold: float) -> Figures:
    """Of one set."""
    found = [find(t.image) for t in s.tiles]
    annotated = [t.points for t in s.tiles]
    overall = evaluate([p for p, _ in found], annotated, mpp=s.mpp)
    counted = [_above(p, nucleus, threshold) for p, nucleus in found]
    radius = MATCH_RADIUS_UM / s.mpp
    hits = sum(int((matches(p, a, radius) >= 0).sum()) for p, a in zip(counted, annotated, strict=True))
    n, total = sum(len(p.xy) for p in counted), sum(len(a.xy) for a in annotated)
    numbers = {
        "mAP": overall.mAP, "stroma": overall.stroma, "epithelium": overall.epithelium, "agnostic": overall.agnostic,
        "best_f1": overall.f1, "f1": 2 * hits / max(n + total, 1), "precision": hits / max(n, 1),
        "recall": hits / max(total, 1), "bias": n / max(total, 1) - 1,
    }  # fmt: skip
    return Figures(name=s.name, n=total, **{k: round(v, 4) for k, v in numbers.items()})


def _above(points: Points, nucleus: Floats, threshold: float) -> Points:
    """Those counted, ranked by the probability of a nucleus."""
    keep = nucleus >= threshold
    return Points(xy=points.xy[keep], label=points.label[keep], confidence=nucleus[keep])


def table(columns: dict[str, list[Figures]]) -> str:
    """mAP, F1 and bias of each set, networks side by side, as Markdown."""
    names = list(columns)
    head = " | ".join(f"{n}: AP or mAP | F1 | bias" for n in names)
    lines = [f"| set | nuclei | {head} |", "|" + "---|" * (2 + 3 * len(names))]
    for rows in zip(*columns.values(), strict=True):
        cells = " | ".join(
            f"{(r.mAP if _graded(r) else r.agnostic):.3f} | {r.f1:.3f} | {100 * r.bias:+.0f} %" for r in rows
        )
        lines.append(f"| {rows[0].name} | {rows[0].n} | {cells} |")
    return "\n".join(lines) + "\n"


def _graded(r: Figures) -> bool:
    """Do compartments mean anything in this set?"""
    return not r.name.startswith(("H&E", "invented", "drawn"))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endonuke", type=Path, required=True)
    parser.add_argument("--consep", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--calibration", type=Path, help="of the checkpoint")
    parser.add_argument("--graph", type=Path, help="a detection graph, in place of a checkpoint")
    parser.add_argument("--threshold", type=float, help="in place of the calibration's; needed with --graph")
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--scales", action="store_true", help="the mean of the probabilities at 0.5 and 0.7 µm/px")
    parser.add_argument("--only", help="sets whose names hold this")
    parser.add_argument("--name", default="network")
    parser.add_argument(
        "--out", type=Path, required=True, help="JSON of all networks measured so far; a table beside it"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.graph:
        find, threshold = of_graph(args.graph), args.threshold
    else:
        fitted = read_fitted(args.calibration)
        find = of_network(load(args.checkpoint), fitted.calibration, scales=args.scales)
        threshold = fitted.counting_threshold if args.threshold is None else args.threshold
    _, held = groups.split(data.endonuke(args.endonuke), args.fold)
    rows = []
    for s in sets(held, args.consep, args.fold):
        if args.only is None or args.only in s.name:
            rows.append(figures(s, find, threshold))
            print(json.dumps(asdict(rows[-1]), ensure_ascii=False), flush=True)
    kept = json.loads(args.out.read_text()) if args.out.exists() else {}
    kept[args.name] = [asdict(r) for r in rows]
    args.out.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    full = {n: [Figures(**r) for r in v] for n, v in kept.items() if len(v) == len(rows)}
    args.out.with_suffix(".md").write_text(table(full))


if __name__ == "__main__":
    main()
