"""What is taken for an answer, without a server: everything that can't be is refused before it can become a score."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from inference.engines.shared_tiles import FOLDER, SharedTiles, abandoned
from inference.engines.triton_answer import NotAnAnswer, answer_of, others
from inference.model import Graph
from tests.models import IHC_TILE

SIDE, B = 32, 2
K = SIDE * SIDE // 64

Arrays = dict[str, npt.NDArray[Any]]


def right(seed: int = 0) -> Arrays:
    """A possible answer to two tiles: five peaks and none."""
    random = np.random.default_rng(seed)
    arrays: Arrays = {n: np.zeros((B, K), np.float32) for n in ("x", "y", "nucleus", "confidence")}
    arrays |= {n: np.zeros((B, K), np.int32) for n in ("label", "hue", "value", "dab_od_centi")}
    arrays["count"] = np.array([[5], [0]], np.int32)
    for graph in IHC_TILE.graphs:
        arrays[graph.fingerprint_output] = np.tile(graph.fingerprint_numbers(), (B, 1))
    arrays["nucleus"][0, :5] = np.sort(random.uniform(0.1, 0.9, 5))[::-1]
    arrays["confidence"][0, :5] = arrays["nucleus"][0, :5] / 2
    arrays["x"][0, :5], arrays["y"][0, :5] = random.uniform(0, SIDE - 1, (2, 5))
    return arrays


def response(arrays: Arrays) -> service_pb2.ModelInferResponse:
    message = service_pb2.ModelInferResponse()
    for name, array in arrays.items():
        kind = {"f": "FP32", "i": "INT32"}[array.dtype.kind] if array.dtype.itemsize == 4 else "FP64"
        message.outputs.add(name=name, datatype=kind, shape=array.shape)
        message.raw_output_contents.append(array.tobytes())
    return message


@given(st.integers(0, 1000))
def test_a_possible_answer_comes_out_as_it_went_in(seed: int) -> None:
    arrays = right(seed)
    answer = answer_of(response(arrays), IHC_TILE, B, SIDE)
    assert answer.keys() == arrays.keys()
    assert answer["count"].shape == (B,)
    for name, found in answer.items():
        np.testing.assert_array_equal(found, arrays[name].reshape(found.shape))
    assert not others(answer, IHC_TILE)


@pytest.mark.parametrize("graph", IHC_TILE.graphs, ids=lambda graph: graph.name)
def test_an_answer_of_which_one_tile_came_of_another_graph_shows_it(graph: Graph) -> None:
    arrays = right()
    arrays[graph.fingerprint_output][1, 3] += 1
    assert others(answer_of(response(arrays), IHC_TILE, B, SIDE), IHC_TILE)


def put(name: str, value: float) -> Callable[[Arrays], None]:
    return lambda arrays: arrays[name].__setitem__((0, 0), value)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (put("x", np.nan), "finite"),
        (put("nucleus", np.inf), "finite"),
        (put("confidence", np.nan), "finite"),
        (put("x", SIDE), "x outside of -0.5 to 31.5"),
        (put("y", -1), "y outside of"),
        (put("nucleus", 1.5), "nucleus outside of 0 to 1"),
        (put("confidence", -0.5), "confidence outside of 0 to 1"),
        (put("label", 2), "label outside of"),
        (put("hue", 360), "hue outside of 0 to 359"),
        (put("hue", -1), "hue outside of"),
        (put("value", 256), "value outside of"),
        (put("dab_od_centi", 301), "dab_od_centi outside of 0 to 300"),
        (put("count", 6), "another number"),
        (put("nucleus", 0), "another number"),
        (lambda a: a.pop("hue"), "lacks a tensor"),
        (lambda a: a.pop("grading_fingerprint"), "lacks a tensor"),
        (lambda a: a.update(x=a["x"][:, 1:]), "wrong shape"),
        (lambda a: a.update(x=a["x"].astype(np.float64)), "wrong shape"),
        (lambda a: a.update(y=a["y"][:1]), "wrong shape"),
    ],
)
def test_an_answer_that_cannot_be_is_refused_with_the_reason(spoil: Callable[[Arrays], object], why: str) -> None:
    arrays = right()
    spoil(arrays)
    with pytest.raises(NotAnAnswer, match=why):
        answer_of(response(arrays), IHC_TILE, B, SIDE)


def test_an_answer_whose_bytes_are_cut_or_lie_elsewhere_is_refused() -> None:
    cut, elsewhere = response(right()), response(right())
    cut.raw_output_contents[0] = cut.raw_output_contents[0][:-4]
    del elsewhere.raw_output_contents[:]
    for message in (cut, elsewhere, service_pb2.ModelInferResponse()):
        with pytest.raises(NotAnAnswer, match="lacks a tensor"):
            answer_of(message, IHC_TILE, B, SIDE)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 4), st.integers(1, 3))
def test_tiles_lie_in_shared_memory_as_they_are_each_in_a_slot_of_its_own(slots: int, n: int) -> None:
    shared = SharedTiles(slots=slots, slot_bytes=3 * 16 * 16 * 3)
    tiles = [np.full((n, 16, 16, 3), 7 * i, np.uint8) for i in range(slots)]
    try:
        held = [shared.holding(t) for t in tiles]
        places = [h.__enter__() for h in held]
        memory = (FOLDER / shared.name).read_bytes()
        assert len({p.offset for p in places}) == slots
        for place, tile in zip(places, tiles, strict=True):
            assert memory[place.offset : place.offset + place.byte_size] == tile.tobytes()
        for h in held:
            h.__exit__(None, None, None)
        assert not abandoned(shared.name, f"/{shared.name}")
    finally:
        shared.close()
    assert abandoned(shared.name, f"/{shared.name}")
    assert not abandoned("someone-elses", "/nowhere")


def test_more_shared_memory_than_there_is_is_an_error_and_leaves_nothing() -> None:
    before = set(FOLDER.iterdir())
    with pytest.raises(OSError, match=r"."):
        SharedTiles(slots=1, slot_bytes=1 << 45)
    assert {p for p in set(FOLDER.iterdir()) - before if p.name.startswith("chromogen")} == set()
