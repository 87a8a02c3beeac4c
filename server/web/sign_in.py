"""Signing in and out: by the issuer (OIDC's code flow with PKCE), or as the local user of a demonstration.

Nothing is kept of a sign-in that is under way but in the browser: state, nonce and verifier are digests of one secret
in its cookie.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from server.domain.access import Caller
from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.services import permissions
from server.services.sessions import SessionService, csrf_of
from server.web.browser import AuthenticateBrowser, check_same_site, cookie_of
from server.web.door import METHOD, Json, Operation
from server.web.oidc import Issuer

BACK = "/sign-in/back"
UNDER_WAY = "chromogen-sign-in"
UNDER_WAY_S = 600
PLACE = re.compile(r"/(case/[0-9a-f-]{36}|image|microscope|estimates)?")
"""Where a browser may be sent once it signed in."""

VerifyIdToken = Callable[[str, str], Caller]
"""An ID token and the nonce that it must hold, to its caller. Raises Refused TOKEN_INVALID, TOKEN_EXPIRED."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """To sign in: by `issuer` with what verifies its tokens, as `local`, both, or none."""

    issuer: Issuer | None = None
    verify: VerifyIdToken | None = None
    local: Caller | None = None


class SignIn:
    """The addresses of one server; cookies are `Secure` where browsers come by TLS."""

    def __init__(
        self,
        sessions: SessionService,
        browser: AuthenticateBrowser,
        ways: Ways,
        *,
        secure: bool,
        ended: Callable[[Caller], None],
    ) -> None:
        """`ended` is told who signed out."""
        self._sessions, self._browser, self._ways, self._secure = sessions, browser, ways, secure
        self._ended = ended

    def routes(self) -> Iterator[BaseRoute]:
        """Without a session: there is none yet."""
        yield Route("/sign-in/ways", self._told, methods=["GET"])
        yield Route("/sign-in", self._begin, methods=["GET"])
        yield Route(BACK, self._back, methods=["GET"])
        yield Route("/sign-in/local", self._local, methods=["POST"])

    def operations(self) -> Iterator[Operation]:
        yield Operation(path="/data/session", method="GET", name=permissions.GET_SESSION, work=self._session)
        yield Operation(path="/data/sign-out", method="POST", name=permissions.END_SESSION, work=self._end)

    async def _told(self, _: Request) -> Response:
        local = None if self._ways.local is None else self._ways.local.subject
        return JSONResponse({"issuer": self._ways.issuer is not None, "local": local})

    async def _begin(self, request: Request) -> Response:
        issuer = self._ways.issuer
        if issuer is None:
            raise Refused(ServiceReason.NOT_IMPLEMENTED, "no issuer is set here to sign in by")
        secret, place = secrets.token_urlsafe(32), _place(request.query_params.get("to", "/"))
        named = {name: _derived(secret, name) for name in ("state", "nonce", "verifier")}
        address = await to_thread.run_sync(partial(issuer.address, **named))
        answer = RedirectResponse(address, 303)
        self._set(answer, UNDER_WAY, f"{secret}.{place}", "/sign-in", UNDER_WAY_S)
        return answer

    async def _back(self, request: Request) -> Response:
        """A person reads what goes wrong here, so it becomes a word for the page."""
        secret, _, place = cookie_of(request.headers.get("cookie", ""), UNDER_WAY).partition(".")
        try:
            caller = await to_thread.run_sync(self._confirmed, request, secret)
            answer = await self._signed_in(caller, _place(place))
        except ChromogenError as error:
            answer = RedirectResponse(f"/?sign-in={error.reason}", 303)
        answer.delete_cookie(UNDER_WAY, path="/sign-in")
        return answer

    def _confirmed(self, request: Request, secret: str) -> Caller:
        issuer, verify, asked = self._ways.issuer, self._ways.verify, request.query_params
        state, code = asked.get("state", ""), asked.get("code", "")
        if issuer is None or verify is None or not secret:
            raise Refused(ServiceReason.UNAUTHENTICATED, "no sign-in is under way in this browser")
        if not hmac.compare_digest(state.encode(), _derived(secret, "state").encode()) or not code:
            raise Refused(ServiceReason.UNAUTHENTICATED, "the answer is not of the sign-in that this browser began")
        return verify(issuer.id_token(code, _derived(secret, "verifier")), _derived(secret, "nonce"))

    async def _local(self, request: Request) -> Response:
        local = self._ways.local
        if local is None:
            raise Refused(ServiceReason.PERMISSION_DENIED, "nobody signs in without a password here")
        check_same_site([(METHOD, request.method), *request.headers.items()])
        return await self._signed_in(local, _place(request.query_params.get("to", "/")))

    async def _signed_in(self, caller: Caller, place: str) -> Response:
        secret = await to_thread.run_sync(self._sessions.begin, caller)
        answer = RedirectResponse(place, 303)
        self._set(answer, self._browser.cookie, secret, "/", None)
        return answer

    def _session(self, request: Request, caller: Caller) -> Json:
        """Who is signed in, what the page must show to change anything, and for how long."""
        secret = self._browser.secret_of(list(request.headers.items()))
        session = self._sessions.session(secret)
        return {
            "subject": caller.subject,
            "laboratory": caller.lab,
            "roles": sorted(caller.roles),
            "csrf": csrf_of(secret),
            "ends_in_s": int(self._sessions.left(session).total_seconds()),
        }

    def _end(self, request: Request, caller: Caller) -> Response:
        self._sessions.end(self._browser.secret_of(list(request.headers.items())))
        self._ended(caller)
        answer = JSONResponse({"signed_out": True})
        answer.delete_cookie(self._browser.cookie, path="/", secure=self._secure, httponly=True, samesite="lax")
        return answer

    def _set(self, answer: Response, name: str, value: str, path: str, max_age: int | None) -> None:
        answer.set_cookie(
            name, value, max_age=max_age, path=path, secure=self._secure, httponly=True, samesite="lax"
        )  # lax: the LIS's link to a case must find who is signed in


def _derived(secret: str, name: str) -> str:
    return hashlib.sha256(f"{name} {secret}".encode()).hexdigest()


def _place(asked: str) -> str:
    return asked if PLACE.fullmatch(asked) else "/"
