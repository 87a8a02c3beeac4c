"""Figures of an H&E network on a fold of CoNSeP's training tiles, one pass, as JSON.

    python -m inference.training.he.evaluate --consep FOLDER --fold 0 --checkpoint RUN/last.pt   (or --models DIR)

`--postprocess NAME=VALUE` changes what the model says of `inference.instances.PostProcess`, to see what a part does;
`--parts` prints a table with each part changed in turn. `--eightfold` takes the mean over turns and flips: what one
pass could reach, not what runs.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from inference.engines.local import LocalEngine
from inference.evaluation.instances import RADIUS_UM, Nuclei, Overlaps, Pairing, intervals, overlaps, paired, summed
from inference.instances import Maps, PostProcess, instances
from inference.model import FLOAT32, RUNNING, read_model
from inference.training.augment import Image
from inference.training.he import data
from inference.training.he.export import FOLDER, POSTPROCESS, TILE, HeMaps
from inference.training.he.model import load

MPP = 0.25
Answer = Callable[[Image], Maps]
PARTS: Mapping[str, Mapping[str, float]] = {
    "as shipped": {},
    "no first watershed: pieces of the mask": {"split_from": 0.999},
    "no rescue of nuclei without a marker": {"rescue": 0},
    "faint pieces rescued too, from 0.35": {"rescue_from": 0.35},
    "markers not opened": {"open_px": 1},
    "markers of any size": {"least_marker_px": 0},
    "holes stay open": {"hole_px": 0},
    "small nuclei stay, from 1 px": {"least_px": 1},
    "doubtful nuclei stay": {"sure_from": 0},
    "falls over 1 px": {"reach_px": 1},
    "falls over 5 px": {"reach_px": 5},
    "second watershed: weak borders joined (0.1), parted by shape": {"join_below": 0.1},
    "second watershed, joining alone": {"join_below": 0.1, "part_from": 0.0},
    "all of a kind that touch joined, parted by shape alone": {"join_below": 1.1},
    "kind by most pixels": {"majority": 1},
}
"""What is changed of the post-processing, and how the table calls it."""
COLUMNS = ("pq", "aji", "f1", *(f"f1_{kind}" for kind in ("epithelial", "inflammatory", "spindle", "other")))


def answer_of_checkpoint(path: Path) -> Answer:
    """In torch, float32."""
    module = HeMaps(load(path)).eval()

    def answer(image: Image) -> Maps:
        with torch.no_grad():
            nucleus, distance, kind = (a[0].numpy() for a in module(torch.from_numpy(image)[None]))
        return Maps(nucleus=nucleus, distance=distance, kind=kind)

    return answer


def answer_of_model(repository: Path, *, reference: bool = False) -> Answer:
    """As it runs, in this process; `reference`: the float32 graph."""
    engine = LocalEngine(read_model(repository, FOLDER), threads=1, version=FLOAT32 if reference else RUNNING)

    def answer(image: Image) -> Maps:
        maps = engine.detect(image[None], 0.0)[0].maps
        return Maps(nucleus=maps["nucleus"], distance=maps["distance"], kind=maps["kind"])

    return answer


def eightfold(answer: Answer) -> Answer:
    """The mean of the answers to a picture's four turns and their mirror images, laid back on it."""

    def mean(image: Image) -> Maps:
        sums = [np.zeros(1, np.float32)] * 3
        for turns in range(4):
            for flip in (False, True):
                seen = np.rot90(image, turns)
                maps = answer(np.ascontiguousarray(seen[:, ::-1] if flip else seen))
                back = _laid_back(maps, turns, flip=flip)
                sums = [a + b for a, b in zip(sums, back, strict=True)]
        nucleus, distance, kind = (np.rint(a / 8) for a in sums)
        return Maps(nucleus.astype(np.uint8), distance.astype(np.int8), kind.astype(np.uint8))

    return mean


def _laid_back(maps: Maps, turns: int, *, flip: bool) -> "Iterator[np.typing.NDArray[np.float32]]":
    """Nucleus, distance, kind of a picture that was turned left `turns` times, then mirrored left to right."""
    planes = np.concatenate([maps.nucleus[None], maps.distance, maps.kind]).astype(np.float32)
    if flip:
        planes = planes[..., ::-1].copy()
        planes[1] *= -1
    across, down = planes[1].copy(), planes[2].copy()
    for _ in range(turns):  # what ran along x of the turned picture runs along y, what ran along y runs back along x
        across, down = -down, across
    planes[1], planes[2] = across, down
    planes = np.rot90(planes, -turns, axes=(1, 2))
    yield from (planes[0], planes[1:3], planes[3:])


def maps_of(image: Image, answer: Answer) -> Maps:
    """Of a picture; it is mirrored at its sides by the halo of a tile, as far as whole strides need."""
    h, w = image.shape[:2]
    low = TILE.halo
    down, across = (low + -side % TILE.stride for side in (h, w))
    around = cv2.copyMakeBorder(image, low, down, low, across, cv2.BORDER_REFLECT_101)
    maps = answer(np.asarray(around, np.uint8))
    rows, columns = slice(low, low + h), slice(low, low + w)
    return Maps(
        nucleus=np.ascontiguousarray(maps.nucleus[rows, columns]),
        distance=np.ascontiguousarray(maps.distance[:, rows, columns]),
        kind=np.ascontiguousarray(maps.kind[:, rows, columns]),
    )


def nuclei_of(maps: Maps, how: PostProcess) -> Nuclei:
    found = instances(maps, how)
    return Nuclei(
        labels=found.labels,
        kind=found.table.kind.astype(np.int64),
        centre=np.stack([found.table.x, found.table.y], axis=1),
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """Of each tile what is annotated, and how that and what was found overlap and pair."""

    annotated: list[Nuclei]
    found: list[Nuclei]
    each: list[Overlaps]
    pairings: list[Pairing]

    @property
    def figures(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in summed(self.each, self.pairings, data.KINDS).items()}


def compared(tiles: Sequence[data.Tile], maps: Sequence[Maps], how: PostProcess) -> Compared:
    annotated = [Nuclei(labels=t.labels, kind=t.centre_kind, centre=t.centre) for t in tiles]
    found = [nuclei_of(m, how) for m in maps]
    each = [overlaps(a.labels, f.labels) for a, f in zip(annotated, found, strict=True)]
    pairings = [paired(a, f, RADIUS_UM / MPP) for a, f in zip(annotated, found, strict=True)]
    return Compared(annotated, found, each, pairings)


def measured(tiles: Sequence[data.Tile], maps: Sequence[Maps], how: PostProcess) -> dict[str, object]:
    """`figures`, their 95 % `intervals` (tiles drawn with replacement), and `tiles`, PQ and nuclei of each."""
    seen = compared(tiles, maps, how)
    ranges = intervals(seen.each, seen.pairings, data.KINDS)
    by_tile = {
        tile.name: {"pq": round(one.pq, 3), "annotated": len(a.kind), "found": len(f.kind)}
        for tile, one, a, f in zip(tiles, seen.each, seen.annotated, seen.found, strict=True)
    }
    rounded = {name: [round(v, 3) for v in low_high] for name, low_high in ranges.items()}
    return {"figures": seen.figures, "intervals": rounded, "tiles": by_tile}


def table(tiles: Sequence[data.Tile], maps: Sequence[Maps], numbers: Mapping[str, float]) -> str:
    """A row of Markdown for each of PARTS, its figures by COLUMNS with that changed from `numbers`."""
    rows = [f"| changed | {' | '.join(COLUMNS)} |", "|---" * (1 + len(COLUMNS)) + "|"]
    for what, changed in PARTS.items():
        figures = compared(tiles, maps, PostProcess.read({**numbers, **changed})).figures
        rows.append(f"| {what} | {' | '.join(f'{figures[name]:.3f}' for name in COLUMNS)} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--consep", type=Path, required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=Path)
    which.add_argument("--models", type=Path, help="repository with the model he_nuclei")
    parser.add_argument("--float32", action="store_true", help="of --models, the reference in place of int8")
    parser.add_argument("--fold", type=int, choices=range(3), help="of folds.json; default: all tiles")
    parser.add_argument("--eightfold", action="store_true")
    parser.add_argument("--parts", action="store_true")
    parser.add_argument("--postprocess", nargs="*", default=[], metavar="NAME=VALUE")
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    tiles = data.consep(args.consep)
    tiles = tiles if args.fold is None else data.split(tiles, args.fold)[1]
    answer = (
        answer_of_checkpoint(args.checkpoint)
        if args.checkpoint
        else answer_of_model(args.models, reference=args.float32)
    )
    changed = {name: float(value) for name, value in (entry.split("=") for entry in args.postprocess)}
    numbers = read_model(args.models, FOLDER).postprocess if args.models else POSTPROCESS
    answer = eightfold(answer) if args.eightfold else answer
    maps = [maps_of(tile.image, answer) for tile in tiles]
    if args.parts:
        print(table(tiles, maps, {**numbers, **changed}))
    else:
        print(json.dumps(measured(tiles, maps, PostProcess.read({**numbers, **changed})), indent=1))


if __name__ == "__main__":
    main()
