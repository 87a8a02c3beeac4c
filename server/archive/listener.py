"""A port of ours at which a DIMSE peer reaches us (pynetdicom)."""

import socket
import ssl
from typing import Any

from pynetdicom import AE
from pynetdicom.transport import ThreadedAssociationServer

from server.site import Address

HANDSHAKE_S = 5.0
"""One connection after another is taken: who says nothing holds the others up for so long, and no longer."""


def begun(ae: AE, at: Address, handlers: list[Any], context: ssl.SSLContext | None) -> ThreadedAssociationServer:
    """The service, until its `shutdown`; by TLS where there is a `context`. Raises OSError where the port is taken."""
    prompt: Any = None if context is None else _Prompt(context)
    server = ae.start_server((at.host, at.port), block=False, evt_handlers=handlers, ssl_context=prompt)
    assert server is not None, "it doesn't block"
    return server


class _Prompt:
    """A context, by what pynetdicom asks of it."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def wrap_socket(self, sock: socket.socket, *, server_side: bool) -> ssl.SSLSocket:
        """Raises OSError, which refuses the connection."""
        sock.settimeout(HANDSHAKE_S)
        try:
            secured = self._context.wrap_socket(sock, server_side=server_side)
        except OSError:
            sock.close()
            raise
        secured.settimeout(None)
        return secured
