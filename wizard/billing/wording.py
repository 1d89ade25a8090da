"""How the domain's things are named to people."""

import re
from datetime import timedelta

from flask import current_app
from flask_babel import force_locale, ngettext
from flask_babel import gettext as _

from wizard.billing import locks, settlement
from wizard.billing.models import (
    AWS,
    BEING_MADE,
    BILLING_CENTER,
    CANCELLED,
    CLOSED,
    DISSOLVED,
    EXPIRED,
    FAILED,
    LOCK,
    NONE,
    RENEWED,
    REPLACED,
    TERMINATED,
    CloudAccount,
    Subscription,
    Workspace,
)
from wizard.sites import directory
from wizard.wording import account_number, date_and_time, date_of


def cloud_account_kind(account: CloudAccount) -> str:
    """ "AWS account", in the words of its marketplace. It is a "customer" where only the marketplace's own
    identifier is known: a cloud's account number is made of digits, and such an identifier is not."""
    words = current_app.extensions["marketplaces"][account.partition].words
    return str(words.account if re.fullmatch(r"\d+", account.account_id) else words.customer)


def cloud_account_name(account: CloudAccount) -> str:
    """ "AWS account 7828 5828 5006" """
    return f"{cloud_account_kind(account)} {account_number(account.account_id)}"


def when_cancelled(provider: str, cloud: str) -> str:
    """What cancelling a purchase will do to the workspaces it pays for, in a sentence."""
    if current_app.config["ON_CANCEL"][provider] == LOCK:
        return _(
            "If you cancel at %(cloud)s, what it pays for is locked until something else does.", cloud=cloud
        )
    return _("If you cancel at %(cloud)s, your Billing Center account pays from then on.", cloud=cloud)


def purchase_id(subscription: Subscription) -> tuple[str, str]:
    """What names a purchase at its marketplace, the strongest there is: ("Agreement", "agmt-…")."""
    if subscription.agreement_id:
        return _("Agreement"), subscription.agreement_id
    if subscription.license_arn:
        return _("Licence"), subscription.license_arn
    return _("Customer"), subscription.customer_identifier or subscription.identity


def end_of(subscription: Subscription) -> str:
    """How a subscription ended, as a sentence begins: "AWS account 7828 5828 5006 cancelled its subscription"."""
    account = cloud_account_name(subscription.cloud_account)
    words = {
        CANCELLED: _("%(account)s cancelled its subscription", account=account),
        EXPIRED: _("The subscription of %(account)s expired", account=account),
        TERMINATED: _("The subscription of %(account)s was terminated", account=account),
        FAILED: _("The subscription of %(account)s failed", account=account),
    }
    return words.get(subscription.why or "") or _("The subscription of %(account)s ended", account=account)


def ended_on(subscription: Subscription) -> str:
    """ "Cancelled 24 March 2026" """
    day = date_of(subscription.ended_at or subscription.created_at)
    words = {
        CANCELLED: _("Cancelled %(day)s", day=day),
        EXPIRED: _("Expired %(day)s", day=day),
        TERMINATED: _("Terminated %(day)s", day=day),
        FAILED: _("Failed %(day)s", day=day),
        RENEWED: _("Renewed %(day)s", day=day),
        REPLACED: _("Replaced %(day)s", day=day),
    }
    return words.get(subscription.why or "") or _("Ended %(day)s", day=day)


def ways_to_unlock(ended: Subscription, by_billing_center: bool) -> str:
    """What unlocks the workspaces that the end of this subscription locked; ``by_billing_center``: whether their
    sites let a Billing Center account pay."""
    cloud = current_app.extensions["marketplaces"][ended.cloud_account.partition].words.cloud
    if by_billing_center:
        return _(
            "Bind another cloud account, subscribe again at %(cloud)s, or settle from the Billing Center account. "
            "It opens at once.",
            cloud=cloud,
        )
    return _("Bind another cloud account, or subscribe again at %(cloud)s. It opens at once.", cloud=cloud)


def state_of(workspace: Workspace) -> tuple[str, str]:
    """The shape and the word of a workspace's state, as macros/parts.html has them."""
    if workspace.state == BEING_MADE:
        return "making", _("Being made")
    if workspace.state in (CLOSED, DISSOLVED):
        return "none", _("Closed") if workspace.state == CLOSED else _("Dissolved")
    return ("locked", _("Locked")) if settlement.is_locked(workspace) else ("active", _("Active"))


def state_in_full(workspace: Workspace) -> tuple[str, str]:
    """The same where there is room: "Locked, 11 days left"."""
    shape, word = state_of(workspace)
    return (shape, locked_for(workspace) if shape == "locked" else word)


def locked_for(workspace: Workspace) -> str:
    """ "Locked, 11 days left" """
    left = locks.time_left(workspace)
    return _("Locked, %(time)s left", time=time_to_unlock(left)[0]) if left else _("Locked")


def time_to_unlock(left: timedelta) -> tuple[str, str]:
    """For how long a locked workspace can still be unlocked, in whole days and the hours besides: "11 days" and
    "4 hours"; on the last day "5 hours" and nothing."""
    hours = left.seconds // 3600
    of_hours = ngettext("%(num)s hour", "%(num)s hours", hours) if hours else ""
    if left.days:
        return ngettext("%(num)s day", "%(num)s days", left.days), of_hours
    return of_hours or _("less than an hour"), ""


def method_name(method: str) -> str:
    """A settlement method as a choice."""
    return {
        AWS: _("AWS account"),
        "alibaba": _("Alibaba Cloud account"),
        BILLING_CENTER: _("Billing Center account"),
        NONE: _("None"),
    }[method]


def payer_of(workspace: Workspace, locale: str | None = None) -> str:
    """What settles a workspace: "AWS account 7828 5828 5006", "Billing Center account wei.chen" or "Nothing"."""
    if locale is not None:
        with force_locale(locale):
            return payer_of(workspace)
    if paying := settlement.payer(workspace):
        return cloud_account_name(paying.cloud_account)
    if settlement.is_locked(workspace):
        return _("Nothing")
    return _("Billing Center account %(username)s", username=workspace.billing_account.username)


def only_way(workspace: Workspace) -> str | None:
    """Why a workspace that its Billing Center account settles stays with it, where its site takes nothing else."""
    site = directory.get(workspace.site_id)
    others = [method for method in site.settlement if method != BILLING_CENTER]
    if (
        not site.settlement
        or others
        or workspace.billing_account.any_method
        or settlement.is_locked(workspace)
    ):
        return None
    return _("Workspaces on %(site)s can only be settled by a Billing Center account", site=site.label)


def refused(refusal: settlement.Refusal, workspace: Workspace, to: Subscription | None) -> str:
    """Why a workspace cannot be settled by this subscription, or by its Billing Center account without one, and what
    to do about it."""
    cloud = current_app.extensions["marketplaces"][to.cloud_account.partition].words.cloud if to else ""
    if refusal.reason == settlement.SITE:
        site = directory.get(workspace.site_id).label
        if to is None:
            return _("Workspaces on %(site)s cannot be settled by a Billing Center account", site=site)
        if directory.allows(directory.get(workspace.site_id), to.provider):
            cloud = cloud_account_name(to.cloud_account)  # Another account of the same cloud can.
        return _("%(cloud)s cannot pay for workspaces on %(site)s", cloud=cloud, site=site)
    if refusal.reason == settlement.OTHER_PAYS:
        assert refusal.payer is not None
        payer = cloud_account_name(refusal.payer)
        theirs = current_app.extensions["marketplaces"][refusal.payer.partition].words.cloud
        return _(
            "%(payer)s pays for it and is still subscribed. Cancel that subscription at %(cloud)s first",
            payer=payer,
            cloud=theirs,
        )
    if refusal.reason == settlement.TOO_SOON:
        assert refusal.changed_at is not None
        assert refusal.until is not None
        return _(
            "Its settlement method changed on %(day)s. It can change again after %(until)s",
            day=date_of(refusal.changed_at),
            until=date_and_time(refusal.until),
        )
    return {
        settlement.BOUND: _("It is bound already"),
        BEING_MADE: _("It is still being made. Come back when it is ready"),
        DISSOLVED: _("It was dissolved and cannot be used any more"),
        CLOSED: _("It was locked for 14 days and is closed: it cannot be used any more"),
        settlement.SUBSCRIPTION_ENDED: _(
            "This subscription has ended. Subscribe at %(cloud)s once more, and bind it then", cloud=cloud
        ),
        settlement.CHANGED: _("Something else was changing it. Look once more"),
    }[refusal.reason]
