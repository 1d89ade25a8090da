"""How the domain's things are named to people."""

from flask_babel import force_locale
from flask_babel import gettext as _

from wizard.billing.models import ALIBABA, AWS, CloudAccount, Workspace
from wizard.wording import account_number


def cloud_account_kind(provider: str) -> str:
    return {AWS: _("AWS account"), ALIBABA: _("Alibaba Cloud account")}[provider]


def cloud_account_name(account: CloudAccount) -> str:
    """ "AWS account 7828 5828 5006" """
    return f"{cloud_account_kind(account.provider)} {account_number(account.account_id)}"


def payer_of(workspace: Workspace, locale: str | None = None) -> str:
    """What settles a workspace: "AWS account 7828 5828 5006" or "Billing Center account wei.chen"."""
    if locale is not None:
        with force_locale(locale):
            return payer_of(workspace)
    if workspace.subscription is not None:
        return cloud_account_name(workspace.subscription.cloud_account)
    return _("Billing Center account %(username)s", username=workspace.billing_account.username)
