"""Workspace management: every workspace the account settles, what settles it now, and what can be done about that."""

from typing import Any

from flask import abort, render_template, request, url_for
from flask_babel import gettext as _

from wizard.accounts import identity
from wizard.billing import history, locks, settlement, workspaces
from wizard.billing.models import ACTIVE, BEING_MADE, BILLING_CENTER, CLOSED, LOCKED, NONE, Workspace
from wizard.billing.wording import (
    cloud_account_kind,
    cloud_account_name,
    ended_on,
    method_name,
    state_in_full,
)
from wizard.billing_center.views import bp
from wizard.flows import ended, line
from wizard.lists import Listed, page_number, searched_for
from wizard.sites import directory as sites
from wizard.wording import account_number, day_to_come


@bp.get("/workspaces", endpoint="workspaces")
def workspaces_list() -> str:
    """All workspaces of this account, those that need something first."""
    choices = _choices()
    chosen = {name: _chosen(name, options) for name, options in choices.items()}
    search = searched_for()
    wanted = workspaces.Filter(search, **chosen)
    found = workspaces.managed(identity.billing_account().id, wanted, page_number())
    return render_template(
        "billing_center/workspaces.html",
        rows=[_row(workspace) for workspace in found.items],
        listed=Listed(found, search, chosen),
        choices=choices,
        over=ended.notice(),
    )


def _choices() -> dict[str, list[tuple[str, str]]]:
    """What the list may be narrowed to besides a search: name in the address → its values, and their words."""
    settling = {method for site in sites.all_sites() for method in site.settlement}
    methods = [method for method in ("aws", "alibaba", BILLING_CENTER) if method in settling]
    return {
        "site": [(site.id, str(site.label)) for site in sites.all_sites()],
        "method": [(method, method_name(method)) for method in (*methods, NONE)],
        "state": [
            (ACTIVE, _("Active")),
            (BEING_MADE, _("Being made")),
            (LOCKED, _("Locked")),
            (CLOSED, _("Closed")),
        ],
    }


def _chosen(name: str, options: list[tuple[str, str]]) -> str:
    asked = request.args.get(name, "")
    return asked if asked in dict(options) else ""


def _row(workspace: Workspace) -> dict[str, Any]:
    method, payer = _settled(workspace)
    return {
        "name": workspace.name,
        "public_id": workspace.public_id,
        "url": url_for(".workspace", public_id=workspace.public_id),
        "site": str(sites.get(workspace.site_id).label),
        "method": method,
        "payer": payer,
        "state": state_in_full(workspace),
        "can": _can(workspace),
    }


def _settled(workspace: Workspace) -> tuple[str, list[str]]:
    """What settles it: the method, and who that is; for a locked one who it was, and how that ended."""
    if paying := settlement.payer(workspace):
        account = paying.cloud_account
        return cloud_account_kind(account), [account_number(account.account_id)]
    if lost := settlement.lost(workspace):
        return method_name(NONE), [cloud_account_name(lost.cloud_account), ended_on(lost)]
    return method_name(BILLING_CENTER), [workspace.billing_account.username]


def _can(workspace: Workspace) -> dict[str, Any]:
    """What can be done with it: ``change_url``, or ``unlock_url`` and ``dissolve_url``; else a ``note`` why not."""
    settlement_url = url_for(".settlement", public_id=workspace.public_id)
    if workspace.state == BEING_MADE:
        return {"note": _("Ready in about a minute")}
    if workspace.state != ACTIVE:
        return {}
    if settlement.is_locked(workspace):
        dissolve_url = url_for(".dissolve", public_id=workspace.public_id)
        return {"unlock_url": settlement_url, "dissolve_url": dissolve_url}
    refusal = settlement.refusal_to_leave(workspace)
    if refusal is not None and refusal.reason == settlement.TOO_SOON:
        assert refusal.until is not None
        return {"note": _("Can change on %(day)s", day=day_to_come(refusal.until))}
    return {"change_url": settlement_url}


@bp.get("/workspaces/<public_id>")
def workspace(public_id: str) -> str:
    """One workspace: what settles it, what can be done, and what has been done. 404 for anybody else's."""
    account = identity.billing_account()
    mine = workspaces.of_payer(public_id, account.id)
    if mine is None:
        abort(404)
    lines = history.of_workspace(mine, page_number())
    return render_template(
        "billing_center/workspace.html",
        workspace=mine,
        site=str(sites.get(mine.site_id).label),
        state_of_it=state_in_full(mine),
        settled=_settled(mine),
        closes_at=locks.closes_at(mine) if mine.state == ACTIVE else None,
        can=_can(mine),
        whole=line.of_workspace(mine),
        lines=[
            {"at": each.at, "what": history.what(each), "by": history.by(each, mine, account)}
            for each in lines.items
        ],
        listed=Listed(lines),
    )
