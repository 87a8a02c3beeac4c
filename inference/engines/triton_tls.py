"""TLS to Triton servers: whom we trust, what we show, and what is wrong where a handshake fails."""

from collections.abc import Callable
from dataclasses import dataclass, field

import grpc


@dataclass(frozen=True, slots=True, kw_only=True)
class Secure:
    """PEM: a server is trusted whose certificate is of `authority` and names its host.

    `cert` and `key` are ours, or both None.
    """

    authority: bytes
    cert: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


Newest = Callable[[], Secure]
"""What holds for the next connection: files are renewed while a service runs."""

_TROUBLES = (
    ("CERTIFICATE_VERIFY_FAILED", "its certificate isn't of the authority that is set, or isn't valid now"),
    ("Hostname Verification Check failed", "its certificate names another host"),
    ("WRONG_VERSION_NUMBER", "it answers without TLS"),
    ("TSI_PROTOCOL_FAILURE", "TLS can't be agreed on with it"),
)
"""What gRPC itself says of a handshake that failed, and what we say."""


def channel(address: str, secure: Secure | None, options: list[tuple[str, int]]) -> grpc.Channel:
    """With None plain text. Connects with the first call."""
    if secure is None:
        return grpc.insecure_channel(address, options=options)
    shown = {"private_key": secure.key, "certificate_chain": secure.cert}
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(secure.authority, **shown), options=options)


def failed_handshake(details: str) -> str:
    """What is wrong, in our words; empty where it wasn't the handshake. `details` are those of gRPC's UNAVAILABLE."""
    return next((ours for theirs, ours in _TROUBLES if theirs in details), "")


def gone(details: str, *, secure: bool) -> str:
    """Why a server isn't reached.

    One that closes each connection at once may do so for want of TLS: it tells nobody.
    """
    if not ("failed to connect" in details and "Socket closed" in details):
        return "it can't be reached"
    return f"it closes each connection; it may want {'a certificate of ours that it trusts' if secure else 'TLS (tritons://)'}"
