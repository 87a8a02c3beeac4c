"""The table of claims on items of worklists (Unified Procedure Steps)."""

from sqlalchemy import Column, DateTime, ForeignKey, Index, String, Table, Text, Uuid, func, text

from server.store.metadata import metadata

ups_claims = Table(
    "ups_claims",
    metadata,
    Column("lab", Text, primary_key=True),
    Column("worklist", Text, primary_key=True, comment="as the site file names it"),
    Column("item_uid", String(64), primary_key=True, comment="SOP Instance UID"),
    Column("transaction_uid", String(64), nullable=False, comment="locks the item: known to us and the worklist alone"),
    Column("order_id", Uuid(as_uuid=False), ForeignKey("orders.id"), comment="null: none yet, or it was refused"),
    Column("outcome", String(16), comment="COMPLETED, CANCELED, LOST; null: we hold it, or ask for it"),
    Column("claimed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ups_claims_open_idx", "lab", "worklist", "claimed_at", postgresql_where=text("outcome IS NULL")),
)
