"""TLS of HL7: the listener's and the sender's contexts out of the settings. 1.2 or newer; half a configuration is refused.

Files are read once, at the start: a renewed certificate is taken by a restart.
"""

import ssl
from pathlib import Path

from server.domain.errors import Refused, ServiceReason
from server.settings import Lis, Mllp


def listener_context(wanted: Mllp) -> ssl.SSLContext | None:
    """Of who listens for orders, asking for client certificates where their authority is set; None: plain text.

    Raises Refused SETTING_INVALID.
    """
    name = "CHROMOGEN_MLLP_TLS"
    if wanted.tls_cert is None and wanted.tls_key is None and wanted.tls_client_ca is None:
        return None
    if wanted.tls_cert is None or wanted.tls_key is None:
        raise _refused(f"{name}_CERT and {name}_KEY belong together: set both, or neither and no {name}_CLIENT_CA")
    context = _context(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION
    _show(context, wanted.tls_cert, wanted.tls_key, name)
    if wanted.tls_client_ca is not None:
        _trust(context, wanted.tls_client_ca, f"{name}_CLIENT_CA")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def sender_context(wanted: Lis) -> ssl.SSLContext | None:
    """Of who sends results: trusts the LIS by the authority that is set and by its host's name; None: plain text.

    Raises Refused SETTING_INVALID.
    """
    name = "CHROMOGEN_LIS_TLS"
    if wanted.tls_ca is None and wanted.tls_cert is None and wanted.tls_key is None:
        return None
    if not wanted.host:
        raise _refused(f"{name}_* are set, but CHROMOGEN_LIS_HOST is not")
    if wanted.tls_ca is None:
        raise _refused(f"{name}_CERT and {name}_KEY are set, but {name}_CA is not: whom to trust isn't known")
    if (wanted.tls_cert is None) is not (wanted.tls_key is None):
        raise _refused(f"{name}_CERT and {name}_KEY belong together: set both or neither")
    context = _context(ssl.PROTOCOL_TLS_CLIENT)  # asks for a certificate, and for the host's name in it
    _trust(context, wanted.tls_ca, f"{name}_CA")
    if wanted.tls_cert is not None and wanted.tls_key is not None:
        _show(context, wanted.tls_cert, wanted.tls_key, name)
    return context


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _show(context: ssl.SSLContext, cert: Path, key: Path, name: str) -> None:
    _readable(cert, f"{name}_CERT")
    _readable(key, f"{name}_KEY")
    try:
        context.load_cert_chain(cert, key, password=b"")  # without, a key with a password would ask the terminal for it
    except (ssl.SSLError, ValueError):
        raise _refused(f"{name}_CERT and {name}_KEY: not a PEM certificate with its own key, which has no password") from None


def _trust(context: ssl.SSLContext, authority: Path, name: str) -> None:
    _readable(authority, name)
    try:
        context.load_verify_locations(authority)
    except ssl.SSLError:
        raise _refused(f"{name}: {authority} holds no PEM certificate") from None


def _readable(path: Path, name: str) -> None:
    try:
        path.open("rb").close()
    except OSError:
        raise _refused(f"{name}: {path} can't be read") from None


def _refused(message: str) -> Refused:
    return Refused(ServiceReason.SETTING_INVALID, message)
