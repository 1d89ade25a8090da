"""What proves that somebody is the owner of an account: its password, and the browsers it is signed in on."""

import sqlalchemy as sa
from flask import current_app, session, url_for
from flask_babel import force_locale

from wizard import clock, outbox
from wizard.accounts import resets, sessions
from wizard.accounts.areas import Account, Area
from wizard.extensions import change
from wizard.sites import directory as sites
from wizard.wording import date_and_time


class ChangedMeanwhile(Exception):
    """Another request has set a password first."""


def set_after_reset(area: Area, reset_id: int, account: Account, password_hash: str) -> None:
    """Set the password somebody chose who has proven the account's address, and sign this browser in.

    Raises :class:`ChangedMeanwhile` where the proof is spent by now or ran out.
    """
    if reset_id not in resets.use_up(area, account):
        raise ChangedMeanwhile
    _set(area, account, password_hash)


def set_instead(area: Area, account: Account, password_hash: str) -> None:
    """Set another password for somebody who knows the one they have. Raises :class:`ChangedMeanwhile`."""
    _set(area, account, password_hash, area.model.password_hash == account.password_hash)
    resets.use_up(area, account)


def _set(area: Area, account: Account, password_hash: str, *only: sa.ColumnElement[bool]) -> None:
    """The new hash; every browser signed out, and this one signed in anew; a mail to the owner."""
    if not change(
        sa.update(area.model).where(area.model.id == account.id, *only).values(password_hash=password_hash)
    ):
        raise ChangedMeanwhile
    session.pop("csrf_token", None)
    sessions.renew(area.kind, account.id, *area.everywhere(account.id))
    site_id = getattr(account, "site_id", None)
    with force_locale(account.locale):
        when = date_and_time(clock.now())
    context = {
        "username": account.username,
        "site": sites.get(site_id).label.in_(account.locale) if site_id else None,
        "when": when,
        "forgot_url": current_app.config["PUBLIC_URL"] + url_for(f"{area.reset}.begin", site=site_id),
    }
    outbox.enqueue(
        "mail",
        {"to": account.email, "name": "password_changed", "locale": account.locale, "context": context},
    )
