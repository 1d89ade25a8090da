"""how a subscription ended and what follows it, what a line of a workspace's history tells, accounts with any method

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("warned_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("why", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("on_end", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("successor_id", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("lives", sa.Integer(), nullable=False, server_default="0"))
        batch_op.create_foreign_key(
            batch_op.f("fk_subscriptions_successor_id"), "subscriptions", ["successor_id"], ["id"]
        )
        batch_op.create_index("ix_subscriptions_stopped_at", ["stopped_at"], unique=False)
        batch_op.create_index("ix_subscriptions_successor_id", ["successor_id"], unique=False)
    op.execute("UPDATE subscriptions SET claimed_at = created_at WHERE billing_account_id IS NOT NULL")
    # Of what had ended before, the fourteen days begin now.
    op.execute(
        "UPDATE subscriptions SET on_end = 'lock', stopped_at = CURRENT_TIMESTAMP WHERE state = 'ended'"
    )
    with op.batch_alter_table("settlements", schema=None) as batch_op:
        batch_op.add_column(sa.Column("what", sa.String(), nullable=False, server_default="settled"))
    with op.batch_alter_table("billing_accounts", schema=None) as batch_op:
        batch_op.add_column(sa.Column("any_method", sa.Boolean(), nullable=False, server_default=sa.false()))


def downgrade() -> None:
    with op.batch_alter_table("billing_accounts", schema=None) as batch_op:
        batch_op.drop_column("any_method")
    op.execute("DELETE FROM settlements WHERE what <> 'settled'")
    op.execute("UPDATE workspaces SET state = 'dissolved' WHERE state = 'closed'")
    with op.batch_alter_table("settlements", schema=None) as batch_op:
        batch_op.drop_column("what")
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.drop_index("ix_subscriptions_successor_id")
        batch_op.drop_index("ix_subscriptions_stopped_at")
        batch_op.drop_constraint(batch_op.f("fk_subscriptions_successor_id"), type_="foreignkey")
        batch_op.drop_column("lives")
        batch_op.drop_column("successor_id")
        batch_op.drop_column("on_end")
        batch_op.drop_column("why")
        batch_op.drop_column("warned_at")
        batch_op.drop_column("stopped_at")
        batch_op.drop_column("claimed_at")
