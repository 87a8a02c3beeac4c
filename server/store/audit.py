"""The audit: who did what to which object, when, with what outcome; no patient data. Hash-chained, so that a change
shows.

PostgreSQL writes it (migrations/sql/audit_*.sql): triggers at the commit of every order's, result's, profile's and
delivery's change, so that no code can forget it. Each laboratory has eight chains; a row's hash is of its fields and
of the hash before it. Here the hashes are computed again, outside of the database, since who can change rows there can
change functions as well.

A chain that was computed anew, or whose end was cut off, is whole: that is for `heads`, written down elsewhere, to show
(`server.store.audit_heads`).
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import groupby
from typing import NamedTuple

from sqlalchemy import BigInteger, Connection, RowMapping, Select, cast, extract, select, text

from server.domain.access import Caller
from server.domain.views import AuditEntry, AuditFilter, AuditVerdict, Page, PageKey
from server.store.scope import Scoped, given, of_lab, page_of
from server.store.tables import audit

BATCH = 10_000

MICROSECONDS = cast(extract("epoch", audit.c.at) * 1_000_000, BigInteger)


class Row(NamedTuple):
    """A row as it is hashed; a million of them go by."""

    id: int
    lab: str
    chain: int
    number: int
    microseconds: int
    subject: str
    action: str
    object: str
    outcome: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain: how long it is, and the hash that stands for all of it."""

    lab: str
    chain: int
    number: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`broken` are the ids of the rows at which a chain doesn't hold: changed ones, and those after a missing one.

    `gone` are ends of chains that were written down elsewhere, and that no chain holds: it was rewritten, or cut off.
    """

    entries: int
    broken: tuple[int, ...]
    heads: tuple[Head, ...]
    gone: tuple[Head, ...] = ()

    @property
    def intact(self) -> bool:
        return not (self.broken or self.gone)


def digest(previous: str, row: Row) -> str:
    """The hash that a row must have after `previous` (empty for the first): SHA-256 of all fields, each with its
    length.
    """
    parts = (
        previous,
        row.lab,
        str(row.chain),
        str(row.number),
        str(row.microseconds),
        row.subject,
        row.action,
        row.object,
        row.outcome,
    )
    encoded = [part.encode() for part in parts]
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in encoded)).hexdigest()


def verify(connection: Connection, written: Collection[Head] = ()) -> Verdict:
    """Compute all chains again, as far as the connection sees them. Memory is flat, but for broken rows.

    `written` are ends that were written down elsewhere.
    """
    gone = set(written)
    connection.execute(text("SET LOCAL statement_timeout = 0"))
    entries, broken, heads = 0, list[int](), list[Head]()
    for _, rows in groupby(_rows(connection), key=lambda row: (row.lab, row.chain)):
        before, last = "", None
        for number, row in enumerate(rows, 1):
            if row.hash != digest(before, row) or (row.number != number and not broken):
                broken.append(row.id)
            before, last, entries = row.hash, row, entries + 1
            if gone:
                gone.discard(_head(row))
        if last is not None:
            heads.append(_head(last))
    in_order = sorted(gone, key=lambda head: (head.lab, head.chain, head.number))
    return Verdict(entries=entries, broken=tuple(broken), heads=tuple(heads), gone=tuple(in_order))


def _head(row: Row) -> Head:
    return Head(lab=row.lab, chain=row.chain, number=row.number, hash=row.hash)


def _rows(connection: Connection) -> Iterator[Row]:
    """Chain by chain, each in its order."""
    c = audit.c
    columns = (c.id, c.lab, c.chain, c.number, MICROSECONDS, c.subject, c.action, c.object, c.outcome, c.hash)
    statement = select(*columns).order_by(c.lab, c.chain, c.number)
    streamed = connection.execution_options(stream_results=True, max_row_buffer=BATCH)
    found: Iterable[Sequence[object]] = streamed.execute(statement).yield_per(BATCH)
    return (Row(*row) for row in found)  # type: ignore[arg-type]


class PostgresAuditRepository(Scoped):
    """`repositories.AuditRepository`."""

    def query(self, actor: Caller, wanted: AuditFilter, limit: int, after: PageKey) -> Page[AuditEntry]:
        statement = page_of(_wanted(actor, wanted), (audit.c.id,), after, limit)
        with self._transaction(actor) as connection:
            found = [_entry(row) for row in connection.execute(statement).mappings()]
        return Page(items=tuple(found[:limit]), next=(str(found[limit - 1].id),) if len(found) > limit else None)

    def verify(self, actor: Caller) -> AuditVerdict:
        with self._transaction(actor) as connection:
            verdict = verify(connection)
        return AuditVerdict(entries=verdict.entries, first_broken=min(verdict.broken, default=0))


def _wanted(actor: Caller, wanted: AuditFilter) -> Select[tuple[object, ...]]:
    c = audit.c
    conditions = given(
        (wanted.subject, lambda v: c.subject == v),
        (wanted.object, lambda v: c.object == v),
        (wanted.created_from, lambda v: c.at >= v),
        (wanted.created_until, lambda v: c.at < v),
    )
    return select(audit).where(of_lab(c.lab, actor), *conditions)


def _entry(row: RowMapping) -> AuditEntry:
    names = ("id", "lab", "subject", "action", "object", "outcome", "hash")
    return AuditEntry(at=row["at"].astimezone(UTC), **{name: row[name] for name in names})
