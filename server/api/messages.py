"""The messages of one streaming call, handed from the loop that receives them to the thread that works on them."""

from collections import deque
from collections.abc import Callable
from typing import Any

import grpc

from server.api.receive import Parse, parsed, received


class Messages:
    """An iterator for the thread; the loop fetches one message before each step.

    So a thread never waits for a caller. A behaviour takes at most one message for each answer that it gives.
    """

    def __init__(self, context: grpc.aio.ServicerContext, go_on: Callable[[], None], parse: Parse, most: int) -> None:
        self._context, self._go_on, self._parse, self._most = context, go_on, parse, most
        self._fetched: deque[bytes] = deque()
        self._ended = False

    async def fetch(self, within_s: float) -> None:
        """Raises as `received` does."""
        if self._fetched or self._ended:
            return
        data = await received(self._context, within_s, self._go_on)
        if data is None:
            self._ended = True
        else:
            self._fetched.append(data)

    def __iter__(self) -> "Messages":
        return self

    def __next__(self) -> Any:
        if self._fetched:
            return parsed(self._parse, self._fetched.popleft(), self._most)
        raise StopIteration
