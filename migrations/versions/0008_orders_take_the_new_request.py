"""An order that is begun anew takes what the new message says of patient, specimen and procedure.

Else they stay as they came.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

SAID = ("patient", "specimen", "procedure_code", "procedure_text", "charset", "requested_at")
GRANT = f"UPDATE ({', '.join(SAID)}) ON orders"

SAID_ANEW = """
CREATE FUNCTION chromogen_said_anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state NOT IN ('REFUSED', 'DEAD', 'CANCELLED') OR NEW.state <> 'QUEUED' OR NEW.run <> OLD.run + 1
        OR NEW.patient ->> 'id' IS DISTINCT FROM OLD.patient ->> 'id'
        OR NEW.patient ->> 'id_authority' IS DISTINCT FROM OLD.patient ->> 'id_authority'
        OR NEW.specimen ->> 'id' IS DISTINCT FROM OLD.specimen ->> 'id'
    THEN
        RAISE EXCEPTION 'what an order says changes only when it is begun anew, for the same patient and specimen'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END;
$$
"""


def upgrade() -> None:
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(SAID_ANEW)
    changed = f"ROW({', '.join(f'OLD.{c}' for c in SAID)}) IS DISTINCT FROM ROW({', '.join(f'NEW.{c}' for c in SAID)})"
    trigger = f"orders_said_anew BEFORE UPDATE OF {', '.join(SAID)} ON orders FOR EACH ROW"
    op.execute(f"CREATE TRIGGER {trigger} WHEN ({changed}) EXECUTE FUNCTION chromogen_said_anew()")
    op.execute(f"GRANT {GRANT} TO chromogen_api")


def downgrade() -> None:
    op.execute(f"REVOKE {GRANT} FROM chromogen_api")
    op.execute("DROP TRIGGER orders_said_anew ON orders")
    op.execute("DROP FUNCTION chromogen_said_anew()")
