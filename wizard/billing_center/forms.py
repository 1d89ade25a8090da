"""The Billing Center's forms."""

from wizard.accounts.forms import NameAndPasswordMixin
from wizard.forms import Form


class SignInForm(NameAndPasswordMixin, Form):
    """The door: one for all sites."""
