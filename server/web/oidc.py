"""The issuer as the page's sign-in sees it: where it asks people who they are, and what it answers for a code."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from authlib.integrations.requests_client import OAuth2Session

from server.domain.errors import Failed, Refused, ServiceReason
from server.settings import Oidc, is_loopback

SCOPE = "openid"
METHOD = "S256"
TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Of the issuer's discovery document."""

    authorize: str
    token: str


class Issuer:
    """Discovered when somebody first signs in. `redirect` is our address that it sends browsers back to."""

    def __init__(self, wanted: Oidc, redirect: str) -> None:
        """Raises Refused SETTING_INVALID."""
        self._wanted, self._redirect, self._secret = wanted, redirect, _secret(wanted.client_secret_file)
        self._endpoints: Endpoints | None = None
        self._lock = threading.Lock()

    def address(self, *, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent. Raises Failed KEYS_UNREACHABLE."""
        endpoints = self._discovered()
        client = self._client()
        address, _ = client.create_authorization_url(
            endpoints.authorize, state=state, nonce=nonce, code_verifier=verifier
        )
        return str(address)

    def id_token(self, code: str, verifier: str) -> str:
        """For a code. Raises Refused UNAUTHENTICATED where the issuer takes it no more; Failed KEYS_UNREACHABLE."""
        endpoints, client = self._discovered(), self._client()
        answer = _asked(
            lambda: client.fetch_token(endpoints.token, code=code, code_verifier=verifier, timeout=TIMEOUT_S)
        )
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise Refused(ServiceReason.UNAUTHENTICATED, "the issuer answers without an ID token: sign in again")
        return token

    def _client(self) -> Any:
        client = OAuth2Session(
            client_id=self._wanted.client_id,
            client_secret=self._secret or None,
            token_endpoint_auth_method="client_secret_basic" if self._secret else "none",
            scope=SCOPE,
            redirect_uri=self._redirect,
            code_challenge_method=METHOD,
        )
        client.verify = str(self._wanted.ca) if self._wanted.ca else True
        client.trust_env = False
        return client

    def _discovered(self) -> Endpoints:
        with self._lock:
            if self._endpoints is None:
                self._endpoints = _endpoints(self._wanted)
            return self._endpoints


def _endpoints(wanted: Oidc) -> Endpoints:
    """OpenID Connect Discovery 1.0, 4. Raises Failed KEYS_UNREACHABLE, Refused SETTING_INVALID."""
    address = wanted.issuer.rstrip("/") + "/.well-known/openid-configuration"
    said = _asked(lambda: _document(address, wanted.ca))
    if said.get("issuer") != wanted.issuer:
        raise Refused(ServiceReason.SETTING_INVALID, "CHROMOGEN_OIDC_ISSUER isn't what the issuer calls itself")
    found = [said.get(name) for name in ("authorization_endpoint", "token_endpoint")]
    if not all(isinstance(url, str) and _is_safe(url) for url in found):
        raise Refused(ServiceReason.SETTING_INVALID, "the issuer names no https:// endpoints to sign in at")
    return Endpoints(authorize=str(found[0]), token=str(found[1]))


def _document(address: str, ca: Path | None) -> Mapping[str, Any]:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(address, timeout=TIMEOUT_S, verify=str(ca) if ca else True, allow_redirects=False)
        answer.raise_for_status()
        found = answer.json()
    return found if isinstance(found, dict) else {}


def _asked(ask: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
    """Nothing of what the issuer said leaves here: it may quote a code or a name."""
    try:
        return ask()
    except (requests.ConnectionError, requests.Timeout, requests.HTTPError, ValueError):
        raise Failed(ServiceReason.KEYS_UNREACHABLE, "the issuer doesn't answer: try again", retryable=True) from None
    except Exception:  # Authlib's errors share no base, and say what the issuer said
        raise Refused(ServiceReason.UNAUTHENTICATED, "the issuer didn't confirm the sign-in: sign in again") from None


def _is_safe(url: str) -> bool:
    """By TLS, or on this machine."""
    scheme, _, rest = url.partition("://")
    host = rest.partition("/")[0].rpartition(":")[0] or rest.partition("/")[0]
    return scheme == "https" or (scheme == "http" and is_loopback(host.strip("[]")))


def _secret(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        found = file.read_text().strip("\r\n")
    except (OSError, ValueError):
        found = ""
    if not found:
        message = f"CHROMOGEN_OIDC_CLIENT_SECRET_FILE: {file} can't be read, or is empty"
        raise Refused(ServiceReason.SETTING_INVALID, message)
    return found
