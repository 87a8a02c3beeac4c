"""A case's good end in one call: parsed and planned once a connection, where five statements were for every case."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SIGNATURE = "chromogen_finish(uuid, uuid, jsonb, bytea, bytea, jsonb, jsonb)"

# With the caller's rights: row-level security and the grants on the tables bind it as they bind statements.
FINISH = """
CREATE FUNCTION chromogen_finish(
    of_order uuid, its_token uuid, result jsonb, hue_value bytea, density bytea, its_scores jsonb, deliveries jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    kept results := jsonb_populate_record(NULL::results, result);
BEGIN
    UPDATE orders SET state = 'DONE', token = NULL, lease_until = NULL, result_id = kept.id, progress = 1,
            reason = '', detail = '', updated_at = now()
        WHERE id = of_order AND state = 'RUNNING' AND token = its_token;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    kept.hue_value := hue_value;
    kept.density := density;
    INSERT INTO results VALUES (kept.*);
    INSERT INTO scores SELECT * FROM jsonb_populate_recordset(NULL::scores, its_scores);
    INSERT INTO outbox (lab, order_id, result_id, destination, kind, message_id, path, sha256)
        SELECT lab, order_id, result_id, destination, kind, message_id, path, sha256
        FROM jsonb_populate_recordset(NULL::outbox, deliveries) ON CONFLICT DO NOTHING;
    RETURN true;
END;
$$
"""


def upgrade() -> None:
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(FINISH)


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {SIGNATURE}")
