"""Forgot your password?: site and address → the code from the mail → a new password, signed in.

The pages say the same for an address that is known and one that is not; who owns it learns by mail.
"""

from typing import Any

from flask import Blueprint, current_app, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError

from wizard import limits
from wizard.accounts import directory, identity, resets, sessions
from wizard.accounts.models import PasswordReset
from wizard.console import credentials
from wizard.console.forms import ForgotPasswordForm, NewPasswordForm
from wizard.console.views import lead_on, what_you_sign_in_to
from wizard.extensions import SAFE_METHODS, db
from wizard.forms import Button, Form
from wizard.i18n import language_of
from wizard.limits import LimitReached, limited
from wizard.sites import choices
from wizard.sites import directory as sites
from wizard.transactions import genuine, release
from wizard.verification import codes, wording
from wizard.verification.forms import CodeForm

bp = Blueprint("reset", __name__)


@bp.route("/forgot-password", methods=["GET", "POST"])
@limited("start")
def begin() -> ResponseReturnValue:
    """Whose password is forgotten. The answer is the same whoever it is."""
    form = ForgotPasswordForm(site=request.args.get("site"))
    form.site.choices = choices.offered()
    resets.expect()
    if form.validate_on_submit():
        try:
            _send(form.site.data, form.email.data or "")
        except LimitReached as limit:
            form.email.errors = [wording.too_many_mails(limit.until)]
        else:
            return _to("code")
    page = render_template(
        "console/forgot.html",
        form=form,
        site_groups=choices.groups(),
        action_url=_url("begin"),
        back_url=url_for("console.sign_in", site=form.site.data, next=request.args.get("next")),
        **what_you_sign_in_to(),
    )
    return page, _status(form)


def _send(site_id: str, email: str) -> None:
    """Begin; if another tab began with another address at the same moment, once more on what is true now."""
    locale = language_of(str(get_locale()))
    for last_try in (False, True):
        try:
            resets.begin(site_id, email, locale, _about(site_id, locale))
            db.session.flush()
            return
        except IntegrityError:
            db.session.rollback()
            sessions.forget_cookies()
            if last_try:
                raise


@bp.route("/forgot-password/code", methods=["GET", "POST"])
@limited("code")
def code() -> ResponseReturnValue:
    """The code from the mail."""
    form = CodeForm()
    try:
        reset, _account = resets.here()
    except resets.NotHere:
        if form.validate_on_submit() and resets.enter_code_again(form.code.data or ""):
            return _to("new_password")
        return _over("elsewhere")
    if elsewhere := _not_waiting_for_code(reset):
        return elsewhere
    if form.validate_on_submit():
        try:
            resets.enter_code(reset, form.code.data or "")
        except codes.AlreadySpent:
            if resets.enter_code_again(form.code.data or ""):
                return _to("new_password")
            form.form_errors.append(_("Send a new code first"))
        except codes.CodeRefused as reason:
            # Only a wrong code can be typed again here; after the others the page has no field for it.
            form.code.errors = []
            told = form.code.errors if isinstance(reason, codes.WrongCode) else form.form_errors
            told.append(wording.refused(reason))
        else:
            return _to("new_password")
    return _code_page(reset, form)


@bp.route("/forgot-password/code/resend", methods=["GET", "POST"])
@limited("code")
def resend() -> ResponseReturnValue:
    """The button under the code. Whoever opens its address gets the page."""
    try:
        reset, _account = resets.here()
    except resets.NotHere:
        return _over("elsewhere")
    if elsewhere := _not_waiting_for_code(reset):
        return elsewhere
    if request.method in SAFE_METHODS:
        return _to("code")
    button, problem = Button(), None
    if button.validate_on_submit():
        locale = language_of(str(get_locale()))
        try:
            resets.send_again(reset, locale, _about(reset.site_id, locale))
            db.session.flush()
        except codes.TooSoon as soon:
            problem = wording.wait_for(soon.wait)
        except LimitReached as limit:
            problem = wording.too_many_mails(limit.until)
        except (codes.TriesUsedUp, IntegrityError):
            db.session.rollback()  # Another tab used them up, or sent anew, since this one looked.
    else:
        problem = button.form_errors[0]
    return _code_page(reset, CodeForm(), problem=problem) if problem else _to("code")


@bp.route("/forgot-password/new", methods=["GET", "POST"])
@limited("code")
def new_password() -> ResponseReturnValue:
    """The new password; with it this browser is signed in and every other one signed out."""
    try:
        reset, account = resets.here()
    except resets.NotHere:
        return _over("elsewhere")
    if account is None and reset.proven_at:
        return _over("gone", reset)
    if resets.is_over(reset) and not reset.used_at:
        return _over("over", reset)
    if account is None or not reset.proven_at:
        genuine(False)
        return _to("code")
    form = NewPasswordForm(account)
    if reset.used_at:
        return _sign_in_again(reset, form) if form.validate_on_submit() else _over("done", reset)
    if form.validate_on_submit():
        release()
        if form.ahead():
            assert form.new_hash is not None
            try:
                credentials.set_after_reset(reset.id, account, form.new_hash)
            except credentials.ChangedMeanwhile:
                return _sign_in_again(reset, form)
            leads_to = lead_on(account.id)
            if leads_to.startswith("/console/"):
                flash(_("Your password is changed, and every other browser is signed out."))
            return redirect(leads_to, 303)
    page = render_template(
        "console/new_password.html",
        form=form,
        username=account.username,
        action_url=_url("new_password"),
        **what_you_sign_in_to(),
    )
    return page, _status(form)


def _sign_in_again(reset: PasswordReset, form: NewPasswordForm) -> ResponseReturnValue:
    """The second submit of a double click: it brings the password that the first one has just set."""
    release()
    try:
        account = directory.sign_in_console(
            reset.site_id, reset.email, form.password.data or "", limits.client_address()
        )
    except (directory.SignInRefused, LimitReached):
        return _over("done", reset)
    session.pop("csrf_token", None)
    sessions.start(identity.CONSOLE, account.id)
    return redirect(lead_on(account.id), 303)


def _not_waiting_for_code(reset: PasswordReset) -> ResponseReturnValue | None:
    """Where a reset leads that is past its code, or over."""
    if reset.used_at is None and resets.is_over(reset):
        return _over("over", reset)
    if reset.proven_at is None:
        return None
    genuine(False)
    return _to("new_password")


def _code_page(reset: PasswordReset, form: CodeForm, problem: str | None = None) -> ResponseReturnValue:
    challenge = resets.challenge_of(reset)
    if challenge is None:
        return _to("begin")  # Its address had had all its mails, so none was sent.
    page = render_template(
        "flows/code.html",
        form=form,
        resend_form=form,
        problem=problem,
        email=reset.email,
        keeps_answers=False,
        action_url=_url("code"),
        resend_url=_url("resend"),
        change_url=_url("begin", site=reset.site_id),
        **wording.of_page(challenge),
        **what_you_sign_in_to(),
    )
    return page, 422 if problem else _status(form)


def _over(why: str, reset: PasswordReset | None = None) -> ResponseReturnValue:
    """A reset that cannot go on: "elsewhere", "over", "done" or "gone", in a page that says how it can."""
    site_id = reset.site_id if reset else None
    page = render_template(
        "console/reset_over.html",
        why=why,
        again_url=_url("begin", site=site_id),
        sign_in_url=url_for("console.sign_in", site=site_id, next=request.args.get("next")),
        **what_you_sign_in_to(),
    )
    return page, {"elsewhere": 404, "over": 410, "gone": 410, "done": 410}[why]


def _about(site_id: str, locale: str) -> dict[str, Any]:
    """What the mail says besides the code, in the reader's language."""
    label = sites.get(site_id).label.in_(locale)
    public = current_app.config["PUBLIC_URL"]
    return {
        "site_id": site_id,
        "site": label,
        "what_for": _("A new password for your console account on %(site)s", site=label),
        "forgot_url": f"{public}/forgot-password",
        "register_url": f"{public}/register",
    }


def _url(endpoint: str, **values: Any) -> str:
    return url_for(f".{endpoint}", next=request.args.get("next"), **values)


def _to(endpoint: str) -> ResponseReturnValue:
    return redirect(_url(endpoint), 303)


def _status(form: Form) -> int:
    return 422 if form.errors or form.form_errors else 200
