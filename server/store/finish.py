"""A case's good end in one call of the database: order DONE, its result and scores, and what tells of them (migration 0006).

As statements of ours they would be parsed and planned anew for each case, which took longer than to run them.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, text

from server.domain.ports import Claim, Delivery
from server.domain.result import Result
from server.store import orders, outbox, results

FINISH = text(
    "SELECT chromogen_finish(:order_id, :token, CAST(:result AS jsonb), :hue_value, :density,"
    " CAST(:scores AS jsonb), CAST(:deliveries AS jsonb))"
)


def finish(connection: Connection, claim: Claim, result: Result, deliveries: Sequence[tuple[Delivery, str]]) -> None:
    """Each delivery with the digest of its file, queued as by `outbox.add`. Raises Failed ATTEMPT_LOST."""
    given = {
        "order_id": claim.order.id,
        "token": claim.token,
        "result": json.dumps(results.header(result, claim.order.request.lab), default=datetime.isoformat),
        **results.histograms(result),
        "scores": json.dumps(results.score_rows(result)),
        "deliveries": json.dumps(outbox.rows_of(claim.order, result.id, deliveries)),
    }
    if not connection.execute(FINISH, given).scalar_one():
        raise orders.lost(claim)
