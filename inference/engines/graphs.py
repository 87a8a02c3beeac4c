"""Graphs in this process, each in the runtime that its manifest names: the faster one for it.

Precision is pinned to float32: left to itself OpenVINO takes bfloat16 where the processor has it, and the same slide
would score differently from machine to machine.
"""

import threading
from collections.abc import Sequence
from typing import Any, Protocol, assert_never

import numpy as np
import numpy.typing as npt
import onnxruntime
import openvino

from inference.errors import Failed, Reason, Refused
from inference.model import TILES, Graph, Runtime

Arrays = tuple[npt.NDArray[Any], ...]


class RunningGraph(Protocol):
    """A graph that is loaded. Safe to run from several threads."""

    def answer(self, *inputs: npt.NDArray[Any]) -> Arrays:
        """All its outputs for a batch, in the order of `Graph.output_names`, from `Graph.inputs`.

        Sides of `tiles` (b, h, w, 3) are multiples of the model's stride. Raises Failed ENGINE_FAILED, and Refused
        MODEL_INVALID at the first call where the graph can't be compiled.
        """
        ...


def loaded(graph: Graph, data: bytes, *, threads: int = 1, together: bool = False) -> RunningGraph:
    """`data` is the ONNX file. Raises Refused MODEL_INVALID."""
    match graph.runtime:
        case Runtime.OPENVINO:
            return OpenVinoGraph(graph, data, threads=threads, together=together)
        case Runtime.ONNX_RUNTIME:
            return OnnxRuntimeGraph(graph, data)
        case _:
            assert_never(graph.runtime)


class OpenVinoGraph:
    """`threads` calls side by side, one core each; compiled for each shape of tiles.

    With `together` the threads share each call instead: a lone tile is back the sooner, and calls wait for one another.
    """

    def __init__(self, graph: Graph, data: bytes, *, threads: int = 1, together: bool = False) -> None:
        self._graph, self._data = graph, data
        self._threads, self._streams = threads, 1 if together else threads
        self._tiles, self._outputs = graph.inputs.index(TILES), len(graph.output_names)
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._idle: dict[tuple[int, ...], list[Any]] = {}
        # The first look at any tensor's data makes OpenVINO's binding import numpy, and two threads that do so at once
        # wait for each other for ever (seen in one of twenty runs, OpenVINO 2026.4): so it happens here, in one thread.
        _ = openvino.Tensor(np.zeros(1, np.uint8)).data

    def answer(self, *inputs: npt.NDArray[Any]) -> Arrays:
        """See RunningGraph; copied out of the runtime's memory."""
        shape = inputs[self._tiles].shape
        request = self._request(shape)
        try:
            request.infer(list(inputs), share_inputs=True)
            found = tuple(np.array(request.get_output_tensor(i).data) for i in range(self._outputs))
        except RuntimeError as error:
            message = f"OpenVINO failed on a batch of {shape[0]} tiles in {self._graph.name}"
            raise Failed(Reason.ENGINE_FAILED, message) from error
        self._idle[shape].append(request)
        return found

    def _request(self, shape: tuple[int, ...]) -> Any:
        """One that no other thread uses: threads come and go, and a new request costs milliseconds and memory."""
        compiled = self._compile(shape)
        with self._lock:
            idle = self._idle.setdefault(shape, [])
            return idle.pop() if idle else compiled.create_infer_request()

    def _compile(self, shape: tuple[int, ...]) -> Any:
        with self._lock:
            if shape not in self._compiled:
                core = openvino.Core()
                settings = {
                    "INFERENCE_NUM_THREADS": self._threads,
                    "NUM_STREAMS": self._streams,
                    "INFERENCE_PRECISION_HINT": "f32",
                    "ENABLE_CPU_PINNING": False,
                }
                try:
                    model = core.read_model(self._data)
                    _check_finite(self._graph, model)
                    _check_names(self._graph, [port.get_any_name() for port in model.outputs])
                    model.reshape({TILES: list(shape)})
                    self._compiled[shape] = core.compile_model(model, "CPU", settings)
                except RuntimeError as error:
                    raise _unloadable(self._graph, error) from None
            return self._compiled[shape]


class OnnxRuntimeGraph:
    """ONNX Runtime, one thread a call."""

    def __init__(self, graph: Graph, data: bytes) -> None:
        self._graph = graph
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise _unloadable(graph, error) from None
        _check_names(graph, [output.name for output in self._session.get_outputs()])

    def answer(self, *inputs: npt.NDArray[Any]) -> Arrays:
        """See RunningGraph."""
        try:
            return tuple(self._session.run(None, dict(zip(self._graph.inputs, inputs, strict=True))))
        except Exception as error:  # its errors share no base but this one
            message = f"ONNX Runtime failed on a batch of {len(inputs[0])} tiles in {self._graph.name}"
            raise Failed(Reason.ENGINE_FAILED, message) from error


def _check_finite(graph: Graph, model: Any) -> None:
    """Raises Refused MODEL_INVALID for weights that are NaN or infinite: their maps have no peaks, a slide would seem
    empty.
    """
    constants = (node.data for node in model.get_ops() if node.get_type_name() == "Constant")
    if not all(np.isfinite(values).all() for values in constants if np.issubdtype(values.dtype, np.floating)):
        raise Refused(Reason.MODEL_INVALID, f"{graph.name} holds weights that are NaN or infinite; export it again")


def _check_names(graph: Graph, names: Sequence[str]) -> None:
    """Raises Refused MODEL_INVALID where the file answers with other tensors than the manifest says."""
    if tuple(names) != graph.output_names:
        said, found = ", ".join(graph.output_names), ", ".join(names)
        message = f"{graph.name} answers otherwise than its manifest says: {said} are expected; it answers {found}"
        raise Refused(Reason.MODEL_INVALID, f"{message}; export it again")


def _unloadable(graph: Graph, error: Exception) -> Refused:
    return Refused(Reason.MODEL_INVALID, f"{graph.name} can't be loaded ({type(error).__name__}); export it again")
