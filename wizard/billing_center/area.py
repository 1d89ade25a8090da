"""The Billing Center as an area: whose passwords there are set and changed, and what they open."""

from typing import Any

import sqlalchemy as sa
from flask import current_app, render_template
from flask_babel import gettext as _

from wizard.accounts import account_views, directory, identity, reset_views, sessions
from wizard.accounts.areas import Account
from wizard.accounts.models import BillingAccount, PasswordReset
from wizard.billing_center import views
from wizard.billing_center.forms import ForgotPasswordForm
from wizard.flows import journeys


class BillingArea:
    """An account is on no site, and named by its username or its address."""

    name = "billing_center"
    kind = identity.BILLING
    reset = "billing_reset"
    model = BillingAccount

    def named(self, site_id: Any, key: Any) -> sa.ColumnElement[bool]:
        return sa.or_(BillingAccount.username_key == key, BillingAccount.email_key == key)

    def resets_of(self, account: Account) -> sa.ColumnElement[bool]:
        names = (account.username_key, account.email_key)
        return sa.and_(PasswordReset.site_id == "", PasswordReset.named_key.in_(names))

    def forgot_form(self) -> ForgotPasswordForm:
        return ForgotPasswordForm()

    def mailed(self, site_id: str, locale: str) -> dict[str, Any]:
        public = current_app.config["PUBLIC_URL"]
        return {
            "what_for": _("A new password for your Billing Center account"),
            "forgot_url": f"{public}/billing/forgot-password",
            "register_url": f"{public}/register",
        }

    def signed_in(self) -> BillingAccount:
        return identity.billing_account()

    def sign_in(self, site_id: str, name: str, password: str, client: str) -> BillingAccount:
        return directory.sign_in_billing(name, password, client)

    def everywhere(self, account_id: int) -> tuple[sa.ColumnElement[bool], ...]:
        return (
            sessions.of(identity.BILLING, [account_id]),
            sessions.of("journey", journeys.ids_of_payer(account_id)),
        )

    sign_out_here = staticmethod(views.sign_out_here)
    lead_on = staticmethod(views.lead_on)
    beside = staticmethod(views.what_you_sign_in_to)

    def page(self, template: str, **context: Any) -> str:
        return render_template(template, **context)


AREA = BillingArea()
reset_bp = reset_views.blueprint(AREA, "/billing")
account_views.add(views.bp, AREA, "/account")
