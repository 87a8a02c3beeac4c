"""Sessions of browsers: who signed in at the page, until when. What a browser holds is a secret of 256 bits; the store
knows its digest.
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from server.domain.access import Caller
from server.domain.clock import Clock, utc_now
from server.domain.errors import ChromogenError, Refused, ServiceReason
from server.domain.repositories import SessionRepository
from server.domain.session import Lifetime, Session
from server.services.opened import Kept

REMEMBERED_S = 5.0
"""A session is believed so long without asking the store: one that was ended elsewhere lives so much longer."""
TOUCH_AFTER_S = 60.0
"""That a session is used is written down so often at most."""
MOST_REMEMBERED = 1024

log = structlog.get_logger()


class SessionService:
    """Safe for threads. Methods raise what the store does, too."""

    def __init__(
        self,
        sessions: SessionRepository,
        lifetime: Lifetime,
        *,
        now: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
        revoked: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        """`revoked` are subjects that nobody acts for any more."""
        self._sessions, self._lifetime, self._now, self._monotonic = sessions, lifetime, now, monotonic
        self._revoked = revoked
        self._remembered: Kept[tuple[float, Session]] = Kept(MOST_REMEMBERED)

    def begin(self, caller: Caller) -> str:
        """What the browser is to hold."""
        secret = secrets.token_urlsafe(32)
        self._sessions.begin(caller, key_of(secret))
        self._forget_old()
        return secret

    def session(self, secret: str) -> Session:
        """Of who holds it. Raises Refused UNAUTHENTICATED where there is none, or none any more."""
        found = self._found(key_of(secret))
        if found is None or self._now() >= self._lifetime.ends_at(found):
            raise Refused(ServiceReason.UNAUTHENTICATED, "nobody is signed in here any more: sign in again")
        if found.caller.subject in self._revoked():
            raise Refused(ServiceReason.UNAUTHENTICATED, "who signed in here may not any more")
        return self._touched(found)

    def left(self, session: Session) -> timedelta:
        """Until it ends where nobody uses it."""
        return self._lifetime.ends_at(session) - self._now()

    def end(self, secret: str) -> None:
        """Nothing where there is none."""
        found = self._sessions.find(key_of(secret))
        if found is not None:
            self._sessions.end(found)
        self._remembered.forget(key_of(secret))

    def _found(self, key: str) -> Session | None:
        known = self._remembered.get(key)
        if known is not None and self._monotonic() - known[0] < REMEMBERED_S:
            return known[1]
        found = self._sessions.find(key)
        self._remembered.forget(key)
        if found is not None:
            self._remembered.put(key, (self._monotonic(), found))
        return found

    def _touched(self, session: Session) -> Session:
        if (self._now() - session.seen_at).total_seconds() < min(
            TOUCH_AFTER_S, self._lifetime.idle.total_seconds() / 4
        ):
            return session
        touched = self._sessions.touch(session)
        self._remembered.forget(session.key)
        self._remembered.put(session.key, (self._monotonic(), touched))
        return touched

    def _forget_old(self) -> None:
        try:
            self._sessions.forget(self._now() - self._lifetime.longest)
        except ChromogenError as error:
            log.warning("old_sessions_kept", reason=str(error.reason))


def key_of(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def csrf_of(secret: str) -> str:
    """What the page must show, beside the cookie that the browser sends by itself, to change anything."""
    return hashlib.sha256(f"csrf {secret}".encode()).hexdigest()
