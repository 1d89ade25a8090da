"""The Journey: one customer's walk through a flow."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing.models import Subscription, Workspace
from wizard.extensions import Base
from wizard.marketplaces.models import Arrival

REGISTERING = "no_billing_account"
BINDING = "existing_account"
CHANGING = "change_settlement"
"""The keys of the flows a journey can be on."""


class Journey(Base):
    """One walk: its answers and the facts it has brought about. Survives restarts, days and devices.

    ``answers`` holds what was typed, by field name, and no secret; the chosen password is only ever here
    as ``password_hash``, until an account takes it over. ``version`` makes two writers at once one writer
    and one who is told to look again. ``finished_at`` is when the customer said that they were done, and
    ``reminded_at`` when somebody who did not was written to. ``billing_account_id`` is the account that was bound or
    made on it, or that changes what settles its workspaces; ``offered_account_id`` is only the one that the proven
    address has. ``awaits`` is the provider of a purchase that is to come back to it.
    """

    __tablename__ = "journeys"
    __table_args__ = (
        Index(
            "ix_journeys_unfinished",
            "created_at",
            sqlite_where=text("finished_at IS NULL AND reminded_at IS NULL"),
            postgresql_where=text("finished_at IS NULL AND reminded_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    flow: Mapped[str]
    locale: Mapped[str]
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    reminded_at: Mapped[datetime | None]
    arrival_id: Mapped[str | None] = mapped_column(ForeignKey("arrivals.id"), unique=True)
    answers: Mapped[dict[str, Any]]
    password_hash: Mapped[str | None]
    verified_email: Mapped[str | None]
    reserved_username: Mapped[str | None]
    awaits: Mapped[str | None]
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("subscriptions.id"), index=True)
    console_account_id: Mapped[int | None] = mapped_column(ForeignKey("console_accounts.id"), index=True)
    billing_account_id: Mapped[int | None] = mapped_column(ForeignKey("billing_accounts.id"), index=True)
    offered_account_id: Mapped[int | None] = mapped_column(ForeignKey("billing_accounts.id"))
    workspace_id: Mapped[int | None] = mapped_column(ForeignKey("workspaces.id"), index=True)

    arrival: Mapped[Arrival | None] = relationship()
    subscription: Mapped[Subscription | None] = relationship()
    console_account: Mapped[ConsoleAccount | None] = relationship()
    billing_account: Mapped[BillingAccount | None] = relationship(foreign_keys=[billing_account_id])
    offered_account: Mapped[BillingAccount | None] = relationship(foreign_keys=[offered_account_id])
    workspace: Mapped[Workspace | None] = relationship()

    @property
    def named(self) -> str:
        """What a history calls whoever was on this journey: the account that acts on it, as far as there is one."""
        account = ""
        if self.billing_account_id is not None:
            account = f" of billing account {self.billing_account_id}"
        elif self.console_account_id is not None:
            account = f" of console account {self.console_account_id}"
        return f"journey {self.reference}{account}"

    @property
    def is_written(self) -> bool:
        """Whether the journey has begun; a GET may show the first page of one that has not."""
        return self.id is not None

    @property
    def is_finished(self) -> bool:
        """A process of the version before this one says it with the workspace alone."""
        return self.finished_at is not None or self.workspace_id is not None

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012


class JourneyEvent(Base):
    """Something that happened on a journey; ``detail`` is masked and holds no secret."""

    __tablename__ = "journey_events"

    id: Mapped[int] = mapped_column(primary_key=True)
    journey_id: Mapped[int] = mapped_column(ForeignKey("journeys.id"), index=True)
    at: Mapped[datetime]
    step: Mapped[str]
    what: Mapped[str]
    detail: Mapped[dict[str, Any]]
