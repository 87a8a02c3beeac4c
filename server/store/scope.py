"""What every call of the API has in common in the store: a transaction in the actor's name, and rows of their
laboratory only.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, DateTime, Engine, Select, Uuid, literal, true, tuple_
from sqlalchemy.sql import ColumnElement

from server.domain.access import ALL_LABS, Caller
from server.domain.errors import Failed, Refused, ServiceReason
from server.domain.views import PageKey
from server.store.database import transaction


class Scoped:
    """Base of the repositories on PostgreSQL.

    Every method raises Failed DATABASE_UNREACHABLE (retryable) or DATABASE_FAILED too.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def _transaction(self, actor: Caller) -> Iterator[Connection]:
        """Committed on leaving, unless the caller has gone. Raises Failed CANCELLED; then nothing is kept."""
        with transaction(self._engine, lab=actor.lab, subject=actor.subject) as connection:
            yield connection
            if not actor.still_there():
                raise Failed(ServiceReason.CANCELLED, "the caller has gone: nothing was kept")


def of_lab(column: ColumnElement[str], actor: Caller) -> ColumnElement[bool]:
    """Is a row of the actor's laboratory?"""
    return true() if actor.lab == ALL_LABS else column == actor.lab


def page_of(statement: Select[Any], columns: Sequence[ColumnElement[Any]], after: PageKey, limit: int) -> Select[Any]:
    """At most `limit` + 1 rows after a page's end, by `columns` descending (their values identify a row).

    Raises Refused PAGE_TOKEN_INVALID.
    """
    if after:
        statement = statement.where(tuple_(*columns) < tuple_(*(literal(*b) for b in _bounds(columns, after))))
    return statement.order_by(*(column.desc() for column in columns)).limit(limit + 1)


def _bounds(columns: Sequence[ColumnElement[Any]], after: PageKey) -> list[tuple[Any, Any]]:
    readers: dict[type, Callable[[str], Any]] = {
        DateTime: datetime.fromisoformat,
        BigInteger: _number,
        Uuid: lambda text: str(uuid.UUID(text)),
    }
    try:
        return [(readers[type(c.type)](text), c.type) for text, c in zip(after, columns, strict=True)]
    except ValueError:
        raise Refused(
            ServiceReason.PAGE_TOKEN_INVALID, "the page token is of another list: begin at the first page"
        ) from None


def _number(text: str) -> int:
    """Raises ValueError for what a bigint can't hold, too."""
    found = int(text)
    if not -(2**63) <= found < 2**63:
        raise ValueError(text)
    return found


def given(*wanted: tuple[object, Callable[[Any], ColumnElement[bool]]]) -> list[ColumnElement[bool]]:
    """The conditions whose value is asked for: pairs of a value and what makes a condition of it."""
    return [condition(value) for value, condition in wanted if value]


def is_uuid(text: str) -> bool:
    """In its canonical form?"""
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False


def key_text(value: Any) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
