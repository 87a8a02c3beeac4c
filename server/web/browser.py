"""Who a browser's request is of: a session's cookie, or a bearer token; what changes anything needs the page's word."""

import hmac
from http.cookies import CookieError, SimpleCookie

from server.domain.access import Authenticate, Caller, Metadata
from server.domain.errors import Refused, ServiceReason
from server.services.sessions import SessionService, csrf_of
from server.web.door import METHOD

SAFE = frozenset({"GET", "HEAD"})
PLAIN_COOKIE, SECURE_COOKIE = "chromogen", "__Host-chromogen"
"""The browser takes the second only by TLS, for this host alone."""


class AuthenticateBrowser:
    """`server.domain.access.Authenticate` for the page; tokens are `by_token`'s."""

    def __init__(self, sessions: SessionService, by_token: Authenticate, *, secure: bool) -> None:
        self._sessions, self._by_token, self.cookie = sessions, by_token, SECURE_COOKIE if secure else PLAIN_COOKIE

    def __call__(self, metadata: Metadata, certificate: bytes | None) -> Caller:
        if any(name == "authorization" for name, _ in metadata):
            return self._by_token(metadata, certificate)
        secret = self.secret_of(metadata)
        session = self._sessions.session(secret)
        if _one(metadata, METHOD) not in SAFE:
            check_same_site(metadata)
            if not hmac.compare_digest(_one(metadata, "x-csrf").encode(), csrf_of(secret).encode()):
                raise Refused(ServiceReason.PERMISSION_DENIED, "the request isn't of this page: load the page again")
        return session.caller

    def may_wait(self, metadata: Metadata) -> bool:
        return True

    def secret_of(self, metadata: Metadata) -> str:
        """Raises Refused UNAUTHENTICATED."""
        found = cookie_of(_one(metadata, "cookie"), self.cookie)
        if not found:
            raise Refused(ServiceReason.UNAUTHENTICATED, "nobody is signed in here: sign in")
        return found


def check_same_site(metadata: Metadata) -> None:
    """Raises Refused PERMISSION_DENIED for a request that another site's page had the browser make."""
    site, origin, host = (_one(metadata, name) for name in ("sec-fetch-site", "origin", "host"))
    strange = site not in ("", "same-origin") or (origin and origin.partition("://")[2] != host)
    if strange:
        raise Refused(ServiceReason.PERMISSION_DENIED, "the request comes from another site's page")


def cookie_of(header: str, name: str) -> str:
    """Empty where there is none."""
    try:
        found = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _one(metadata: Metadata, name: str) -> str:
    """Empty where it isn't there; cookies may come in several headers."""
    return "; ".join(str(value) for key, value in metadata if key == name)
