"""The tables of results and of what belongs to one: rows are only ever added (a trigger holds that)."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from server.store.metadata import metadata

results = Table(
    "results",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("order_id", ForeignKey("orders.id"), index=True),
    Column("predecessor", ForeignKey("results.id")),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("marker", Text, nullable=False),
    Column("clinical_region", Text, nullable=False, server_default="", comment="that the clinical score is about"),
    Column("profile", JSONB, nullable=False, comment="the revision as it was, whole"),
    Column("slide", JSONB, nullable=False),
    Column("model", JSONB, nullable=False),
    Column("tiles", JSONB, nullable=False),
    Column("seconds", JSONB, nullable=False),
    Column("tissue_mm2", Double, nullable=False),
    Column("analysis_warnings", ARRAY(Text), nullable=False),
    Column("warnings", ARRAY(Text), nullable=False),
    Column("software", Text, nullable=False, server_default="", comment="version of chromogen that made it"),
    Column(
        "change",
        JSONB(none_as_null=True),
        comment="what persons changed since the analysis, who last, and why; null: nobody did",
    ),
    Column("choice", JSONB(none_as_null=True), comment="why that profile; null: a person named it"),
    Column("control", JSONB, nullable=False, server_default=text("'{}'::jsonb"), comment="what its controls came to"),
    Column("run", Integer, nullable=False, server_default="1", comment="of the order, which may be begun anew"),
    Column("series_uid", Text, Computed("slide ->> 'series_uid'::text", persisted=True), comment="of the slide"),
    Column("container_id", Text, Computed("slide ->> 'container_id'::text", persisted=True), comment="of the slide"),
    Column(
        "control_status",
        Text,
        Computed("control #>> '{own,status}'::text[]", persisted=True),
        comment="of the control tissue on its slide",
    ),
    Column(
        "slide_of_run",
        Text,
        Computed("control ->> 'slide_of_run'::text", persisted=True),
        comment="the staining run whose control slide it is of",
    ),
    UniqueConstraint("id", "lab", name="results_id_lab_key"),
    Index(
        "results_control_idx",
        "lab",
        "marker",
        "created_at",
        "id",
        postgresql_where=text("control_status <> ''"),
    ),
    Index(
        "results_run_control_idx",
        "lab",
        "marker",
        "slide_of_run",
        "created_at",
        postgresql_where=text("slide_of_run <> ''"),
    ),
    Index("results_lab_created_idx", "lab", "created_at", "id"),
    Index("results_series_idx", "lab", "series_uid", "created_at", "id", postgresql_where=text("series_uid <> ''")),
    Index(
        "results_container_idx", "lab", "container_id", "created_at", "id", postgresql_where=text("container_id <> ''")
    ),
)


scores = Table(
    "scores",
    metadata,
    Column("result_id", Uuid(as_uuid=False), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("position", SmallInteger, nullable=False, comment="the order of the rows"),
    Column(
        "measure",
        Text(collation="C"),
        primary_key=True,
        comment="the code of the measure here; code and scheme may be public ones",
    ),
    Column("code", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("display", Text, nullable=False),
    Column("region", Text(collation="C"), primary_key=True),
    Column("value", Double),
    Column("category", Text),
    Column("unit", Text, nullable=False),
    Column("interval_low", Double, comment="95 %, in the unit of the value"),
    Column("interval_high", Double),
    Column("n", BigInteger, nullable=False, comment="cells that it is of"),
    Column("comment", Text, nullable=False, server_default="", comment="what a guideline's category means"),
    Column("rule", Text, nullable=False, server_default="", comment="the guideline's version and source"),
)
"""Of which result is held by a trigger (migrations/sql/scores_of_a_result.sql)."""


histograms = Table(
    "histograms",
    metadata,
    Column("result_id", Uuid(as_uuid=False), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("name", Text, primary_key=True),
    Column("shape", ARRAY(Integer), nullable=False),
    Column(
        "counts",
        LargeBinary,
        nullable=False,
        comment="zlib of little-endian unsigned integers, as wide as the length says",
    ),
    ForeignKeyConstraint(["result_id", "lab"], ["results.id", "results.lab"]),
)


artifacts = Table(
    "artifacts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("order_id", ForeignKey("orders.id"), comment="of what has no result"),
    Column("result_id", Uuid(as_uuid=False), index=True),
    Column("kind", String(16), nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), comment="of the file when it was sent for; null: it never leaves"),
    Column("identifier", Text, nullable=False, comment="MSH-10 or SOP instance UID; empty: it never leaves"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["result_id", "lab"], ["results.id", "results.lab"]),
    CheckConstraint("order_id IS NULL OR result_id IS NULL", name="of_one"),
)


signatures = Table(
    "signatures",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="the last one of a result is its state"),
    Column("lab", Text, nullable=False),
    Column("result_id", ForeignKey("results.id"), nullable=False),
    Column("state", String(16), nullable=False, comment="FINAL, REJECTED, CORRECTED, SUPERSEDED"),
    Column("subject", Text, nullable=False, comment="who, as the token names them"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("result_id", "state"),
)


rescore_requests = Table(
    "rescore_requests",
    metadata,
    Column("lab", Text, primary_key=True),
    Column("request_id", Text, primary_key=True),
    Column("result_id", Uuid(as_uuid=False), nullable=False, comment="that was to be scored anew"),
    Column("profile", Text, nullable=False, comment="name/revision"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)
