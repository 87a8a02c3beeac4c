"""Items of a worklist for tests, and what performs them on a real PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from server.services.orders import OrderService
from server.store.order_repository import PostgresOrderRepository
from server.store.ups_claims import PostgresUpsClaims, Way
from server.ups import Performer
from tests.ups_peer import UpsPeer, made_item

SERIES, STUDY = "2.25.51", "2.25.5"


def item(peer: UpsPeer, **more: Any) -> str:
    return peer.add(made_item(SERIES, STUDY, **more))


def performer(engine: sa.Engine, peer: UpsPeer, **more: Any) -> Performer:
    return Performer(
        named=peer.named(**more),
        worklist=peer.worklist(**more),
        claims=PostgresUpsClaims(engine, {"pacs": Way(aet="PACS")}),
        orders=OrderService(PostgresOrderRepository(engine)),
        now=lambda: datetime.now(UTC),
    )


def told(peer: UpsPeer, uid: str) -> str:
    return str(peer.items[uid].ProcedureStepProgressInformationSequence[0].ReasonForCancellation)
