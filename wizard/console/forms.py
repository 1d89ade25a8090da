"""The console's forms."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from wtforms import Field, PasswordField, RadioField, StringField
from wtforms.validators import StopValidation

from wizard.accounts.forms import CurrentPasswordMixin, EmailMixin, PasswordMixin
from wizard.accounts.models import ConsoleAccount
from wizard.forms import AtMost, Filled, Form, offers, tidy


class SiteOfAccountMixin:
    site = RadioField(_l("Site"), validate_choice=False)

    def validate_site(self, field: Field) -> None:
        if field.data not in offers(field):
            raise StopValidation(_("Choose the site of your console account"))


class SignInForm(SiteOfAccountMixin, Form):
    """One site's door."""

    username = StringField(
        _l("Username"),
        filters=[tidy],
        validators=[Filled(_l("Enter your username or email address")), AtMost(254)],
        render_kw={"autocomplete": "username", "spellcheck": "false", "autocapitalize": "none"},
    )
    password = PasswordField(
        _l("Password"),
        validators=[Filled(_l("Enter your password")), AtMost(1024)],
        render_kw={"autocomplete": "current-password"},
    )


class ForgotPasswordForm(SiteOfAccountMixin, EmailMixin, Form):
    """Whose password is forgotten."""


class NewPasswordForm(PasswordMixin, Form):
    """A password in place of another. The account's own words are what a guesser would try first."""

    def __init__(self, account: ConsoleAccount) -> None:
        super().__init__()
        self.password.label.text = _("New password")
        self.about = (account.username, account.email, account.company_name)


class ChangePasswordForm(CurrentPasswordMixin, NewPasswordForm):
    """Another password, from somebody who knows the one they have."""
