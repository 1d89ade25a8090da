"""How the domain's things are named to people."""

import re

from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _

from wizard.billing.models import BEING_MADE, CloudAccount, Subscription, Workspace
from wizard.billing.settlement import is_locked
from wizard.wording import account_number


def cloud_account_kind(account: CloudAccount) -> str:
    """ "AWS account", in the words of its marketplace. It is a "customer" where only the marketplace's own
    identifier is known: a cloud's account number is made of digits, and such an identifier is not."""
    words = current_app.extensions["marketplaces"][account.partition].words
    return str(words.account if re.fullmatch(r"\d+", account.account_id) else words.customer)


def cloud_account_name(account: CloudAccount) -> str:
    """ "AWS account 7828 5828 5006" """
    return f"{cloud_account_kind(account)} {account_number(account.account_id)}"


def purchase_id(subscription: Subscription) -> tuple[str, str]:
    """What names a purchase at its marketplace, the strongest there is: ("Agreement", "agmt-…")."""
    if subscription.agreement_id:
        return _("Agreement"), subscription.agreement_id
    if subscription.license_arn:
        return _("Licence"), subscription.license_arn
    return _("Customer"), subscription.customer_identifier or subscription.identity


def state_of(workspace: Workspace) -> tuple[str, str]:
    """The shape and the word of a workspace's state, as macros/parts.html has them."""
    if workspace.state == BEING_MADE:
        return "making", _("Being made")
    return ("locked", _("Locked")) if is_locked(workspace) else ("active", _("Active"))


def payer_of(workspace: Workspace, locale: str | None = None) -> str:
    """What settles a workspace: "AWS account 7828 5828 5006" or "Billing Center account wei.chen"."""
    if locale is not None:
        with force_locale(locale):
            return payer_of(workspace)
    if workspace.subscription is not None:
        return cloud_account_name(workspace.subscription.cloud_account)
    return _("Billing Center account %(username)s", username=workspace.billing_account.username)
