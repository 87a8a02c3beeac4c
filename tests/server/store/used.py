"""Rows of a laboratory's use that no case makes: a job, a comment, a browser's session."""

import uuid

import sqlalchemy as sa

from server.store.database import transaction
from server.store.tables import metadata


def add_used_rows(engine: sa.Engine, lab: str) -> None:
    """One of each; the laboratory needs a result."""
    told = {"lab": lab, "subject": "invented"}
    with transaction(engine, lab=lab) as connection:
        chosen = connection.exec_driver_sql("SELECT id FROM results LIMIT 1").scalar_one()
        job = {"id": str(uuid.uuid4()), "kind": "CALIBRATION", "request_id": "1", "given": {}}
        range_ = {"marker": "ER", "kind": "positive", "measure": "POSITIVE", "least_cells": 1, "request_id": "1"}
        rows = {
            "jobs": job,
            "comments": {"result_id": chosen, "said": "-"},
            "estimates": {"result_id": chosen, "measure": "HSCORE", "region": "all", "value": 1, "score_shown": True},
            "web_sessions": {"key": lab, "roles": []},
            "control_ranges": range_,
            "ups_claims": {"worklist": "w", "item_uid": "1", "transaction_uid": "2"},
        }
        validation = {"id": str(uuid.uuid4()), "name": "er", "revision": 1, "marker": "ER", "model_sha256": "0"}
        rows["validations"] = validation | {"found": {}, "asked": [], "request_id": "1"}
        rows["rescore_requests"] = {"result_id": chosen, "request_id": "1", "profile": "er/1"}
        rows["validation_signatures"] = {"validation_id": validation["id"]}
        for table, row in rows.items():
            values = row | {name: value for name, value in told.items() if name in metadata.tables[table].c}
            connection.execute(sa.insert(metadata.tables[table]), values)
