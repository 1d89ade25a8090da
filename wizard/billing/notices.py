"""What the domain tells people by mail."""

import hashlib
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_babel import force_locale

from wizard import mail, outbox
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing import endings, locks
from wizard.billing.models import ACTIVE, BEING_MADE, BILLING_CENTER, CLOSED, Subscription, Workspace
from wizard.billing.wording import cloud_account_name, end_of, payer_of, ways_to_unlock
from wizard.extensions import db
from wizard.sites import directory
from wizard.transactions import release
from wizard.wording import date_and_time, date_of

NAMED = 10
"""How many workspaces a mail names; of the others it tells how many they are."""

_MAILS = {
    "ended": "subscription_ended",
    "switched": "settlement_switched",
    "warning": "lock_warning",
    "closed": "workspaces_closed",
}


def tell_ready(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.tell_ready``: the workspace is there, and how to sign in to it."""
    workspace = db.session.get_one(Workspace, payload["workspace"])
    owner: ConsoleAccount = workspace.owner
    site = directory.get(workspace.site_id)
    context = {
        "workspace_name": workspace.name,
        "site": site.label.in_(owner.locale),
        "paid_by": payer_of(workspace, owner.locale),
        "sign_in_url": f"{current_app.config['PUBLIC_URL']}/sign-in?site={site.id}",
        "agent": current_app.extensions["brand"].agent_name,
    }
    address, locale = owner.email, owner.locale
    release()
    mail.deliver(address, "workspace_ready", locale, context, entry_id)


# What became of a subscription's workspaces -----------------------------------------------------------------


def spread(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.spread``: a mail to everybody concerned, once to each address; a batch of owners,
    then the next one in an entry of its own.

    Concerned are the Billing Center account and the owners of the workspaces. Each mail is an entry, written when it
    is sent (:func:`tell`).
    """
    of, what = db.session.get_one(Subscription, payload["subscription"]), payload["what"]
    payer = db.session.get(BillingAccount, of.billing_account_id) if of.billing_account_id else None
    owners = db.session.execute(
        sa.select(ConsoleAccount.id, ConsoleAccount.email_key)
        .where(
            ConsoleAccount.id > payload["after"],
            ConsoleAccount.email_key != (payer.email_key if payer else ""),
            sa.exists().where(Workspace.owner_id == ConsoleAccount.id, *concerned(of.id, what)),
        )
        .order_by(ConsoleAccount.id)
        .limit(endings.BATCH)
    ).all()
    due = [_mail(payload, "console", owner.id, owner.email_key) for owner in owners]
    if payer and not payload["after"]:
        due.append(_mail(payload, "billing", payer.id, payer.email_key))
    if len(owners) == endings.BATCH:
        after = owners[-1].id
        due.append(
            outbox.Due("billing.spread", {**payload, "after": after}, f"{_occasion(payload)}:after {after}")
        )
    outbox.enqueue_all(due)


def _mail(payload: dict[str, Any], area: str, account_id: int, email_key: str) -> outbox.Due:
    """One mail to one address, however many accounts have it."""
    address = hashlib.sha256(email_key.encode()).hexdigest()[:32]
    told = {**payload, "area": area, "account": account_id}
    return outbox.Due("billing.tell_ended", told, f"{_occasion(payload)}:{address}")


def _occasion(payload: dict[str, Any]) -> str:
    return f"{payload['what']}:{payload['subscription']}:{payload['life']}"


def concerned(subscription_id: int, what: str) -> tuple[sa.ColumnElement[bool], ...]:
    """The conditions for the workspaces that a mail speaks of; ``what``: see :func:`.endings.spread`."""
    states = (CLOSED,) if what == "closed" else (ACTIVE, BEING_MADE)
    return Workspace.subscription_id == subscription_id, Workspace.state.in_(states)


def tell_ended(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.tell_ended``: what became of the workspaces that a subscription paid for, to its
    Billing Center account, or to the owner of some of them. Says what is true when it is sent.
    """
    of, what = db.session.get_one(Subscription, payload["subscription"]), payload["what"]
    if what != "closed" and payload["life"] != of.lives:
        raise outbox.NoLongerNeeded("something pays again, or did and ended once more")
    reader = _reader(payload["area"], payload["account"])
    found = _spoken_of(of, what, reader) if reader else []
    if reader is None or not found:
        raise outbox.NoLongerNeeded("none of them is concerned any more")
    address, locale = reader.email, reader.locale
    with force_locale(locale):
        context = _about(of, found, locale) | _where_to(reader, found)
    release()
    mail.deliver(address, _MAILS[what], locale, context, entry_id)


def _reader(area: str, account_id: int) -> BillingAccount | ConsoleAccount | None:
    if area == "billing":
        return db.session.get(BillingAccount, account_id)
    return db.session.get(ConsoleAccount, account_id)


def _spoken_of(of: Subscription, what: str, reader: BillingAccount | ConsoleAccount) -> list[Any]:
    """The first few workspaces that a mail to somebody speaks of, and in each row how many there are."""
    if isinstance(reader, BillingAccount):
        theirs = Workspace.billing_account_id == reader.id
    else:  # The mail is for an address, whatever sites its owner has console accounts on.
        same_address = sa.select(ConsoleAccount.id).where(ConsoleAccount.email_key == reader.email_key)
        theirs = Workspace.owner_id.in_(same_address)
    wanted = sa.select(
        Workspace.name, Workspace.site_id, Workspace.public_id, sa.func.count().over().label("count")
    )
    ordered = wanted.where(*concerned(of.id, what), theirs).order_by(Workspace.site_id, Workspace.id)
    return list(db.session.execute(ordered.limit(NAMED)))


def _about(of: Subscription, found: list[Any], locale: str) -> dict[str, Any]:
    """What such a mail tells of the subscription and its workspaces, in the reader's language."""
    by_site: dict[str, list[str]] = {}
    for row in found:
        by_site.setdefault(row.site_id, []).append(row.name)
    payer = db.session.get(BillingAccount, of.billing_account_id) if of.billing_account_id else None
    sites = [directory.get(site_id) for site_id in by_site]
    closes_at = locks.closes_with(of)
    return {
        "count": found[0].count,
        "sites": [(site.label.in_(locale), by_site[site.id]) for site in sites],
        "more": found[0].count - len(found),
        "end": end_of(of),
        "ended_on": date_of(of.ended_at or of.created_at),
        "cloud_account": cloud_account_name(of.cloud_account),
        "until": date_and_time(closes_at),
        "last_day": date_of(closes_at),
        "to_unlock": ways_to_unlock(of, all(directory.allows(site, BILLING_CENTER) for site in sites)),
        "username": payer.username if payer else "",
    }


def _where_to(reader: BillingAccount | ConsoleAccount, found: list[Any]) -> dict[str, Any]:
    """Where such a mail leads its reader."""
    public = current_app.config["PUBLIC_URL"]
    if isinstance(reader, BillingAccount):
        return {"is_payer": True, "go_url": f"{public}/billing/workspaces"}
    only = f"workspaces/{found[0].public_id}" if found[0].count == 1 else ""
    return {"is_payer": False, "go_url": f"{public}/console/{only}"}
