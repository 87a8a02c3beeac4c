"""One Triton server as a client sees it: is it the right one, what does it answer, and what kind of
trouble is it in.
"""

import threading
from enum import Enum, auto
from typing import Any

import grpc
import numpy as np
import numpy.typing as npt
from tritonclient.grpc import service_pb2, service_pb2_grpc

from inference.engines.peaks import Answers
from inference.engines.shared_tiles import Place, SharedTiles, abandoned
from inference.engines.triton_answer import NotAnAnswer, answer_of, others
from inference.engines.triton_repository import sha256_of
from inference.engines.triton_tls import Newest, Secure, channel, failed_handshake, gone
from inference.model import RUNNING, TILES, Model

CONTROL_S = 2.0
"""Deadline of everything but inference."""
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


class Server:
    """A channel to one server, shared by threads, for one of the models that it serves.

    `side` is that of the tiles in px, which the server's shapes must have. By TLS where `secure` is given.
    """

    def __init__(self, address: str, model: Model, *, side: int, secure: Newest | None = None) -> None:
        self.address = address
        self.in_flight = 0
        self.max_batch = 1
        self._model, self._side = model, side
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
            for graph in self._model.graphs:
                if sha256_of(self._config(graph.name)) != graph.sha256[RUNNING]:
                    raise Trouble(Kind.WRONG, f"{graph.name} there isn't the graph of this release (SHA-256 differs)")
            config = self._config(self._model.folder)
            if [list(t.dims) for t in config.input] != [[self._side, self._side, 3]]:
                raise Trouble(Kind.WRONG, f"{self._model.folder} there takes other tiles than {self._side} px")
            self.max_batch = max(int(config.max_batch_size), 1)
            self._sees_region = region is not None and self._offer(region)
            self._verified = True

    def infer(
        self, tiles: npt.NDArray[np.uint8], region: SharedTiles | None, *, urgency: int, timeout_s: float
    ) -> Answers:
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
        request = service_pb2.ModelConfigRequest(name=name, version=RUNNING)
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

    def _infer(self, tiles: npt.NDArray[np.uint8], place: Place | None, urgency: int, timeout_s: float) -> Answers:
        request = service_pb2.ModelInferRequest(model_name=self._model.folder, model_version=RUNNING)
        request.parameters["priority"].uint64_param = urgency
        request.parameters["timeout"].int64_param = int(
            timeout_s * 1e6
        )  # in the queue: a request given up isn't computed
        tensor = request.inputs.add(name=TILES, datatype="UINT8", shape=tiles.shape)
        if place is None:
            request.raw_input_contents.append(tiles.tobytes())
        else:
            tensor.parameters["shared_memory_region"].string_param = place.region
            tensor.parameters["shared_memory_byte_size"].int64_param = place.byte_size
            tensor.parameters["shared_memory_offset"].int64_param = place.offset
        for graph in self._model.graphs:  # all outputs, always: see ihc_tile's configuration
            for name in graph.output_names:
                request.outputs.add(name=name)
        try:
            response = self._stub.ModelInfer(request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise self._trouble(error, by_region=place is not None) from None
        try:
            answers = answer_of(response, self._model, len(tiles), self._side)
        except NotAnAnswer as error:
            raise Trouble(Kind.BROKEN, str(error)) from None
        if others(answers, self._model):  # another server behind the same address
            self._verified = False
            raise Trouble(Kind.WRONG, "an answer came of another graph than this release's")
        return answers

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
            return Trouble(Kind.WRONG, f"it doesn't serve version {RUNNING} of this release's models")
        return Trouble(Kind.BROKEN, f"it failed ({code.name})")
