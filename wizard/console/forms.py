"""The console's forms."""

from flask import request
from wtforms import Field

from wizard.accounts.forms import EmailMixin, NameAndPasswordMixin, SiteOfAccountMixin
from wizard.forms import Form
from wizard.sites import choices


class SignInForm(SiteOfAccountMixin, NameAndPasswordMixin, Form):
    """One site's door."""


class ForgotPasswordForm(SiteOfAccountMixin, EmailMixin, Form):
    """Whose password is forgotten: the site, and the address of the account there."""

    def __init__(self) -> None:
        super().__init__(site=request.args.get("site"))
        self.site.choices = choices.offered()

    @property
    def named(self) -> Field:
        return self.email

    @property
    def site_id(self) -> str:
        return self.site.data or ""
