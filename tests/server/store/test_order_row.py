"""An order is kept whole: a field that the store forgets would be lost in silence wherever it has a default."""

from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, get_args, get_type_hints

import pytest
import sqlalchemy as sa

from server.domain.order import Request
from server.store.store import PostgresStore


def filled(kind: Any, name: str) -> Any:
    """A value of that type which is no field's default: texts are the field's own name."""
    kind = next((each for each in get_args(kind) if each is not type(None)), kind)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return kind(**{each.name: filled(hints[each.name], f"{name}.{each.name}") for each in fields(kind)})
    if issubclass(kind, StrEnum):
        return list(kind)[-1]
    if issubclass(kind, datetime):
        return datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    return date(1950, 2, 28) if issubclass(kind, date) else kind(name)


@pytest.mark.postgres
def test_every_field_of_a_request_comes_back_from_the_store(engine: sa.Engine) -> None:
    request = filled(Request, "request")
    store = PostgresStore(engine)
    order, new = store.accept(request)
    assert new
    assert order.request == request
    assert store.order(order.id).order.request == request
