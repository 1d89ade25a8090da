"""Workspaces: ordered from a site in one transaction, made by it afterwards."""

import secrets
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import sqlalchemy.orm
from sqlalchemy.exc import IntegrityError

from wizard import clock, outbox
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing import subscriptions
from wizard.billing.models import ACTIVE, BEING_MADE, BILLING_CENTER, Subscription, Workspace
from wizard.extensions import change, db
from wizard.sites import directory, gateway
from wizard.transactions import release


class WorkspaceExists(Exception):
    """This origin has ordered its workspace already."""


class MethodNotAllowed(Exception):
    """The site does not allow this settlement method."""


@dataclass(frozen=True)
class Order:
    """A workspace to be made: where, what it is called and its template language ("en" or "zh")."""

    site_id: str
    name: str
    language: str


def order(
    wanted: Order,
    owner: ConsoleAccount,
    payer: BillingAccount,
    subscription: Subscription | None,
    origin: str,
) -> Workspace:
    """Order a workspace settled by ``subscription``, or by the Billing Center account itself without one.

    Raises :class:`WorkspaceExists`, :class:`MethodNotAllowed` or
    :class:`wizard.billing.subscriptions.SubscriptionTaken`; then nothing was written.
    """
    method = subscription.provider if subscription else BILLING_CENTER
    if not directory.allows(directory.get(wanted.site_id), method):
        raise MethodNotAllowed
    workspace = Workspace(
        public_id=f"wksp_{secrets.token_hex(8)}",
        origin=origin,
        site_id=wanted.site_id,
        name=wanted.name,
        language=wanted.language,
        state=BEING_MADE,
        owner_id=owner.id,
        billing_account_id=payer.id,
        settlement_method=method,
        subscription_id=subscription.id if subscription else None,
        created_at=clock.now(),
    )
    try:
        with db.session.begin_nested():
            db.session.add(workspace)
            db.session.flush()
            if subscription:
                subscriptions.claim(subscription.id, payer.id)
    except IntegrityError:
        raise WorkspaceExists from None
    outbox.enqueue(
        "billing.make_workspace", {"workspace": workspace.id}, key=f"make-workspace:{workspace.id}"
    )
    return workspace


def make(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.make_workspace``: ask the site, then say that it is there and tell its owner."""
    workspace = db.session.get_one(Workspace, payload["workspace"])
    owner, site = workspace.owner, directory.get(workspace.site_id)
    details = gateway.NewWorkspace(
        public_id=workspace.public_id,
        name=workspace.name,
        language=workspace.language,
        owner_username=owner.username,
        owner_email=owner.email,
    )
    release()
    gateway.console().create_workspace(site.id, details)
    made = change(
        sa.update(Workspace)
        .where(Workspace.id == payload["workspace"], Workspace.state == BEING_MADE)
        .values(state=ACTIVE, made_at=clock.now())
    )
    if made:
        outbox.enqueue("billing.tell_ready", payload, key=f"ready:{payload['workspace']}")


def owned_by(account: ConsoleAccount) -> list[Workspace]:
    """A console account's workspaces, with what settles each, oldest first."""
    return list(
        db.session.scalars(
            sa.select(Workspace)
            .where(Workspace.owner_id == account.id)
            .options(
                sa.orm.joinedload(Workspace.subscription),
                sa.orm.joinedload(Workspace.billing_account),
                sa.orm.joinedload(Workspace.owner),
            )
            .order_by(Workspace.id)
        )
    )
