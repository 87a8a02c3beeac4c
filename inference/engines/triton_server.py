"""One Triton server as a client sees it: is it the right one, what does it answer, and what kind of
trouble is it in.
"""

import threading
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inference.engines.graphs import DETECTION, DETECTION_OUTPUTS, GRADING, GRADING_OUTPUTS, Peaks, Stains
from inference.engines.local import ModelFolder
from inference.engines.shared_tiles import Place, SharedTiles, abandoned
from inference.engines.triton_repository import ENSEMBLE, PIXELS_PER_PLACE, VERSION, sha256_of
from inference.engines.triton_tls import Newest, Secure, channel, failed_handshake, gone
from inference.nuclei import DENSITIES, HUES, VALUES

CONTROL_S = 2.0
"""Deadline of everything but inference."""
NAMES = (*DETECTION_OUTPUTS, *GRADING_OUTPUTS)
FINGERPRINT_NUMBERS = 8
TYPES = {"FP32": np.dtype("<f4"), "INT32": np.dtype("<i4")}
CHANNEL = [
    ("grpc.max_send_message_length", 64 * 1024 * 1024),
    ("grpc.max_receive_message_length", 64 * 1024 * 1024),
    ("grpc.max_reconnect_backoff_ms", 2000),
]


class Kind(Enum):
    """What is wrong, and so what to do."""

    GONE = auto()  # no connection: another server, this one again later
    SILENT = auto()  # no answer in time: the same
    BUSY = auto()  # its queue is full: wait a moment
    BROKEN = auto()  # an error or an answer that can't be: another server
    WRONG = auto()  # not the model that we know: never this one
    UNTRUSTED = auto()  # it can't prove who it is, or doesn't try: the same
    NO_REGION = auto()  # it doesn't see our shared memory: send the pixels


class Trouble(Exception):
    """`what` is ours to show: it quotes nothing of the server's."""

    def __init__(self, kind: Kind, what: str) -> None:
        super().__init__(what)
        self.kind, self.what = kind, what


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Of a batch of tiles: arrays (b, k), `peaks.count` (b,); `fingerprints` (b, 16) of both graphs that answered."""

    peaks: Peaks
    stains: Stains
    fingerprints: npt.NDArray[np.int32]


class Server:
    """A channel to one server, shared by threads. `side` is that of the tiles in px, which the server's shapes must
    have.

    By TLS where `secure` is given.
    """

    def __init__(self, address: str, folder: ModelFolder, *, side: int, secure: Newest | None = None) -> None:
        self.address = address
        self.in_flight = 0
        self.max_batch = 1
        self._folder, self._side = folder, side
        self._fingerprints = np.frombuffer(
            bytes.fromhex(folder.fingerprint[DETECTION] + folder.fingerprint[GRADING]), "<i4"
        )
        self._secure = secure
        self._open(None if secure is None else secure())
        self._verified = False
        self._sees_region = False
        self._checking = threading.Lock()

    def verify(self, region: SharedTiles | None) -> None:
        """Look at what it serves, at first and after trouble, and offer it our shared memory. Raises Trouble.

        A server that was exchanged since, or stands behind a balancer, shows in its answers' fingerprints.
        """
        with self._checking:
            if self._verified:
                return
            if self._secure is not None and (newest := self._secure()) != self._used:
                self._open(newest)  # calls of other threads end on the old one
            for name in (DETECTION, GRADING):
                if sha256_of(self._config(name)) != self._folder.sha256[name]:
                    raise Trouble(Kind.WRONG, f"{name} there isn't the graph of this release (SHA-256 differs)")
            config = self._config(ENSEMBLE)
            if [list(t.dims) for t in config.input] != [[self._side, self._side, 3]]:
                raise Trouble(Kind.WRONG, f"{ENSEMBLE} there takes other tiles than {self._side} px")
            self.max_batch = max(int(config.max_batch_size), 1)
            self._sees_region = region is not None and self._offer(region)
            self._verified = True

    def infer(
        self, tiles: npt.NDArray[np.uint8], region: SharedTiles | None, *, urgency: int, timeout_s: float
    ) -> Answer:
        """Answers of at most `max_batch` tiles, complete and possible ones. Raises Trouble."""
        self.verify(region)
        if region is not None and self._sees_region:
            try:
                with region.holding(tiles) as place:
                    return self._infer(tiles, place, urgency, timeout_s)
            except Trouble as trouble:
                if trouble.kind is not Kind.NO_REGION:
                    raise
                self._sees_region = self._verified = False  # it may have been started anew: offer it again
        return self._infer(tiles, None, urgency, timeout_s)

    def withdraw(self, region: SharedTiles) -> bool:
        """Have it let go of our shared memory; False where it couldn't be told.

        It refuses while a request is in flight.
        """
        if not self._sees_region:
            return True
        try:
            self._stub.SystemSharedMemoryUnregister(
                service_pb2.SystemSharedMemoryUnregisterRequest(name=region.name), timeout=CONTROL_S
            )
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:  # where no server is, none holds on to it
                return False
        self._sees_region = False
        return True

    def close(self) -> None:
        self._channel.close()

    def _open(self, secure: Secure | None) -> None:
        self._used = secure
        self._channel = channel(self.address, secure, CHANNEL)
        self._stub = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)

    def _config(self, name: str) -> Any:
        request = service_pb2.ModelConfigRequest(name=name, version=VERSION)
        try:
            return self._stub.ModelConfig(request, timeout=CONTROL_S).config
        except grpc.RpcError as error:
            raise self._trouble(error, by_region=False) from None

    def _offer(self, region: SharedTiles) -> bool:
        """Register the region; False where the server doesn't see it (another host, another user)."""
        offer = service_pb2.SystemSharedMemoryRegisterRequest(
            name=region.name, key=f"/{region.name}", byte_size=region.byte_size
        )
        try:
            known = self._stub.SystemSharedMemoryStatus(
                service_pb2.SystemSharedMemoryStatusRequest(), timeout=CONTROL_S
            ).regions
            if region.name not in known:
                self._stub.SystemSharedMemoryRegister(offer, timeout=CONTROL_S)
            for name, status in known.items():
                if abandoned(name, status.key):
                    gone = service_pb2.SystemSharedMemoryUnregisterRequest(name=name)
                    self._stub.SystemSharedMemoryUnregister(gone, timeout=CONTROL_S)
        except grpc.RpcError:
            return False
        return True

    def _infer(self, tiles: npt.NDArray[np.uint8], place: Place | None, urgency: int, timeout_s: float) -> Answer:
        request = service_pb2.ModelInferRequest(model_name=ENSEMBLE, model_version=VERSION)
        request.parameters["priority"].uint64_param = urgency
        request.parameters["timeout"].int64_param = int(
            timeout_s * 1e6
        )  # in the queue: a request given up isn't computed
        tensor = request.inputs.add(name="tiles", datatype="UINT8", shape=tiles.shape)
        if place is None:
            request.raw_input_contents.append(tiles.tobytes())
        else:
            tensor.parameters["shared_memory_region"].string_param = place.region
            tensor.parameters["shared_memory_byte_size"].int64_param = place.byte_size
            tensor.parameters["shared_memory_offset"].int64_param = place.offset
        for name in NAMES:  # all of them, always: see ihc_tile's configuration
            request.outputs.add(name=name)
        try:
            response = self._stub.ModelInfer(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise self._trouble(error, by_region=place is not None) from None
        answer = answer_of(response, len(tiles), self._side)
        if not (answer.fingerprints == self._fingerprints).all():  # another server behind the same address
            self._verified = False
            raise Trouble(Kind.WRONG, "an answer came of another graph than this release's")
        return answer

    def _trouble(self, error: grpc.RpcError, *, by_region: bool) -> Trouble:
        code, details = error.code(), str(error.details())
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            self._verified = False
            return Trouble(Kind.SILENT, "it didn't answer in time")
        if code is grpc.StatusCode.UNAVAILABLE and ("queue size" in details or "timeout expired" in details):
            return Trouble(Kind.BUSY, "its queue is full")
        if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
            self._verified = False
            if untrusted := failed_handshake(details):
                return Trouble(Kind.UNTRUSTED, untrusted)
            return Trouble(Kind.GONE, gone(details, secure=self._secure is not None))
        if code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
            if by_region:  # asked again with the pixels, it says whether the memory or the model is what it lacks
                return Trouble(Kind.NO_REGION, "it doesn't see the shared memory")
            return Trouble(Kind.WRONG, f"it doesn't serve version {VERSION} of this release's models")
        return Trouble(Kind.BROKEN, f"it failed ({code.name})")


def answer_of(response: Any, b: int, side: int) -> Answer:
    """The tensors of a response to b tiles.

    Raises Trouble BROKEN where one is missing, misshapen or holds what can't be.
    """
    k = side * side // PIXELS_PER_PLACE
    lengths = {"count": 1, DETECTION_OUTPUTS[-1]: FINGERPRINT_NUMBERS, GRADING_OUTPUTS[-1]: FINGERPRINT_NUMBERS}
    arrays: dict[str, npt.NDArray[Any]] = {}
    if len(response.raw_output_contents) == len(response.outputs):
        for output, raw in zip(response.outputs, response.raw_output_contents, strict=True):
            dtype, n = TYPES.get(output.datatype), lengths.get(output.name, k)
            if dtype is not None and list(output.shape) == [b, n] and len(raw) == dtype.itemsize * b * n:
                arrays[output.name] = np.frombuffer(raw, dtype).reshape((b,) if output.name == "count" else (b, n))
    if not arrays.keys() >= set(NAMES):
        raise Trouble(Kind.BROKEN, f"its answer lacks a tensor or one has the wrong shape; {b} x {k} was expected")
    answer = Answer(
        peaks=Peaks(*(arrays[n] for n in DETECTION_OUTPUTS[:-1])),
        stains=Stains(*(arrays[n] for n in GRADING_OUTPUTS[:-1])),
        fingerprints=np.concatenate([arrays[DETECTION_OUTPUTS[-1]], arrays[GRADING_OUTPUTS[-1]]], axis=1),
    )
    wrong = impossible(answer, side)
    if wrong:
        raise Trouble(Kind.BROKEN, wrong)
    return answer


def impossible(answer: Answer, side: int) -> str:
    """What no network of ours can have answered; empty where all is well. Half an answer shows in the count."""
    p, s = answer.peaks, answer.stains
    if not all(np.isfinite(v).all() for v in (p.x, p.y, p.nucleus, p.confidence)):
        return "its answer holds numbers that aren't finite"
    held = p.nucleus > 0
    k = p.nucleus.shape[1]
    if not np.array_equal(held.sum(axis=1), np.minimum(p.count, k)):
        return "its answer holds another number of peaks than it says"
    checks = (
        ("a peak outside of the tile", p.x[held], -0.5, side - 0.5),
        ("a peak outside of the tile", p.y[held], -0.5, side - 0.5),
        ("a probability above 1", p.nucleus, 0, 1.001),
        ("a probability above 1", p.confidence, 0, 1.001),
        ("an unknown compartment", p.label[held], 0, 1),
        ("an impossible hue", s.hue[held], 0, HUES - 1),
        ("an impossible value", s.value[held], 0, VALUES - 1),
        ("an impossible density", s.dab_od_centi[held], 0, DENSITIES - 1),
    )
    return next(
        (
            f"its answer holds {what}"
            for what, v, low, high in checks
            if v.size and not (low <= v.min() and v.max() <= high)
        ),
        "",
    )
