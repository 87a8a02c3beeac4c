"""A browser's session: who signed in, and until when. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.access import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """`key` is the digest of what the browser holds; `began_at` and `seen_at` are the database's times (UTC)."""

    key: str
    caller: Caller
    began_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """A session ends `idle` after it was last used, and `longest` after it began, whatever comes first."""

    idle: timedelta
    longest: timedelta

    def ends_at(self, session: Session) -> datetime:
        return min(session.seen_at + self.idle, session.began_at + self.longest)
