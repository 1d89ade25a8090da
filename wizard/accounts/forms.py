"""Fields that every form about an account shares. Labels are contract."""

from flask import current_app
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Field, PasswordField, RadioField, StringField
from wtforms.validators import StopValidation

from wizard.accounts import addresses, breaches, passwords, usernames
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.forms import AtMost, Filled, Form, offers, tidy


def email_shape(_form: Form, field: Field) -> None:
    """One address, kept in its normal spelling."""
    try:
        field.data = addresses.normalise(field.data or "")
    except ValueError:
        raise StopValidation(_("Enter an email address like name@company.com")) from None


def username_shape(_form: Form, field: Field) -> None:
    if not usernames.SHAPE.fullmatch(field.data or ""):
        raise StopValidation(_("Use 3 to 40 letters, digits, dots, hyphens or underscores in your username"))


# Fields that several forms share. Their order here is the order of the error summary.


class SiteMixin:
    site = RadioField(_l("Site"), validate_choice=False)

    def validate_site(self, field: Field) -> None:
        if field.data not in offers(field):
            raise StopValidation(_("Choose the site where your workspace will live"))


class SiteOfAccountMixin:
    site = RadioField(_l("Site"), validate_choice=False)

    def validate_site(self, field: Field) -> None:
        if field.data not in offers(field):
            raise StopValidation(_("Choose the site of your console account"))


class NameMixin:
    username = StringField(
        _l("Username"),
        filters=[tidy],
        validators=[Filled(_l("Enter your username or email address")), AtMost(254)],
        render_kw={"autocomplete": "username", "spellcheck": "false", "autocapitalize": "none"},
    )


class NameAndPasswordMixin(NameMixin):
    """What an area's door asks for."""

    password = PasswordField(
        _l("Password"),
        validators=[Filled(_l("Enter your password")), AtMost(passwords.MOST)],
        render_kw={"autocomplete": "current-password"},
    )


class UsernameMixin:
    username = StringField(
        _l("Username"),
        filters=[tidy],
        validators=[Filled(_l("Enter a username")), AtMost(40), username_shape],
        render_kw={"autocomplete": "username", "spellcheck": "false", "autocapitalize": "none"},
    )


class EmailMixin:
    email = StringField(
        _l("Email"),
        filters=[tidy],
        validators=[Filled(_l("Enter your email address")), AtMost(254), email_shape],
        render_kw={"type": "email", "autocomplete": "email", "spellcheck": "false", "inputmode": "email"},
    )


class CurrentPasswordMixin:
    current_password = PasswordField(
        _l("Current password"),
        validators=[Filled(_l("Enter your current password")), AtMost(passwords.MOST)],
        render_kw={"autocomplete": "current-password"},
    )


class PasswordMixin:
    """A new password. The confirm field is there without script; the show button takes it away.

    ``new_hash`` is what is kept of it, once ``ahead`` has accepted it; None where an older one is kept.
    """

    password = PasswordField(
        _l("Password"),
        render_kw={"autocomplete": "new-password", "autocapitalize": "none", "spellcheck": "false"},
    )
    confirm_password = PasswordField(
        _l("Confirm password"),
        render_kw={"autocomplete": "new-password", "autocapitalize": "none", "spellcheck": "false"},
    )
    slow = True
    keeps_password = False
    about: tuple[str, ...] = ()
    """Words a guesser would try first, besides what the form itself holds."""
    new_hash: str | None = None

    def validate_password(self, field: Field) -> None:
        if not field.data:
            if self.keeps_password:
                return
            raise StopValidation(_("Enter a password"))
        brand = current_app.extensions["brand"].name
        typed = (str(f.data or "") for n in ("username", "email") if (f := getattr(self, n, None)))
        about = [brand, *self.about, *typed]
        about += [part for word in about for part in word.replace("@", ".").split(".") if len(part) > 3]
        if problem := passwords.problem_with(field.data, about):
            raise StopValidation(problem)

    def validate_confirm_password(self, field: Field) -> None:
        sent = field.raw_data  # Empty when script took the field away: the password was shown instead.
        if sent and field.data != self.password.data and not self.password.errors:
            raise StopValidation(_("Type the same password twice"))

    def ahead(self) -> bool:
        """Ask whether the password was stolen somewhere, and hash it."""
        if not self.password.data:
            return True
        if breaches.is_known(self.password.data):
            self.password.errors = [
                _("Choose another password: this one was stolen from another service and is on public lists")
            ]
            return False
        self.new_hash = passwords.hash_password(self.password.data)
        return True


class NewPasswordForm(PasswordMixin, Form):
    """A password in place of another. The account's own words are what a guesser would try first."""

    def __init__(self, account: ConsoleAccount | BillingAccount) -> None:
        super().__init__()
        self.password.label.text = _("New password")
        self.about = (account.username, account.email, account.company_name)


class ChangePasswordForm(CurrentPasswordMixin, NewPasswordForm):
    """Another password, from somebody who knows the one they have."""
