"""System shared memory for tiles on their way to servers on this host: slots of one region, each for one request.

Only pixels go by it, answers come back by gRPC: a request that was given up may still be read by its server when the
slot has new pixels, but its answer goes nowhere. So a slot can be used again at once, and a late answer can't reach
another tile.
"""

import os
import queue
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PREFIX = "chromogen-tiles-"
FOLDER = Path("/dev/shm")  # noqa: S108 - where Linux keeps it; names are random


_MADE: set["SharedTiles"] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a request's tiles lie: bytes of the region called `region`."""

    region: str
    offset: int
    byte_size: int


class SharedTiles:
    """`slots` of `slot_bytes` each. Raises OSError where the system has no such memory to give."""

    def __init__(self, *, slots: int, slot_bytes: int) -> None:
        self.name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(8)}"
        self.byte_size = slots * slot_bytes
        self._slot_bytes = slot_bytes
        self._memory = shared_memory.SharedMemory(self.name, create=True, size=self.byte_size)
        try:
            _reserve(FOLDER / self.name, self.byte_size)
        except OSError:
            self.close()
            raise
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for slot in range(slots):
            self._free.put(slot)
        _MADE.add(self)

    @contextmanager
    def holding(self, tiles: npt.NDArray[np.uint8]) -> Iterator[Place]:
        """The tiles in a slot of their own for as long as this lasts; waits while all are taken."""
        slot = self._free.get()
        try:
            begin = slot * self._slot_bytes
            room: Any = self._memory.buf
            room[begin : begin + tiles.nbytes] = np.ascontiguousarray(tiles).reshape(-1).data
            yield Place(region=self.name, offset=begin, byte_size=tiles.nbytes)
        finally:
            self._free.put(slot)

    def close(self) -> None:
        """Give the memory back; servers that still have it mapped keep it until they unregister it."""
        _MADE.discard(self)
        self._memory.close()
        self._memory.unlink()


def unlink_all() -> None:
    """Before a process ends at once: the system's keeper of the memory would do it too, and print that it did.

    Threads may still use what they have mapped.
    """
    while _MADE:
        _MADE.pop()._memory.unlink()


def abandoned(name: str, key: str) -> bool:
    """Is this a region of ours whose process is gone? (Its memory is: the system's keeper of it outlives a killed
    process.)
    """
    if not name.startswith(PREFIX):
        return False
    try:
        return not (FOLDER / key.lstrip("/")).exists()
    except OSError:
        return False


def _reserve(path: Path, byte_size: int) -> None:
    """Raises OSError where there is too little (a container has 64 MB): to touch what isn't there would end the
    process.
    """
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.posix_fallocate(descriptor, 0, byte_size)
    finally:
        os.close(descriptor)
