"""A balancer before Triton servers, as a mesh or an ingress puts one there: requests go to the servers in turn."""

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

import grpc
from tritonclient.grpc import service_pb2

INFER = "/inference.GRPCInferenceService/ModelInfer"
LIMITS = [("grpc.max_send_message_length", 1 << 27), ("grpc.max_receive_message_length", 1 << 27)]


class Balancer(grpc.GenericRpcHandler):
    """Inferences go to the servers in turn, everything else to the first; `inferences` are those that came, without
    pixels.

    While `answers` is not set an inference waits, as on a server that hangs.
    """

    def __init__(self, addresses: Sequence[str]) -> None:
        self.inferences: list[service_pb2.ModelInferRequest] = []
        self.answers = threading.Event()
        self.answers.set()
        self._channels = [grpc.insecure_channel(a, options=LIMITS) for a in addresses]
        self._turns, self._lock = itertools.cycle(self._channels), threading.Lock()
        self._server = grpc.server(ThreadPoolExecutor(16), options=LIMITS)
        self._server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method
        return grpc.unary_unary_rpc_method_handler(lambda data, context: self._passed_on(method, data, context))

    def _passed_on(self, method: str, data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            channel = self._channel(method, data)
            if method == INFER:
                self.answers.wait(context.time_remaining())
            answer: bytes = channel.unary_unary(method)(data, timeout=context.time_remaining())
            return answer
        except grpc.RpcError as error:
            context.abort(error.code(), error.details())
            raise

    def _channel(self, method: str, data: bytes) -> grpc.Channel:
        if method != INFER:
            return self._channels[0]
        asked = service_pb2.ModelInferRequest.FromString(data)
        del asked.raw_input_contents[:]
        with self._lock:
            self.inferences.append(asked)
            return next(self._turns)

    def __enter__(self) -> "Balancer":
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.answers.set()
        self._server.stop(1).wait()
        for channel in self._channels:
            channel.close()
