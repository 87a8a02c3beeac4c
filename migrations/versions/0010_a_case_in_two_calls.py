"""A case is two calls, each a transaction of its own: an order is taken, its case is finished.

As statements of ours each was eight exchanges with the server, and taking was parsed and planned anew for every case.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Sorting is off for its statements: to take the first of a queue PostgreSQL else prefers to sort all of it where it
# takes it for short. It can't estimate a policy, and a queue grows faster than its statistics. Whoever changes what is
# due or spent changes `server.store.orders` too (`_is_due`, `is_abandoned`).
TAKE = """
CREATE FUNCTION chromogen_take(by_subject text, lease_s double precision, most integer, only_stat boolean, new_token uuid)
RETURNS SETOF orders LANGUAGE plpgsql SET enable_sort TO off AS $$
DECLARE
    least_urgent smallint := CASE WHEN only_stat THEN 0 ELSE 2 END;
    taken uuid;
BEGIN
    PERFORM set_config('chromogen.lab', '*', true), set_config('chromogen.subject', by_subject, true);
    SELECT id INTO taken FROM orders
        WHERE state IN ('QUEUED', 'RUNNING') AND rank <= least_urgent
        AND (state = 'QUEUED' AND due_at <= now()
            OR state = 'RUNNING' AND lease_until < now() AND attempt < most AND ending IS NULL)
        ORDER BY rank, received_at, id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
    RETURN QUERY UPDATE orders SET state = 'RUNNING', token = new_token, attempt = attempt + 1, progress = 0, ending = NULL,
            lease_until = now() + make_interval(secs => lease_s), updated_at = now()
        WHERE id = taken RETURNING *;
END;
$$
"""

# What 0006 does, in whose name it is told; workers of the version before go on calling that one.
FINISH = """
CREATE FUNCTION chromogen_finish(
    of_lab text, by_subject text, of_order uuid, its_token uuid, result jsonb, hue_value bytea, density bytea, its_scores jsonb,
    deliveries jsonb
) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('chromogen.lab', of_lab, true), set_config('chromogen.subject', by_subject, true);
    RETURN chromogen_finish(of_order, its_token, result, hue_value, density, its_scores, deliveries);
END;
$$
"""


def upgrade() -> None:
    for function in (TAKE, FINISH):
        op.get_bind().execution_options(no_parameters=True).exec_driver_sql(function)


def downgrade() -> None:
    op.execute("DROP FUNCTION chromogen_take(text, double precision, integer, boolean, uuid)")
    op.execute("DROP FUNCTION chromogen_finish(text, text, uuid, uuid, jsonb, bytea, bytea, jsonb, jsonb)")
