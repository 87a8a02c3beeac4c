"""What an order says may be corrected, by a new message, also while it waits: nothing was made of it yet."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

SAID = """
CREATE OR REPLACE FUNCTION chromogen_said_anew() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> 'QUEUED'
        OR NOT (OLD.state = 'QUEUED' AND NEW.run = OLD.run AND NEW.repeats <> OLD.repeats
            OR OLD.state IN ('REFUSED', 'DEAD', 'CANCELLED') AND NEW.run = OLD.run + 1)
        OR NEW.patient ->> 'id' IS DISTINCT FROM OLD.patient ->> 'id'
        OR NEW.patient ->> 'id_authority' IS DISTINCT FROM OLD.patient ->> 'id_authority'
        OR NEW.specimen ->> 'id' IS DISTINCT FROM OLD.specimen ->> 'id'
    THEN
        RAISE EXCEPTION 'what an order says changes by a message while it waits or when it is begun anew; patient and specimen stay'
            USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END;
$$
"""

BEFORE = """
CREATE OR REPLACE FUNCTION chromogen_said_anew() RETURNS trigger LANGUAGE plpgsql AS $$
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
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(SAID)


def downgrade() -> None:
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(BEFORE)
