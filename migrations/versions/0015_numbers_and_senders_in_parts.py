"""Placer order numbers and senders as the parts they have, and MSH-11 kept with the order.

Numbers and senders that were kept before stay whole, in the first part: no release has these tables.
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

PARTS = """
ALTER TABLE orders
    DROP CONSTRAINT orders_sender_message_control_id_key,
    ADD COLUMN sender_facility text NOT NULL DEFAULT '',
    ADD COLUMN placer_namespace text NOT NULL DEFAULT '',
    ADD COLUMN placer_universal_id text NOT NULL DEFAULT '',
    ADD COLUMN placer_universal_type text NOT NULL DEFAULT '',
    ADD COLUMN processing_id text NOT NULL DEFAULT 'P',
    ADD CONSTRAINT orders_message_key
        UNIQUE (sender_application, sender_facility, message_control_id)
"""

WHOLE = """
ALTER TABLE orders
    DROP CONSTRAINT orders_message_key,
    DROP COLUMN sender_facility,
    DROP COLUMN placer_namespace,
    DROP COLUMN placer_universal_id,
    DROP COLUMN placer_universal_type,
    DROP COLUMN processing_id,
    ADD CONSTRAINT orders_sender_message_control_id_key UNIQUE (sender, message_control_id)
"""

PLACER_KEY = "CREATE UNIQUE INDEX orders_placer_key ON orders ({}) WHERE placer_order_number <> ''"


def upgrade() -> None:
    op.execute("DROP INDEX orders_placer_key")
    op.execute("ALTER TABLE orders RENAME COLUMN sender TO sender_application")
    op.execute(PARTS)
    op.execute("ALTER TABLE orders ALTER COLUMN sender_facility DROP DEFAULT")
    op.execute("COMMENT ON COLUMN orders.processing_id IS 'MSH-11: P, T or D'")
    parts = "placer_order_number, placer_namespace, placer_universal_id, placer_universal_type"
    op.execute(PLACER_KEY.format(f"lab, {parts}, placer_request"))


def downgrade() -> None:
    op.execute("DROP INDEX orders_placer_key")
    op.execute("ALTER TABLE orders RENAME COLUMN sender_application TO sender")
    op.execute(WHOLE)
    op.execute(PLACER_KEY.format("lab, placer_order_number, placer_request"))
