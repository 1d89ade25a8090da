"""The domain: what a buyer's cloud account bought, and the workspaces that purchase pays for."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.extensions import Base

AWS = "aws"
BILLING_CENTER = "billing_center"
NONE = "none"
"""Settlement methods: a cloud, the Billing Center account itself, or (of a locked workspace) nothing."""

BEING_MADE = "being_made"
ACTIVE = "active"
ENDED = "ended"
DISSOLVED = "dissolved"
CLOSED = "closed"

CANCELLED = "cancelled"
EXPIRED = "expired"
TERMINATED = "terminated"
FAILED = "failed"
ARCHIVED = "archived"
DEPROVISIONED = "deprovisioned"
RENEWED = "renewed"
REPLACED = "replaced"
"""Why a subscription ended, as its marketplace says."""

LOCK = "lock"
SWITCH = "billing_center"
STAY = "stay"
"""What its end does to the workspaces it paid for: they lock, the Billing Center account pays for them from then on, or
they stay as they are until the subscription that follows is known."""

SETTLED = "settled"
LOCKED = "locked"
UNLOCKED = "unlocked"
"""What a line of a workspace's history tells, besides :data:`CLOSED` and :data:`DISSOLVED`."""


class CloudAccount(Base):
    """A buyer's account at a cloud. Not scoped to a site.

    ``partition`` is the separate part of the cloud it is in ("aws", "aws-cn", "aws-eusc"), and names the
    marketplace here. ``account_id`` is the cloud's own number for it; where the marketplace gave none, the
    identifier by which the marketplace knows the buyer.
    """

    __tablename__ = "cloud_accounts"
    __table_args__ = (UniqueConstraint("provider", "partition", "account_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    provider: Mapped[str]
    partition: Mapped[str]
    account_id: Mapped[str]
    created_at: Mapped[datetime]


class Subscription(Base):
    """One purchase by a cloud account; workspaces are bound to it, the account is its attribute.

    ``identity`` is what the marketplace calls the purchase (an agreement, else a licence, else a legacy
    customer and product) and is unique. ``billing_account_id`` is set once, ``claimed_at``, by whoever claims it first.

    Of one that ended: ``why``, and ``on_end``, what that does to its workspaces, decided when it ended.
    ``ended_at`` is the marketplace's own time; ``stopped_at`` is when we learned it, from which the days until its
    workspaces are closed count, and ``warned_at`` when their owners were written to before that. ``successor``
    pays in its place: what it was renewed as, or what the same cloud account subscribed to again. ``lives`` counts how
    often what it does to its workspaces has changed.

    ``entitlements``: what the marketplace said at ``entitlements_at`` that the buyer is entitled to,
    ``[{"dimension", "value", "expires_at"}]``. ``doubt``: what the nightly comparison found that no message had told
    (:mod:`wizard.marketplaces.reconciliation`), first on ``doubted_at``.
    """

    __tablename__ = "subscriptions"

    id: Mapped[int] = mapped_column(primary_key=True)
    cloud_account_id: Mapped[int] = mapped_column(ForeignKey("cloud_accounts.id"), index=True)
    provider: Mapped[str]
    identity: Mapped[str] = mapped_column(unique=True)
    product_code: Mapped[str]
    agreement_id: Mapped[str | None] = mapped_column(index=True)
    license_arn: Mapped[str | None] = mapped_column(index=True)
    customer_identifier: Mapped[str | None] = mapped_column(index=True)
    state: Mapped[str]
    billing_account_id: Mapped[int | None] = mapped_column(ForeignKey("billing_accounts.id"), index=True)
    created_at: Mapped[datetime]
    claimed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None] = mapped_column(index=True)
    warned_at: Mapped[datetime | None]
    why: Mapped[str | None]
    on_end: Mapped[str | None]
    successor_id: Mapped[int | None] = mapped_column(ForeignKey("subscriptions.id"), index=True)
    lives: Mapped[int] = mapped_column(default=0, server_default="0")
    entitlements: Mapped[list[dict[str, Any]] | None] = mapped_column(JSON(none_as_null=True))
    entitlements_at: Mapped[datetime | None]
    doubt: Mapped[str | None]
    doubted_at: Mapped[datetime | None]

    cloud_account: Mapped[CloudAccount] = relationship(lazy="joined", innerjoin=True)
    successor: Mapped["Subscription | None"] = relationship(remote_side=id)

    @property
    def pays(self) -> bool:
        """Whether it pays for what is bound to it, and more may be bound to it."""
        return self.state == ACTIVE

    @property
    def locks(self) -> bool:
        """Whether its end has locked the workspaces it paid for, unless something follows it."""
        return self.state == ENDED and self.on_end not in (SWITCH, STAY)

    @property
    def paid_through(self) -> tuple[str, str]:
        """The settlement method it is, and the marketplace it was bought at: what a site allows or not."""
        return self.provider, self.cloud_account.partition


class Workspace(Base):
    """A workspace on one site. ``language`` ("en", "zh") is its template language, fixed for life.

    ``settlement_method`` is "aws", "alibaba" or "billing_center", as it was last chosen; with a cloud,
    ``subscription_id`` says which purchase pays, or paid until it ended: what settles it now is read from both rows
    (:mod:`wizard.billing.settlement`). ``origin`` names what made it, so that it is made once.
    ``settlement_number`` counts the lines of its history: whoever changes it says which one they saw.
    ``settlement_changed_at`` is the last change that counts for how often somebody may change it. ``locked_at``: its
    site and its history were told that it is locked; whether it is, is read.
    """

    __tablename__ = "workspaces"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(unique=True)
    origin: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[str]
    name: Mapped[str]
    language: Mapped[str]
    state: Mapped[str]
    owner_id: Mapped[int] = mapped_column(ForeignKey("console_accounts.id"), index=True)
    billing_account_id: Mapped[int] = mapped_column(ForeignKey("billing_accounts.id"), index=True)
    settlement_method: Mapped[str]
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("subscriptions.id"), index=True)
    settlement_number: Mapped[int] = mapped_column(default=1, server_default="1")
    settlement_changed_at: Mapped[datetime | None]
    locked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    made_at: Mapped[datetime | None]

    owner: Mapped[ConsoleAccount] = relationship()
    billing_account: Mapped[BillingAccount] = relationship()
    subscription: Mapped[Subscription | None] = relationship()


class Settlement(Base):
    """One line of a workspace's history.

    ``what`` happened: "settled" (from ``at`` on it was settled this way), "locked" (the subscription that paid had
    ended), "unlocked" (it, or what follows it, pays again), "closed" or "dissolved". ``number`` counts from 1, its
    first settlement, so that two changes at once are one change and a refusal. ``by`` names who did it, always in the
    same way: "journey SK-XXXX-XXXX of billing account 7" (… "of console account 12"; alone where neither was known),
    "billing account 7", "console account 12", "marketplace aws-cn", "calendar", or
    :data:`wizard.billing.settlement.BEFORE`.
    """

    __tablename__ = "settlements"

    workspace_id: Mapped[int] = mapped_column(ForeignKey("workspaces.id"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    what: Mapped[str] = mapped_column(default=SETTLED, server_default=SETTLED)
    method: Mapped[str]
    subscription_id: Mapped[int | None] = mapped_column(ForeignKey("subscriptions.id"), index=True)
    by: Mapped[str]

    workspace: Mapped[Workspace] = relationship()
    subscription: Mapped[Subscription | None] = relationship()
