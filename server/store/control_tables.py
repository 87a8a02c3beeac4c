"""The table of what laboratories expect of their controls: rows are only ever added."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    func,
)

from server.store.metadata import metadata

control_ranges = Table(
    "control_ranges",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="the last one of a key counts"),
    Column("lab", Text, nullable=False),
    Column("marker", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="of control tissue, such as positive or 3+"),
    Column("staining_run", Text, nullable=False, server_default="*"),
    Column("clone", Text, nullable=False, server_default="*"),
    Column("stainer", Text, nullable=False, server_default="*"),
    Column("measure", Text, nullable=False),
    Column("low", Double),
    Column("high", Double),
    Column("category", Text),
    Column("least_cells", Integer, nullable=False),
    Column("target", Double, comment="of the control chart, with its deviation"),
    Column("deviation", Double),
    Column("valid_from", Date),
    Column("valid_until", Date),
    Column("source", Text, nullable=False, server_default=""),
    Column(
        "retired", Boolean, nullable=False, server_default="false", comment="from here on there is none of this key"
    ),
    Column("subject", Text, nullable=False, comment="who, as the token names them"),
    Column("request_id", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("lab", "request_id"),
    Index("control_ranges_marker_idx", "lab", "marker", "id"),
)
