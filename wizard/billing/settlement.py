"""What may settle a workspace that exists, and changing it. The rules for that are here and nowhere else.

What settles a new one is decided where it is ordered: :func:`wizard.billing.workspaces.order`.
Pages ask :func:`refusal_of` before the click, :func:`bind` asks it again and decides: one UPDATE that finds
the workspace as it was seen.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import current_app

from wizard import clock
from wizard.billing.models import (
    ACTIVE,
    BEING_MADE,
    DISSOLVED,
    CloudAccount,
    Settlement,
    Subscription,
    Workspace,
)
from wizard.extensions import change, db, insert
from wizard.sites import directory

BOUND = "bound"
SUBSCRIPTION_ENDED = "subscription ended"
SITE = "site"
OTHER_PAYS = "other pays"
TOO_SOON = "too soon"
CHANGED = "changed"

BEFORE = "before this was written down"
"""Who settled a workspace first, where nobody wrote it down: it is older than the history, or was ordered by a process
of the version before during the update."""


@dataclass(frozen=True)
class Refusal:
    """Why a workspace cannot be bound to a subscription.

    ``reason`` is one of :data:`DISSOLVED`, :data:`BEING_MADE`, :data:`BOUND` (to this one already),
    :data:`SUBSCRIPTION_ENDED`, :data:`SITE` (does not allow the method), :data:`OTHER_PAYS` (``payer`` is
    still subscribed), :data:`TOO_SOON` (``changed_at``; possible again from ``until`` on) and :data:`CHANGED`
    (by another request at this very moment).
    """

    reason: str
    payer: CloudAccount | None = None
    changed_at: datetime | None = None
    until: datetime | None = None


class CannotBind(Exception):
    """The rules forbid it, or another request settled the workspace first: then the rules are asked anew."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal


def is_bound(workspace: Workspace, subscription: Subscription) -> bool:
    return workspace.subscription_id == subscription.id


def is_locked(workspace: Workspace) -> bool:
    """Whether nothing pays for it any more. It reads as locked from the moment its subscription ends.

    That is the policy for AWS. Where another marketplace's purchases end differently (there the Billing Center
    account pays from then on), its policy decides here, by ``paying.provider``.
    """
    paying = workspace.subscription
    return workspace.locked_at is not None or (paying is not None and not paying.pays)


def refusal_of(workspace: Workspace, subscription: Subscription) -> Refusal | None:
    """Why this workspace cannot be bound to this subscription now; None if it can. Asks no database.

    A locked workspace may always change: that is how it is unlocked.
    """
    if workspace.state in (DISSOLVED, BEING_MADE) and not is_bound(workspace, subscription):
        return Refusal(workspace.state)
    if not subscription.pays:
        return Refusal(SUBSCRIPTION_ENDED)
    if is_bound(workspace, subscription):
        return Refusal(BOUND)
    if not directory.allows(directory.get(workspace.site_id), *subscription.paid_through):
        return Refusal(SITE)
    if is_locked(workspace):
        return None
    paying = workspace.subscription
    if paying is not None and not current_app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"]:
        return Refusal(OTHER_PAYS, payer=paying.cloud_account)
    changed_at = workspace.settlement_changed_at
    interval = timedelta(days=current_app.config["SETTLEMENT_CHANGE_INTERVAL_DAYS"])
    if changed_at is not None and changed_at + interval > clock.now():
        return Refusal(TOO_SOON, changed_at=changed_at, until=changed_at + interval)
    return None


def bind(workspace: Workspace, subscription: Subscription, by: str) -> bool:
    """From now on this subscription pays for the workspace; a locked one is unlocked.

    Both must be the same Billing Center account's. False where it was bound already.
    Raises :class:`CannotBind`.
    """
    # First, so that the subscription cannot end between this and our commit: whoever ends it waits, and then finds
    # this workspace among those it pays for. Two that bind do not wait for each other. SQLite has one writer anyway.
    db.session.refresh(subscription, with_for_update={"read": True, "of": Subscription})
    refusal = refusal_of(workspace, subscription)
    if refusal is not None:
        if refusal.reason == BOUND:
            return False
        raise CannotBind(refusal)
    now = clock.now()
    seen, counts = workspace.settlement_number, not is_locked(workspace)
    paid_for = sa.exists().where(
        Subscription.id == subscription.id,
        Subscription.state == ACTIVE,
        Subscription.billing_account_id == workspace.billing_account_id,
    )
    changed = change(
        sa.update(Workspace)
        .where(
            Workspace.id == workspace.id,
            Workspace.settlement_number == seen,
            Workspace.state == ACTIVE,
            Workspace.billing_account_id == workspace.billing_account_id,
            paid_for,
        )
        .values(
            settlement_method=subscription.provider,
            subscription_id=subscription.id,
            settlement_number=seen + 1,
            settlement_changed_at=now if counts else Workspace.settlement_changed_at,
            locked_at=None,
        )
    )
    if not changed:
        db.session.refresh(workspace)
        db.session.refresh(subscription)
        refusal = refusal_of(workspace, subscription)
        if refusal is not None and refusal.reason == BOUND:
            return False
        raise CannotBind(refusal or Refusal(CHANGED))
    if seen == 1:
        _write_first_down(workspace)
    write_down(workspace.id, seen + 1, subscription.provider, subscription.id, by)
    return True


def _write_first_down(workspace: Workspace) -> None:
    """The first line of the history of a workspace as it was read, where it has none (see :data:`BEFORE`)."""
    first = insert(Settlement).values(
        workspace_id=workspace.id,
        number=1,
        at=workspace.created_at,
        method=workspace.settlement_method,
        subscription_id=workspace.subscription_id,
        by=BEFORE,
    )
    db.session.execute(first.on_conflict_do_nothing())


def write_down(workspace_id: int, number: int, method: str, subscription_id: int | None, by: str) -> None:
    """One line of a workspace's history. Goes with the change it tells of."""
    db.session.add(
        Settlement(
            workspace_id=workspace_id,
            number=number,
            at=clock.now(),
            method=method,
            subscription_id=subscription_id,
            by=by,
        )
    )
