"""A graph behind Triton's Python backend: what `1/model.py` of the CPU variant of the repository holds.

Runs inside of the server's own interpreter process. Tensors cross by DLPack, because the backend's own conversion reads
arrays of NumPy 2 as empty.
"""

import ctypes
import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.engines.graphs import Arrays, loaded
from inference.errors import ChromogenError
from inference.model import read_graph

EMPTIED = ctypes.c_char_p(b"used_dltensor")
"""The name of a DLPack capsule whose tensor has a new owner. It must outlive every capsule."""


class TritonPythonModel:
    """One instance: one graph, one thread. Loading fails where the graph isn't the one that the configuration names."""

    def initialize(self, args: dict[str, str]) -> None:
        self._triton: Any = importlib.import_module("triton_python_backend_utils")  # exists only inside of the server
        config, folder = json.loads(args["model_config"]), Path(args["model_repository"])
        data = (folder / args["model_version"] / "model.onnx").read_bytes()
        if hashlib.sha256(data).hexdigest() != config["parameters"]["sha256"]["string_value"]:
            raise self._triton.TritonModelException(
                f"{config['name']}: model.onnx isn't the file that config.pbtxt names (SHA-256)"
            )
        try:
            self._graph = read_graph(folder.parent, folder.name)
            self._running = loaded(self._graph, data)
        except ChromogenError as error:
            raise self._triton.TritonModelException(error.message) from None

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        try:
            names, arrays = self._run(request)
        except ChromogenError as error:
            return self._triton.InferenceResponse([], self._triton.TritonError(error.message))
        return self._triton.InferenceResponse([self._tensor(n, a) for n, a in zip(names, arrays, strict=True)])

    def _run(self, request: Any) -> tuple[tuple[str, ...], Arrays]:
        inputs = (self._input(request, name) for name in self._graph.inputs)
        return self._graph.output_names, self._running.answer(*inputs)

    def _tensor(self, name: str, array: npt.NDArray[Any]) -> Any:
        capsule = np.ascontiguousarray(array).__dlpack__()
        tensor = self._triton.Tensor.from_dlpack(name, capsule)
        # The backend gives a capsule that it has emptied a name of its own; NumPy looks for this one, and complains
        # otherwise.
        ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), EMPTIED)
        return tensor

    def _input(self, request: Any, name: str) -> Any:
        return np.from_dlpack(self._triton.get_input_tensor_by_name(request, name))
