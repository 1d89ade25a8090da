"""What proves that somebody is the owner of a console account: its password, and the browsers it is signed in on."""

import sqlalchemy as sa
from flask import current_app, session
from flask_babel import force_locale

from wizard import clock, outbox
from wizard.accounts import identity, resets, sessions
from wizard.accounts.models import ConsoleAccount
from wizard.extensions import change
from wizard.flows import journeys
from wizard.sites import directory as sites
from wizard.wording import date_and_time


class ChangedMeanwhile(Exception):
    """Another request has set a password first."""


def set_after_reset(reset_id: int, account: ConsoleAccount, password_hash: str) -> None:
    """Set the password somebody chose who has proven the account's address, and sign this browser in.

    Raises :class:`ChangedMeanwhile` where the proof is spent by now or ran out.
    """
    if reset_id not in resets.use_up(account.site_id, account.email_key):
        raise ChangedMeanwhile
    _set(account, password_hash)


def set_instead(account: ConsoleAccount, password_hash: str) -> None:
    """Set another password for somebody who knows the one they have. Raises :class:`ChangedMeanwhile`."""
    _set(account, password_hash, ConsoleAccount.password_hash == account.password_hash)
    resets.use_up(account.site_id, account.email_key)


def _set(account: ConsoleAccount, password_hash: str, *only: sa.ColumnElement[bool]) -> None:
    """The new hash; every browser signed out, and this one signed in anew; a mail to the owner."""
    if not change(
        sa.update(ConsoleAccount)
        .where(ConsoleAccount.id == account.id, *only)
        .values(password_hash=password_hash)
    ):
        raise ChangedMeanwhile
    session.pop("csrf_token", None)
    sessions.renew(identity.CONSOLE, account.id, *everywhere(account.id))
    site = sites.get(account.site_id)
    public = current_app.config["PUBLIC_URL"]
    with force_locale(account.locale):
        when = date_and_time(clock.now())
    context = {
        "username": account.username,
        "site": site.label.in_(account.locale),
        "when": when,
        "forgot_url": f"{public}/forgot-password?site={site.id}",
    }
    outbox.enqueue(
        "mail",
        {"to": account.email, "name": "password_changed", "locale": account.locale, "context": context},
    )


def everywhere(account_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Every session that opens something of an account, on whatever device."""
    return (
        sessions.of(identity.CONSOLE, [account_id]),
        sessions.of("journey", journeys.ids_of(account_id)),
    )
