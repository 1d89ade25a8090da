"""Somebody's own account: its password, and where it is signed in. The same in every area."""

from contextlib import suppress

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from wizard.accounts import credentials, passwords, sessions
from wizard.accounts.areas import Account, Area, form_status, view_of
from wizard.accounts.forms import ChangePasswordForm
from wizard.forms import Button
from wizard.limits import PASSWORD_TRIES, LimitReached, hit, limited
from wizard.wording import try_again_at


def add(bp: Blueprint, area: Area, rule: str) -> None:
    """The page of somebody's own account in an area, at this address below its blueprint's."""
    both = ["GET", "POST"]
    bp.add_url_rule(rule, "account", view_of(area, account), methods=both)
    bp.add_url_rule(
        f"{rule}/sign-out-everywhere",
        "sign_out_everywhere",
        view_of(area, sign_out_everywhere),
        methods=both,
    )


@limited("account")
def account(area: Area) -> ResponseReturnValue:
    """Another password for somebody who knows the one they have; and in how many browsers they are signed in."""
    owner = area.signed_in()
    form = ChangePasswordForm(owner)
    if form.validate_on_submit() and _knows_password(area, owner, form) and form.ahead():
        assert form.new_hash is not None
        # Another tab that was first has signed this one out: the page it leads to asks for the new password.
        with suppress(credentials.ChangedMeanwhile):
            credentials.set_instead(area, owner, form.new_hash)
            flash(_("Your password is changed, and every other browser is signed out."))
        return redirect(url_for(".account"), 303)
    page = area.page(
        "accounts/your_account.html",
        area=area.name,
        form=form,
        account=owner,
        elsewhere=sessions.count(area.kind, owner.id) - 1,
        action_url=url_for(".account"),
        everywhere_url=url_for(".sign_out_everywhere"),
    )
    return page, form_status(form)


def _knows_password(area: Area, owner: Account, form: ChangePasswordForm) -> bool:
    """Whether the current password was typed; otherwise its field says so."""
    wrong = _(
        "That is not your current password. Type it again, or sign out and choose “Forgot your password?”"
    )
    try:
        hit(PASSWORD_TRIES, "password", area.kind, str(owner.id))
    except LimitReached as limit:
        wrong = try_again_at(limit.until)
    else:
        if passwords.matches(owner.password_hash, form.current_password.data or ""):
            return True
    form.current_password.errors = [wrong]
    return False


@limited("account")
def sign_out_everywhere(area: Area) -> ResponseReturnValue:
    """End every session of an account, on whatever device, this browser's too."""
    if not Button().validate_on_submit():
        return redirect(url_for(".account"), 303)
    sessions.stop_all(*area.everywhere(area.signed_in().id))
    area.sign_out_here()
    flash(_("You are signed out everywhere."))
    return redirect(url_for(".sign_in"), 303)
