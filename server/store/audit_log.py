"""What the audit must hold beside changes, which the database notes itself: who was refused, and who saw a patient."""

import structlog
from sqlalchemy import Connection, Engine, text

from server.domain.access import Caller
from server.domain.errors import Failed
from server.store.database import transaction

NOTE = text("SELECT chromogen_note(:action, :object, :outcome)")

log = structlog.get_logger()


def note(connection: Connection, action: str, thing: str, outcome: str = "") -> None:
    """One line of the audit, in the caller's transaction and in its name. `thing` such as orders/UUID.

    The database takes only actions that its own triggers don't tell of (migrations/sql/audit_note.sql).
    """
    connection.execute(NOTE, {"action": action, "object": thing, "outcome": outcome})


class RefusedCallLog:
    """Notes calls that a caller may not make."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, actor: Caller, method: str) -> None:
        """Raises nothing: the call is refused whether or not that can be written down."""
        try:
            with transaction(self._engine, lab=actor.lab, subject=actor.subject) as connection:
                note(connection, "call.refuse", f"methods/{method.rsplit('/', 1)[-1]}", "PERMISSION_DENIED")
        except Failed as error:
            log.error("refusal_not_noted", reason=str(error.reason))
