"""Go on where you stopped: a mailed link → a code by mail → the journey, in this browser too.

Whoever has only the link sees the same pages whoever's journey it is.
"""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError

from wizard.accounts import sessions
from wizard.extensions import SAFE_METHODS, db
from wizard.flows import resumption
from wizard.flows.models import Journey
from wizard.forms import Button
from wizard.limits import LimitReached, limited
from wizard.transactions import genuine
from wizard.verification import codes, wording
from wizard.verification.forms import CodeForm

bp = Blueprint("resume", __name__, url_prefix="/go-on/<opaque>")


@bp.route("", methods=["GET", "POST"])
@limited("start")
def begin(opaque: str) -> ResponseReturnValue:
    """What a mailed link opens: a button that mails a code."""
    journey = _journey(opaque)
    if resumption.is_open_here(journey):
        return _lead_on(journey)
    resumption.expect()
    button, problem = Button(), None
    if button.validate_on_submit():
        try:
            _send(journey)
        except LimitReached as limit:
            problem = wording.too_many_mails(limit.until)
        else:
            return _to("code", opaque)
    page = render_template(
        "flows/go_on.html", form=button, problem=problem, action_url=url_for(".begin", opaque=opaque)
    )
    return page, 422 if problem or button.form_errors else 200


def _send(journey: Journey) -> None:
    """Send; if another tab of this browser asked at the same moment, once more on what is true now."""
    for last_try in (False, True):
        try:
            resumption.send(journey)
            db.session.flush()
            return
        except IntegrityError:
            db.session.rollback()
            sessions.forget_cookies()
            if last_try:
                raise


@bp.route("/code", methods=["GET", "POST"])
@limited("code")
def code(opaque: str) -> ResponseReturnValue:
    """The code from the mail."""
    journey = _journey(opaque)
    if resumption.is_open_here(journey):
        return _lead_on(journey)
    form = CodeForm()
    if form.validate_on_submit():
        typed = form.code.data or ""
        try:
            resumption.enter_code(journey, typed)
        except codes.AlreadySpent:
            if resumption.enter_code_again(journey, typed):
                return _onwards(journey)
        except codes.CodeRefused as reason:
            # Only a wrong code can be typed again here; after the others the page has no field for it.
            form.code.errors = []
            told = form.code.errors if isinstance(reason, codes.WrongCode) else form.form_errors
            told.append(wording.refused(reason))
        else:
            return _onwards(journey)
    return _code_page(journey, opaque, form)


@bp.route("/code/resend", methods=["GET", "POST"])
@limited("code")
def resend(opaque: str) -> ResponseReturnValue:
    """The button under the code. Whoever opens its address gets the page."""
    journey = _journey(opaque)
    if resumption.is_open_here(journey):
        return _lead_on(journey)
    if request.method in SAFE_METHODS:
        return _to("code", opaque)
    button, problem = Button(), None
    if button.validate_on_submit():
        try:
            resumption.send_again(journey)
            db.session.flush()
        except codes.TooSoon as soon:
            problem = wording.wait_for(soon.wait)
        except LimitReached as limit:
            problem = wording.too_many_mails(limit.until)
        except (codes.TriesUsedUp, IntegrityError):
            db.session.rollback()  # Another tab used them up, or sent anew, since this one looked.
    else:
        problem = button.form_errors[0]
    return _code_page(journey, opaque, CodeForm(), problem) if problem else _to("code", opaque)


def _code_page(
    journey: Journey, opaque: str, form: CodeForm, problem: str | None = None
) -> ResponseReturnValue:
    challenge = resumption.challenge_of(journey)
    if challenge is None:
        return _to("begin", opaque)  # This browser has not asked for one, or its code is spent.
    page = render_template(
        "flows/code.html",
        form=form,
        resend_form=form,
        problem=problem,
        sent_to=_("the address we know for you"),
        action_url=url_for(".code", opaque=opaque),
        resend_url=url_for(".resend", opaque=opaque),
        **wording.of_page(challenge),
    )
    return page, 422 if problem or form.errors or form.form_errors else 200


def _journey(opaque: str) -> Journey:
    try:
        return resumption.find(opaque)
    except resumption.NoSuchLink:
        abort(404)
    except resumption.Gone:
        abort(410, "journey")


def _lead_on(journey: Journey) -> ResponseReturnValue:
    """This browser needs no code, and whatever it sent counts for nothing."""
    genuine(False)
    return _onwards(journey)


def _onwards(journey: Journey) -> ResponseReturnValue:
    return redirect(url_for("flows.resume", reference=journey.reference), 303)


def _to(endpoint: str, opaque: str) -> ResponseReturnValue:
    return redirect(url_for(f".{endpoint}", opaque=opaque), 303)
