"""Artifacts as rows: the files that a case, a signature or a refusal leaves, in the caller's transaction."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert, select

from server.domain.artifact import Artifact, ArtifactKind
from server.domain.order import OrderId
from server.domain.ports import Delivery
from server.domain.result import ResultId
from server.store.tables import artifacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Whose artifacts they are: a result's, which knows its order, or an order's that has none."""

    lab: str
    order_id: OrderId | None
    result_id: ResultId | None


def rows_of(
    origin: Origin, kept: Iterable[Artifact], deliveries: Iterable[tuple[Delivery, str]] = ()
) -> list[dict[str, Any]]:
    """Of files that are kept, and of those that are sent, each with its digest; a file is one, wherever it is sent."""
    rows = {str(artifact.path): _row(origin, artifact, None) for artifact in kept}
    for delivery, sha256 in deliveries:
        sent = Artifact(kind=delivery.kind, path=delivery.path, identifier=delivery.message_id)
        rows[str(delivery.path)] = _row(origin, sent, sha256)
    return list(rows.values())


def _row(origin: Origin, artifact: Artifact, sha256: str | None) -> dict[str, Any]:
    return {
        "lab": origin.lab,
        "order_id": None if origin.result_id else origin.order_id,
        "result_id": origin.result_id,
        "kind": artifact.kind,
        "path": str(artifact.path),
        "sha256": sha256,
        "identifier": artifact.identifier,
    }


def add(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(artifacts), rows)


def kept_with(connection: Connection, result_ids: Sequence[str]) -> dict[str, list[Artifact]]:
    """By result, the files that never leave: what is sent of a result comes with its signatures too."""
    found: dict[str, list[Artifact]] = {name: [] for name in result_ids}
    mine = (artifacts.c.result_id.in_(result_ids), artifacts.c.identifier == "")
    for row in connection.execute(select(artifacts).where(*mine).order_by(artifacts.c.id)):
        found[row.result_id].append(Artifact(kind=ArtifactKind(row.kind), path=Path(row.path)))
    return found
