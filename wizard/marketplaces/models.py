"""Arrivals: landings from a marketplace. Messages: what a marketplace tells."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from wizard.billing.models import Subscription
from wizard.extensions import Base


class Arrival(Base):
    """One landing: what was proven, for which browser, until when.

    ``token_hash`` recognises a token that was resolved before; the token itself is kept nowhere.
    ``claim_hash`` belongs to the claim cookie of the one browser that landed. ``contact`` is what the marketplace
    said of the buyer, by field name: a suggestion for this browser's forms, and never a proof.
    """

    __tablename__ = "arrivals"

    id: Mapped[str] = mapped_column(primary_key=True)
    marketplace: Mapped[str]
    token_hash: Mapped[str] = mapped_column(index=True)
    claim_hash: Mapped[str]
    subscription_id: Mapped[int] = mapped_column(ForeignKey("subscriptions.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    contact: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    subscription: Mapped[Subscription] = relationship(lazy="joined", innerjoin=True)


class Message(Base):
    """The inbox: one row for each thing a marketplace said, kept for good.

    ``message_id`` is the source's own behind the marketplace's name, so that a message is kept once whatever roads it
    took. ``at`` is its own time, and decides; ``received_at`` is ours. ``agreement_id`` … ``customer_key`` name the
    purchase; ``applied_at`` says since when that purchase is known here and was made what it says. ``problem``: why it
    was not; ``tries``, ``try_after``: how often that was tried, and when it may be again.
    """

    __tablename__ = "messages"
    __table_args__ = (
        Index(
            "ix_messages_unapplied",
            "try_after",
            sqlite_where=text("applied_at IS NULL"),
            postgresql_where=text("applied_at IS NULL"),
        ),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    message_id: Mapped[str] = mapped_column(unique=True)
    marketplace: Mapped[str]
    road: Mapped[str]
    kind: Mapped[str]
    at: Mapped[datetime]
    agreement_id: Mapped[str] = mapped_column(index=True)
    previous_agreement_id: Mapped[str] = mapped_column(index=True)
    license_key: Mapped[str] = mapped_column(index=True)
    customer_key: Mapped[str] = mapped_column(index=True)
    why: Mapped[str]
    payload: Mapped[dict[str, Any]]
    problem: Mapped[str]
    received_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    tries: Mapped[int] = mapped_column(default=0)
    try_after: Mapped[datetime]
