"""The page's own files, read once: shipped in the package, nothing is fetched from elsewhere."""

import gzip
import hashlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

FOLDER = Path(__file__).parent / "static"
SHELL = "index.html"
PLACES = ("/", "/case/{result}", "/estimates")
"""Addresses of the page: the shell finds out what to show."""
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",  # an empty one: index.html says why
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-cache",
    "referrer-policy": "same-origin",  # a form would be sent with `Origin: null` otherwise
}


def routes() -> Iterator[BaseRoute]:
    shell = _answer(FOLDER / SHELL)
    for place in PLACES:
        yield Route(place, shell, methods=["GET"])
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in KINDS and path.name != SHELL:
            yield Route(f"/static/{path.relative_to(FOLDER).as_posix()}", _answer(path), methods=["GET"])


def answer_of(name: str) -> Callable[[Request], Awaitable[Response]]:
    """Of one of the page's files, for a place that another module has."""
    return _answer(FOLDER / name)


def _answer(path: Path) -> Callable[[Request], Awaitable[Response]]:
    """A file and its tag: a browser that has it is told so, another gets it packed."""
    data, kind = path.read_bytes(), KINDS[path.suffix]
    packed = gzip.compress(data, 9, mtime=0)
    headers = HEADERS | {"etag": f'"{hashlib.sha256(data).hexdigest()[:32]}"', "vary": "accept-encoding"}

    async def answer(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["etag"]:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, media_type=kind, headers=headers | {"content-encoding": "gzip"})
        return Response(data, media_type=kind, headers=headers)

    return answer
