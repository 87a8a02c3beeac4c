"""The tables, by one name: those of results stand in `result_tables`. Orders and the outbox change in place; rows of
the others are only ever added (a trigger holds that).

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
    Identity,
    Index,
    Integer,
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
from server.domain.order import Priority
from server.domain.states import DeliveryState, JobState, OrderState
from server.store.control_tables import control_ranges as control_ranges
from server.store.metadata import metadata as metadata
from server.store.page_tables import comments as comments
from server.store.page_tables import estimates as estimates
from server.store.page_tables import web_sessions as web_sessions
from server.store.result_tables import artifacts as artifacts
from server.store.result_tables import histograms as histograms
from server.store.result_tables import rescore_requests as rescore_requests
from server.store.result_tables import results as results
from server.store.result_tables import scores as scores
from server.store.result_tables import signatures as signatures
from server.store.ups_tables import ups_claims as ups_claims
from server.store.validation_tables import validation_signatures as validation_signatures
from server.store.validation_tables import validations as validations


def _state_in(*states: StrEnum) -> TextClause:
    """Of a partial index."""
    quoted = (f"'{state}'" for state in states)
    return text(f"state IN ({', '.join(quoted)})")


APPEND_ONLY = (
    "profiles",
    "profile_states",
    "control_ranges",
    "rescore_requests",
    "results",
    "scores",
    "histograms",
    "artifacts",
    "signatures",
    "comments",
    "estimates",
    "validations",
    "validation_signatures",
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
    Column(
        "rank", SmallInteger, nullable=False, comment=", ".join(f"{priority.rank} {priority}" for priority in Priority)
    ),
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
    Index("orders_patient_idx", "lab", text("(patient ->> 'id'::text)")),
    Index(
        "orders_urgent_idx",
        "lab",
        "rank",
        "received_at",
        "id",
        postgresql_where=text(f"rank < {Priority.ROUTINE.rank}"),
    ),
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
    Column("pathologist", Text, nullable=False, server_default="*", comment="whose own it is; *: the laboratory's"),
    Column("criteria", JSONB, nullable=False, comment="method, and its values"),
    Column("valid_from", Date),
    Column("valid_until", Date),
    Column("source", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
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
    Column(
        "errors",
        Integer,
        nullable=False,
        server_default="0",
        comment="times that the receiver answered AE or CE, or nothing though it answered others",
    ),
    UniqueConstraint("destination", "message_id"),
    Index("outbox_order_id_idx", "order_id", postgresql_where=text(f"kind = '{ArtifactKind.ORU}'")),
    Index("outbox_waiting_idx", "destination", "lab", "id", postgresql_where=_state_in(DeliveryState.WAITING)),
    Index(
        "outbox_waiting_order_idx", "order_id", "destination", "id", postgresql_where=_state_in(DeliveryState.WAITING)
    ),
    Index("outbox_dead_idx", "destination", postgresql_where=_state_in(DeliveryState.DEAD)),
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
    Column("reason", Text, nullable=False, server_default=""),
    Column("valid_from", Date, comment="in place of the revision's own, from its activation on; so valid_until"),
    Column("valid_until", Date),
    Column("at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("lab", "request_id"),
    Index("profile_states_last_idx", "lab", "name", "revision", "id"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid(as_uuid=False), primary_key=True),
    Column("lab", Text, nullable=False),
    Column("kind", String(16), nullable=False, comment="CALIBRATION, COHORT, COHORT_CONFIRM"),
    Column("subject", Text, nullable=False, comment="who asked for it, as the token names them"),
    Column("request_id", Text, nullable=False),
    Column("given", JSONB, nullable=False, comment="what was asked for"),
    Column("state", String(16), nullable=False, server_default=JobState.QUEUED),
    Column("progress", Double, nullable=False, server_default="0"),
    Column("outcome", JSONB(none_as_null=True), comment="what came of it; null unless DONE"),
    Column("reason", Text, nullable=False, server_default=""),
    Column("detail", Text, nullable=False, server_default=""),
    Column("attempt", Integer, nullable=False, server_default="0"),
    Column("token", Uuid(as_uuid=False), comment="who runs it; null unless RUNNING"),
    Column("lease_until", DateTime(timezone=True)),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    UniqueConstraint("lab", "request_id"),
    CheckConstraint(
        f"(state = '{JobState.RUNNING}') = (token IS NOT NULL AND lease_until IS NOT NULL)", name="running_has_token"
    ),
    Index("jobs_due_idx", "created_at", "id", postgresql_where=_state_in(JobState.QUEUED, JobState.RUNNING)),
    Index("jobs_lab_created_idx", "lab", "created_at", "id"),
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
