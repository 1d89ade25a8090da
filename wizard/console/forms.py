"""The console's forms."""

from flask_babel import gettext as _

from wizard.accounts.forms import (
    CurrentPasswordMixin,
    EmailMixin,
    NameAndPasswordMixin,
    PasswordMixin,
    SiteOfAccountMixin,
)
from wizard.accounts.models import ConsoleAccount
from wizard.forms import Form


class SignInForm(SiteOfAccountMixin, NameAndPasswordMixin, Form):
    """One site's door."""


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
