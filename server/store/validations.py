"""`repositories.ValidationRepository` on PostgreSQL, and what the path of a case asks of validations."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC
from typing import Any

from sqlalchemy import Connection, RowMapping, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql import ColumnElement

from inference.calibration.agreement import CategoryAgreement, NumberAgreement
from server.domain.access import Caller
from server.domain.errors import Refused, ServiceReason
from server.domain.job import Json
from server.domain.validation import Agreement, Computed, Signature, Validation, ValidationId
from server.store.scope import Scoped, is_uuid, of_lab
from server.store.validation_tables import validation_signatures, validations


class PostgresValidationRepository(Scoped):
    """Each method one transaction."""

    def keep(self, actor: Caller, computed: Computed, asked: Sequence[Json], request_id: str) -> Validation:
        columns = {"id": str(uuid.uuid4()), "lab": actor.lab, "subject": actor.subject, "request_id": request_id}
        columns |= _columns(computed) | {"asked": json.loads(json.dumps(asked))}
        with self._transaction(actor) as connection:
            statement = upsert(validations).values(columns).on_conflict_do_nothing().returning(validations.c.id)
            if connection.execute(statement).first() is None:
                return _repeated(connection, actor, columns)
            return _one(connection, actor, columns["id"])

    def get(self, actor: Caller, validation_id: ValidationId) -> Validation:
        with self._transaction(actor) as connection:
            return _one(connection, actor, validation_id)

    def sign(self, actor: Caller, validation_id: ValidationId) -> Validation:
        with self._transaction(actor) as connection:
            view = _one(connection, actor, validation_id)
            row = {"validation_id": view.id, "lab": view.lab, "subject": actor.subject}
            connection.execute(upsert(validation_signatures).values(row).on_conflict_do_nothing())
            return _one(connection, actor, validation_id)

    def list(self, actor: Caller, name: str, revision: int) -> list[Validation]:
        with self._transaction(actor) as connection:
            return found(connection, of_lab(validations.c.lab, actor), name, revision)


def found(connection: Connection, whose: ColumnElement[bool], name: str, revision: int) -> list[Validation]:
    """Of a revision, newest first."""
    statement = select(validations).where(whose, validations.c.name == name, validations.c.revision == revision)
    rows = connection.execute(statement.order_by(validations.c.at.desc(), validations.c.id)).mappings().all()
    return [_of(connection, row) for row in rows]


def _columns(computed: Computed) -> dict[str, Any]:
    named = {name: getattr(computed, name) for name in ("name", "revision", "marker", "model_sha256")}
    agreements = [asdict(each) for each in computed.agreements]
    return named | {"found": {"slides": computed.slides, "same": computed.same, "agreements": agreements}}


def _repeated(connection: Connection, actor: Caller, columns: Mapping[str, Any]) -> Validation:
    """By what was asked: what is found over signed results may be another by now."""
    same = (validations.c.lab == actor.lab, validations.c.request_id == columns["request_id"])
    row = connection.execute(select(validations).where(*same)).mappings().one()
    if any(row[name] != columns[name] for name in ("name", "revision", "marker", "asked")):
        message = "request_id was used for another request: give each request its own"
        raise Refused(ServiceReason.REQUEST_ID_REUSED, message)
    return _of(connection, row)


def _one(connection: Connection, actor: Caller, validation_id: str) -> Validation:
    statement = select(validations).where(validations.c.id == validation_id, of_lab(validations.c.lab, actor))
    row = connection.execute(statement).mappings().first() if is_uuid(validation_id) else None
    if row is None:
        message = "no such validation in this laboratory: check the identifier"
        raise Refused(ServiceReason.VALIDATION_UNKNOWN, message)
    return _of(connection, row)


def _of(connection: Connection, row: RowMapping) -> Validation:
    c = validation_signatures.c
    signed = connection.execute(select(c.subject, c.at).where(c.validation_id == row["id"]).order_by(c.at, c.subject))
    kept = row["found"]
    return Validation(
        id=ValidationId(row["id"]),
        lab=row["lab"],
        name=row["name"],
        revision=row["revision"],
        marker=row["marker"],
        model_sha256=row["model_sha256"],
        slides=kept["slides"],
        same=kept["same"],
        agreements=tuple(map(_agreement, kept["agreements"])),
        by=row["subject"],
        made_at=row["at"].astimezone(UTC),
        signatures=tuple(Signature(by=s.subject, at=s.at.astimezone(UTC)) for s in signed),
    )


def _agreement(kept: Mapping[str, Any]) -> Agreement:
    values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in kept["found"].items()}
    found = NumberAgreement(**values) if "bias" in values else CategoryAgreement(**values)
    return Agreement(**{**kept, "found": found})
