"""The console of each site: sign-in, the way out, and which workspace. What is in it: ``workspace_views``."""

import re
from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from wizard.accounts import directory, identity, sessions
from wizard.accounts.areas import form_status
from wizard.billing import workspaces
from wizard.billing.wording import state_of
from wizard.console.forms import SignInForm
from wizard.flows import journeys, line
from wizard.forms import Button
from wizard.limits import LimitReached, client_address, limited
from wizard.lists import Listed, page_number, searched_for
from wizard.sites import choices
from wizard.sites import directory as sites
from wizard.wording import try_again_at

bp = Blueprint("console", __name__)


@bp.route("/sign-in", methods=["GET", "POST"])
@limited("sign_in")
def sign_in() -> ResponseReturnValue:
    """Sign in at one site; somebody who stopped half way goes on there."""
    form = SignInForm(site=request.args.get("site"))
    form.site.choices = choices.offered()
    problem = None
    if form.validate_on_submit():
        try:
            account = directory.sign_in_console(
                form.site.data, form.username.data or "", form.password.data or "", client_address()
            )
        except directory.SignInRefused:
            problem = _("This username and password do not belong together on this site. Check all three")
        except LimitReached as limit:
            problem = try_again_at(limit.until)
        else:
            session.pop("csrf_token", None)
            sessions.start(identity.CONSOLE, account.id)
            return redirect(lead_on(account.id), 303)
    page = render_template(
        "console/sign_in.html",
        form=form,
        problem=problem,
        site_groups=choices.groups(),
        action_url=url_for(".sign_in", next=request.args.get("next")),
        forgot_url=url_for("reset.begin", site=form.site.data, next=request.args.get("next")),
        **what_you_sign_in_to(),
    )
    return page, 422 if problem else form_status(form)


def what_you_sign_in_to() -> dict[str, Any]:
    """What stands beside the pages at a site's door."""
    return {"line": line.of_a_door(), "line_title": _("What you sign in to"), "explains": True}


def lead_on(account_id: int) -> str:
    """On with what was left half done; with a purchase that waits here for somebody known; else where they wanted."""
    if journey := journeys.unfinished_of(account_id):
        return url_for("flows.resume", reference=journey.reference)
    waiting = journeys.latest_here()
    if waiting and waiting.subscription and not waiting.is_finished:
        return url_for("doors.bind")
    return _next()


def _next() -> str:
    """Where somebody wanted to go, if that is a page of the console; else its front."""
    wanted = request.args.get("next", "")
    return wanted if re.fullmatch(r"/console/[\w/-]*", wanted, re.ASCII) else url_for("console.front")


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this browser's session on the server."""
    if not Button().validate_on_submit():
        return redirect(url_for("console.front"), 303)
    sign_out_here()
    return redirect(url_for(".sign_in"), 303)


def sign_out_here() -> None:
    sessions.stop(identity.CONSOLE)
    journeys.leave_here()


@bp.get("/console/")
def front() -> ResponseReturnValue:
    """One workspace: there. Several: which one. None: what is left to do."""
    account = identity.console_account()
    search, number = searched_for(), page_number()
    mine = Listed(workspaces.owned_by(account, search, number), search)
    if mine.pagination.total == number == 1 and not search:
        return redirect(url_for(".home", public_id=mine.pagination.items[0].public_id), 303)
    if mine.pagination.total or search:
        rows = [
            {
                "name": w.name,
                "public_id": w.public_id,
                "url": url_for(".home", public_id=w.public_id),
                "state": state_of(w),
            }
            for w in mine.pagination.items
        ]
        return page("console/workspaces.html", workspaces=rows, listed=mine)
    journey = journeys.unfinished_of(account.id)
    return page(
        "console/start.html",
        continue_url=url_for("flows.resume", reference=journey.reference) if journey else None,
    )


def page(template: str, **context: Any) -> str:
    """A page of somebody signed in, with what stands at the top of each."""
    account = identity.console_account()
    return render_template(
        template,
        place=str(sites.get(account.site_id).label),
        username=account.username,
        account_url=url_for(".account"),
        sign_out=Button(),
        **context,
    )
