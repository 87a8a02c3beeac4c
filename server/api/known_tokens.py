"""Tokens whose signature was found good a moment ago: a caller's calls all carry the same one, and its check takes as
long as the rest of the way in.
"""

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

KEPT_S = 60.0
MOST = 1000

Claims = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownToken:
    """`key` is the very object that it was checked by; `until` in seconds since 1970."""

    claims: Claims
    kid: str
    algorithm: str
    key: object
    until: float


class KnownTokens:
    """The last MOST, by their digest; none longer than KEPT_S, nor beyond its own end. Safe for threads."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._known: OrderedDict[bytes, KnownToken] = OrderedDict()

    def get(self, token: str) -> KnownToken | None:
        """None also for one that is over: it must be checked again, which says why it is refused."""
        with self._lock:
            found = self._known.get(_digest(token))
        return found if found is not None and self._clock() < found.until else None

    def add(self, token: str, claims: Claims, *, kid: str, algorithm: str, key: object) -> None:
        until = min(float(claims["exp"]), self._clock() + KEPT_S)
        with self._lock:
            self._known[_digest(token)] = KnownToken(claims=claims, kid=kid, algorithm=algorithm, key=key, until=until)
            if len(self._known) > MOST:
                self._known.popitem(last=False)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
