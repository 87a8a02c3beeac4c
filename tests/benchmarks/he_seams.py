"""Whether where a tile ends changes what is found of H&E, and what int8 does to it: JSON lines for the model's card.

    python -m tests.benchmarks.he_seams --consep FOLDER [--seeds 3]

Pictures of 500 µm, drawn and of four CoNSeP tiles two by two, in tiles of 256, 512 and 1024 px and whole, and whole by
the float32 graph: nuclei of each; `alone`, how many of it or of the whole one have none within 1 µm in the other;
`otherwise`, how many have, of another class. And of drawn ones, how many are found once they look frozen.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from inference.analyze import Options, analyze
from inference.analyzers.he import HE
from inference.cells.file import read_cells
from inference.cells.values import Cells, joined
from inference.draw.he import HeDrawing, Plan
from inference.draw.scanner import Scanner
from inference.engines.local import LocalEngine
from inference.infer import Engine
from inference.model import FLOAT32, read_model, shipped_models
from inference.slide import Rgb
from inference.tile import TileShape
from inference.training.he.data import consep
from tests.benchmarks.measure import report
from tests.inference.he_engine import PictureSlide
from tests.inference.test_he_bad_pictures import frozen

SIDE = 2000
WHOLE = 2048
CORES = (256, 512, 1024, WHOLE)
NEAR_PX = 4.0
MODEL = read_model(shipped_models(), "he_nuclei")


def found(picture: Rgb, engine: Engine, core: int) -> Cells:
    """Its nuclei by tiles of so many px."""
    shape = TileShape(core=core, halo=MODEL.tile.halo, stride=MODEL.tile.stride)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "cells.parquet"
        analyze(PictureSlide(pixels=picture), engine, HE, path, Options(shape=shape))
        return joined(list(read_cells(path, HE.schema)))


def difference(cells: Cells, whole: Cells) -> dict[str, int]:
    """See the module."""
    apart = np.hypot(cells.x[:, None] - whole.x, cells.y[:, None] - whole.y)
    near, back = apart.min(axis=1) < NEAR_PX, apart.min(axis=0) < NEAR_PX
    other = cells["kind"] != whole["kind"][apart.argmin(axis=1)]
    return {"alone": int((~near).sum() + (~back).sum()), "otherwise": int((near & other).sum())}


def compare(source: str, pictures: Sequence[Rgb]) -> None:
    """One line for each tile's size and one for float32."""
    engine, reference = LocalEngine(MODEL), LocalEngine(MODEL, version=FLOAT32)
    wholes = [found(picture, engine, WHOLE) for picture in pictures]
    for by, core in ((engine, core) for core in CORES[:-1]):
        _compared(source, pictures, wholes, by, core, "int8")
    _compared(source, pictures, wholes, reference, WHOLE, "float32")


def _compared(
    source: str, pictures: Sequence[Rgb], wholes: Sequence[Cells], engine: Engine, core: int, graph: str
) -> None:
    seen = [found(picture, engine, core) for picture in pictures]
    each = [difference(cells, whole) for cells, whole in zip(seen, wholes, strict=True)]
    report(
        "he_seams",
        source=source,
        graph=graph,
        core=core,
        nuclei=sum(len(cells) for cells in seen),
        nuclei_whole=sum(len(whole) for whole in wholes),
        **{name: sum(one[name] for one in each) for name in each[0]},
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--consep", type=Path, required=True, help="folder of CoNSeP's tiles")
    parser.add_argument("--seeds", type=int, default=2, help="drawn pictures")
    args = parser.parse_args()
    plan = Plan(side_um=SIDE * 0.25, tissue=0.97)
    drawn = [HeDrawing(plan, Scanner(jpeg=None), seed=seed).pixels() for seed in range(args.seeds)]
    compare("drawn", drawn)
    tiles = [tile.image for tile in consep(args.consep)][:8]
    fours = [tiles[i : i + 4] for i in range(0, len(tiles), 4)]
    compare("consep", [np.vstack([np.hstack(four[:2]), np.hstack(four[2:])]) for four in fours])
    engine = LocalEngine(MODEL)
    for picture in drawn:
        worse, ice = frozen(picture)
        cells = found(worse, engine, WHOLE)
        row, column = (np.rint(v).astype(int).clip(0, SIDE - 1) for v in (cells.y, cells.x))
        well = len(found(picture, engine, WHOLE))
        report("he_frozen", nuclei=well, frozen=len(cells), in_holes=int(ice[row, column].sum()))


if __name__ == "__main__":
    main()
