"""Calls by bare HTTP/2 that are begun and not finished, as no gRPC client makes them: no message, or half of one."""

import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
END_STREAM, END_HEADERS = 1, 4
HALF_A_MESSAGE = b"\0" + struct.pack(">I", 1000) + b"abc"
"""Says 1,000 bytes, and sends three."""


class HalfOpen:
    """One connection. RFC 9113 (frames), RFC 7541 (literal headers, without Huffman's code)."""

    def __init__(self, port: int, authority: bytes) -> None:
        context = ssl.create_default_context(cadata=authority.decode())
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket = context.wrap_socket(raw, server_hostname="localhost")
        self._socket.sendall(OPENING)
        self._stream = 1

    def begin(self, method: str, *, token: str | None = None, data: bytes = b"") -> None:
        """Headers, and this much of the body; the stream stays open."""
        self.send(call_begun(self._stream, method, token=token, data=data))
        self._stream += 2

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def pour(self, n: int) -> None:
        """So many bytes of the first stream's body, or as many as the server takes within a second."""
        self._socket.settimeout(1)
        part = _frame(DATA, 0, 1, bytes(1 << 14))
        with suppress(OSError):
            for _ in range(n >> 14):
                self._socket.sendall(part)

    def ended(self, within_s: float) -> bool:
        """Did the server end a stream (RST_STREAM, or a frame that ends it), or the connection?"""
        self._socket.settimeout(within_s)
        try:
            while len(head := self._read(9)) == 9:
                kind, flags = head[3], head[4]
                self._read(int.from_bytes(head[:3]))
                if kind == RST_STREAM or (kind in (DATA, HEADERS) and flags & END_STREAM):
                    return True
        except TimeoutError:
            return False
        return True

    def _read(self, n: int) -> bytes:
        found = b""
        while len(found) < n and (part := self._socket.recv(n - len(found))):
            found += part
        return found

    def close(self) -> None:
        self._socket.close()


@contextmanager
def half_open(
    port: int, authority: bytes, method: str, n: int, *, token: str | None = None, data: bytes = b""
) -> Iterator[list[HalfOpen]]:
    """`n` calls, each on a connection of its own."""
    with ExitStack() as stack:
        made = [stack.enter_context(closing(HalfOpen(port, authority))) for _ in range(n)]
        for connection in made:
            connection.begin(method, token=token, data=data)
        yield made


def call_begun(
    stream: int, method: str, *, token: str | None = None, data: bytes = b"", scheme: str = "https"
) -> bytes:
    """What a client sends of a call on a stream (odd, ascending) of a connection that `OPENING` began."""
    headers = [(":method", "POST"), (":scheme", scheme), (":path", method), (":authority", "localhost")]
    headers += [("te", "trailers"), ("content-type", "application/grpc")]
    if token is not None:
        headers.append(("authorization", f"Bearer {token}"))
    begun = _frame(HEADERS, END_HEADERS, stream, b"".join(_literal(name, value) for name, value in headers))
    return begun + _frame(DATA, 0, stream, data) if data else begun


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _literal(name: str, value: str) -> bytes:
    return b"\0" + _text(name) + _text(value)


def _text(value: str) -> bytes:
    data, length = value.encode(), len(value)
    if length < 127:
        return bytes([length]) + data
    coded, rest = [127], length - 127
    while rest >= 128:
        coded.append(rest % 128 + 128)
        rest //= 128
    return bytes([*coded, rest]) + data


OPENING = PREFACE + _frame(SETTINGS, 0, 0, b"")
"""Of every connection."""
