"""Who may connect as what. Row-level security binds neither a superuser, nor BYPASSRLS, nor who may make himself the
owner.

The roles are made by the first migration (or beforehand by deploy/roles.sql, where who migrates may make none):
chromogen_api takes orders, reads and signs; chromogen_worker runs cases; chromogen_audit reads the audit;
chromogen_service is both of the first, for an installation with one account.
"""

from sqlalchemy import Engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry

from server.domain.errors import Refused, ServiceReason

SERVICE = "chromogen_service"

UNFIT = """
SELECT CASE
    WHEN rolsuper THEN 'a superuser'
    WHEN rolbypassrls THEN 'a role with BYPASSRLS'
    WHEN EXISTS (
        SELECT FROM pg_class WHERE relname IN ('orders', 'results', 'audit') AND relkind = 'r'
        AND relnamespace = current_schema()::regnamespace AND pg_has_role(rolname, relowner, 'MEMBER')
    ) THEN 'the owner of the tables'
END FROM pg_roles WHERE rolname IN (session_user, current_user) ORDER BY 1 NULLS LAST LIMIT 1
"""
"""What row-level security would not hold about whoever is connected; null: it holds."""


def guard(engine: Engine) -> None:
    """Refuse every connection of `engine` that row-level security would not bind, also later, when
    a role was changed.
    """

    @event.listens_for(engine, "connect")
    def check(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        cursor.execute(UNFIT)
        (found,) = cursor.fetchone() or (None,)
        cursor.close()
        connection.rollback()
        if found is not None:
            raise _refusal(found)


def _refusal(found: str) -> Refused:
    advice = "connect as a member of chromogen_api, chromogen_worker or chromogen_service (docs/operations.md)"
    return Refused(
        ServiceReason.SETTING_INVALID, f"CHROMOGEN_DATABASE_URL connects as {found}, whom no policy binds: {advice}"
    )
