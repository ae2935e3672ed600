"""Tables of the store, in SQL that SQLite and PostgreSQL share."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    true,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# Times are ISO 8601 in UTC; JSON is text: neither needs a type that one of the databases lacks.

learners = Table(
    "learners",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(63), nullable=False, unique=True),
    Column("spec", Text, nullable=False),
    Column("classes", Text, nullable=False),
    Column("frozen_to", Integer, nullable=False),
    Column("checkpoint_id", String(63)),
    Column("epochs", BigInteger, nullable=False),
    Column("steps", BigInteger, nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("created_at", String(40), nullable=False),
    Column("updated_at", String(40), nullable=False),
    Column("tenant", String(63), nullable=False, server_default="default", index=True),
)

jobs = Table(
    "jobs",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(63), nullable=False, unique=True),
    Column("learner_id", String(63), ForeignKey("learners.id"), nullable=False, index=True),
    Column("kind", String(16), nullable=False),
    Column("work", Text, nullable=False),
    Column("num_workers", Integer, nullable=False),
    Column("gpus_per_worker", Integer, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("reason", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("start_checkpoint_id", String(63)),
    Column("progress", Text),
    Column("result", Text),
    Column("tracking", Text),
    Column("last_sequence", BigInteger, nullable=False),
    Column("request_id", String(64)),
    Column("fingerprint", String(64), nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("updated_at", String(40), nullable=False),
    Column("started_at", String(40)),
    Column("ended_at", String(40)),
    Column("tenant", String(63), nullable=False, server_default="default"),
    Column("priority", Integer, nullable=False, server_default="0"),
    Column("retry_policy", Text, nullable=False, server_default="{}"),
    Column("deadline", String(40)),
    Column("wanted", String(16), nullable=False, server_default="run"),
    Column("retries", Text, nullable=False, server_default="{}"),
    Column("min_workers", Integer),
    Column("max_workers", Integer),
    Column("workers", Integer),
    Column("cause", String(16)),
    Column("exact", Boolean, nullable=False, server_default=true()),
    Column("traceparent", String(55), nullable=False, server_default=""),
    Index("ix_jobs_tenant", "tenant", "state"),  # how many of a tenant's have not ended is asked of each new one
    UniqueConstraint("tenant", "request_id"),
)

events = Table(
    "events",
    metadata,
    Column("job_id", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("id", Text, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("data", Text, nullable=False),
    Column("time", String(40), nullable=False),
    Column("attempt", Integer, nullable=False),
    UniqueConstraint("job_id", "id"),
)

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("learner_id", String(63), ForeignKey("learners.id"), primary_key=True),
    Column("id", String(63), primary_key=True),
    Column("path", Text, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False),
    Column("model_sha256", String(64), nullable=False),
    Column("optimizer_sha256", String(64), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", String(40), nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("consumer", String(32), primary_key=True),
    Column("job_id", String(63), ForeignKey("jobs.id"), primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("learner_id", String(63), ForeignKey("learners.id"), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("num_workers", Integer, nullable=False),
    Column("gpus_per_worker", Integer, nullable=False),
    Column("namespace", Text, nullable=False),
    Column("idle_since", String(40)),
)

# Use of slots by tenant in slot-seconds, of which the older counts for less.
usage = Table(
    "usage",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("slot_seconds", Float, nullable=False),
    Column("updated_at", String(40), nullable=False),
)

# Who does what only one server may do. `beat` moves while the holder lives, `term` with every new holder: clocks of
# different machines are never compared.
leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", String(63)),
    Column("beat", BigInteger, nullable=False),
    Column("term", BigInteger, nullable=False),
)

datasets = Table(
    "datasets",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("id", String(63), nullable=False, unique=True),
    Column("tenant", String(63), nullable=False, index=True),
    Column("created_at", String(40), nullable=False),
    Column("updated_at", String(40), nullable=False),
)

dataset_versions = Table(
    "dataset_versions",
    metadata,
    Column("dataset_id", String(63), ForeignKey("datasets.id"), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("source_uri", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("sha256", String(64)),
    Column("files", BigInteger, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("summary", Text),
    Column("request_id", String(64)),
    Column("fingerprint", String(64), nullable=False),
    Column("created_at", String(40), nullable=False),
    Column("tenant", String(63)),  # its data set's; none where a server of version 0002 has written it
    UniqueConstraint("tenant", "request_id"),
)

uploads = Table(
    "uploads",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("dataset_id", String(63), nullable=False),
    Column("tenant", String(63), nullable=False, index=True),
    Column("format", String(16), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("received_bytes", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("created_at", String(40), nullable=False),
    Column("updated_at", String(40), nullable=False),
)
