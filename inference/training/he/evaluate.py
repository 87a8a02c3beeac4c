"""Figures of an H&E network on a fold of CoNSeP's training tiles, one pass, as JSON.

    python -m inference.training.he.evaluate --consep FOLDER --fold 0 --checkpoint RUN/last.pt   (or --models DIR)

`--postprocess NAME=VALUE` changes what the model says of `inference.instances.PostProcess`, to see what a part does.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from inference.engines.local import LocalEngine
from inference.evaluation.instances import RADIUS_UM, Nuclei, intervals, overlaps, paired, summed
from inference.instances import Maps, PostProcess, instances
from inference.model import FLOAT32, RUNNING, read_model
from inference.training.augment import Image
from inference.training.he import data
from inference.training.he.export import FOLDER, POSTPROCESS, TILE, HeMaps
from inference.training.he.model import load

MPP = 0.25
Answer = Callable[[Image], Maps]


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


def found_in(image: Image, answer: Answer, how: PostProcess) -> Nuclei:
    """The nuclei of a picture; it is mirrored at its sides by the halo of a tile, as far as whole strides need."""
    h, w = image.shape[:2]
    low = TILE.halo
    down, across = (low + -side % TILE.stride for side in (h, w))
    around = cv2.copyMakeBorder(image, low, down, low, across, cv2.BORDER_REFLECT_101)
    maps = answer(np.asarray(around, np.uint8))
    rows, columns = slice(low, low + h), slice(low, low + w)
    own = Maps(
        nucleus=np.ascontiguousarray(maps.nucleus[rows, columns]),
        distance=np.ascontiguousarray(maps.distance[:, rows, columns]),
        kind=np.ascontiguousarray(maps.kind[:, rows, columns]),
    )
    found = instances(own, how)
    return Nuclei(
        labels=found.labels,
        kind=found.table.kind.astype(np.int64),
        centre=np.stack([found.table.x, found.table.y], axis=1),
    )


def measured(tiles: Sequence[data.Tile], answer: Answer, how: PostProcess) -> dict[str, object]:
    """`figures`, their 95 % `intervals` (tiles drawn with replacement), and `tiles`, PQ and nuclei of each."""
    annotated = [Nuclei(labels=t.labels, kind=t.centre_kind, centre=t.centre) for t in tiles]
    found = [found_in(t.image, answer, how) for t in tiles]
    each = [overlaps(a.labels, f.labels) for a, f in zip(annotated, found, strict=True)]
    pairings = [paired(a, f, RADIUS_UM / MPP) for a, f in zip(annotated, found, strict=True)]
    rounded = {name: round(value, 4) for name, value in summed(each, pairings, data.KINDS).items()}
    ranges = {n: [round(v, 3) for v in low_high] for n, low_high in intervals(each, pairings, data.KINDS).items()}
    by_tile = {
        tile.name: {"pq": round(one.pq, 3), "annotated": len(a.kind), "found": len(f.kind)}
        for tile, one, a, f in zip(tiles, each, annotated, found, strict=True)
    }
    return {"figures": rounded, "intervals": ranges, "tiles": by_tile}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--consep", type=Path, required=True)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=Path)
    which.add_argument("--models", type=Path, help="repository with the model he_nuclei")
    parser.add_argument("--float32", action="store_true", help="of --models, the reference in place of int8")
    parser.add_argument("--fold", type=int, choices=range(3), help="of folds.json; default: all tiles")
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
    how = PostProcess.read({**numbers, **changed})
    print(json.dumps(measured(tiles, answer, how), indent=1))


if __name__ == "__main__":
    main()
