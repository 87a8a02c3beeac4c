"""A browser as tests need one: a session's cookie, the word that changes need; and the page's server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import requests

from server import settings
from server.api_service import start
from tests.server.api.harness import Api

LOCAL_LAB = "LAB-PAGE"
USER = "dr-invented"


@dataclass(frozen=True)
class Page:
    """The page's server; `browser` signs in as its local user, `caller` comes with a token."""

    address: str
    grpc_port: int
    api: Api

    def browser(self) -> "Browser":
        made = Browser(self.address)
        made.sign_in()
        return made

    def caller(self, *roles: str, lab: str, subject: str = "tester") -> "Browser":
        made = Browser(self.address)
        made.http.headers["authorization"] = f"Bearer {self.api.issuer.token(*roles, lab=lab, subject=subject)}"
        return made


class Browser:
    """Without a session until `sign_in`."""

    def __init__(self, address: str) -> None:
        self.address, self.http = address, requests.Session()
        self.http.trust_env = False

    def sign_in(self) -> requests.Response:
        answer = self.http.post(f"{self.address}/sign-in/local", allow_redirects=False, timeout=20)
        self.http.headers["x-csrf"] = self.get("/data/session").json()["csrf"]
        return answer

    def get(self, path: str, **more: Any) -> requests.Response:
        return self.http.get(self.address + path, timeout=20, **more)

    def post(self, path: str, body: Any = None, **more: Any) -> requests.Response:
        return self.http.post(self.address + path, json=body or {}, timeout=20, **more)


@contextmanager
def page_of(api: Api, **web: Any) -> Iterator[Page]:
    """A second server on the store of the API, on loopback without TLS."""
    wanted = api.service.settings.model_copy(
        update={
            "web": settings.Web(port=0, local_user=USER, **web),
            "grpc": settings.Grpc(port=0, insecure=True, local_lab=LOCAL_LAB),
            "tls": settings.Tls(),
        }
    )
    doors = start(replace(api.service, settings=wanted))
    assert doors is not None
    assert doors.web is not None
    try:
        yield Page(address=f"http://127.0.0.1:{doors.web.port}", grpc_port=doors.port, api=api)
    finally:
        doors.stop(1)


def tables(data: bytes) -> dict[str, Any]:
    """Histograms as the page reads them."""
    head, _, rest = data.partition(b"\n")
    found, at = {}, 0
    for said in json.loads(head):
        n = int(np.prod(said["shape"]))
        found[said["name"]] = np.frombuffer(rest, "<u4", n, at).reshape(said["shape"])
        at += 4 * n
    return found


def records(data: bytes, columns: list[tuple[str, str, int]]) -> dict[str, Any]:
    """Cells as the page reads them, by column: (n,), or (n, width)."""
    each = sum(width * np.dtype(kind).itemsize for _, kind, width in columns)
    n, at, found = len(data) // each, 0, {}
    for name, kind, width in columns:
        values = np.frombuffer(data, kind, n * width, at)
        found[name] = values if width == 1 else values.reshape(n, width)
        at += values.nbytes
    return found
