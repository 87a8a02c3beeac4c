"""A case's good end in one call of the database: order DONE, its result, and what tells of it.

As statements of ours these would be parsed and planned anew for each case, which took longer than to run them.
"""

import json
from collections.abc import Sequence
from typing import Any

from server.domain.ports import Claim, Delivery
from server.domain.result import Result
from server.store import outbox, results

FINISH = """
SELECT chromogen_finish(%(lab)s, %(subject)s, %(order_id)s, %(token)s, %(result_id)s, %(result)s, %(scores)s,
    %(histograms)s, %(packed)s, %(artifacts)s, %(deliveries)s) AS done
"""
"""`done` is false where the claim is lost, and nothing is written."""


def given(claim: Claim, result: Result, deliveries: Sequence[tuple[Delivery, str]]) -> dict[str, Any]:
    """What FINISH asks for, but in whose name; each delivery with the digest of its file, queued as by `outbox.add`."""
    return {
        "order_id": claim.order.id,
        "token": claim.token,
        **results.given(result, claim.order.request.lab, deliveries),
        "deliveries": json.dumps(outbox.rows_of(claim.order, result.id, deliveries)),
    }
