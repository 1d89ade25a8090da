"""The Billing Center: sign-in and the way out. What is behind the door is in a module for each page of its menu."""

import re
from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from wizard.accounts import directory, identity, sessions
from wizard.accounts.areas import form_status
from wizard.billing_center.forms import SignInForm
from wizard.flows import arrival as leads
from wizard.flows import journeys, line
from wizard.forms import Button
from wizard.limits import LimitReached, client_address, limited
from wizard.wording import try_again_at

bp = Blueprint("billing_center", __name__, url_prefix="/billing")


@bp.route("/sign-in", methods=["GET", "POST"])
@limited("sign_in")
def sign_in() -> ResponseReturnValue:
    """Sign in; whoever was on the way goes on there."""
    form, problem = SignInForm(), None
    if form.validate_on_submit():
        try:
            account = directory.sign_in_billing(
                form.username.data or "", form.password.data or "", client_address()
            )
        except directory.SignInRefused:
            problem = _("This username and password do not belong together. Check both")
        except LimitReached as limit:
            problem = try_again_at(limit.until)
        else:
            session.pop("csrf_token", None)
            sessions.start(identity.BILLING, account.id)
            return redirect(lead_on(account.id), 303)
    page = render_template(
        "billing_center/sign_in.html",
        form=form,
        problem=problem,
        action_url=url_for(".sign_in", next=request.args.get("next")),
        forgot_url=url_for("billing_reset.begin", next=request.args.get("next")),
        **what_you_sign_in_to(),
    )
    return page, 422 if problem else form_status(form)


def what_you_sign_in_to() -> dict[str, Any]:
    """What stands beside the pages at the door."""
    return {
        "place": _("Billing Center"),
        "line": line.of_the_billing_center(),
        "line_title": _("What you sign in to"),
        "explains": True,
    }


def lead_on(account_id: int) -> str:
    """Where they wanted; else on with the purchase this browser brought; else with what was left half done."""
    wanted = request.args.get("next", "")
    if re.fullmatch(r"/billing/(?!sign-)[\w/-]+|/arrive/[\w-]+", wanted, re.ASCII):
        return wanted
    journey, arrival = leads.purchase_here()
    if arrival is not None:
        return url_for("billing_center.arrived", arrival_id=arrival.id)
    if journey is not None and journey.billing_account_id in (None, account_id):
        return url_for("doors.bind")
    if journey := journeys.left_undone(account_id):
        return url_for("flows.resume", reference=journey.reference)
    return url_for("billing_center.workspaces")


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session here, and every journey it is on. Its console stays as it is."""
    if not Button().validate_on_submit():
        return redirect(url_for(".front"), 303)
    sign_out_here()
    return redirect(url_for(".sign_in"), 303)


def sign_out_here() -> None:
    sessions.stop(identity.BILLING)
    journeys.leave_here()


@bp.get("/")
def front() -> ResponseReturnValue:
    """To the first page of the menu."""
    return redirect(url_for(".workspaces"), 303)


@bp.app_template_global()
def billing_center() -> dict[str, Any]:
    """The top of every page that belongs to the Billing Center, also where a flow draws it: the menu and the way out.

    ``menu``: [(key, text, address)]; a page says with ``section`` which of them it belongs to.
    """
    account = identity.billing_account_here()
    return {
        "place": _("Billing Center"),
        "home_url": url_for("billing_center.front"),
        "menu": [
            ("workspaces", _("Workspace management"), url_for("billing_center.workspaces")),
            ("cloud_accounts", _("Cloud accounts"), url_for("billing_center.cloud_accounts")),
        ],
        "username": account.username if account else None,
        "account_url": url_for("billing_center.account"),
        "sign_out": Button(),
        "sign_out_url": url_for("billing_center.sign_out"),
    }
