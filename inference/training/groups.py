"""Folds for cross-validation that keep alike tiles together: `groups.json`, made once, read by everything else.

    python -m inference.training.groups --endonuke FOLDER --consep FOLDER

Patients of the tiles aren't published, so what may be one patient or one staining run is never parted: tiles with
neighbouring numbers (at most GAP apart), and such runs of numbers whose mean stain statistics lie within ALIKE of each
other, the most alike first, up to the size of a fold. Groups go to the folds from the largest on, each to the fold that
then lies nearest to an equal share of the nuclei of both compartments.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from inference.training import data
from inference.training.augment import STAINS, Image

GROUPS_FILE = Path(__file__).with_name("groups.json")
FOLDS = 5
GAP = 6  # tile numbers
ALIKE = 1.1  # deviations over all tiles, root mean square over the statistics
BACKGROUND = 0.15  # mean optical density below which a pixel counts as ground, not as stain

Floats = npt.NDArray[np.float64]


def statistics(image: Image) -> Floats:
    """(9,) of an (h, w, 3) picture: mean and deviation of three stains where any is, and the colour of the ground."""
    density = -np.log10((image.reshape(-1, 3).astype(np.float64) + 1) / 256)
    stained = density.mean(axis=1) > BACKGROUND
    amounts = (density[stained] if stained.any() else density) @ np.linalg.inv(STAINS.astype(np.float64))
    ground = np.percentile(image.reshape(-1, 3), 95, axis=0) / 255
    return np.concatenate([amounts.mean(axis=0), amounts.std(axis=0), ground])


def grouped(tiles: list[data.Tile]) -> list[list[int]]:
    """Indices of the tiles of each group: neighbours by number, then runs alike by their stain (single linkage)."""
    runs: list[list[int]] = []
    for i, tile in enumerate(tiles):
        close = runs and number(tile) - number(tiles[runs[-1][-1]]) <= GAP
        if close:
            runs[-1].append(i)
        else:
            runs.append([i])
    values = np.stack([statistics(t.image) for t in tiles])
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    means = np.stack([values[run].mean(axis=0) for run in runs])
    apart = np.sqrt(((means[:, None] - means[None]) ** 2).mean(axis=2))
    label = list(range(len(runs)))
    largest = len(tiles) / FOLDS  # a chain of small likenesses would join everything
    for a, b in _nearest_first(apart, ALIKE):
        members = [len(runs[i]) for i, other in enumerate(label) if other in (label[a], label[b])]
        if label[a] != label[b] and sum(members) <= largest:
            label = [label[a] if other == label[b] else other for other in label]
    return [[t for i, other in enumerate(label) if other == name for t in runs[i]] for name in sorted(set(label))]


def number(tile: data.Tile) -> int:
    """Of `398` and of `train_12`."""
    return int(tile.name.rsplit("_", 1)[-1])


def folds(tiles: list[data.Tile], groups: list[list[int]], count: int = FOLDS) -> list[list[str]]:
    """Names of the tiles of each fold."""
    weight = np.array([[len(t.points.xy), int(t.points.label.sum())] for t in tiles], np.float64)
    share = weight / np.maximum(weight.sum(axis=0), 1)
    held, names = np.zeros((count, 2)), [list[str]() for _ in range(count)]
    for group in sorted(groups, key=lambda g: -float(share[g].sum())):
        after = held + share[group].sum(axis=0)
        cost = [
            float(((np.where(np.arange(count)[:, None] == f, after, held) - 1 / count) ** 2).sum())
            for f in range(count)
        ]
        fold = int(np.argmin(cost))
        held[fold] = after[fold]
        names[fold] += [tiles[i].name for i in group]
    return [sorted(n, key=lambda name: int(name.rsplit("_", 1)[-1])) for n in names]


def split(tiles: list[data.Tile], fold: int, dataset: str = "endonuke") -> tuple[list[data.Tile], list[data.Tile]]:
    """Training and validation tiles of a fold, by the names in groups.json."""
    validation = set(json.loads(GROUPS_FILE.read_text())[dataset][fold])
    return [t for t in tiles if t.name not in validation], [t for t in tiles if t.name in validation]


def _nearest_first(apart: Floats, limit: float) -> list[tuple[int, int]]:
    """Pairs (i < j) of a matrix of distances below `limit`."""
    rows, columns = np.nonzero(np.triu(apart < limit, 1))
    order = np.argsort(apart[rows, columns], kind="stable")
    return [(int(rows[k]), int(columns[k])) for k in order]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--endonuke", type=Path, required=True)
    parser.add_argument("--consep", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=GROUPS_FILE)
    args = parser.parse_args()
    kept: dict[str, object] = {
        "rule": f"numbers at most {GAP} apart, or mean stain statistics within {ALIKE} deviations"
    }
    for name, tiles in (("endonuke", data.endonuke(args.endonuke)), ("consep", data.consep(args.consep))):
        groups = grouped(tiles) if name == "endonuke" else alike(tiles)
        kept[name] = folds(tiles, groups)
        for fold in kept[name]:  # type: ignore[attr-defined]
            inside = [t for t in tiles if t.name in fold]
            nuclei, epithelium = sum(len(t.points.xy) for t in inside), sum(int(t.points.label.sum()) for t in inside)
            print(f"{name}: {len(groups)} groups, {len(fold)} tiles, {nuclei} nuclei, {epithelium} epithelium")
    args.out.write_text(json.dumps(kept, indent=1) + "\n")


def alike(tiles: list[data.Tile]) -> list[list[int]]:
    """CoNSeP's tiles in groups by stain alone: their numbers say nothing of neighbourhood."""
    values = np.stack([statistics(t.image) for t in tiles])
    values = (values - values.mean(axis=0)) / np.maximum(values.std(axis=0), 1e-9)
    label = list(range(len(tiles)))
    apart = np.sqrt(((values[:, None] - values[None]) ** 2).mean(axis=2))
    for a, b in _nearest_first(apart, ALIKE / 2):
        if label[a] != label[b] and sum(other in (label[a], label[b]) for other in label) <= len(tiles) / FOLDS:
            label = [label[a] if other == label[b] else other for other in label]
    return [[i for i, other in enumerate(label) if other == name] for name in sorted(set(label))]


if __name__ == "__main__":
    main()
