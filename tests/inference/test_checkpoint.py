"""The checkpoint of an analysis: what is read is what was written, and nothing else is ever believed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from inference.analysis import ModelFacts
from inference.analyzers.outlined import WITH_OUTLINES
from inference.cells.values import Cells
from inference.checkpoint import Checkpoint, CheckpointFile, TileFound, forget, key_of, packed, read
from inference.geometry import Region, Size
from inference.slide import Level, SlideFacts
from inference.tile import Tile
from inference.tissue import Tissue
from tests.models import SHAPE

KEY = b"k" * 32
SCHEMA = WITH_OUTLINES
TYPES = {column.name: (column.dtype, (column.width,) if column.width > 1 else ()) for column in SCHEMA.columns}


@st.composite
def found(draw: st.DrawFn) -> TileFound:
    n = draw(st.integers(0, 5))
    x, y = (draw(st_np.arrays(np.float64, n)) for _ in range(2))
    columns = {name: draw(st_np.arrays(kind, (n, *width))) for name, (kind, width) in TYPES.items()}
    sharpness = st.none() | st.floats(allow_nan=False, allow_infinity=False)
    return TileFound(
        cells=Cells(SCHEMA, x, y, columns),
        overflowed=draw(st.integers(0, 9)),
        sharpness=draw(sharpness),
        unreadable=draw(st.none() | st.text()),
        judged=draw(st.integers(0, 9)),
        just=draw(st.integers(0, 9)),
    )


def same(a: TileFound, b: TileFound) -> bool:
    places = a.cells.x.tobytes() == b.cells.x.tobytes() and a.cells.y.tobytes() == b.cells.y.tobytes()
    columns = (a.cells[name].tobytes() == b.cells[name].tobytes() for name in SCHEMA.names)
    rest = [(f.overflowed, f.sharpness, f.unreadable, f.judged, f.just) for f in (a, b)]
    return places and all(columns) and rest[0] == rest[1]


@given(records=st.lists(found(), max_size=4), cut=st.integers(0, 200))
def test_records_come_back_and_of_a_cut_file_the_whole_ones(
    records: list[TileFound], cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("noted") / "tiles-1.checkpoint"
    data = KEY + b"".join(map(packed, records))
    path.write_bytes(data[: max(len(data) - cut, 0)])
    back = list(read(path, KEY, SCHEMA))
    assert all(map(same, back, records))
    whole = [
        i for i in range(len(records) + 1) if len(KEY) + sum(len(packed(r)) for r in records[:i]) <= len(data) - cut
    ]
    assert len(back) == max(whole, default=0)


def one(number: int) -> TileFound:
    columns = {name: np.full((3, *width), number, kind) for name, (kind, width) in TYPES.items()}
    places = np.full(3, number, np.float64)
    return TileFound(
        cells=Cells(SCHEMA, places, places, columns), overflowed=0, sharpness=float(number), unreadable=None
    )


@pytest.mark.parametrize("at", [5, 33, 45, 70, 140])
def test_a_changed_byte_ends_what_is_believed(tmp_path: Path, at: int) -> None:
    data = bytearray(KEY + packed(one(1)) + packed(one(2)))
    data[at] ^= 1
    (tmp_path / "j").write_bytes(data)
    assert len(list(read(tmp_path / "j", KEY, SCHEMA))) == (1 if at > 32 + len(packed(one(1))) else 0)


def test_a_third_attempt_goes_on_from_the_longest_and_all_are_forgotten_at_the_end(tmp_path: Path) -> None:
    for attempt, tiles in (("1", 3), ("2", 1)):
        (tmp_path / attempt).mkdir()
        with CheckpointFile(replace(Checkpoint.in_case(tmp_path / attempt), earlier=()), KEY, SCHEMA) as noted:
            for number in range(tiles):
                noted.add(one(number))
    (tmp_path / "3").mkdir()
    third = Checkpoint.in_case(tmp_path / "3")
    with CheckpointFile(third, KEY, SCHEMA) as noted:
        assert noted.before == 3
        assert [f.sharpness for f in noted.found()] == [0.0, 1.0, 2.0]
    assert len(list(read(third.file, KEY, SCHEMA))) == 3
    with CheckpointFile(Checkpoint.in_case(tmp_path / "3"), b"o" * 32, SCHEMA) as other:
        assert (other.before, list(other.found())) == (0, [])
    forget(tmp_path)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


FACTS = SlideFacts(
    mpp=0.5, size=Size(width=9, height=9), levels=(Level(size=Size(width=9, height=9), mpp=0.5),), sha256="1" * 64
)
TISSUE = Tissue(mask=np.ones((4, 4), bool), cells_per_px=0.5, area_mm2=1.0, overview=np.zeros((4, 4, 3), np.uint8))
MODEL = ModelFacts(
    name="n", version="1", sha256="a" * 64, graphs=(("finds", "c" * 64), ("grades", "d" * 64)), engine="local"
)
TILES = [Tile(index=0, core=Region(x=0, y=0, width=9, height=9), x=-32, y=-32)]


def test_another_slide_model_schema_plan_or_tissue_has_another_key() -> None:
    hole = TISSUE.mask.copy()
    hole[1, 2] = False
    given = (FACTS, MODEL, SCHEMA, SHAPE, TILES, TISSUE)
    others = [
        (replace(FACTS, sha256="2" * 64), MODEL, SCHEMA, SHAPE, TILES, TISSUE),
        (FACTS, replace(MODEL, sha256="b" * 64), SCHEMA, SHAPE, TILES, TISSUE),
        (FACTS, replace(MODEL, engine="triton"), SCHEMA, SHAPE, TILES, TISSUE),
        (FACTS, MODEL, replace(SCHEMA, version=3), SHAPE, TILES, TISSUE),
        (FACTS, MODEL, SCHEMA, replace(SHAPE, core=256), TILES, TISSUE),
        (FACTS, MODEL, SCHEMA, SHAPE, [], TISSUE),
        (FACTS, MODEL, SCHEMA, SHAPE, TILES, replace(TISSUE, mask=hole)),
    ]
    assert len({key_of(*parts) for parts in (given, given, *others)}) == 1 + len(others)


@pytest.mark.parametrize("graph", ["finds", "grades"])
def test_any_graph_of_a_model_that_changes_changes_the_key(graph: str) -> None:
    graphs = tuple((name, "e" * 64 if name == graph else sha256) for name, sha256 in MODEL.graphs)
    keys = {key_of(FACTS, model, SCHEMA, SHAPE, TILES, TISSUE) for model in (MODEL, replace(MODEL, graphs=graphs))}
    assert len(keys) == 2
