"""Sends one message by MLLP and waits for the acknowledgment that is meant for it. Blocking; builds nothing."""

import socket
import ssl
import time
from dataclasses import dataclass

from server.domain.errors import Failed, Refused, ServiceReason
from server.hl7.er7 import END, END_BYTE, START, bare, read_header

PING_TIMEOUT_S = 3.0
LARGEST_ACKNOWLEDGMENT = 1024 * 1024
_CHUNK = 64 * 1024

ACCEPTED, TRY_AGAIN, REJECTED = frozenset({"AA", "CA"}), frozenset({"AE", "CE"}), frozenset({"AR", "CR"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpSink:
    """A receiver of HL7: implements `server.domain.ports.MessageSink`."""

    host: str
    port: int
    timeout_s: float = 30
    tls: ssl.SSLContext | None = None

    def send(self, message: bytes) -> None:
        send(message, host=self.host, port=self.port, timeout_s=self.timeout_s, tls=self.tls)

    def ping(self) -> None:
        """Connects, and shakes hands where TLS is set. Raises Failed DELIVERY_FAILED (retryable)."""
        try:
            _connected(self.host, self.port, min(PING_TIMEOUT_S, self.timeout_s), self.tls).close()
        except ssl.SSLError as error:
            message = f"{self.host}:{self.port} and we don't agree on TLS ({type(error).__name__})"
            raise _failed(message, retryable=True) from None
        except OSError as error:
            message = f"{self.host}:{self.port} can't be reached ({type(error).__name__})"
            raise _failed(message, retryable=True) from None


def send(message: bytes, *, host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None = None) -> None:
    """Send, and return once the receiver has acknowledged this very message (MSA-2 equal to MSH-10 sent).

    `timeout_s` is for all of it, connecting too. Raises Failed: RECEIVER_ERROR (retryable) for AE or CE,
    RECEIVER_REJECTED for AR or CR, DELIVERY_FAILED (retryable) for a time-out or a broken connection. The socket is
    closed before anything is raised, so that an acknowledgment that comes late finds nobody who could take it for
    another message's.
    """
    control_id = _own_control_id(message)
    deadline = time.monotonic() + timeout_s
    try:
        with _connected(host, port, timeout_s, tls) as connection:
            connection.sendall(START + message + END)
            code = _awaited(connection, control_id, deadline)
    except TimeoutError:
        raise _failed(f"{host}:{port} did not acknowledge within {timeout_s:g} s", retryable=True) from None
    except OSError as error:
        raise _failed(f"{host}:{port} can't be reached or broke off ({type(error).__name__})", retryable=True) from None
    if code in REJECTED:
        raise Failed(
            ServiceReason.RECEIVER_REJECTED, f"{host}:{port} rejected the message ({code}): it will do so again"
        )
    if code in TRY_AGAIN:
        raise Failed(ServiceReason.RECEIVER_ERROR, f"{host}:{port} answered with an error ({code})", retryable=True)


def _connected(host: str, port: int, timeout_s: float, tls: ssl.SSLContext | None) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=timeout_s)
    if tls is None:
        return connection
    try:
        return tls.wrap_socket(connection, server_hostname=host)
    except BaseException:
        connection.close()
        raise


def _awaited(connection: socket.socket, control_id: str, deadline: float) -> str:
    """MSA-1 of the acknowledgment for `control_id`; acknowledgments of other messages are passed over."""
    waiting = bytearray()
    while True:
        end = waiting.find(END_BYTE)
        if end >= 0:
            code = _code_for(bytes(waiting[:end]), control_id)
            if code:
                return code
            del waiting[: end + len(END_BYTE)]
            continue
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection.settimeout(left)
        waiting += _received(connection)
        if len(waiting) > LARGEST_ACKNOWLEDGMENT:
            raise ConnectionError


def _received(connection: socket.socket) -> bytes:
    chunk = connection.recv(_CHUNK)
    if not chunk:
        raise ConnectionResetError
    return chunk


def _code_for(frame: bytes, control_id: str) -> str:
    """MSA-1 where the frame acknowledges `control_id` and says anything known; else empty."""
    try:
        header = read_header(frame)
    except Refused:
        return ""
    lines = bare(frame).decode("latin-1").replace("\n", "\r").split("\r")
    msa = next((line.split(header.delimiters.field) for line in lines if line.startswith("MSA")), [])
    code, acknowledged = (*msa[1:3], "", "")[:2]
    return code if acknowledged == control_id and code in ACCEPTED | TRY_AGAIN | REJECTED else ""


def _own_control_id(message: bytes) -> str:
    try:
        control_id = read_header(message).raw(10)
    except Refused:
        control_id = ""
    if not control_id:
        raise _failed("the message to be sent has no MSH-10", retryable=False)
    return control_id


def _failed(message: str, *, retryable: bool) -> Failed:
    return Failed(ServiceReason.DELIVERY_FAILED, message, retryable=retryable)
