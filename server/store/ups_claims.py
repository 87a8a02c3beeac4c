"""`server.domain.ups.UpsClaims` on PostgreSQL: holds on items of worklists, and the objects that came of them."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Engine, and_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.sql import ColumnElement

from server.domain.artifact import NATURES, Nature
from server.domain.errors import ChromogenError
from server.domain.order import OrderId
from server.domain.ports import OrderView
from server.domain.states import DeliveryState
from server.domain.ups import Output, UpsClaim, UpsOutcome
from server.slides.dicom_header import read_instance_header
from server.store.database import transaction
from server.store.tables import outbox, ups_claims

OBJECTS = sorted(kind for kind, nature in NATURES.items() if nature is Nature.OBJECT)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How an object is had from a destination: from an AE title, or at an address; neither: from a folder."""

    aet: str = ""
    url: str = ""


class PostgresUpsClaims:
    """Each method one transaction. `ways` by the name of a destination.

    Every method raises Failed DATABASE_UNREACHABLE (retryable) or DATABASE_FAILED.
    """

    def __init__(self, engine: Engine, ways: Mapping[str, Way]) -> None:
        self._engine, self._ways = engine, ways

    def of(self, lab: str, worklist: str, uid: str) -> UpsClaim:
        transaction_uid = f"2.25.{uuid.uuid4().int}"
        values = {"lab": lab, "worklist": worklist, "item_uid": uid, "transaction_uid": transaction_uid}
        with transaction(self._engine, lab=lab, subject=worklist) as connection:
            connection.execute(upsert(ups_claims).values(values).on_conflict_do_nothing())
            found = select(ups_claims).where(_is(lab, worklist, uid))
            return _claim(connection.execute(found).mappings().one())

    def open(self, lab: str, worklist: str) -> list[UpsClaim]:
        mine = (ups_claims.c.lab == lab, ups_claims.c.worklist == worklist, ups_claims.c.outcome.is_(None))
        statement = select(ups_claims).where(*mine).order_by(ups_claims.c.claimed_at, ups_claims.c.item_uid)
        with transaction(self._engine, lab=lab, subject=worklist) as connection:
            return [_claim(row) for row in connection.execute(statement).mappings()]

    def ordered(self, claim: UpsClaim, order_id: OrderId) -> None:
        self._change(claim, {"order_id": order_id})

    def end(self, claim: UpsClaim, outcome: UpsOutcome) -> None:
        self._change(claim, {"outcome": outcome})

    def outputs(self, lab: str, view: OrderView) -> list[Output] | None:
        """What was given up by the outbox, or can't be read any more, is none."""
        wanted = (outbox.c.result_id == view.result_id, outbox.c.kind.in_(OBJECTS))
        statement = select(outbox.c.state, outbox.c.path, outbox.c.destination).where(*wanted).order_by(outbox.c.id)
        with transaction(self._engine, lab=lab) as connection:
            rows = connection.execute(statement).all()
        if any(row.state == DeliveryState.WAITING for row in rows):
            return None
        sent = ((Path(row.path), row.destination) for row in rows if row.state == DeliveryState.SENT)
        return [output for path, to in sent for output in _output(path, self._ways.get(to, Way()))]

    def _change(self, claim: UpsClaim, values: Mapping[str, Any]) -> None:
        with transaction(self._engine, lab=claim.lab, subject=claim.worklist) as connection:
            found = update(ups_claims).where(_is(claim.lab, claim.worklist, claim.uid))
            connection.execute(found.values(**values))


def _output(path: Path, way: Way) -> list[Output]:
    try:
        header = read_instance_header(path, described=False)
    except (ChromogenError, OSError) as error:
        log.warning("output_not_read", file=path.name, error=type(error).__name__)
        return []
    return [
        Output(
            sop_class_uid=header.sop_class_uid,
            sop_instance_uid=header.sop_instance_uid,
            study_uid=header.study_uid,
            series_uid=header.series_uid,
            aet=way.aet,
            url=way.url,
        )
    ]


def _is(lab: str, worklist: str, uid: str) -> ColumnElement[bool]:
    return and_(ups_claims.c.lab == lab, ups_claims.c.worklist == worklist, ups_claims.c.item_uid == uid)


def _claim(row: Mapping[Any, Any]) -> UpsClaim:
    return UpsClaim(
        lab=row["lab"],
        worklist=row["worklist"],
        uid=row["item_uid"],
        transaction_uid=row["transaction_uid"],
        order_id=None if row["order_id"] is None else OrderId(row["order_id"]),
        outcome=None if row["outcome"] is None else UpsOutcome(row["outcome"]),
    )
