"""Forgot your password?: who it is → the code from the mail → a new password, signed in. The same in every area.

The pages say the same for an address or a username that is known and one that is not; who owns it learns by mail.
"""

from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError

from wizard import limits
from wizard.accounts import credentials, directory, resets, sessions
from wizard.accounts.areas import Area, ForgotForm, form_status, view_of
from wizard.accounts.forms import NewPasswordForm
from wizard.accounts.models import PasswordReset
from wizard.extensions import SAFE_METHODS, db
from wizard.forms import Button
from wizard.i18n import language_of
from wizard.limits import LimitReached, limited
from wizard.sites import choices
from wizard.transactions import genuine, release
from wizard.verification import codes, wording
from wizard.verification.forms import CodeForm
from wizard.wording import time_of_day


def blueprint(area: Area, url_prefix: str | None = None) -> Blueprint:
    """The pages of an area's resets."""
    bp = Blueprint(area.reset, __name__, url_prefix=url_prefix)
    for rule, view in (
        ("/forgot-password", begin),
        ("/forgot-password/code", code),
        ("/forgot-password/code/resend", resend),
        ("/forgot-password/new", new_password),
    ):
        bp.add_url_rule(rule, view.__name__, view_of(area, view), methods=["GET", "POST"])
    return bp


@limited("start")
def begin(area: Area) -> ResponseReturnValue:
    """Whose password is forgotten. The answer is the same whoever it is."""
    form = area.forgot_form()
    resets.expect(area)
    if form.validate_on_submit():
        try:
            _send(area, form)
        except LimitReached as limit:
            form.named.errors = [_too_many(form.named.data, limit)]
        else:
            return _to("code")
    page = render_template(
        "accounts/forgot.html",
        form=form,
        site_groups=choices.groups(),
        action_url=_url("begin"),
        back_url=_sign_in_url(area, form.site_id),
        **area.beside(),
    )
    return page, form_status(form)


def _send(area: Area, form: ForgotForm) -> None:
    """Begin; if another tab began with another name at the same moment, once more on what is true now."""
    locale = language_of(str(get_locale()))
    for last_try in (False, True):
        try:
            about = {"site_id": form.site_id, **area.mailed(form.site_id, locale)}
            resets.begin(area, form.site_id, form.named.data, locale, about)
            db.session.flush()
            return
        except IntegrityError:
            db.session.rollback()
            sessions.forget_cookies()
            if last_try:
                raise


@limited("code")
def code(area: Area) -> ResponseReturnValue:
    """The code from the mail."""
    form = CodeForm()
    try:
        reset, _account = resets.here(area)
    except resets.NotHere:
        if form.validate_on_submit() and resets.enter_code_again(area, form.code.data or ""):
            return _to("new_password")
        return _over(area, "elsewhere")
    if elsewhere := _not_waiting_for_code(area, reset):
        return elsewhere
    if form.validate_on_submit():
        try:
            resets.enter_code(area, reset, form.code.data or "")
        except codes.AlreadySpent:
            if resets.enter_code_again(area, form.code.data or ""):
                return _to("new_password")
            form.form_errors.append(_("Send a new code first"))
        except codes.CodeRefused as reason:
            # Only a wrong code can be typed again here; after the others the page has no field for it.
            form.code.errors = []
            told = form.code.errors if isinstance(reason, codes.WrongCode) else form.form_errors
            told.append(wording.refused(reason))
        else:
            return _to("new_password")
    return _code_page(area, reset, form)


@limited("code")
def resend(area: Area) -> ResponseReturnValue:
    """The button under the code. Whoever opens its address gets the page."""
    try:
        reset, _account = resets.here(area)
    except resets.NotHere:
        return _over(area, "elsewhere")
    if elsewhere := _not_waiting_for_code(area, reset):
        return elsewhere
    if request.method in SAFE_METHODS:
        return _to("code")
    button, problem = Button(), None
    if button.validate_on_submit():
        locale = language_of(str(get_locale()))
        try:
            about = {"site_id": reset.site_id, **area.mailed(reset.site_id, locale)}
            resets.send_again(area, reset, locale, about)
            db.session.flush()
        except codes.TooSoon as soon:
            problem = wording.wait_for(soon.wait)
        except LimitReached as limit:
            problem = _too_many(reset.named, limit)
        except (codes.TriesUsedUp, IntegrityError):
            db.session.rollback()  # Another tab used them up, or sent anew, since this one looked.
    else:
        problem = button.form_errors[0]
    return _code_page(area, reset, CodeForm(), problem=problem) if problem else _to("code")


@limited("code")
def new_password(area: Area) -> ResponseReturnValue:
    """The new password; with it this browser is signed in and every other one signed out."""
    try:
        reset, account = resets.here(area)
    except resets.NotHere:
        return _over(area, "elsewhere")
    if account is None and reset.proven_at:
        return _over(area, "gone", reset)
    if resets.is_over(reset) and not reset.used_at:
        return _over(area, "over", reset)
    if account is None or not reset.proven_at:
        genuine(False)
        return _to("code")
    form = NewPasswordForm(account)
    if reset.used_at:
        return _sign_in_again(area, reset, form) if form.validate_on_submit() else _over(area, "done", reset)
    if form.validate_on_submit():
        release()
        if form.ahead():
            assert form.new_hash is not None
            try:
                credentials.set_after_reset(area, reset.id, account, form.new_hash)
            except credentials.ChangedMeanwhile:
                return _sign_in_again(area, reset, form)
            leads_to = area.lead_on(account.id)
            if leads_to.startswith(url_for(f"{area.name}.front")):
                flash(_("Your password is changed, and every other browser is signed out."))
            return redirect(leads_to, 303)
    page = render_template(
        "accounts/new_password.html",
        area=area.name,
        form=form,
        username=account.username,
        action_url=_url("new_password"),
        **area.beside(),
    )
    return page, form_status(form)


def _sign_in_again(area: Area, reset: PasswordReset, form: NewPasswordForm) -> ResponseReturnValue:
    """The second submit of a double click: it brings the password that the first one has just set."""
    release()
    try:
        typed = form.password.data or ""
        account = area.sign_in(reset.site_id, reset.named, typed, limits.client_address())
    except (directory.SignInRefused, LimitReached):
        return _over(area, "done", reset)
    session.pop("csrf_token", None)
    sessions.start(area.kind, account.id)
    return redirect(area.lead_on(account.id), 303)


def _not_waiting_for_code(area: Area, reset: PasswordReset) -> ResponseReturnValue | None:
    """Where a reset leads that is past its code, or over."""
    if reset.used_at is None and resets.is_over(reset):
        return _over(area, "over", reset)
    if reset.proven_at is None:
        return None
    genuine(False)
    return _to("new_password")


def _code_page(
    area: Area, reset: PasswordReset, form: CodeForm, problem: str | None = None
) -> ResponseReturnValue:
    challenge = resets.challenge_of(reset)
    if challenge is None:
        return _to("begin")  # Its address had had all its mails, so none was sent.
    page = render_template(
        "flows/code.html",
        form=form,
        resend_form=form,
        problem=problem,
        **_sent_to(reset, challenge),
        keeps_answers=False,
        action_url=_url("code"),
        resend_url=_url("resend"),
        change_url=_url("begin", site=reset.site_id or None),
        **wording.of_page(challenge),
        **area.beside(),
    )
    return page, 422 if problem else form_status(form)


def _over(area: Area, why: str, reset: PasswordReset | None = None) -> ResponseReturnValue:
    """A reset that cannot go on: "elsewhere", "over", "done" or "gone", in a page that says how it can."""
    site_id = reset.site_id if reset else ""
    page = render_template(
        "accounts/reset_over.html",
        area=area.name,
        why=why,
        again_url=_url("begin", site=site_id or None),
        sign_in_url=_sign_in_url(area, site_id),
        **area.beside(),
    )
    return page, {"elsewhere": 404, "over": 410, "gone": 410, "done": 410}[why]


def _sent_to(reset: PasswordReset, challenge: codes.Challenge) -> dict[str, Any]:
    """Where the code went: the address that was typed, or a sentence that is true of every username."""
    if resets.is_address(reset.named):
        return {"email": reset.named}
    sent = wording.sent_to_account(reset.named, time_of_day(challenge.sent_at))
    return {"sent": sent}


def _too_many(name: str, limit: LimitReached) -> str:
    told = wording.too_many_mails if resets.is_address(name) else wording.too_many_asked
    return told(limit.until)


def _sign_in_url(area: Area, site_id: str) -> str:
    return url_for(f"{area.name}.sign_in", site=site_id or None, next=request.args.get("next"))


def _url(endpoint: str, **values: Any) -> str:
    return url_for(f".{endpoint}", next=request.args.get("next"), **values)


def _to(endpoint: str) -> ResponseReturnValue:
    return redirect(_url(endpoint), 303)
