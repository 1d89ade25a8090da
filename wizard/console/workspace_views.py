"""A workspace in the console: its first page, the lock page, its billing, and the end of it."""

from typing import Any

from flask import abort, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from wizard.accounts import identity
from wizard.billing import history, locks, settlement, tickets, workspaces
from wizard.billing.models import BILLING_CENTER, CLOSED, DISSOLVED, Workspace
from wizard.billing.wording import end_of, payer_of, state_in_full, time_to_unlock, ways_to_unlock
from wizard.console.views import bp, page
from wizard.flows import dissolving, line
from wizard.limits import limited
from wizard.lists import Listed, page_number
from wizard.sites import directory as sites
from wizard.wording import date_and_time

_ONE = "/console/workspaces/<public_id>"


@bp.get(_ONE)
def home(public_id: str) -> ResponseReturnValue:
    """What a workspace's address shows: the workspace; while it is locked that; in the end what became of it."""
    workspace = _mine(public_id)
    if workspace.state in (CLOSED, DISSOLVED):
        return _over(workspace)
    return _locked(workspace) if settlement.is_locked(workspace) else _open(workspace)


@bp.get(f"{_ONE}/data")
def data(public_id: str) -> ResponseReturnValue:
    """The workspace itself while it is locked: it can be looked at. One that is not is at its own address."""
    workspace = _mine(public_id)
    if workspace.state in (CLOSED, DISSOLVED) or not settlement.is_locked(workspace):
        return redirect(url_for(".home", public_id=public_id), 303)
    return _open(workspace)


@bp.get(f"{_ONE}/billing")
def billing(public_id: str) -> ResponseReturnValue:
    """What settles a workspace, and what did before."""
    workspace = _mine(public_id)
    account, lines = workspace.billing_account, history.of_workspace(workspace, page_number())
    return page(
        "console/billing.html",
        workspace=_named(workspace),
        settled_by=payer_of(workspace),
        account=account.username,
        state_of_it=state_in_full(workspace),
        lines=[
            {"at": each.at, "what": history.what(each), "by": history.by(each, workspace, account)}
            for each in lines.items
        ],
        listed=Listed(lines),
        back_url=url_for(".home", public_id=public_id),
        billing_url=url_for("billing_center.front"),
        **_line(workspace),
    )


@bp.route(f"{_ONE}/dissolve", methods=["GET", "POST"])
@limited("account")
def dissolve(public_id: str) -> ResponseReturnValue:
    """Delete a locked workspace, for good."""
    return dissolving.answer(
        _mine(public_id),
        by=f"console account {identity.console_account().id}",
        page=lambda template, **context: page(template, area="console", **context),
        back_url=url_for(".home", public_id=public_id),
        done_url=url_for(".front"),
    )


def _mine(public_id: str) -> Workspace:
    workspace = workspaces.of_owner(public_id, identity.console_account())
    if workspace is None:
        abort(404)
    return workspace


def _open(workspace: Workspace) -> str:
    return page(
        "console/home.html",
        workspace=_named(workspace),
        state_of_it=state_in_full(workspace),
        site=sites.get(workspace.site_id),
        settled_by=payer_of(workspace),
        is_locked=settlement.is_locked(workspace),
        lock_url=url_for(".home", public_id=workspace.public_id),
        billing_url=url_for(".billing", public_id=workspace.public_id),
        line=line.of_workspace(workspace),
    )


def _locked(workspace: Workspace) -> str:
    """That it is locked, for how long, and the way to unlock it."""
    ended, until, left = settlement.lost(workspace), locks.closes_at(workspace), locks.time_left(workspace)
    assert ended is not None
    assert until is not None
    time_left, rest = time_to_unlock(left)
    return page(
        "console/locked.html",
        workspace=_named(workspace),
        account=workspace.billing_account.username,
        end=end_of(ended),
        time_left=time_left,
        rest=rest,
        until=date_and_time(until),
        days_left=min(max(left.days, 1 if left else 0), locks.GRACE.days),
        days=locks.GRACE.days,
        to_unlock=ways_to_unlock(ended, settlement.is_allowed(workspace, BILLING_CENTER)),
        unlock_url=url_for("billing_center.unlock"),
        ticket=tickets.ticket_for(workspace),
        data_url=url_for(".data", public_id=workspace.public_id),
        dissolve_url=url_for(".dissolve", public_id=workspace.public_id),
        **_line(workspace),
    )


def _over(workspace: Workspace) -> str:
    ended = settlement.lost(workspace)
    return page(
        "console/over.html",
        workspace=_named(workspace),
        is_closed=workspace.state == CLOSED,
        end=end_of(ended) if ended else "",
        account=workspace.billing_account.username,
        days=locks.GRACE.days,
        site=str(sites.get(workspace.site_id).label),
        billing_url=url_for("billing_center.front"),
        history_url=url_for(".billing", public_id=workspace.public_id),
        **_line(workspace),
    )


def _line(workspace: Workspace) -> dict[str, Any]:
    """The line beside a page about what pays. While something does it tells what exists, afterwards what happened."""
    title = _("What happened") if settlement.lost(workspace) else _("What exists now")
    return {"line": line.of_workspace(workspace), "line_title": title}


def _named(workspace: Workspace) -> dict[str, str]:
    return {
        "name": workspace.name,
        "public_id": workspace.public_id,
        "language_name": {"en": "English", "zh": "简体中文"}[workspace.language],
    }
