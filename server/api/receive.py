"""Messages of callers, awaited on the loop with a limit of time and size: while one waits, no thread does."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from server.domain.errors import Failed, Refused, ServiceReason

LOOK_EVERY_S = 0.5
"""Whether the server stops, is looked at this often while a stream's next message is awaited."""

Parse = Callable[[bytes], Any]


async def received(context: grpc.aio.ServicerContext, within_s: float, go_on: Callable[[], None]) -> bytes | None:
    """The next message; None after the last one.

    Raises Failed DEADLINE_EXCEEDED, and what `go_on` raises.
    """
    reading = asyncio.ensure_future(context.read())
    until = asyncio.get_running_loop().time() + within_s
    try:
        while not reading.done():
            go_on()
            left_s = until - asyncio.get_running_loop().time()
            if left_s <= 0:
                raise _late(within_s)
            await asyncio.wait({reading}, timeout=min(left_s, LOOK_EVERY_S))
    finally:
        reading.cancel()  # without effect on what is done
    found = reading.result()
    return None if found is grpc.aio.EOF else found


async def only_message(context: grpc.aio.ServicerContext, within_s: float) -> bytes:
    """Of a call that sends one.

    Raises Refused ARGUMENT_INVALID where none comes, Failed DEADLINE_EXCEEDED.
    """
    try:
        async with asyncio.timeout(within_s):
            found = await context.read()
    except TimeoutError:
        raise _late(within_s) from None
    if found is grpc.aio.EOF:
        raise Refused(ServiceReason.ARGUMENT_INVALID, "the call ended without its message")
    data: bytes = found
    return data


def parsed(parse: Parse, data: bytes, most: int) -> Any:
    """Raises Refused MESSAGE_TOO_LARGE, ARGUMENT_INVALID."""
    if len(data) > most:
        raise Refused(ServiceReason.MESSAGE_TOO_LARGE, f"the message is larger than {most >> 20} MiB")
    try:
        return parse(data)
    except (DecodeError, ValueError):
        raise Refused(
            ServiceReason.ARGUMENT_INVALID, "the message is not one of this method: check the client's version"
        ) from None


class Waiting:
    """Calls without a token (health) whose message hasn't come, at most `most`: where one more comes, the one that has
    waited longest is ended, so that who sends its message at once is always answered.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[asyncio.Task[bytes], None] = OrderedDict()

    async def message(self, context: grpc.aio.ServicerContext, within_s: float) -> bytes:
        """Raises as `only_message` does, Failed TOO_MANY_CALLS."""
        reading = asyncio.ensure_future(only_message(context, within_s))
        self._waiting[reading] = None
        if len(self._waiting) > self._most:
            longest, _ = self._waiting.popitem(last=False)
            longest.cancel()
        try:
            await asyncio.wait({reading})
        finally:
            reading.cancel()  # without effect on what is done
            self._waiting.pop(reading, None)
        if reading.cancelled():
            raise Failed(ServiceReason.TOO_MANY_CALLS, "too many calls wait for their message", retryable=True)
        return reading.result()


def _late(within_s: float) -> Failed:
    return Failed(ServiceReason.DEADLINE_EXCEEDED, f"no message came within {within_s:g} s", retryable=True)
