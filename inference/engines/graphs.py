"""The two graphs on a processor: OpenVINO finds nuclei, ONNX Runtime grades them (each the faster one for its graph).

Precision is pinned to float32: left to itself OpenVINO takes bfloat16 where the processor has it, and the same slide
would score differently from machine to machine.
"""

import threading
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
import openvino

from inference.errors import Failed, Reason, Refused
from inference.infer import Detections

DETECTION, GRADING = "nuclei_detection", "staining_grading"


@dataclass(frozen=True, slots=True)
class Peaks:
    """What `nuclei_detection` answers, in the order of its outputs: arrays (b, k), and the count of all peaks (b,)."""

    x: npt.NDArray[np.float32]
    y: npt.NDArray[np.float32]
    label: npt.NDArray[np.int32]
    nucleus: npt.NDArray[np.float32]
    confidence: npt.NDArray[np.float32]
    count: npt.NDArray[np.int32]

    def of(self, i: int) -> "Peaks":
        """Those of the i-th tile: arrays (k,), count ()."""
        return Peaks(*(getattr(self, f.name)[i] for f in fields(Peaks)))


@dataclass(frozen=True, slots=True)
class Stains:
    """What `staining_grading` answers at each keypoint, (b, k) int32: hue 0-359, value 0-255, DAB density in
    hundredths.
    """

    hue: npt.NDArray[np.int32]
    value: npt.NDArray[np.int32]
    dab_od_centi: npt.NDArray[np.int32]


DETECTION_OUTPUTS = (*(f.name for f in fields(Peaks)), "detection_fingerprint")
GRADING_OUTPUTS = (*(f.name for f in fields(Stains)), "grading_fingerprint")
"""What the graphs answer, in their order; a fingerprint (b, 8) int32 says which graph it was."""

Arrays = tuple[npt.NDArray[Any], ...]


def chosen(peaks: Peaks, faintest: float) -> npt.NDArray[np.intp]:
    """Which places of one tile hold a peak of at least `faintest`, from top to bottom: engines differ in how they order
    equals.

    Raises Failed ENGINE_FAILED for numbers that aren't finite: a comparison with NaN is false, and would lose the
    nucleus.
    """
    if not all(np.isfinite(v).all() for v in (peaks.x, peaks.y, peaks.nucleus, peaks.confidence)):
        raise Failed(Reason.ENGINE_FAILED, "the network answered with numbers that aren't finite")
    keep = np.flatnonzero((peaks.nucleus >= faintest) & (peaks.nucleus > 0))
    return keep[np.lexsort((peaks.x[keep], peaks.y[keep]))]


def detections(peaks: Peaks, keep: npt.NDArray[np.intp], stains: Stains) -> Detections:
    """The kept peaks of one tile with what was measured at them; `stains` (n,) in the order of `keep`.

    Peaks beyond the places are only of interest where the places are full of peaks that count.
    """
    beyond = int(peaks.count) - len(peaks.x) if len(keep) == len(peaks.x) else 0
    return Detections(
        x=peaks.x[keep],
        y=peaks.y[keep],
        label=peaks.label[keep].astype(np.uint8),
        nucleus=peaks.nucleus[keep],
        confidence=peaks.confidence[keep],
        hue=stains.hue.astype(np.uint16),
        value=stains.value.astype(np.uint8),
        dab_od_centi=stains.dab_od_centi.astype(np.uint16),
        found=len(keep) + max(beyond, 0),
    )


class DetectionGraph:
    """`nuclei_detection` in OpenVINO; safe to run from several threads, `threads` of them side by side.

    With `together` the threads share each call instead: a lone tile is back the sooner, and calls wait for one another.
    """

    def __init__(self, graph: bytes, *, threads: int, together: bool = False) -> None:
        self._graph, self._threads, self._streams = graph, threads, 1 if together else threads
        self._lock = threading.Lock()
        self._compiled: dict[tuple[int, ...], Any] = {}
        self._idle: dict[tuple[int, ...], list[Any]] = {}
        # The first look at any tensor's data makes OpenVINO's binding import numpy, and two threads that do so at once
        # wait for each other for ever (seen in one of twenty runs, OpenVINO 2026.4): so it happens here, in one thread.
        _ = openvino.Tensor(np.zeros(1, np.uint8)).data

    def run(self, tiles: npt.NDArray[np.uint8]) -> Peaks:
        """Peaks of (b, h, w, 3) tiles, h and w multiples of 32. Raises Failed."""
        return Peaks(*self.answer(tiles)[:-1])

    def answer(self, tiles: npt.NDArray[np.uint8]) -> Arrays:
        """All of DETECTION_OUTPUTS, copied out of the runtime's memory."""
        request = self._request(tiles.shape)
        try:
            request.infer([tiles], share_inputs=True)
            found = tuple(np.array(request.get_output_tensor(i).data) for i in range(len(DETECTION_OUTPUTS)))
        except RuntimeError as error:
            raise Failed(Reason.ENGINE_FAILED, f"OpenVINO failed on a batch of {len(tiles)} tiles") from error
        self._idle[tiles.shape].append(request)
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
                    model = core.read_model(self._graph)
                    _check_finite(model)
                    model.reshape({"tiles": list(shape)})
                    self._compiled[shape] = core.compile_model(model, "CPU", settings)
                except RuntimeError as error:
                    kind = type(error).__name__
                    raise Refused(
                        Reason.MODEL_INVALID, f"{DETECTION} can't be loaded ({kind}); export it again"
                    ) from None
            return self._compiled[shape]


def _check_finite(model: Any) -> None:
    """Raises Refused MODEL_INVALID for weights that are NaN or infinite: their maps have no peaks, a slide would seem
    empty.
    """
    constants = (node.data for node in model.get_ops() if node.get_type_name() == "Constant")
    if not all(np.isfinite(values).all() for values in constants if np.issubdtype(values.dtype, np.floating)):
        raise Refused(Reason.MODEL_INVALID, f"{DETECTION} holds weights that are NaN or infinite; export it again")


class GradingGraph:
    """`staining_grading` in ONNX Runtime, one thread a call; safe to run from several threads."""

    def __init__(self, graph: bytes) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise Refused(
                Reason.MODEL_INVALID, f"{GRADING} can't be loaded ({type(error).__name__}); export it again"
            ) from None

    def run(self, tiles: npt.NDArray[np.uint8], x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> Stains:
        """Stains at keypoints (b, k), in px of (b, h, w, 3) tiles."""
        return Stains(*self.answer(tiles, x, y, np.full(len(tiles), x.shape[1], np.int32))[:-1])

    def answer(
        self,
        tiles: npt.NDArray[np.uint8],
        x: npt.NDArray[np.float32],
        y: npt.NDArray[np.float32],
        count: npt.NDArray[np.int32],
    ) -> Arrays:
        """All of GRADING_OUTPUTS; at least the first `count` (b,) keypoints are measured."""
        return tuple(self._session.run(None, {"tiles": tiles, "x": x, "y": y, "count": count}))
