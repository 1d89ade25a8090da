"""Who is signed in, area by area. Console and Billing Center identities live side by side."""

from datetime import timedelta
from typing import cast

import sqlalchemy as sa
from flask import Flask, g, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from wizard import clock
from wizard.accounts import sessions
from wizard.accounts.models import BillingAccount, ConsoleAccount, Session
from wizard.extensions import db, login

CONSOLE = "console"


def console_account_id() -> int | None:
    """The console account signed in here, without loading it; None costs no statement."""
    mine = sessions.where_mine(CONSOLE)
    if mine is None:
        return None
    if "console_account_id" not in g:
        g.console_account_id = db.session.scalar(sa.select(Session.subject).where(mine))
    return cast("int | None", g.console_account_id)


def console_account() -> ConsoleAccount:
    """The account behind a console page. Only on routes the access table gives to console accounts."""
    return cast("ConsoleAccount", current_user)


FRESH = timedelta(minutes=30)
"""For so long after signing in somebody needs no code to show that a Billing Center account is theirs."""


def fresh_billing_account() -> BillingAccount | None:
    """The Billing Center account signed in here within :data:`FRESH`; without a cookie no statement is needed."""
    mine = sessions.where_mine("billing")
    if mine is None:
        return None
    return db.session.scalar(
        sa.select(BillingAccount)
        .join(Session, Session.subject == BillingAccount.id)
        .where(mine, Session.created_at > clock.now() - FRESH)
    )


def _load_console() -> ConsoleAccount | None:
    mine = sessions.where_mine(CONSOLE)
    if mine is None:
        return None
    return db.session.scalar(
        sa.select(ConsoleAccount).join(Session, Session.subject == ConsoleAccount.id).where(mine)
    )


_LOADERS = {"console": _load_console}
"""Blueprint → who is signed in there. An area reads its own identity and no other."""


def init_identity(app: Flask) -> None:
    login.session_protection = None  # It would write into the signed cookie, and our sessions are rows.
    # No template asks who is signed in, and an error page must not ask the database that failed.
    login.init_app(app, add_context_processor=False)

    @login.request_loader
    def load(_request: object) -> ConsoleAccount | None:
        loader = _LOADERS.get(request.blueprint or "")
        return loader() if loader else None

    @login.unauthorized_handler
    def ask() -> ResponseReturnValue:
        return redirect(url_for("console.sign_in", next=request.path), 303)
