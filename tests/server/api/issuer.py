"""An issuer of tokens, and an authority of certificates, made up for the tests."""

import base64
import ipaddress
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ISSUER, AUDIENCE = "https://issuer.invalid", "chromogen-test"


def now() -> int:
    return int(datetime.now(UTC).timestamp())


@dataclass
class Issuer:
    """Signs with an RSA key `rsa-1` and an EC key `ec-1`."""

    rsa_key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    ec_key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def jwks(self) -> bytes:
        keys = [
            json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.rsa_key.public_key())) | {"kid": "rsa-1", "use": "sig"},
            json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.ec_key.public_key()))
            | {"kid": "ec-1", "use": "sig", "alg": "ES256"},
        ]
        return json.dumps({"keys": keys}).encode()

    def claims(self, *roles: str, lab: Any = "LAB-A", subject: Any = "tester", **more: Any) -> dict[str, Any]:
        moment = now()
        standard = {"iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": moment, "exp": moment + 300}
        return standard | {"lab": lab, "roles": list(roles)} | more

    def token(self, *roles: str, algorithm: str = "ES256", kid: str | None = None, **claims: Any) -> str:
        return self.sign(self.claims(*roles, **claims), algorithm=algorithm, kid=kid)

    def sign(
        self,
        claims: dict[str, Any],
        *,
        algorithm: str = "ES256",
        kid: str | None = None,
        key: Any = None,
        headers: Any = None,
    ) -> str:
        own = self.ec_key if algorithm.startswith("ES") else self.rsa_key
        named = {"kid": kid or ("ec-1" if algorithm.startswith("ES") else "rsa-1")} | (headers or {})
        return jwt.encode(claims, own if key is None else key, algorithm=algorithm, headers=named)


def unsigned(claims: dict[str, Any], header: dict[str, Any]) -> str:
    """A token with the algorithm `none`, or whatever the header says, and no signature."""
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join(parts) + "."


@dataclass(frozen=True)
class Pair:
    """PEM."""

    cert: bytes
    key: bytes


class Authority:
    """Signs certificates that are good for some minutes, for 127.0.0.1 and localhost."""

    def __init__(self, name: str = "Test authority (invented)") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._cert = self._builder(self._name, self._key, ca=True).sign(self._key, hashes.SHA256())
        self.pem = self._cert.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, *, server: bool = False, expired: bool = False, dns: str = "localhost") -> Pair:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key, expired=expired)
        names = [x509.DNSName(dns), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        cert = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False).sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(cert=cert.public_bytes(serialization.Encoding.PEM), key=private)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, ca: bool = False, expired: bool = False
    ) -> x509.CertificateBuilder:
        moment = datetime.now(UTC) - (timedelta(days=3) if expired else timedelta())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - timedelta(minutes=5))
            .not_valid_after(moment + timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
