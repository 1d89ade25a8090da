"""The console as an area: whose passwords there are set and changed, and what they open."""

from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_babel import gettext as _

from wizard.accounts import account_views, directory, identity, reset_views, sessions
from wizard.accounts.areas import Account
from wizard.accounts.models import ConsoleAccount, PasswordReset
from wizard.console import views
from wizard.console.forms import ForgotPasswordForm
from wizard.flows import journeys
from wizard.sites import directory as sites


class ConsoleArea:
    """An account is on one site, and named by its address."""

    name = "console"
    kind = identity.CONSOLE
    reset = "reset"
    model = ConsoleAccount

    def named(self, site_id: Any, key: Any) -> sa.ColumnElement[bool]:
        return sa.and_(ConsoleAccount.site_id == site_id, ConsoleAccount.email_key == key)

    def resets_of(self, account: Account) -> sa.ColumnElement[bool]:
        assert isinstance(account, ConsoleAccount)
        on_site = PasswordReset.site_id == account.site_id
        return sa.and_(on_site, PasswordReset.named_key == account.email_key)

    def forgot_form(self) -> ForgotPasswordForm:
        return ForgotPasswordForm()

    def mailed(self, site_id: str, locale: str) -> dict[str, Any]:
        label, public = sites.get(site_id).label.in_(locale), current_app.config["PUBLIC_URL"]
        return {
            "site": label,
            "what_for": _("A new password for your console account on %(site)s", site=label),
            "forgot_url": f"{public}/forgot-password",
            "register_url": f"{public}/register",
        }

    def signed_in(self) -> ConsoleAccount:
        return identity.console_account()

    def sign_in(self, site_id: str, name: str, password: str, client: str) -> ConsoleAccount:
        return directory.sign_in_console(site_id, name, password, client)

    def everywhere(self, account_id: int) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            sessions.of(identity.CONSOLE, [account_id]),
            sessions.of("journey", journeys.ids_of(account_id)),
        )

    sign_out_here = staticmethod(views.sign_out_here)
    lead_on = staticmethod(views.lead_on)
    beside = staticmethod(views.what_you_sign_in_to)

    def page(self, template: str, **context: Any) -> str:
        return views.page(template, **context)


AREA = ConsoleArea()
reset_bp = reset_views.blueprint(AREA)
account_views.add(views.bp, AREA, "/console/account")
