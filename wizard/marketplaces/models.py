"""Arrivals: landings from a marketplace."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ForeignKey
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
