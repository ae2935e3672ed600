"""Versions of data sets may have no tenant of their own: a server of 0002 that still runs writes none.

0003 gave those the tenant "default", whose request ids they then took, and whose quota.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_TENANT = sa.String(length=63)
_OWNER = "(SELECT tenant FROM datasets WHERE datasets.id = dataset_versions.dataset_id)"
_DELETED = "'deleted'"  # a data set without live versions is another's when he makes it anew


def upgrade() -> None:
    with op.batch_alter_table("dataset_versions", schema=None) as batch_op:
        batch_op.alter_column("tenant", existing_type=_TENANT, nullable=True, server_default=None)
    op.execute(f"UPDATE dataset_versions SET tenant = NULL WHERE state <> {_DELETED} AND tenant <> {_OWNER}")


def downgrade() -> None:
    # What such a version's request id is unique among is only known now: a repeat is then found by content, if at all.
    op.execute(f"UPDATE dataset_versions SET tenant = {_OWNER}, request_id = NULL WHERE tenant IS NULL")
    with op.batch_alter_table("dataset_versions", schema=None) as batch_op:
        batch_op.alter_column("tenant", existing_type=_TENANT, nullable=False, server_default="default")
