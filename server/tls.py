"""TLS of HL7, of the API and to Triton out of the settings: 1.2 or newer; half a configuration is refused.

Files are looked at again as connections come, so a renewed certificate or authority needs no restart. One that is
half-written or wrong leaves the last good one in use. A connection that is open goes on as it began.
"""

import hashlib
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import NameOID

from inference.engines.factory import TRITON_BY_TLS
from inference.engines.triton_tls import Newest, Secure
from server.domain.errors import Refused, ServiceReason
from server.reloading import Renewed, RenewedContext
from server.settings import Engine, Mllp, Tls
from server.site import key_of

HASHED = "sha256:"


def listener_context(wanted: Mllp) -> RenewedContext | None:
    """Of who listens for orders, asking for client certificates where their authority is set; None: plain text.

    Raises Refused SETTING_INVALID.
    """
    name = "CHROMOGEN_MLLP_TLS"
    if wanted.tls_cert is None and wanted.tls_key is None and wanted.tls_client_ca is None:
        return None
    if wanted.tls_cert is None or wanted.tls_key is None:
        raise _refused(f"{name}_CERT and {name}_KEY belong together: set both, or neither and no {name}_CLIENT_CA")
    return _server_context(name, wanted.tls_cert, wanted.tls_key, wanted.tls_client_ca, f"{name}_CLIENT_CA")


def web_context(wanted: Tls) -> RenewedContext:
    """Of the HTTP door, by the API's files, asking for client certificates as the API does.

    Raises Refused SETTING_INVALID.
    """
    name = "CHROMOGEN_TLS"
    if wanted.cert is None or wanted.key is None:
        raise _refused(f"{name}_CERT and {name}_KEY belong together: set both")
    return _server_context(name, wanted.cert, wanted.key, wanted.client_ca, f"{name}_CLIENT_CA")


class Receiving(Protocol):
    """Who is sent results: `settings.Lis`, or a destination of the site."""

    @property
    def host(self) -> str: ...
    @property
    def tls_ca(self) -> Path | None: ...
    @property
    def tls_cert(self) -> Path | None: ...
    @property
    def tls_key(self) -> Path | None: ...


def peer_context(wanted: Receiving, table: str) -> RenewedContext | None:
    """Of where a peer whom we reach by TLS reaches us: we show it the same certificate, and it shows us one of the
    authority that we trust it by; None: plain text, as we reach it. `table` is where it is set.

    Raises Refused SETTING_INVALID.
    """
    name = key_of(table, "tls")
    if wanted.tls_ca is None:
        return None
    if wanted.tls_cert is None or wanted.tls_key is None:
        cert, key = _part(name, "CERT"), _part(name, "KEY")
        raise _refused(f"{cert} and {key} are not set: where we listen, we show a certificate, too")
    return _server_context(name, wanted.tls_cert, wanted.tls_key, wanted.tls_ca, _part(name, "CA"))


def _server_context(name: str, cert: Path, key: Path, authority: Path | None, trusted: str) -> RenewedContext:
    """`trusted` is where the authority is set."""

    def make() -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_SERVER)
        context.options |= ssl.OP_NO_RENEGOTIATION
        _show(context, cert, key, name)
        if authority is not None:
            _trust(context, authority, trusted)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    return RenewedContext(ssl.PROTOCOL_TLS_SERVER, Renewed(name, (cert, key, authority), make))


def names_in(certificate: bytes) -> frozenset[str]:
    """Of a client's certificate (DER): common names, DNS names, and `sha256:` with its hash; in lower case."""
    try:
        names = {name.lower() for name in _named_in(x509.load_der_x509_certificate(certificate))}
    except (ValueError, x509.DuplicateExtension):
        names = set()
    named = frozenset(name for name in names if not name.startswith(HASHED))  # else a name could pass for a hash
    return named | {f"{HASHED}{hashlib.sha256(certificate).hexdigest()}"}


def _named_in(certificate: x509.Certificate) -> Iterator[str]:
    yield from (str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    with suppress(x509.ExtensionNotFound):
        also = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        yield from also.value.get_values_for_type(x509.DNSName)


def sender_context(wanted: Receiving, table: str = "CHROMOGEN_LIS") -> RenewedContext | None:
    """Of who sends results: trusts the receiver by the authority that is set and by its host's name; None: plain text.

    `table` is where it is set. Raises Refused SETTING_INVALID.
    """
    name = key_of(table, "tls")
    if wanted.tls_ca is None and wanted.tls_cert is None and wanted.tls_key is None:
        return None
    if not wanted.host:
        raise _refused(f"{name}_* are set, but {key_of(table, 'host')} is not")
    if wanted.tls_ca is None:
        raise _refused(
            f"{_part(name, 'CERT')} and {_part(name, 'KEY')} are set, but {_part(name, 'CA')} is not: "
            "whom to trust isn't known"
        )
    if (wanted.tls_cert is None) is not (wanted.tls_key is None):
        raise _refused(f"{_part(name, 'CERT')} and {_part(name, 'KEY')} belong together: set both or neither")
    authority, cert, key = wanted.tls_ca, wanted.tls_cert, wanted.tls_key

    def make() -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_CLIENT)  # asks for a certificate, and for the host's name in it
        _trust(context, authority, _part(name, "CA"))
        if cert is not None and key is not None:
            _show(context, cert, key, name)
        return context

    return RenewedContext(ssl.PROTOCOL_TLS_CLIENT, Renewed(name, (authority, cert, key), make))


def api_credentials(wanted: Tls) -> grpc.ServerCredentials:
    """Of who serves the API, asking for client certificates where their authority is set.

    Raises Refused SETTING_INVALID.
    """
    name = "CHROMOGEN_TLS"
    if wanted.cert is None or wanted.key is None:
        raise _refused(f"{name}_CERT and {name}_KEY are not set")
    cert, key, authority = wanted.cert, wanted.key, wanted.client_ca

    def make() -> _Pem:
        trusted = None if authority is None else _authority(authority, f"{name}_CLIENT_CA")
        return _pair(_read(cert, f"{name}_CERT"), _read(key, f"{name}_KEY"), name), trusted

    fetch = _Fetch(Renewed(name, (cert, key, authority), make))
    return grpc.dynamic_ssl_server_credentials(
        fetch.configuration(), fetch, require_client_authentication=authority is not None
    )


def engine_secure(wanted: Engine) -> Newest | None:
    """Of who asks Triton servers: trusts them by the authority that is set and by their hosts' names; None: plain text,
    or none.

    Raises Refused SETTING_INVALID.
    """
    name = "CHROMOGEN_ENGINE"
    authority, cert, key = wanted.ca, wanted.cert, wanted.key
    if not wanted.name.startswith(TRITON_BY_TLS):
        if authority is None and cert is None and key is None:
            return None
        raise _refused(f"{name}_CA, _CERT or _KEY are set, but {name}_NAME isn't {TRITON_BY_TLS}host:port")
    if authority is None:
        raise _refused(
            f"the engine is {TRITON_BY_TLS}, but {name}_CA (--engine-ca) is not set: whom to trust isn't known"
        )
    if (cert is None) is not (key is None):
        raise _refused(f"{name}_CERT and {name}_KEY belong together: set both or neither")

    def make() -> Secure:
        trusted = _authority(authority, f"{name}_CA")
        if cert is None or key is None:
            return Secure(authority=trusted)
        own, shown = _pair(_read(cert, f"{name}_CERT"), _read(key, f"{name}_KEY"), name)
        return Secure(authority=trusted, cert=shown, key=own)

    return Renewed(name, (authority, cert, key), make).newest


_Pem = tuple[tuple[bytes, bytes], bytes | None]
"""Key and certificate, and the authority of clients."""


class _Fetch:
    """What gRPC calls before each handshake. A configuration goes into its hands: each is made for one use."""

    def __init__(self, renewed: Renewed[_Pem]) -> None:
        self._renewed, self._given = renewed, renewed.newest()

    def __call__(self) -> grpc.ServerCertificateConfiguration | None:
        newest = self._renewed.newest()
        if newest is self._given:
            return None
        self._given = newest
        return self.configuration()

    def configuration(self) -> grpc.ServerCertificateConfiguration:
        pair, authority = self._given
        return grpc.ssl_server_certificate_configuration([pair], root_certificates=authority)


def _context(protocol: int) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _show(context: ssl.SSLContext, cert: Path, key: Path, name: str) -> None:
    _read(cert, _part(name, "CERT"))
    _read(key, _part(name, "KEY"))
    try:
        context.load_cert_chain(cert, key, password=b"")  # without, a key with a password would ask the terminal for it
    except (OSError, ValueError):
        raise _no_pair(name) from None


def _trust(context: ssl.SSLContext, authority: Path, name: str) -> None:
    _read(authority, name)
    try:
        context.load_verify_locations(authority)
    except OSError:
        raise _refused(f"{name}: {authority} holds no PEM certificate") from None


def _authority(path: Path, name: str) -> bytes:
    """As gRPC takes it."""
    pem = _read(path, name)
    if not _certificates(pem):
        raise _refused(f"{name}: {path} holds no PEM certificate")
    return pem


def _pair(cert: bytes, key: bytes, name: str) -> tuple[bytes, bytes]:
    """Key and certificate, as gRPC takes them, which itself says of wrong ones only that it can't listen."""
    try:
        fits = [c.public_key() for c in _certificates(cert)][:1] == [load_pem_private_key(key, None).public_key()]
    except (ValueError, TypeError, UnsupportedAlgorithm):
        fits = False
    if not fits:
        raise _no_pair(name)
    return key, cert


def _certificates(pem: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError:
        return []


def _read(path: Path, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise _refused(f"{name}: {path} can't be read") from None


def _no_pair(name: str) -> Refused:
    both = f"{_part(name, 'CERT')} and {_part(name, 'KEY')}"
    return _refused(f"{both}: not a PEM certificate with its own key, which has no password")


def _part(name: str, part: str) -> str:
    """As a variable is written, or a key of the site file."""
    return f"{name}_{part}" if name.isupper() else f"{name}_{part.lower()}"


def _refused(message: str) -> Refused:
    return Refused(ServiceReason.SETTING_INVALID, message)
