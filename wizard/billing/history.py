"""What has happened to what settles a workspace, and to what a purchase pays for: read by page, and told in words."""

import re

import sqlalchemy as sa
import sqlalchemy.orm
from flask import current_app
from flask_babel import gettext as _
from flask_sqlalchemy.pagination import Pagination

from wizard.accounts.models import BillingAccount
from wizard.billing.models import (
    BILLING_CENTER,
    CLOSED,
    DISSOLVED,
    LOCKED,
    UNLOCKED,
    Settlement,
    Subscription,
    Workspace,
)
from wizard.billing.wording import cloud_account_name
from wizard.lists import paginate

PER_PAGE = 20


def of_workspace(workspace: Workspace, page: int = 1) -> Pagination:
    """A page of a workspace's history, newest first. One statement."""
    wanted = sa.select(Settlement).where(Settlement.workspace_id == workspace.id)
    wanted = wanted.order_by(Settlement.number.desc())
    return paginate(wanted.options(sa.orm.joinedload(Settlement.subscription)), page, PER_PAGE)


def of_subscription(subscription: Subscription, page: int = 1) -> Pagination:
    """A page of what has happened to the workspaces a purchase pays or paid for, newest first. One statement."""
    wanted = sa.select(Settlement).where(Settlement.subscription_id == subscription.id)
    wanted = wanted.order_by(Settlement.at.desc(), Settlement.workspace_id.desc(), Settlement.number.desc())
    with_workspace = sa.orm.joinedload(Settlement.workspace).joinedload(Workspace.owner)
    return paginate(
        wanted.options(sa.orm.joinedload(Settlement.subscription), with_workspace), page, PER_PAGE
    )


def what(line: Settlement) -> str:
    """What a line tells: "Settled by AWS account 7828 5828 5006"."""
    if line.what == DISSOLVED:
        return _("Dissolved")
    if line.what == CLOSED:
        return _("Closed: for 14 days nothing paid for it")
    if line.subscription is None or (line.what not in (LOCKED, UNLOCKED) and line.method == BILLING_CENTER):
        return _("Settled by the Billing Center account")
    payer = cloud_account_name(line.subscription.cloud_account)
    if line.what == LOCKED:
        return _("Locked: %(payer)s no longer pays", payer=payer)
    if line.what == UNLOCKED:
        return _("Unlocked: %(payer)s pays again", payer=payer)
    if line.by.startswith(
        "marketplace "
    ):  # Of a renewal, or of what the same cloud account subscribed to again.
        return _("Settled by a new subscription of %(payer)s", payer=payer)
    return _("Settled by %(payer)s", payer=payer)


def by(line: Settlement, workspace: Workspace, account: BillingAccount) -> str:
    """Who did it, for the Billing Center account that settles the workspace. :attr:`.Settlement.by` says it to us."""
    journey = re.match(r"journey (\S+)(?: of )?", line.by)
    doer = line.by[journey.end() :] if journey else line.by
    in_area = {
        f"billing account {account.id}": (account.username, _("%(username)s in the Billing Center")),
        f"console account {workspace.owner_id}": (workspace.owner.username, _("%(username)s in the console")),
    }
    username, where = in_area.get(doer, ("", ""))
    if journey:
        reference = f"{_('Reference')} {journey[1]}"
        return _("%(who)s, %(reference)s", who=username, reference=reference) if username else reference
    if username:
        return where % {"username": username}
    who, _space, which = line.by.rpartition(" ")
    if who == "marketplace" and which in current_app.extensions["marketplaces"]:
        return str(current_app.extensions["marketplaces"][which].words.title)
    if line.by == "calendar":
        return str(current_app.extensions["brand"].name)
    return _("Not written down")
