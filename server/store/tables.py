"""The tables. Orders and the outbox change in place; profiles, results and scores are only ever added to (a trigger
holds that).

Every table of a laboratory carries `lab`, which row-level security will ask for. Times are the database's, aware, UTC.
"""

from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Computed,
    Date,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from server.domain.artifact import ArtifactKind
from server.domain.states import DeliveryState, OrderState

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


def _state_in(*states: StrEnum) -> TextClause:
    """Of a partial index."""
    quoted = (f"'{state}'" for state in states)
    return text(f"state IN ({', '.join(quoted)})")


APPEND_ONLY = (
    "profiles",
    "profile_states",
    "results",
    "scores",
    "histograms",
    "artifacts",
    "signatures",
    "audit",
)

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("sender_application", Text, nullable=False),
    Column("sender_facility", Text, nullable=False),
    Column("message_control_id", Text, nullable=False),
    Column("message_type", Text, nullable=False),
    Column("placer_order_number", Text, nullable=False),
    Column("placer_namespace", Text, nullable=False, server_default=""),
    Column("placer_universal_id", Text, nullable=False, server_default=""),
    Column("placer_universal_type", Text, nullable=False, server_default=""),
    Column("placer_request", Text, nullable=False),
    Column("priority", String(16), nullable=False),
    Column("rank", SmallInteger, nullable=False, comment="0 STAT, 1 ASAP, 2 ROUTINE"),
    Column("marker", Text, nullable=False),
    Column("procedure_code", Text, nullable=False),
    Column("procedure_text", Text, nullable=False),
    Column("patient", JSONB, nullable=False),
    Column("specimen", JSONB, nullable=False),
    Column("slide", JSONB, nullable=False),
    Column("charset", Text, nullable=False),
    Column("processing_id", Text, nullable=False, server_default="P", comment="MSH-11: P, T or D"),
    Column("requested_at", DateTime(timezone=True)),
    Column("received_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("state", String(16), nullable=False, server_default=OrderState.QUEUED),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("token", Uuid(as_uuid=False), comment="who holds the order; null unless RUNNING"),
    Column("lease_until", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("progress", Double, nullable=False, server_default="0"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    Column("result_id", Uuid(as_uuid=False)),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("run", Integer, nullable=False, server_default="1", comment="one more each time it is begun anew"),
    Column("begun_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column(
        "repeats",
        ARRAY(Text),
        nullable=False,
        server_default="{}",
        comment="sender and control id of messages that began it anew",
    ),
    Column("ending", String(16), comment="as what it ends once the LIS can be told"),
    Column("container_id", Text, Computed("slide ->> 'container_id'::text", persisted=True), comment="of the slide"),
    UniqueConstraint("sender_application", "sender_facility", "message_control_id", name="orders_message_key"),
    CheckConstraint(
        f"(state = '{OrderState.RUNNING}') = (token IS NOT NULL AND lease_until IS NOT NULL)", name="running_has_token"
    ),
    CheckConstraint(f"(state = '{OrderState.DONE}') = (result_id IS NOT NULL)", name="done_has_result"),
    Index(
        "orders_placer_key",
        "lab",
        "placer_order_number",
        "placer_namespace",
        "placer_universal_id",
        "placer_universal_type",
        "placer_request",
        unique=True,
        postgresql_where=text("placer_order_number <> ''"),
    ),
    Index(
        "orders_due_idx", "rank", "received_at", "id", postgresql_where=_state_in(OrderState.QUEUED, OrderState.RUNNING)
    ),
    Index("orders_received_idx", "received_at"),
    Index("orders_lab_received_idx", "lab", "received_at", "id"),
    Index(
        "orders_ended_idx",
        "lab",
        "received_at",
        "id",
        postgresql_where=_state_in(OrderState.REFUSED, OrderState.DEAD, OrderState.CANCELLED),
    ),
    Index(
        "orders_container_idx", "lab", "container_id", "received_at", "id", postgresql_where=text("container_id <> ''")
    ),
    Index("orders_urgent_idx", "lab", "rank", "received_at", "id", postgresql_where=text("rank < 2")),
)

profiles = Table(
    "profiles",
    metadata,
    Column("name", Text, primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("lab", Text, primary_key=True),
    Column("marker", Text, nullable=False),
    Column("clone", Text, nullable=False),
    Column("stainer", Text, nullable=False),
    Column("scanner", Text, nullable=False),
    Column("criteria", JSONB, nullable=False, comment="method, and its values"),
    Column("valid_from", Date),
    Column("valid_until", Date),
    Column("source", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

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
    Column("series_uid", Text, Computed("slide ->> 'series_uid'::text", persisted=True), comment="of the slide"),
    Column("container_id", Text, Computed("slide ->> 'container_id'::text", persisted=True), comment="of the slide"),
    UniqueConstraint("id", "lab", name="results_id_lab_key"),
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
        "measure", Text, primary_key=True, comment="the code of the measure here; code and scheme may be public ones"
    ),
    Column("code", Text, nullable=False),
    Column("scheme", Text, nullable=False),
    Column("display", Text, nullable=False),
    Column("region", Text, primary_key=True),
    Column("value", Double),
    Column("category", Text),
    Column("unit", Text, nullable=False),
    Column("interval_low", Double, comment="95 %, in the unit of the value"),
    Column("interval_high", Double),
    Column("n", BigInteger, nullable=False, comment="cells that it is of"),
    ForeignKeyConstraint(["result_id", "lab"], ["results.id", "results.lab"]),
)

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
    Column("order_id", ForeignKey("orders.id")),
    Column("result_id", Uuid(as_uuid=False), index=True),
    Column("kind", String(16), nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), comment="of the file when it was sent for; null: it never leaves"),
    Column("identifier", Text, nullable=False, comment="MSH-10 or SOP instance UID; empty: it never leaves"),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    ForeignKeyConstraint(["result_id", "lab"], ["results.id", "results.lab"]),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True, comment="the order of sending"),
    Column("lab", Text, nullable=False),
    Column("result_id", ForeignKey("results.id"), index=True, comment="null: a refusal"),
    Column("destination", Text, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64), nullable=False, comment="of the file when the result was finished"),
    Column("state", String(16), nullable=False, server_default=DeliveryState.WAITING, comment="WAITING, SENT, DEAD"),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("token", Uuid(as_uuid=False)),
    Column("lease_until", DateTime(timezone=True)),
    Column("reason", Text, nullable=False, server_default=""),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("ended_at", DateTime(timezone=True)),
    Column("order_id", ForeignKey("orders.id"), comment="null: of no order"),
    Column("errors", Integer, nullable=False, server_default="0", comment="times that the receiver answered AE or CE"),
    UniqueConstraint("destination", "message_id"),
    Index("outbox_order_id_idx", "order_id", postgresql_where=text(f"kind = '{ArtifactKind.ORU}'")),
    Index("outbox_waiting_idx", "destination", "id", postgresql_where=_state_in(DeliveryState.WAITING)),
    Index("outbox_dead_idx", "destination", postgresql_where=_state_in(DeliveryState.DEAD)),
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

profile_states = Table(
    "profile_states",
    metadata,
    Column(
        "id", BigInteger, Identity(always=True), primary_key=True, comment="the last one of a revision is its state"
    ),
    Column("lab", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("state", String(16), nullable=False, comment="DRAFT, ACTIVE, RETIRED; a revision without one is ACTIVE"),
    Column("subject", Text, nullable=False, comment="who, as the token names them"),
    Column("request_id", Text, comment="of the call that made the revision"),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("lab", "request_id"),
    Index("profile_states_last_idx", "lab", "name", "revision", "id"),
)

audit = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("chain", SmallInteger, nullable=False, comment="one of eight a laboratory"),
    Column("number", BigInteger, nullable=False, comment="1, 2, 3 ... in its chain"),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("subject", Text, nullable=False, comment="who"),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False, comment="table/identifier"),
    Column("outcome", Text, nullable=False),
    Column("hash", String(64), nullable=False, comment="SHA-256 of the row and of the hash before it"),
    UniqueConstraint("lab", "chain", "number"),
    Index("audit_object_idx", "object"),
)
"""Written by chromogen_append alone (migrations/sql); read by `server.store.audit`."""
