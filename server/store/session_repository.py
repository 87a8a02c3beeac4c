"""`repositories.SessionRepository` on PostgreSQL."""

from datetime import UTC, datetime

from sqlalchemy import RowMapping, delete, func, insert, select, update

from server.domain.access import Caller, Role
from server.domain.session import Session
from server.store.audit_log import note
from server.store.database import transaction
from server.store.scope import Scoped
from server.store.tables import web_sessions


class PostgresSessionRepository(Scoped):
    """Each method one transaction."""

    def begin(self, caller: Caller, key: str) -> Session:
        values = {"key": key, "lab": caller.lab, "subject": caller.subject, "roles": sorted(caller.roles)}
        with self._transaction(caller) as connection:
            made = connection.execute(insert(web_sessions).returning(web_sessions), values).mappings().one()
            note(connection, "session.begin", "sessions/web")
            return _session(made)

    def find(self, key: str) -> Session | None:
        """Of any laboratory: who asks isn't known yet."""
        with transaction(self._engine) as connection:
            row = connection.execute(select(web_sessions).where(web_sessions.c.key == key)).mappings().first()
            return None if row is None else _session(row)

    def touch(self, session: Session) -> Session:
        """Raises nothing where it was ended meanwhile: it stays as it was."""
        seen = update(web_sessions).where(web_sessions.c.key == session.key).values(seen_at=func.now())
        with self._transaction(session.caller) as connection:
            row = connection.execute(seen.returning(web_sessions)).mappings().first()
            return session if row is None else _session(row)

    def end(self, session: Session) -> None:
        with self._transaction(session.caller) as connection:
            gone = connection.execute(delete(web_sessions).where(web_sessions.c.key == session.key))
            if gone.rowcount:
                note(connection, "session.end", "sessions/web")

    def forget(self, before: datetime) -> int:
        with transaction(self._engine) as connection:
            return connection.execute(delete(web_sessions).where(web_sessions.c.seen_at < before)).rowcount


def _session(row: RowMapping) -> Session:
    caller = Caller(subject=row["subject"], lab=row["lab"], roles=frozenset(Role(role) for role in row["roles"]))
    began, seen = (row[name].astimezone(UTC) for name in ("began_at", "seen_at"))
    return Session(key=row["key"], caller=caller, began_at=began, seen_at=seen)
