"""Who is signed in, area by area. Console and Billing Center identities live side by side."""

from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar, cast

import sqlalchemy as sa
from flask import Flask, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from wizard import clock
from wizard.accounts import sessions
from wizard.accounts.models import BillingAccount, ConsoleAccount, Session
from wizard.extensions import db, login

Account = TypeVar("Account", ConsoleAccount, BillingAccount)

CONSOLE = "console"
BILLING = "billing"

FRESH = timedelta(minutes=30)
"""For so long after its password was typed here a session proves as much as an emailed code does."""


def console_account_id() -> int | None:
    """The console account signed in here, without loading it; None costs no statement."""
    return _ids().get(CONSOLE)


def billing_account_id() -> int | None:
    """The Billing Center account signed in here, without loading it; None costs no statement."""
    return _ids().get(BILLING)


def _ids() -> dict[str, int]:
    """Kind → account of each identity this browser has. One statement for all of them, none without a cookie."""
    if "signed_in" not in g:
        g.signed_in = {}
        brought = [mine for kind in (CONSOLE, BILLING) if (mine := sessions.where_mine(kind)) is not None]
        if brought:
            rows = db.session.execute(sa.select(Session.kind, Session.subject).where(sa.or_(*brought)))
            g.signed_in = {row.kind: row.subject for row in rows}
    return cast("dict[str, int]", g.signed_in)


def console_account() -> ConsoleAccount:
    """The account behind a console page. Only on routes the access table gives to console accounts."""
    return cast("ConsoleAccount", current_user)


def billing_account() -> BillingAccount:
    """The account behind a Billing Center page. Only on routes the access table gives to such accounts."""
    return cast("BillingAccount", current_user)


def billing_account_here() -> BillingAccount | None:
    """The Billing Center account signed in here, on any page. No statement where it is loaded already."""
    if request.blueprint == "billing_center":
        return billing_account()
    signed_in = billing_account_id()
    return db.session.get(BillingAccount, signed_in) if signed_in else None


def fresh_billing_account() -> BillingAccount | None:
    """The Billing Center account that signed in here within :data:`FRESH`. One statement, none without a cookie."""
    return _load(BillingAccount, BILLING, Session.created_at > clock.now() - FRESH)


def _load(model: type[Account], kind: str, *only: sa.ColumnElement[bool]) -> Account | None:
    mine = sessions.where_mine(kind)
    if mine is None:
        return None
    return db.session.scalar(sa.select(model).join(Session, Session.subject == model.id).where(mine, *only))


_LOADERS: dict[str, Callable[[], ConsoleAccount | BillingAccount | None]] = {
    "console": lambda: _load(ConsoleAccount, CONSOLE),
    "billing_center": lambda: _load(BillingAccount, BILLING),
}
"""Blueprint → who is signed in there. An area reads its own identity and no other."""


def init_identity(app: Flask) -> None:
    login.session_protection = None  # It would write into the signed cookie, and our sessions are rows.
    # No template asks who is signed in, and an error page must not ask the database that failed.
    login.init_app(app, add_context_processor=False)

    @login.request_loader
    def load(_request: object) -> ConsoleAccount | BillingAccount | None:
        loader = _LOADERS.get(request.blueprint or "")
        return loader() if loader else None

    @login.unauthorized_handler
    def ask() -> ResponseReturnValue:
        return redirect(url_for(f"{request.blueprint}.sign_in", next=request.path), 303)
