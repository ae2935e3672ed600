"""Request ids of each tenant, not of all; a tenant's uploads are counted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("jobs", "dataset_versions")


def upgrade() -> None:
    with op.batch_alter_table("dataset_versions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("tenant", sa.String(length=63), server_default="default", nullable=False))
    owner = "SELECT tenant FROM datasets WHERE datasets.id = dataset_versions.dataset_id"
    op.execute(f"UPDATE dataset_versions SET tenant = ({owner})")
    for table in _TABLES:
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f(f"uq_{table}_request_id"), type_="unique")
            batch_op.create_unique_constraint(batch_op.f(f"uq_{table}_tenant"), ["tenant", "request_id"])
    op.create_index(op.f("ix_uploads_tenant"), "uploads", ["tenant"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_uploads_tenant"), table_name="uploads")
    for table, key in zip(_TABLES, ("number", "dataset_id"), strict=True):
        # Of several tenants' one request id only the first is kept: the others lose what a repeat would have given.
        first = f"SELECT MIN({key}) FROM {table} AS t WHERE t.request_id = {table}.request_id"
        op.execute(f"UPDATE {table} SET request_id = NULL WHERE request_id IS NOT NULL AND {key} <> ({first})")
        with op.batch_alter_table(table, schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f(f"uq_{table}_tenant"), type_="unique")
            batch_op.create_unique_constraint(batch_op.f(f"uq_{table}_request_id"), ["request_id"])
    with op.batch_alter_table("dataset_versions", schema=None) as batch_op:
        batch_op.drop_column("tenant")
