"""The tables of validations: rows are only ever added (a trigger holds that)."""

from sqlalchemy import Column, DateTime, ForeignKeyConstraint, Index, Integer, Table, Text, UniqueConstraint, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB

from server.store.metadata import metadata

validations = Table(
    "validations",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("marker", Text, nullable=False),
    Column("model_sha256", Text, nullable=False),
    Column("found", JSONB, nullable=False, comment="slides, and agreement by measure and region"),
    Column("subject", Text, nullable=False, comment="who computed it, as the token names them"),
    Column("request_id", Text, nullable=False),
    Column(
        "asked",
        JSONB,
        nullable=False,
        comment="results and what a person scored them as; none: those that were signed",
    ),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("lab", "request_id"),
    UniqueConstraint("id", "lab", name="validations_id_lab_key"),
    Index("validations_profile_idx", "lab", "name", "revision", "marker"),
)

validation_signatures = Table(
    "validation_signatures",
    metadata,
    Column("validation_id", Uuid(as_uuid=False), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("subject", Text, primary_key=True, comment="who, as the token names them"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["validation_id", "lab"], ["validations.id", "validations.lab"]),
)
