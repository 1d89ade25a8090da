"""the history of what settles a workspace; journeys that are finished, and reminders of those that are not

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "settlements",
        sa.Column("workspace_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("subscription_id", sa.Integer(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscription_id"], ["subscriptions.id"], name=op.f("fk_settlements_subscription_id")
        ),
        sa.ForeignKeyConstraint(
            ["workspace_id"], ["workspaces.id"], name=op.f("fk_settlements_workspace_id")
        ),
        sa.PrimaryKeyConstraint("workspace_id", "number", name=op.f("pk_settlements")),
    )
    with op.batch_alter_table("settlements", schema=None) as batch_op:
        batch_op.create_index("ix_settlements_subscription_id", ["subscription_id"], unique=False)
    with op.batch_alter_table("workspaces", schema=None) as batch_op:
        # A process of the version before writes none of these while both run.
        batch_op.add_column(sa.Column("settlement_number", sa.Integer(), nullable=False, server_default="1"))
        batch_op.add_column(sa.Column("settlement_changed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("locked_at", sa.DateTime(timezone=True), nullable=True))
    # What a process of the version before orders after this gets its first line when it is bound anew.
    op.execute(
        "INSERT INTO settlements (workspace_id, number, at, method, subscription_id, by) "
        "SELECT id, 1, created_at, settlement_method, subscription_id, 'before this was written down' FROM workspaces"
    )
    with op.batch_alter_table("journeys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("reminded_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("offered_account_id", sa.Integer(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_journeys_offered_account_id"), "billing_accounts", ["offered_account_id"], ["id"]
        )
        batch_op.create_index(
            "ix_journeys_unfinished",
            ["created_at"],
            unique=False,
            sqlite_where=sa.text("finished_at IS NULL AND reminded_at IS NULL"),
            postgresql_where=sa.text("finished_at IS NULL AND reminded_at IS NULL"),
        )
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.add_column(sa.Column("asked_as", sa.String(), nullable=False, server_default=sa.text("''")))
    op.execute("UPDATE journeys SET finished_at = created_at WHERE workspace_id IS NOT NULL")


def downgrade() -> None:
    with op.batch_alter_table("settlements", schema=None) as batch_op:
        batch_op.drop_index("ix_settlements_subscription_id")
    op.drop_table("settlements")
    with op.batch_alter_table("challenges", schema=None) as batch_op:
        batch_op.drop_column("asked_as")
    with op.batch_alter_table("journeys", schema=None) as batch_op:
        batch_op.drop_index("ix_journeys_unfinished")
        batch_op.drop_constraint(batch_op.f("fk_journeys_offered_account_id"), type_="foreignkey")
        batch_op.drop_column("offered_account_id")
        batch_op.drop_column("reminded_at")
        batch_op.drop_column("finished_at")
    with op.batch_alter_table("workspaces", schema=None) as batch_op:
        batch_op.drop_column("locked_at")
        batch_op.drop_column("settlement_changed_at")
        batch_op.drop_column("settlement_number")
