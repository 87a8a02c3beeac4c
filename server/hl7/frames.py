"""MLLP frames of a connection, wherever TCP cut them and whatever a sender writes after the end byte.

The standard ends a frame with FS CR. Senders leave CR out, or write LF or CR LF: FS ends a frame where one of these,
the next frame or nothing follows. Where text follows, FS stood in a text: the message goes on, lest it be taken cut
short.
"""

import asyncio
from collections.abc import Awaitable, Callable

from server.hl7.er7 import END_BYTE, START

END_TIMEOUT_S = 0.5
"""What follows the end byte in so many seconds belongs to it; a sender that leaves CR out waits as long."""

_BETWEEN = b"\r\n" + END_BYTE
_CHUNK = 64 * 1024


class FrameTooLargeError(Exception):
    """The frame is larger than the reader's limit; `beginning` is as much of it as its header may take."""

    def __init__(self, beginning: bytes) -> None:
        super().__init__("frame above the limit")
        self.beginning = beginning


class Frames:
    """Reads frames from a stream, each of `limit` bytes without the first; `hold` waits for room for more of one."""

    def __init__(self, stream: asyncio.StreamReader, limit: int, hold: Callable[[int], Awaitable[None]]) -> None:
        self._stream, self._limit, self._hold = stream, limit, hold
        self._ahead = b""

    async def begin(self) -> bytes:
        """The next frame's first byte; empty where the stream has ended. What stands between frames is passed over."""
        while True:
            read = self._ahead or await self._stream.read(_CHUNK)
            self._ahead = read.lstrip(_BETWEEN)
            if not read:
                return b""
            if self._ahead:
                first, self._ahead = self._ahead[:1], self._ahead[1:]
                return first

    async def rest(self, first: bytes) -> bytes:
        """The frame that begins with `first`, without its end.

        Raises FrameTooLargeError, and asyncio.IncompleteReadError where the stream ends within.
        """
        frame = bytearray(first)
        while True:
            await self._until_end_byte(frame)
            if len(frame) > len(first) + self._limit + len(END_BYTE):
                raise FrameTooLargeError(bytes(frame[:_CHUNK]))
            if not (following := await self._following()) or following in _BETWEEN + START:
                return bytes(frame[: -len(END_BYTE)])

    async def _until_end_byte(self, frame: bytearray) -> None:
        """Everything up to and with the next end byte is added."""
        while True:
            chunk = self._ahead or await self._stream.read(_CHUNK)
            if not chunk:
                raise asyncio.IncompleteReadError(b"", None)
            part, ended, self._ahead = chunk.partition(END_BYTE)
            await self._hold(len(part))
            frame += part + ended
            if ended:
                return
            if len(frame) > self._limit + _CHUNK:
                raise FrameTooLargeError(bytes(frame[:_CHUNK]))

    async def _following(self) -> bytes:
        """What stands behind an end byte, not taken; empty where nothing follows."""
        if not self._ahead:
            try:
                async with asyncio.timeout(END_TIMEOUT_S):
                    self._ahead = await self._stream.read(_CHUNK)
            except TimeoutError:
                pass
        return self._ahead[:1]
