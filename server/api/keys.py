"""The issuer's public keys: a JWKS from a file or an https address, kept, and read again when it is old or a key is
new.
"""

import http.client
import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
import structlog

from server.domain.errors import Failed, Refused, ServiceReason
from server.reloading import Renewed

ALGORITHMS = ("RS256", "ES256")
_KINDS = {"RS256": "RSA", "ES256": "EC"}
_LEAST_RSA_BITS = 2048
AGAIN_AFTER_S = 5.0
"""A token with an unknown key makes us read again, but not more often than this."""
FETCH_TIMEOUT_S = 5.0
LARGEST_BYTES = 1 << 20

log = structlog.get_logger()


class KeySet:
    """Keys by their `kid`. `read` returns the JWKS as bytes and raises OSError."""

    def __init__(
        self, read: Callable[[], bytes], *, refresh_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._refresh_s, self._clock = read, refresh_s, clock
        self._keys: dict[str, jwt.PyJWK] = {}
        self._read_at, self._tried_at = float("-inf"), float("-inf")
        self._lock = threading.Lock()

    def key(self, kid: str, algorithm: str) -> Any:
        """The key for a token's header. Raises Refused TOKEN_INVALID.

        Failed KEYS_UNREACHABLE while none could ever be read.
        """
        keys = self._current(kid)
        found = keys.get(kid)
        if found is None or found.algorithm_name != algorithm:
            raise Refused(ServiceReason.TOKEN_INVALID, "the token is signed with a key that its issuer doesn't publish")
        return found.key

    def may_wait(self, kid: str) -> bool:
        """Would `key` read them first, or wait for who does?"""
        return self._is_due(kid) or not self._keys

    def _current(self, kid: str) -> dict[str, jwt.PyJWK]:
        """Read again where that is due, by one caller at a time: the others go on with the keys that there are."""
        if self._is_due(kid) and self._lock.acquire(blocking=not self._keys):
            try:
                if self._is_due(kid):
                    self._tried_at = self._clock()
                    self._refresh()
            finally:
                self._lock.release()
        if not self._keys:
            raise Failed(ServiceReason.KEYS_UNREACHABLE, "the issuer's keys can't be read", retryable=True)
        return self._keys

    def _is_due(self, kid: str) -> bool:
        now = self._clock()
        wanted = now - self._read_at >= self._refresh_s or kid not in self._keys
        return wanted and now - self._tried_at >= AGAIN_AFTER_S

    def _refresh(self) -> None:
        """Old keys stay where new ones can't be read: an issuer that is away for a minute must not
        stop the laboratory.
        """
        try:
            self._keys = parse_keys(self._read())
            self._read_at = self._clock()
        except (OSError, ValueError) as error:
            log.warning("keys_not_read", error=type(error).__name__)


def parse_keys(data: bytes) -> dict[str, jwt.PyJWK]:
    """RSA and EC (P-256) keys of a JWKS that are for signing and have a `kid`; others are passed over.

    Raises ValueError.
    """
    try:
        found = json.loads(data)
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise ValueError("no JWKS")
    usable = (_usable(entry) for entry in found["keys"] if isinstance(entry, dict))
    keys = {str(key.key_id): key for key in usable if key is not None}
    if not keys:
        raise ValueError("no usable key")
    return keys


def _usable(entry: dict[str, Any]) -> jwt.PyJWK | None:
    algorithm = entry.get("alg") or {"RSA": "RS256", "EC": "ES256"}.get(str(entry.get("kty")), "")
    if _KINDS.get(algorithm) != entry.get("kty") or entry.get("use", "sig") != "sig" or not entry.get("kid"):
        return None
    if entry.get("kty") == "EC" and entry.get("crv") != "P-256":
        return None
    try:
        key = jwt.PyJWK.from_dict({**entry, "alg": algorithm})
    except jwt.PyJWTError:
        return None
    return None if getattr(key.key, "key_size", 0) < (_LEAST_RSA_BITS if algorithm == "RS256" else 0) else key


def reader_of(jwks: str, authority: Path | None = None) -> Callable[[], bytes]:
    """Of CHROMOGEN_OIDC_JWKS: an https:// address, or the path of a file. `authority` (PEM) is whom that address is
    trusted by.

    Raises Refused SETTING_INVALID.
    """
    if jwks.startswith("https://"):
        context = Renewed("CHROMOGEN_OIDC_CA", (authority,), lambda: _context(authority))
        return lambda: _fetch(jwks, context.newest())
    if "://" in jwks:
        raise Refused(ServiceReason.SETTING_INVALID, "CHROMOGEN_OIDC_JWKS is neither a file nor an https:// address")
    return Path(jwks).read_bytes


def _context(authority: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authority)
    except OSError:  # ssl.SSLError is one
        raise Refused(
            ServiceReason.SETTING_INVALID, f"CHROMOGEN_OIDC_CA: {authority} holds no PEM certificate"
        ) from None


def _fetch(url: str, context: ssl.SSLContext) -> bytes:
    """Raises OSError, whatever the server did wrong."""
    opener = urllib.request.build_opener(_NoRedirect(), urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(url, timeout=FETCH_TIMEOUT_S) as answer:
            data: bytes = answer.read(LARGEST_BYTES)
            return data
    except http.client.HTTPException as error:
        raise OSError(type(error).__name__) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The keys come from the address that was set, or not at all."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None
