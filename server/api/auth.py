"""Who is calling: a bearer token (OIDC, RS256 or ES256) becomes a Caller, or a refusal that says
nothing of the token.
"""

import base64
import hashlib
import hmac
import re
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt

from server.api.keys import ALGORITHMS, KeySet, reader_of
from server.api.known_tokens import KnownTokens
from server.domain.access import ACROSS_LABS, ALL_LABS, Authenticate, Caller, Metadata, Role
from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.reloading import Renewed
from server.settings import Settings

LAB_CLAIM, ROLES_CLAIM = "lab", "roles"
LONGEST_TOKEN = 8192
LAB = re.compile(r"\w([\w .,/()'-]{0,62}[\w.)])?")
"""As HL7's MSH-4 names laboratories: letters of any language, spaces inside; no wildcard, no delimiter."""
SUBJECT = re.compile(r"[!-~]{1,200}")
REQUIRED_CLAIMS = ["exp", "iat", "iss", "aud", "sub"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticateLocal:
    """Everybody is the local user, with every role: only for a server on loopback that was told so
    (CHROMOGEN_GRPC_INSECURE).
    """

    lab: str

    def __call__(self, metadata: Metadata, certificate: bytes | None) -> Caller:
        return Caller(subject="local", lab=self.lab, roles=frozenset(Role))

    def may_wait(self, metadata: Metadata) -> bool:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticateByToken:
    """Callers by their tokens."""

    issuer: str
    audience: str
    keys: KeySet
    leeway_s: float = 30
    lifetime_s: float = 12 * 3600
    revoked: Callable[[], frozenset[str]] = frozenset

    known: KnownTokens = field(default_factory=lambda: KnownTokens(time.time), repr=False, compare=False)

    def __call__(self, metadata: Metadata, certificate: bytes | None) -> Caller:
        token = token_of(metadata)
        claims = self.claims_of(token)
        self._check_standing(claims)
        _check_bound(claims, certificate)
        return caller_of(claims)

    def may_wait(self, metadata: Metadata) -> bool:
        try:
            token = token_of(metadata)
            known = self.known.get(token)
            kid = jwt.get_unverified_header(token).get("kid") if known is None else known.kid
        except (ChromogenError, jwt.PyJWTError, ValueError, TypeError, RecursionError):
            return False
        return isinstance(kid, str) and self.keys.may_wait(kid)

    def claims_of(self, token: str) -> Mapping[str, Any]:
        """Verified. Raises as a call does."""
        return self._known_claims(token) or self._verified(token)

    def _check_standing(self, claims: Mapping[str, Any]) -> None:
        """Of one that is known, too: it may have been revoked a moment ago."""
        check_not_revoked(claims, self.revoked())
        if claims["exp"] - claims["iat"] > self.lifetime_s:
            raise _invalid(f"the token was made to live longer than {self.lifetime_s:g} s (CHROMOGEN_OIDC_LIFETIME_S)")

    def _known_claims(self, token: str) -> Mapping[str, Any] | None:
        """Of one that was verified a moment ago, by a key that its issuer still publishes."""
        known = self.known.get(token)
        if known is None or self.keys.key(known.kid, known.algorithm) is not known.key:
            return None
        return known.claims

    def _verified(self, token: str) -> Mapping[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            kid, algorithm = header.get("kid"), header.get("alg")
            if (
                algorithm not in ALGORITHMS
                or not isinstance(kid, str)
                or "crit" in header
                or header.get("b64") is False
            ):
                raise _invalid("the token's header is not one that is taken: RS256 or ES256, with a kid")
            key = self.keys.key(kid, algorithm)
            claims: Mapping[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self.audience,
                issuer=self.issuer,
                leeway=self.leeway_s,
                options={"require": REQUIRED_CLAIMS},
            )
        except jwt.ExpiredSignatureError:
            raise Refused(ServiceReason.TOKEN_EXPIRED, "the token is no longer valid") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise _invalid("the token is not one of this service's issuer for this service") from None
        self.known.add(token, claims, kid=kid, algorithm=algorithm, key=key)
        return claims


def authenticate_by(settings: Settings) -> Authenticate:
    """Raises Refused SETTING_INVALID."""
    oidc = settings.oidc
    given = [bool(v) for v in (oidc.issuer, oidc.audience, oidc.jwks)]
    if all(given):
        keys = KeySet(reader_of(oidc.jwks, oidc.ca), refresh_s=oidc.refresh_s)
        return AuthenticateByToken(
            issuer=oidc.issuer,
            audience=oidc.audience,
            keys=keys,
            leeway_s=oidc.leeway_s,
            lifetime_s=oidc.lifetime_s,
            revoked=revoked_in(oidc.revoked),
        )
    if any(given):
        raise Refused(
            ServiceReason.SETTING_INVALID, "CHROMOGEN_OIDC_ISSUER, _AUDIENCE and _JWKS belong together: set all three"
        )
    if not settings.grpc.insecure:
        raise Refused(
            ServiceReason.SETTING_INVALID, "CHROMOGEN_OIDC_ISSUER, _AUDIENCE and _JWKS are not set: nobody could call"
        )
    return AuthenticateLocal(lab=settings.grpc.local_lab)


def check_not_revoked(claims: Mapping[str, Any], revoked: frozenset[str]) -> None:
    """Raises Refused TOKEN_INVALID."""
    if not {claims.get("jti"), claims["sub"]}.isdisjoint(revoked):
        raise _invalid("the token, or its subject, was revoked")


def revoked_in(file: Path | None) -> Callable[[], frozenset[str]]:
    """Numbers and subjects of tokens that are taken no more, as the file says now. Raises Refused SETTING_INVALID."""
    if file is None:
        return frozenset

    def read() -> frozenset[str]:
        try:
            return frozenset(filter(None, map(str.strip, file.read_text(encoding="utf-8").splitlines())))
        except (OSError, UnicodeDecodeError):
            raise Refused(ServiceReason.SETTING_INVALID, f"CHROMOGEN_OIDC_REVOKED: {file} can't be read") from None

    return Renewed("CHROMOGEN_OIDC_REVOKED", (file,), read).newest


def token_of(metadata: Metadata) -> str:
    """The one bearer token. Raises Refused UNAUTHENTICATED, TOKEN_INVALID."""
    given = [value for key, value in metadata if key.lower() == "authorization"]
    if len(given) != 1 or not isinstance(given[0], str):
        raise Refused(
            ServiceReason.UNAUTHENTICATED, f"the call carries {len(given)} authorizations: one bearer token is needed"
        )
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused(ServiceReason.UNAUTHENTICATED, "the authorization is no bearer token")
    if len(token) > LONGEST_TOKEN:
        raise _invalid("the token is too long")
    return token.strip()


def caller_of(claims: Mapping[str, Any]) -> Caller:
    """From verified claims: `sub`, `lab`, `roles`. Unknown roles give nothing. Raises Refused TOKEN_INVALID."""
    subject, lab, roles = claims.get("sub"), claims.get(LAB_CLAIM), claims.get(ROLES_CLAIM)
    if not isinstance(subject, str) or not SUBJECT.fullmatch(subject):
        raise _invalid("the token's sub is not a name of 1 to 200 visible ASCII characters")
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise _invalid("the token's roles are not a list of names")
    held = frozenset(Role(role) for role in roles if role in set(Role))
    if not isinstance(lab, str) or not (lab == ALL_LABS or LAB.fullmatch(lab)):
        raise _invalid("the token's lab is not the name of one laboratory")
    if lab == ALL_LABS and not held <= ACROSS_LABS:
        raise _invalid("only operators and auditors may belong to all laboratories")
    return Caller(subject=subject, lab=lab, roles=held)


def _check_bound(claims: Mapping[str, Any], certificate: bytes | None) -> None:
    """RFC 8705: a token that names a client certificate is good on that connection only."""
    confirmation = claims.get("cnf")
    if confirmation is None:
        return
    wanted = confirmation.get("x5t#S256") if isinstance(confirmation, dict) else None
    if (
        not isinstance(wanted, str)
        or certificate is None
        or not hmac.compare_digest(thumbprint(certificate), wanted.encode())
    ):
        raise _invalid("the token is bound to another client certificate")


def thumbprint(certificate: bytes) -> bytes:
    """x5t#S256 of a PEM certificate."""
    der = ssl.PEM_cert_to_DER_cert(certificate.decode("ascii"))
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=")


def _invalid(message: str) -> Refused:
    return Refused(ServiceReason.TOKEN_INVALID, message)
