"""A model's graphs in this process."""

import os
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.engines.graphs import RunningGraph, loaded
from inference.engines.peaks import Answers, Array, tile_answer
from inference.infer import TileAnswer
from inference.model import COUNT, RUNNING, TILES, Graph, Model, Role


class LocalEngine:
    """A model on this machine's processor; `threads` calls run side by side, one core each.

    With `together` the cores share one call at a time, for a picture that somebody waits for; the numbers are the same.
    Graphs that have `version` run in it, the others as they do without. Raises Refused MODEL_INVALID.
    """

    def __init__(
        self, model: Model, *, threads: int | None = None, version: str = RUNNING, together: bool = False
    ) -> None:
        self._model = model
        threads = threads or len(os.sched_getaffinity(0))
        # One call more than cores: while one reads its tile or grades its peaks, the network has others to go on with.
        self._workers = 1 if together or threads == 1 else threads + 1
        versions = {graph.name: version for graph in model.graphs if version in graph.sha256}
        self._graphs: list[tuple[Graph, RunningGraph]] = []
        for graph in model.graphs:
            data = model.graph_bytes(graph, versions.get(graph.name, RUNNING))
            self._graphs.append((graph, loaded(graph, data, threads=threads, together=together)))
        self._facts = ModelFacts(
            name=model.name,
            version=model.version,
            sha256=model.digest(versions),
            graphs=model.digests(versions),
            engine="local",
        )

    @property
    def model(self) -> Model:
        return self._model

    @property
    def facts(self) -> ModelFacts:
        return self._facts

    @property
    def workers(self) -> int:
        return self._workers

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        """See `inference.infer.Engine`. What measures runs for each tile alone, at the peaks that are kept."""
        answers: dict[str, Array] = {TILES: tiles}
        for graph, running in self._graphs:
            if graph.role is not Role.MEASURE:
                answers |= _answered(graph, running, answers)
        return [self._one({name: a[i : i + 1] for name, a in answers.items()}, faintest) for i in range(len(tiles))]

    def _one(self, answers: Answers, faintest: float) -> TileAnswer:
        """`answers` (1, ...) of the graphs that run over whole batches."""
        _, height, width, _ = answers[TILES].shape
        alone = {name: answer[0] for name, answer in answers.items()}
        found = tile_answer(self._model, alone, faintest, height=height, width=width)
        return replace(found, columns={**found.columns, **self._measured(answers, found.columns)})

    def _measured(self, answers: Answers, columns: Answers) -> dict[str, Array]:
        """What is measured at the n peaks of `columns`, by name (n, ...)."""
        measured: dict[str, Array] = {}
        peaks = {name: column[None] for name, column in columns.items()}
        for graph, running in self._graphs:
            if graph.role is Role.MEASURE:
                count = np.array([len(columns["x"])], np.int32)
                new = _answered(graph, running, {**answers, **peaks, COUNT: count})
                peaks |= new
                measured |= {name: answer[0] for name, answer in new.items()}
        return measured


def _answered(graph: Graph, running: RunningGraph, fed: Answers) -> dict[str, Array]:
    """A graph's outputs by name, (b, ...), but for its fingerprint."""
    answers = running.answer(*(fed[name] for name in graph.inputs))
    return {name: a for name, a in zip(graph.output_names, answers, strict=True) if name != graph.fingerprint_output}
