"""Cloud accounts: what each has bought, and the workspaces that pays for."""

from itertools import groupby
from typing import Any

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from wizard.accounts import identity
from wizard.billing import history, locks, settlement, subscriptions, workspaces
from wizard.billing.models import ACTIVE, BEING_MADE, LOCKED, Subscription, Workspace
from wizard.billing.wording import cloud_account_name, ended_on, purchase_id, state_of, time_to_unlock
from wizard.billing_center.views import bp
from wizard.flows import claiming, journeys, line
from wizard.forms import Button
from wizard.limits import limited
from wizard.lists import Listed, page_number, searched_for
from wizard.marketplaces import protocol as marketplaces
from wizard.sites import directory as sites

_ONE = "/cloud-accounts/<int(max=2147483647):subscription_id>"
"""The largest number a database takes for an id; beyond it there is no page."""


@bp.get("/cloud-accounts")
def cloud_accounts() -> str:
    """What this account has bought, by cloud account, with the first of the workspaces each purchase pays for."""
    account_id, search = identity.billing_account().id, searched_for()
    mine = subscriptions.claimed_by(account_id, search, page_number())
    ids = [subscription.id for subscription in mine.items]
    settled = subscriptions.settled_by(ids) if ids else {}
    begun = journeys.unfinished_for(account_id, ids) if ids else {}
    accounts = [
        (
            cloud_account_name(account),
            [_told(one, _drawn(settled.get(one.id)), begun.get(one.id)) for one in bought],
        )
        for account, bought in groupby(mine.items, lambda one: one.cloud_account)
    ]
    return render_template(
        "billing_center/cloud_accounts.html",
        accounts=accounts,
        listed=Listed(mine, search),
        listings=marketplaces.listed(),
    )


@bp.get(_ONE)
def cloud_account(subscription_id: int) -> str:
    """One purchase and all the workspaces it pays for. 404 for anybody else's."""
    bought = _mine(subscription_id)
    search = searched_for()
    paid = workspaces.paid_by(bought, search, page_number())
    begun = journeys.unfinished_of_payer(identity.billing_account().id, bought.id)
    return render_template(
        "billing_center/cloud_account.html",
        account=cloud_account_name(bought.cloud_account),
        one=_told(
            bought,
            subscriptions.Bound(tuple(paid.items), paid.total or 0),
            begun.reference if begun else None,
        ),
        listed=Listed(paid, search),
        pays=bool(paid.total or search),
        back_url=url_for(".cloud_accounts"),
    )


@bp.get(f"{_ONE}/history")
def cloud_account_history(subscription_id: int) -> str:
    """What has happened to a purchase and to the workspaces it pays or paid for. 404 for anybody else's."""
    bought = _mine(subscription_id)
    account = identity.billing_account()
    lines = history.of_subscription(bought, page_number())
    return render_template(
        "billing_center/cloud_account_history.html",
        account=cloud_account_name(bought.cloud_account),
        one=_told(bought, subscriptions.Bound(), None),
        claimed_by=account.username,
        lines=[
            {
                "at": each.at,
                "name": each.workspace.name,
                "url": url_for(".workspace", public_id=each.workspace.public_id),
                "what": history.what(each),
                "by": history.by(each, each.workspace, account),
            }
            for each in lines.items
        ],
        listed=Listed(lines),
    )


@bp.route(f"{_ONE}/bind", methods=["GET", "POST"])
@limited("account")
def bind(subscription_id: int) -> ResponseReturnValue:
    """On to the workspaces that may be bound. Whoever opens its address gets the page."""
    bought = _mine(subscription_id)
    if not Button().validate_on_submit():
        return redirect(url_for(".cloud_account", subscription_id=bought.id), 303)
    try:
        journey = claiming.bind_more(bought, identity.billing_account())
    except subscriptions.SubscriptionTaken:
        flash(_("This subscription has ended: it pays for no more workspaces."))
        return redirect(url_for(".cloud_account", subscription_id=bought.id), 303)
    return redirect(url_for("flows.resume", reference=journey.reference), 303)


def _mine(subscription_id: int) -> Subscription:
    bought = subscriptions.of_payer(subscription_id, identity.billing_account().id)
    if bought is None:
        abort(404)
    return bought


def _drawn(paid: subscriptions.Bound | None) -> subscriptions.Bound:
    """The workspaces that hang on a purchase in the list of all: none where it pays for none of them any more and none
    waits to be unlocked."""
    if paid is None or not any(_hangs(workspace) for workspace in paid.newest):
        return subscriptions.Bound()
    return paid


def _hangs(workspace: Workspace) -> bool:
    paying = settlement.payer(workspace) is not None
    return workspace.state in (ACTIVE, BEING_MADE) and (paying or settlement.is_locked(workspace))


def _told(bought: Subscription, paid: subscriptions.Bound, begun: str | None) -> dict[str, Any]:
    """One purchase as a page shows it; ``begun`` is the reference of the journey that binds workspaces to it."""
    is_active = bought.pays
    what, name = purchase_id(bought)
    return {
        "url": url_for(".cloud_account", subscription_id=bought.id),
        "product": line.product_title(),
        "since": bought.created_at,
        "claimed_at": bought.claimed_at,
        "ended": None if is_active else ended_on(bought),
        "stopped_at": bought.stopped_at,
        "cloud": marketplaces.of_account(bought.cloud_account).words.cloud,
        "successor_url": _successor_url(bought),
        "locked": _locked(bought, paid),
        "history_url": url_for(".cloud_account_history", subscription_id=bought.id),
        "id": (what, name),
        "is_active": is_active,
        "state": ("active", _("Subscribed")) if is_active else ("none", _("Ended")),
        "workspaces": [_workspace(workspace) for workspace in paid.newest],
        "more": paid.count - len(paid.newest),
        "go_on_url": url_for("flows.resume", reference=begun) if begun and is_active else None,
        "bind_url": url_for(".bind", subscription_id=bought.id) if is_active else None,
    }


def _successor_url(bought: Subscription) -> str | None:
    """The page of the purchase that pays in its place. Staff see to it that it is this account's too."""
    if bought.successor is None or not bought.successor.pays:
        return None
    return url_for(".cloud_account", subscription_id=bought.successor_id)


def _locked(bought: Subscription, paid: subscriptions.Bound) -> dict[str, Any] | None:
    """What its end has locked, as far as it is shown: how many, for how long they can still be unlocked, and the
    one where there is one. None where nothing is locked."""
    locked = [w for w in paid.newest if w.state == ACTIVE and settlement.lost(w) is not None]
    if not locked:
        return None
    return {
        "count": paid.count,
        "time_left": time_to_unlock(locks.time_left(locked[0]))[0],
        "name": locked[0].name,
        "unlock_url": url_for(".settlement", public_id=locked[0].public_id),
        "all_url": url_for(".workspaces", state=LOCKED),
    }


def _workspace(workspace: Workspace) -> dict[str, Any]:
    return {
        "name": workspace.name,
        "site": str(sites.get(workspace.site_id).label),
        "public_id": workspace.public_id,
        "state": state_of(workspace),
    }
