"""A model on Triton servers: tiles go to whichever server is least busy, and to another one when that fails.

Rules. A call has a deadline. A server that can't be reached or doesn't answer in time rests, longer each time, and is
looked at anew when it comes back. A full queue is waited for. An answer that can't be is asked for again, elsewhere
where there is an elsewhere. A server that serves another model, or can't prove who it is, gets no tile. When all of
that has gone on for `patience_s` the slide fails with the reason; what was answered for one tile never depends on which
server did.
"""

import random
import threading
import time
import weakref
from collections import Counter
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field

import cv2
import numpy as np
import numpy.typing as npt

from inference.analysis import ModelFacts
from inference.engines.peaks import Answers, tile_answer
from inference.engines.shared_tiles import SharedTiles
from inference.engines.triton_server import Kind, Server, Trouble
from inference.engines.triton_tls import Newest
from inference.errors import Failed, Reason, Refused
from inference.infer import TileAnswer, Urgency
from inference.model import Model

LONGEST_DRAIN_S = 10.0
LONGEST_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """`timeout_s` of one call; `patience_s` until a call that no server answers fails; `in_flight` calls a server.

    `batch` tiles a request at most, fewer where the server takes fewer. `tries` of one server at an answer that can't
    be. `rest_s` of a failing server at first, doubled up to `longest_rest_s`.
    """

    timeout_s: float = 30.0
    patience_s: float = 60.0
    in_flight: int = 4
    batch: int = 4
    tries: int = 2
    rest_s: float = 0.5
    longest_rest_s: float = 8.0


class TritonEngine:
    """See `inference.infer.Engine`. Nothing connects before the first tile. `close` it, or leave that to its end or the
    process's.

    `side` px is that of the servers' tiles, the model's unless said otherwise. Smaller ones are filled up to it
    (`filled`), larger ones refused. With `secure` by TLS.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        model: Model,
        *,
        rules: Rules | None = None,
        side: int | None = None,
        use_shared_memory: bool = True,
        secure: Newest | None = None,
    ) -> None:
        self._model, self._rules = model, rules or Rules()
        self._side, self._urgency, self._use_shared_memory = side or model.tile.side, Urgency.ROUTINE, use_shared_memory
        self._facts = ModelFacts(
            name=model.name, version=model.version, sha256=model.digest(), graphs=model.digests(), engine="triton"
        )
        servers = (Server(address, model, side=self._side, secure=secure) for address in addresses)
        self._servers = [_Rested(server=server) for server in servers]
        self._lock = threading.Lock()
        self._whole: TritonEngine | None = None
        self._held = _Held()
        self._release = weakref.finalize(
            self, _release, self._servers, self._held, min(self._rules.timeout_s, LONGEST_DRAIN_S)
        )

    @property
    def model(self) -> Model:
        return self._model

    @property
    def facts(self) -> ModelFacts:
        return self._facts

    @property
    def workers(self) -> int:
        return self._rules.in_flight * len(self._servers)

    def asked_with(self, urgency: Urgency) -> "TritonEngine":
        """The same engine, its servers and its memory, whose tiles overtake less urgent ones in the servers' queues."""
        other = copy(self)
        other._urgency, other._whole = (
            urgency,
            self,
        )  # which ends, and gives the memory back, only after the last that asks
        return other

    def detect(self, tiles: npt.NDArray[np.uint8], faintest: float) -> list[TileAnswer]:
        """See `inference.infer.Engine`. Raises Failed, retryable: ENGINE_FAILED.

        MODEL_INVALID where all serve another model.
        """
        _, height, width, _ = tiles.shape
        if max(height, width) > self._side:
            raise Refused(
                Reason.ENGINE_FAILED, f"tiles of {width} x {height} px don't fit the servers' {self._side} px"
            )
        found: list[TileAnswer] = []
        while len(found) < len(tiles):
            batch, answers = self._ask(tiles[len(found) :])
            for i in range(batch):
                of_tile = {name: answer[i] for name, answer in answers.items()}
                found.append(tile_answer(self._model, of_tile, faintest, height=height, width=width))
        return found

    def check(self) -> list[tuple[str, str]]:
        """Each server's address, and what is wrong with it (empty: nothing), without sending a tile."""
        found = []
        for rested in self._servers:
            try:
                rested.server.verify(None)
                found.append((rested.server.address, ""))
            except Trouble as trouble:
                found.append((rested.server.address, trouble.what))
        return found

    def close(self) -> None:
        """Have the servers let go of the shared memory, once what they still compute is done, and give it back."""
        self._release()

    def _ask(self, tiles: npt.NDArray[np.uint8]) -> tuple[int, Answers]:
        """Answers for the first tiles, as many as the server takes at once, and how many those are."""
        call = _Call(deadline=time.monotonic() + self._rules.patience_s, tries=self._rules.tries)
        while True:
            rested = self._next(call.given_up, call.deadline)
            server = rested.server
            try:
                server.verify(self._shared())
                batch = filled(tiles[: min(self._rules.batch, server.max_batch)], self._side)
                answer = server.infer(batch, self._held.region, urgency=self._urgency, timeout_s=self._rules.timeout_s)
                rested.failures = 0
                return len(batch), answer
            except Trouble as trouble:
                if trouble.kind not in (Kind.BUSY, Kind.BROKEN):
                    rested.rest(self._rules)
                call.note(server.address, trouble)
                call.give_up_or_wait(trouble, len(self._servers))
            finally:
                with self._lock:
                    server.in_flight -= 1

    def _next(self, but: set[str], deadline: float) -> "_Rested":
        """The least busy server that isn't resting, waited for; the one whose rest ends first where the deadline comes
        before.

        A server that failed gets one call to show that it is well again.
        """
        while True:
            with self._lock:
                if not self._release.alive:
                    raise Failed(Reason.ENGINE_FAILED, "the engine is closed", retryable=True)
                now = time.monotonic()
                others = [r for r in self._servers if r.server.address not in but]
                awake = [r for r in others if r.until <= now and (r.failures == 0 or r.server.in_flight == 0)]
                if awake or now > deadline:
                    best = min(awake or others, key=lambda r: (r.server.in_flight, r.until))
                    best.server.in_flight += 1
                    return best
                wait = min(r.until for r in others) - now
            time.sleep(min(max(wait, 0.02), max(deadline - now, 0) + 0.001))

    def _shared(self) -> SharedTiles | None:
        """The region, made on the first call that needs it; None where the system has none to give."""
        with self._lock:
            if self._held.region is None and self._use_shared_memory:
                try:
                    self._held.region = SharedTiles(
                        slots=self.workers, slot_bytes=self._rules.batch * self._side**2 * 3
                    )
                except OSError:
                    self._use_shared_memory = False
            return self._held.region


@dataclass(slots=True)
class _Held:
    """The shared memory, once there is some: apart from the engine, so that it can be given back when the engine is
    gone.
    """

    region: SharedTiles | None = None


@dataclass(slots=True, kw_only=True)
class _Call:
    """What a batch has met so far; `given_up` are the servers that it won't ask again."""

    deadline: float
    tries: int
    broken: Counter[str] = field(default_factory=Counter)
    wrong: set[str] = field(default_factory=set)
    untrusted: set[str] = field(default_factory=set)
    pause_s: float = 0.02
    said: str = ""

    @property
    def given_up(self) -> set[str]:
        return {a for a, n in self.broken.items() if n >= self.tries} | self.wrong | self.untrusted

    def note(self, address: str, trouble: Trouble) -> None:
        self.said = f"Triton at {address}: {trouble.what}"
        if trouble.kind is Kind.WRONG:
            self.wrong.add(address)
        elif trouble.kind is Kind.UNTRUSTED:
            self.untrusted.add(address)
        elif trouble.kind is Kind.BROKEN:
            self.broken[address] += 1

    def give_up_or_wait(self, trouble: Trouble, servers: int) -> None:
        """Raises Failed where no server is left to ask, or no time; waits a moment where a queue was full."""
        if len(self.wrong) == servers:
            raise Failed(Reason.MODEL_INVALID, f"{self.said}; deploy this release's models", retryable=True)
        if len(self.given_up) == servers or time.monotonic() > self.deadline:
            raise Failed(Reason.ENGINE_FAILED, self.said, retryable=True)
        if trouble.kind is Kind.BUSY:
            time.sleep(self.pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads those who wait
            self.pause_s = min(self.pause_s * 2, LONGEST_PAUSE_S)


@dataclass(slots=True, kw_only=True)
class _Rested:
    """A server and when it may be tried again (monotonic seconds)."""

    server: Server
    until: float = 0.0
    failures: int = 0

    def rest(self, rules: Rules) -> None:
        """Other threads that failed at the same time don't make the rest longer."""
        if self.until <= time.monotonic():
            self.until = time.monotonic() + min(rules.rest_s * 2**self.failures, rules.longest_rest_s)
            self.failures += 1


def filled(tiles: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    """(b, side, side, 3): to the right and below, so that the network's phase and the coordinates stay, by the last
    pixels.

    In pictures of 256 px 3 % of the nuclei are others for it, of 512 px 0.3 %; mirrored pixels changed twice as many.
    """
    _, height, width, _ = tiles.shape
    if height == width == side:
        return tiles
    down, across = side - height, side - width
    return np.stack([cv2.copyMakeBorder(t, 0, down, 0, across, cv2.BORDER_REPLICATE) for t in tiles]).astype(np.uint8)


def _release(servers: list[_Rested], held: _Held, within_s: float) -> None:
    """When the engine is closed, or gone, or the process ends.

    A request in flight is waited for, as its server demands.
    """
    deadline = time.monotonic() + within_s
    region = held.region
    if region is not None:
        holding = [r.server for r in servers]
        while (
            holding := [s for s in holding if s.in_flight or not s.withdraw(region)]
        ) and time.monotonic() < deadline:
            time.sleep(0.05)
        region.close()
    for rested in servers:
        rested.server.close()
