"""What the domain tells people by mail."""

import hashlib
from typing import Any

import sqlalchemy as sa
from flask import current_app

from wizard import mail, outbox
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing import endings
from wizard.billing.models import ACTIVE, BEING_MADE, CLOSED, Subscription, Workspace
from wizard.billing.wording import payer_of
from wizard.extensions import db
from wizard.sites import directory
from wizard.transactions import release


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
