"""Who we are to an archive: a user and password, or a bearer token. Files are read anew for each request, so that a
renewed secret needs no restart, and no secret is ever in a message.
"""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import urllib3

from inference.json_text import read_json
from server.domain.errors import Failed, Refused, ServiceReason

RENEW_BEFORE_S = 30.0
"""A token is asked for anew so long before it ends."""
MOST_TOKEN = 64 * 1024


class Credentials(Protocol):
    """What a request says of who asks."""

    def headers(self) -> dict[str, str]:
        """Raises Failed ARCHIVE_DENIED (retryable) where a token can't be had, Refused SETTING_INVALID."""
        ...

    def forget(self) -> bool:
        """After a 401: whether the next `headers` may be others, so that asking again is worth it."""
        ...


class Anonymous:
    """Nobody."""

    def headers(self) -> dict[str, str]:
        return {}

    def forget(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """By HTTP's basic authentication."""

    user: str
    file: Path

    def headers(self) -> dict[str, str]:
        return urllib3.make_headers(basic_auth=f"{self.user}:{secret(self.file)}")

    def forget(self) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenFile:
    """A bearer token that something else renews."""

    file: Path

    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {secret(self.file)}"}

    def forget(self) -> bool:
        return False


@dataclass(slots=True, kw_only=True)
class ClientCredentials:
    """A bearer token of an OAuth 2 server (RFC 6749, 4.4), asked for anew before it ends or once it is refused."""

    pool: urllib3.PoolManager
    url: str
    client_id: str
    secret_file: Path
    timeout_s: float
    _token: str = ""
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def headers(self) -> dict[str, str]:
        with self._lock:
            if time.monotonic() >= self._until:
                self._token, lasts_s = self._asked()
                self._until = time.monotonic() + max(lasts_s - RENEW_BEFORE_S, min(lasts_s, 1.0))
            return {"authorization": f"Bearer {self._token}"}

    def forget(self) -> bool:
        with self._lock:
            self._until = 0.0
        return True

    def _asked(self) -> tuple[str, float]:
        head = urllib3.make_headers(basic_auth=f"{self.client_id}:{secret(self.secret_file)}")
        try:
            answer = self.pool.request(
                "POST",
                self.url,
                body=b"grant_type=client_credentials",
                headers=head | {"accept": "application/json", "content-type": "application/x-www-form-urlencoded"},
                timeout=self.timeout_s,
                retries=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _no_token(type(error).__name__) from None
        if answer.status != 200 or len(answer.data) > MOST_TOKEN:
            raise _no_token(f"answer {answer.status}")
        try:
            found = read_json(answer.data)
            token, lasts_s = str(found["access_token"]), float(found.get("expires_in", 60))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _no_token("an answer without a token") from None
        if not token or not token.isprintable() or not token.isascii():
            raise _no_token("an answer without a token")
        return token, lasts_s


def secret(path: Path) -> str:
    """What a file holds, without the line's end. Raises Refused SETTING_INVALID."""
    try:
        found = path.read_text(encoding="utf-8").strip("\r\n")
    except (OSError, UnicodeDecodeError):
        raise Refused(ServiceReason.SETTING_INVALID, f"{path} can't be read: put the archive's secret there") from None
    if not found:
        raise Refused(ServiceReason.SETTING_INVALID, f"{path} is empty: put the archive's secret there")
    return found


def _no_token(why: str) -> Failed:
    message = f"the archive's token can't be had ({why}): see to token_url, client_id and client_secret_file"
    return Failed(ServiceReason.ARCHIVE_DENIED, message, retryable=True)
