"""Page sizes, and page tokens: where the page before ended, opaque, and good only for the same list and filters.

Pure.
"""

import base64
import hashlib
import json
from typing import NoReturn

from google.protobuf.message import Message

from server.domain.errors import Refused, ServiceReason
from server.domain.views import PageKey

DEFAULT_SIZE = 50
MOST = 1000
LONGEST_TOKEN = 1000


def size_of(asked: int, most: int = MOST) -> int:
    """DEFAULT_SIZE for 0; the most there is for more. Raises Refused ARGUMENT_INVALID below 0."""
    if asked < 0:
        raise Refused(ServiceReason.ARGUMENT_INVALID, f"page_size must be 1 to {most}")
    return min(asked or DEFAULT_SIZE, most)


def filters_of(request: Message) -> str:
    """A digest of a list request's kind and filters."""
    bare = type(request)()
    bare.CopyFrom(request)
    for name in ("page_size", "page_token"):
        bare.ClearField(name)
    data = request.DESCRIPTOR.full_name.encode() + b"\0" + bare.SerializeToString(deterministic=True)
    return hashlib.sha256(data).hexdigest()[:16]


def token_for(key: PageKey | None, request: Message) -> str:
    """Empty for None."""
    if key is None:
        return ""
    return base64.urlsafe_b64encode(json.dumps([filters_of(request), *key]).encode()).decode().rstrip("=")


def key_of(token: str, request: Message) -> PageKey:
    """Raises Refused PAGE_TOKEN_INVALID."""
    if not token:
        return ()
    if len(token) > LONGEST_TOKEN:
        _invalid()
    try:
        parts = json.loads(base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True))
    except (ValueError, RecursionError):
        _invalid()
    if not isinstance(parts, list) or len(parts) < 2 or not all(isinstance(p, str) and p.isprintable() for p in parts):
        _invalid()
    if parts[0] != filters_of(request):
        raise Refused(
            ServiceReason.PAGE_TOKEN_INVALID, "the page token belongs to other filters: begin at the first page"
        )
    return tuple(parts[1:])


def _invalid() -> NoReturn:
    raise Refused(
        ServiceReason.PAGE_TOKEN_INVALID, "the page token is not one that was given here: begin at the first page"
    )
