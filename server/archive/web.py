"""HTTP to an archive: one connection a request, nothing followed that it names, every fault one of our reasons.

Messages name what was asked by its kind; an address may hold what leads to a patient.
"""

import json
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import urllib3
from urllib3.response import BaseHTTPResponse

from server.archive.credentials import Anonymous, Credentials
from server.domain.errors import Failed, ServiceReason

CHUNK = 1 << 20
MOST_JSON = 64 << 20
"""Bytes of an answer that is held in memory."""
CONNECT_S = 10.0
SLOWEST = 10_000
"""Bytes a second: an archive that sends less than that is as good as away."""
DICOM_JSON = "application/dicom+json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and body of a short answer."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    what: str
    method: str
    path: str
    accept: str
    body: Iterable[bytes] | None
    more: Mapping[str, str]


class Web:
    """`base` is the service's address, such as https://host/dicom-web. Safe to share between threads."""

    def __init__(
        self,
        base: str,
        *,
        credentials: Credentials | None = None,
        timeout_s: float = 60,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._base, self._credentials = base.rstrip("/"), credentials or Anonymous()
        self._timeout_s, self._context = timeout_s, context

    def rows(self, what: str, path: str, fields: Sequence[tuple[str, str]] = ()) -> list[dict[str, Any]] | None:
        """A list of DICOM JSON (QIDO, metadata); None where it is not there, empty where nothing fits.

        Raises Failed ARCHIVE_UNREACHABLE, ARCHIVE_DENIED, ARCHIVE_ANSWER, all retryable; `what` says what was asked.
        """
        with self._asked(what, "GET", f"{path}?{urlencode(fields)}" if fields else path, accept=DICOM_JSON) as answer:
            if answer.status in (404, 410):
                return None
            body = b"" if answer.status == 204 else self._bounded(what, answer)
        if not body.strip():
            return []
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            raise wrong(what, "is no JSON") from None
        if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
            raise wrong(what, "is no list of DICOM JSON")
        return found

    @contextmanager
    def stream(
        self, what: str, path: str, accept: str, *, chunk: int = CHUNK
    ) -> Iterator[tuple[BaseHTTPResponse, Iterator[bytes]]]:
        """A long answer with its chunks (bytes) as they come; one of 404 too. Raises as `rows`."""
        with self._asked(what, "GET", path, accept=accept) as answer:
            yield answer, self._chunks(what, answer, chunk)

    def send(self, what: str, path: str, body: Iterable[bytes], *, size: int, content_type: str) -> Answer:
        """A body of `size` bytes, and the answer to it, of whatever status isn't a fault of the way. Raises as `rows`.

        `body` is walked through anew where a token had to be renewed, so each walk must give the same.
        """
        headers = {"content-type": content_type, "content-length": str(size)}
        kept = (200, 202, 400, 404, 409, 411, 413, 415)
        with self._asked(what, "POST", path, accept=DICOM_JSON, body=body, more=headers, keep=kept) as answer:
            return Answer(status=answer.status, body=self._bounded(what, answer, any_type=True))

    def delete(self, what: str, path: str) -> int:
        """The status of the answer, where it isn't a fault of the way. Raises as `rows`."""
        keep = (200, 202, 204, 400, 404, 405, 410, 501)
        with self._asked(what, "DELETE", path, accept="*/*", keep=keep) as answer:
            return answer.status

    def value(self, what: str, path: str, *, missing: Any = None) -> Any:
        """Any JSON; `missing` where it isn't there. Raises as `rows`."""
        with self._asked(what, "GET", path, accept="application/json") as answer:
            body = b"" if answer.status in (404, 410) else self._bounded(what, answer)
        try:
            return json.loads(body) if body else missing
        except (ValueError, RecursionError):
            raise wrong(what, "is no JSON") from None

    @contextmanager
    def _asked(
        self,
        what: str,
        method: str,
        path: str,
        *,
        accept: str,
        body: Iterable[bytes] | None = None,
        more: Mapping[str, str] | None = None,
        keep: tuple[int, ...] = (200, 204, 404, 410),
    ) -> Iterator[BaseHTTPResponse]:
        asked = _Asked(what=what, method=method, path=path, accept=accept, body=body, more=more or {})
        with urllib3.PoolManager(retries=False, ssl_context=self._context) as pool:
            answer = self._request(pool, asked)
            if answer.status == 401 and self._credentials.forget():
                answer.close()
                answer = self._request(pool, asked)
            try:
                if answer.status not in keep:
                    raise _fault(what, answer.status)
                yield answer
            except urllib3.exceptions.HTTPError as error:  # not OSError, which a caller's disk raises
                raise away(what, type(error).__name__) from None
            finally:
                answer.close()

    def _request(self, pool: urllib3.PoolManager, asked: "_Asked") -> BaseHTTPResponse:
        head = {"accept": asked.accept, "accept-encoding": "identity", "connection": "close"}
        pool.clear()  # what is left of the request before
        try:
            return pool.request(
                asked.method,
                f"{self._base}{asked.path}",
                headers={**head, **asked.more, **self._credentials.headers()},
                body=None if asked.body is None else iter(asked.body),
                timeout=urllib3.Timeout(connect=min(CONNECT_S, self._timeout_s), read=self._timeout_s),
                preload_content=False,
                redirect=False,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise away(asked.what, type(error).__name__) from None

    def _bounded(self, what: str, answer: BaseHTTPResponse, *, any_type: bool = False) -> bytes:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if not any_type and kind not in (DICOM_JSON, "application/json"):
            raise wrong(what, "is no DICOM JSON by its Content-Type")
        found = bytearray()
        for chunk in self._chunks(what, answer):
            found += chunk
            if len(found) > MOST_JSON:
                raise wrong(what, f"is longer than {MOST_JSON >> 20} MiB")
        return bytes(found)

    def _chunks(self, what: str, answer: BaseHTTPResponse, size: int = CHUNK) -> Iterator[bytes]:
        """Ends where the archive is too slow to wait for."""
        begun, received = time.monotonic(), 0
        for chunk in answer.stream(size, decode_content=False):
            received += len(chunk)
            took_s = time.monotonic() - begun
            if took_s > self._timeout_s and received < SLOWEST * took_s:
                raise away(what, "it sends too slowly")
            yield chunk


def away(what: str, why: str) -> Failed:
    """The archive, or the way to it, isn't there: nobody's fault."""
    message = f"the archive doesn't answer when asked for {what} ({why}): see to the archive and the way to it"
    return Failed(ServiceReason.ARCHIVE_UNREACHABLE, message, retryable=True)


def wrong(what: str, why: str) -> Failed:
    """The archive answers what it shouldn't."""
    message = f"the archive's answer when asked for {what} {why}: check its address, and the archive"
    return Failed(ServiceReason.ARCHIVE_ANSWER, message, retryable=True)


def _fault(what: str, status: int) -> Failed:
    if status in (401, 403, 407):
        message = f"the archive refuses our account when asked for {what} ({status}): correct it, or its rights there"
        return Failed(ServiceReason.ARCHIVE_DENIED, message, retryable=True)
    if status in (408, 425, 429) or status >= 500:
        return away(what, f"status {status}")
    return wrong(what, f"is status {status}")


def object_refused(why: str) -> Failed:
    """An archive that is there and won't keep this object: sent again, it is refused again."""
    message = f"the archive refuses the object ({why}): have it take this kind, or take the kind off the route"
    return Failed(ServiceReason.OBJECT_REFUSED, message)
