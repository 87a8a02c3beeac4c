"""MLLP frames of a connection, wherever TCP cut them and whatever a sender writes after the end byte.

The standard ends a frame with FS CR. Senders leave CR out, or write LF or CR LF: FS ends a frame where one of these,
the next frame or nothing follows. Where text follows, FS stood in a text: the message goes on, lest it be taken cut
short.
"""

import asyncio

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
    """Reads frames from a stream; `limit` bytes without the first, which the stream's own limit must equal."""

    def __init__(self, stream: asyncio.StreamReader, limit: int) -> None:
        self._stream, self._limit = stream, limit
        self._ahead = b""

    async def begin(self) -> bytes:
        """The next frame's first byte; empty where the stream has ended. What stands between frames is passed over."""
        while True:
            first, self._ahead = self._ahead or await self._stream.read(1), b""
            if not first or first not in _BETWEEN:
                return first

    async def rest(self, first: bytes) -> bytes:
        """The frame that begins with `first`, without its end.

        Raises FrameTooLargeError, and asyncio.IncompleteReadError where the stream ends within.
        """
        frame = bytearray(first)
        while True:
            frame += await self._until_end_byte(bytes(frame[:_CHUNK]))
            if len(frame) > len(first) + self._limit + len(END_BYTE):
                raise FrameTooLargeError(bytes(frame[:_CHUNK]))
            following = await self._following()
            if following == START:
                self._ahead = following
            if not following or following in _BETWEEN + START:
                return bytes(frame[: -len(END_BYTE)])
            frame += following

    async def _until_end_byte(self, beginning: bytes) -> bytes:
        try:
            return await self._stream.readuntil(END_BYTE)
        except asyncio.LimitOverrunError:
            raise FrameTooLargeError(beginning + await self._stream.read(_CHUNK)) from None

    async def _following(self) -> bytes:
        try:
            async with asyncio.timeout(END_TIMEOUT_S):
                return await self._stream.read(1)
        except TimeoutError:
            return b""
