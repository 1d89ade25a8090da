"""The Billing Center's forms."""

from wtforms import Field

from wizard.accounts.forms import NameAndPasswordMixin, NameMixin, email_shape
from wizard.accounts.resets import is_address
from wizard.forms import Form


class SignInForm(NameAndPasswordMixin, Form):
    """The door: one for all sites."""


class ForgotPasswordForm(NameMixin, Form):
    """Whose password is forgotten: the username of the account, or its address."""

    site_id = ""

    def validate_username(self, field: Field) -> None:
        if is_address(field.data or ""):
            email_shape(self, field)

    @property
    def named(self) -> Field:
        return self.username
