"""Accounts, the names they hold, and their sessions."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from wizard.extensions import Base


class Authenticated:
    """What Flask-Login asks of whoever is signed in."""

    is_authenticated = True
    is_active = True
    is_anonymous = False


class ConsoleAccount(Authenticated, Base):
    """A person's account on one site. ``origin`` names what made it, so that it is made once."""

    __tablename__ = "console_accounts"
    __table_args__ = (UniqueConstraint("site_id", "username_key"), UniqueConstraint("site_id", "email_key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[str]
    username: Mapped[str]
    username_key: Mapped[str]
    email: Mapped[str]
    email_key: Mapped[str]
    password_hash: Mapped[str]
    phone: Mapped[str | None]
    company_name: Mapped[str]
    industry: Mapped[str | None]
    region: Mapped[str | None]
    description: Mapped[str | None]
    contact_name: Mapped[str | None]
    locale: Mapped[str]
    created_at: Mapped[datetime]


class BillingAccount(Authenticated, Base):
    """An account of the Billing Center: settles many workspaces on many sites.

    ``any_method``: staff have let it settle a workspace in every way there is, whatever its site's list says.
    """

    __tablename__ = "billing_accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(unique=True)
    username: Mapped[str]
    username_key: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str]
    email_key: Mapped[str] = mapped_column(unique=True)
    password_hash: Mapped[str]
    company_name: Mapped[str]
    locale: Mapped[str]
    any_method: Mapped[bool] = mapped_column(default=False, server_default=false())
    created_at: Mapped[datetime]


class UsernameClaim(Base):
    """A name somebody holds in one scope ("site:us1", "billing").

    The unique key decides who has it; ``holder`` is a journey that may still use it or the account that
    does. A journey's claim ends at ``expires_at``; an account's never does.
    """

    __tablename__ = "username_claims"

    scope: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str] = mapped_column(index=True)
    expires_at: Mapped[datetime | None]


class Session(Base):
    """One identity in one browser. The cookie holds an opaque id; here is only its hash.

    ``kind`` is "journey", "console", "billing", "reset" or "billing_reset" and ``subject`` the id of that thing.
    ``rotated_at`` is when the id was last replaced (see :mod:`wizard.accounts.sessions`).
    """

    __tablename__ = "sessions"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    subject: Mapped[int] = mapped_column(index=True)
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    rotated_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]


class PasswordReset(Base):
    """One browser on its way to a new password for whoever is called this on this site.

    ``named`` is what was typed: an address, or a username in the Billing Center, which is on no site (""). Whether
    anybody is called so is not kept. ``reference`` is what its codes are bound to. Proven, it is the right to set one
    password, until ``expires_at``.
    """

    __tablename__ = "password_resets"
    __table_args__ = (Index("ix_password_resets_account", "site_id", "email_key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(unique=True)
    site_id: Mapped[str]
    named: Mapped[str] = mapped_column("email")
    named_key: Mapped[str] = mapped_column("email_key")
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    proven_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
