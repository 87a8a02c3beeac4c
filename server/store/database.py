"""The connection to PostgreSQL, and the one place that turns its errors into ours."""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg2
from sqlalchemy import Connection, Engine, TextClause, create_engine, exc, text
from sqlalchemy.engine import make_url

from server.domain.access import ALL_LABS
from server.domain.errors import ChromogenError, Failed, Refused, ServiceReason
from server.settings import Database

DRIVER = "postgresql+psycopg2"
POOL = 10

OPTIONS = "-c timezone=UTC -c statement_timeout=60000 -c idle_in_transaction_session_timeout=60000"

SCOPE = text("SELECT set_config('chromogen.lab', :lab, true), set_config('chromogen.subject', :subject, true)")
"""What row-level security and the audit ask for; it ends with the transaction."""
SCOPE_UNSORTED = text(f"{SCOPE.text}, set_config('enable_sort', 'off', true)")

_UNREACHABLE = (
    exc.OperationalError,
    exc.InterfaceError,
    exc.TimeoutError,
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
)

_OF_CONTENT = ("22", "54")
"""Classes of SQLSTATE: a value that a type can't hold, one too large for an index. Sent again, it is refused again."""


def connect(url: str, *, pool: int = POOL) -> Engine:
    """An engine; nothing connects yet. `url` is postgresql:// with or without a driver.

    Raises Refused SETTING_INVALID.
    """
    parsed = make_url(sqlalchemy_url(url))
    own_options = str(parsed.query.get("options", ""))
    return create_engine(
        parsed.difference_update_query(["options"]),
        pool_size=pool,
        max_overflow=pool,
        pool_timeout=30,
        hide_parameters=True,  # statements of ours carry patients
        connect_args={
            "application_name": "chromogen",
            "connect_timeout": 10,
            # a cut network line must not hang a worker for the two hours that Linux would wait
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 20_000,
            "options": f"{OPTIONS} {own_options}",
        },
    )


def address_of(wanted: Database) -> str:
    """The configured database with its password, wherever that comes from; empty: none is.

    Raises Refused SETTING_INVALID.
    """
    url, file = wanted.url.get_secret_value(), wanted.password_file
    if file is None:
        return url
    parsed = make_url(sqlalchemy_url(url))
    if parsed.password or not parsed.username:
        raise Refused(
            ServiceReason.SETTING_INVALID,
            "CHROMOGEN_DATABASE_PASSWORD_FILE: CHROMOGEN_DATABASE_URL must name a user, and no "
            "password beside the file's",
        )
    try:
        password = file.read_text().strip("\r\n")
    except (OSError, ValueError):
        raise Refused(
            ServiceReason.SETTING_INVALID, f"CHROMOGEN_DATABASE_PASSWORD_FILE: {file} can't be read"
        ) from None
    if not password:
        raise Refused(ServiceReason.SETTING_INVALID, f"CHROMOGEN_DATABASE_PASSWORD_FILE: {file} is empty")
    return parsed.set(password=password).render_as_string(hide_password=False)


def sqlalchemy_url(url: str) -> str:
    """With the psycopg2 driver. Raises Refused SETTING_INVALID."""
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        parsed = None
    if parsed is None or parsed.get_backend_name() not in ("postgresql", "postgres"):
        raise Refused(ServiceReason.SETTING_INVALID, "CHROMOGEN_DATABASE_URL is no postgresql:// address")
    return parsed.set(drivername=DRIVER).render_as_string(hide_password=False)


def as_role(url: str, role: str) -> str:
    """The same address; who connects by it acts as `role` from the first statement on."""
    return (
        make_url(sqlalchemy_url(url))
        .update_query_dict({"options": f"-c role={role}"})
        .render_as_string(hide_password=False)
    )


def libpq_url(url: str) -> str:
    """The same address as libpq takes it (for procrastinate's psycopg 3)."""
    parsed = make_url(sqlalchemy_url(url)).set(drivername="postgresql")
    address, _, query = parsed.render_as_string(hide_password=False).partition("?")
    return f"{address}?{query.replace('+', '%20')}" if query else address  # SQLAlchemy's '+' is no space to libpq


def unproven_hosts(url: str) -> list[str]:
    """Hosts of this address that needn't prove their name (sslmode=verify-full); a socket in a folder is no host."""
    parsed = make_url(sqlalchemy_url(url))
    if parsed.query.get("sslmode") == "verify-full":
        return []
    return [
        host
        for host in (parsed.host or "", *parsed.normalized_query.get("host", ()))
        if host and not host.startswith("/")
    ]


@contextmanager
def transaction(
    engine: Engine, *, lab: str = ALL_LABS, subject: str = "", unsorted: bool = False
) -> Iterator[Connection]:
    """One transaction, committed on leaving, in which row-level security shows the rows of `lab` alone.

    `subject` is who the audit names; empty: the role that is connected. `unsorted`: rows come in the order of an index,
    and not by sorting all to take the first, which PostgreSQL prefers where it takes them for few: it can't estimate a
    policy, and a queue grows faster than its statistics. Raises Failed DATABASE_UNREACHABLE (retryable),
    DATABASE_FAILED; Refused ARGUMENT_INVALID for a value that it can't hold. What the driver says is not chained: it
    quotes values.
    """
    with (
        _our_errors(),
        _begun(engine, SCOPE_UNSORTED if unsorted else SCOPE, {"lab": lab, "subject": subject}) as connection,
    ):
        yield connection
        connection.commit()


def called(engine: Engine, function: str, given: Mapping[str, Any], *, again: bool = True) -> dict[str, Any] | None:
    """The first row of one call of a function of the database, which says itself in whose name: a transaction of its
    own.

    One exchange with the server, where a `transaction` takes four; by the driver alone, as SQLAlchemy's own work for a
    statement takes as long. A connection that died in the pool is replaced, and the call made once more (`again`): it
    may have died with the answer, so the function has to bear that. Identifiers come as text. Raises as `transaction`
    does.
    """
    with _our_errors(), _autocommitting(engine) as connection:
        try:
            with connection.cursor() as cursor:
                cursor.execute(function, given)
                row = cursor.fetchone()
                return row and {
                    column.name: _plain(value) for column, value in zip(cursor.description, row, strict=True)
                }
        except psycopg2.Error:
            if not (again and connection.closed):
                raise
    engine.dispose()  # of those in the pool others may have died too
    return called(engine, function, given, again=False)


@contextmanager
def _autocommitting(engine: Engine) -> Iterator[Any]:
    """A connection of the pool as the driver has it."""
    pooled = engine.raw_connection()
    connection: Any = pooled.driver_connection
    try:
        connection.autocommit = True
        yield connection
    finally:
        if connection.closed:
            pooled.invalidate()
        else:
            connection.autocommit = False
        pooled.close()


def _plain(value: object) -> object:
    return str(value) if isinstance(value, uuid.UUID) else value


@contextmanager
def _our_errors() -> Iterator[None]:
    try:
        yield
    except (exc.DBAPIError, exc.TimeoutError, psycopg2.Error) as error:
        raise _ours(error) from None


def _ours(error: Exception) -> ChromogenError:
    state = str(getattr(getattr(error, "orig", None) or error, "pgcode", None) or "")
    if state.startswith(_OF_CONTENT):  # before all else: the driver calls some of them operational
        message = f"the database can't hold a value of this request ({_name(error)}): shorten or correct it"
        return Refused(ServiceReason.ARGUMENT_INVALID, message)
    if isinstance(error, _UNREACHABLE):
        message = f"the database doesn't answer or gave up ({_name(error)})"
        return Failed(ServiceReason.DATABASE_UNREACHABLE, message, retryable=True)
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return Failed(ServiceReason.DATABASE_UNREACHABLE, "the database closed the connection", retryable=True)
    message = f"the database refused a statement ({_name(error)}); is it migrated?"
    return Failed(ServiceReason.DATABASE_FAILED, message)


def _begun(engine: Engine, scope: TextClause, values: Mapping[str, str], *, again: bool = True) -> Connection:
    """A connection in a transaction of its own.

    One that died in the pool shows it at this first statement, and is replaced.
    """
    connection = engine.connect()
    try:
        connection.execute(scope, values)
    except BaseException as error:
        connection.close()
        if again and isinstance(error, exc.DBAPIError) and error.connection_invalidated:
            return _begun(
                engine, scope, values, again=False
            )  # with the first, the pool has dropped all that are as old
        raise
    return connection


def _name(error: Exception) -> str:
    return type(getattr(error, "orig", None) or error).__name__
