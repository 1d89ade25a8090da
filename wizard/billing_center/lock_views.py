"""A locked workspace in the Billing Center: the way here from its console, and dissolving it."""

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wizard.accounts import identity
from wizard.billing import tickets, workspaces
from wizard.billing_center.views import bp
from wizard.flows import dissolving
from wizard.limits import limited
from wizard.transactions import genuine

_ONE = "/workspaces/<public_id>"


@bp.post("/unlock")
@limited("account")
def unlock() -> ResponseReturnValue:
    """From a console's lock page, with its ticket: on to where this workspace is unlocked. Changes nothing."""
    try:
        public_id = tickets.workspace_of(request.form.get("ticket", ""))
    except tickets.BadTicket:
        return render_template("billing_center/ticket.html"), 400
    genuine()
    return redirect(url_for(".unlocking", public_id=public_id), 303)


@bp.get(f"{_ONE}/unlock")
def unlocking(public_id: str) -> ResponseReturnValue:
    """On to a workspace's settlement; whoever signed in as another account than its own is told so."""
    account = identity.billing_account()
    if workspaces.of_payer(public_id, account.id) is None:
        return render_template("billing_center/not_yours.html", username=account.username), 404
    return redirect(url_for(".settlement", public_id=public_id), 303)


@bp.route(f"{_ONE}/dissolve", methods=["GET", "POST"])
@limited("account")
def dissolve(public_id: str) -> ResponseReturnValue:
    """Delete a locked workspace, for good."""
    account_id = identity.billing_account().id
    workspace = workspaces.of_payer(public_id, account_id)
    if workspace is None:
        abort(404)
    return dissolving.answer(
        workspace,
        by=f"billing account {account_id}",
        page=render_template,
        back_url=url_for(".workspace", public_id=public_id),
        done_url=url_for(".workspaces"),
    )
