"""the inbox of what marketplaces say; what buyers are entitled to, and what the nightly comparison doubts

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

NAMES = ("agreement_id", "customer_key", "license_key", "previous_agreement_id")


def upgrade() -> None:
    op.create_table(
        "messages",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("marketplace", sa.String(), nullable=False),
        sa.Column("road", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agreement_id", sa.String(), nullable=False),
        sa.Column("previous_agreement_id", sa.String(), nullable=False),
        sa.Column("license_key", sa.String(), nullable=False),
        sa.Column("customer_key", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("try_after", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_messages")),
        sa.UniqueConstraint("message_id", name=op.f("uq_messages_message_id")),
    )
    with op.batch_alter_table("messages", schema=None) as batch_op:
        for name in NAMES:
            batch_op.create_index(f"ix_messages_{name}", [name], unique=False)
        batch_op.create_index(
            "ix_messages_unapplied",
            ["try_after"],
            unique=False,
            sqlite_where=sa.text("applied_at IS NULL"),
            postgresql_where=sa.text("applied_at IS NULL"),
        )
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.add_column(sa.Column("entitlements", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("entitlements_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("doubt", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("doubted_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("subscriptions", schema=None) as batch_op:
        batch_op.drop_column("doubted_at")
        batch_op.drop_column("doubt")
        batch_op.drop_column("entitlements_at")
        batch_op.drop_column("entitlements")
    with op.batch_alter_table("messages", schema=None) as batch_op:
        batch_op.drop_index("ix_messages_unapplied")
        for name in NAMES:
            batch_op.drop_index(f"ix_messages_{name}")
    op.drop_table("messages")
