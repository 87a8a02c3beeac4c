"""The tables of the pathologist's page: what was said beside results, and browsers that signed in."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Identity,
    Index,
    String,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import ARRAY

from server.store.metadata import metadata

comments = Table(
    "comments",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("result_id", Uuid(as_uuid=False), nullable=False, index=True),
    Column("subject", Text, nullable=False, comment="who, as the token names them"),
    Column("said", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["result_id", "lab"], ["results.id", "results.lab"]),
)

estimates = Table(
    "estimates",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("result_id", Uuid(as_uuid=False), nullable=False, index=True),
    Column("subject", Text, nullable=False, comment="who, as the token names them"),
    Column("measure", Text(collation="C"), nullable=False, comment="as of scores"),
    Column("region", Text(collation="C"), nullable=False),
    Column("value", Double),
    Column("category", Text, comment="of a measure that is one, in place of a value"),
    Column("score_shown", Boolean, nullable=False, comment="the score may have been seen before"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["result_id", "lab"], ["results.id", "results.lab"]),
    CheckConstraint("(value IS NULL) <> (category IS NULL)", name="said"),
    Index("estimates_lab_idx", "lab", "id"),
)

web_sessions = Table(
    "web_sessions",
    metadata,
    Column("key", String(64), primary_key=True, comment="SHA-256 of what the browser holds"),
    Column("lab", Text, nullable=False),
    Column("subject", Text, nullable=False, comment="who, as the token names them"),
    Column("roles", ARRAY(Text), nullable=False),
    Column("began_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("seen_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
