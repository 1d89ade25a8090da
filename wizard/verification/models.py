"""Email challenges."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from wizard.extensions import Base


class Challenge(Base):
    """One proof that an address is read by whoever asked.

    It is bound to a purpose, an address and an owner (``bound_to``, a journey for instance), owns one
    counter of wrong tries, and keeps nothing secret: its code is derived from ``id`` and ``generation``.
    A ``decoy`` looks and counts like any other and matches no code. ``asked_as`` is what was named by somebody
    who must not learn the address.
    """

    __tablename__ = "challenges"
    __table_args__ = (
        Index(
            "uq_challenges_live",
            "purpose",
            "bound_to",
            unique=True,
            sqlite_where=text("closed_at IS NULL"),
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    purpose: Mapped[str]
    bound_to: Mapped[str]
    address: Mapped[str]
    asked_as: Mapped[str] = mapped_column(default="", server_default=text("''"))
    decoy: Mapped[bool]
    locale: Mapped[str]
    message: Mapped[str]
    about: Mapped[dict[str, Any]]
    generation: Mapped[int] = mapped_column(default=1)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    sent_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    outcome: Mapped[str | None]
