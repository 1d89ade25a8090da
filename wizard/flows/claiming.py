"""Whose a purchase is: bound to a Billing Center account on a journey, or lost to somebody else's; and which way a
journey with a purchase goes on, registering or binding."""

from flask_babel import gettext as _
from sqlalchemy.orm.attributes import set_committed_value

from wizard import clock, outbox
from wizard.accounts.models import BillingAccount
from wizard.billing import subscriptions, workspaces
from wizard.billing.models import Subscription
from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.models import BINDING, REGISTERING, Journey
from wizard.flows.refusals import Refused


def switch(journey: Journey) -> None:
    """From registering to binding an account, or back. The purchase and the answers stay; asks :func:`can_switch`."""
    journey.flow = other_flow(journey)
    journeys.note(journey, journey.flow, "chosen instead")


def other_flow(journey: Journey) -> str:
    return REGISTERING if journey.flow == BINDING else BINDING


def can_switch(journey: Journey) -> bool:
    """Whether somebody may still say that they do have a Billing Center account after all, or that they do not."""
    if not journey.is_written or journey.is_finished or journey.subscription_id is None:
        return False
    return journey.flow == REGISTERING or journey.billing_account_id is None


def bind_account(journey: Journey, account_id: int) -> None:
    """Bind the journey's purchase to the Billing Center account of whoever has proven it, and tell them by mail.

    Raises :class:`Refused` where it has ended. Where another account has it now, :func:`is_lost` is true afterwards.
    """
    purchase = journey.subscription
    assert purchase is not None
    try:
        due = subscriptions.claim(purchase.id, account_id)
    except subscriptions.SubscriptionTaken:
        db.session.refresh(purchase)
        journeys.note(journey, "account", "taken")
        if not purchase.pays:
            raise Refused(
                _("This subscription has ended. Subscribe once more where you bought it, and set that one up")
            ) from None
        return
    set_committed_value(purchase, "billing_account_id", account_id)  # As the UPDATE has just written.
    journey.billing_account_id = account_id
    if "site" not in journey.answers and (site := workspaces.newest_site(account_id, purchase)):
        journeys.answer(journey, site=site)
    journeys.note(journey, "account", "bound")
    outbox.enqueue_all([told_bound(journey), *due])


def told_bound(journey: Journey) -> outbox.Due:
    """The mail to the account that the journey's purchase has just been bound to."""
    told = {"journey": journey.id, "at": clock.now().isoformat()}
    assert journey.subscription is not None
    return outbox.Due("flows.tell_bound", told, f"account-bound:{journey.subscription.id}")


def is_lost(journey: Journey) -> bool:
    """Whether the purchase this journey wants to bind has been bound to somebody else's account."""
    taken_by = journey.subscription.billing_account_id if journey.subscription else None
    return journey.flow == BINDING and taken_by not in (None, journey.billing_account_id)


def bind_more(subscription: Subscription, billing_account: BillingAccount) -> Journey:
    """The journey on which this account binds workspaces to a purchase of its own: the one going on, or a new one.

    A purchase that is nobody's yet becomes its own. Raises :class:`wizard.billing.subscriptions.SubscriptionTaken` if
    the purchase has ended or is not its own.
    """
    # First, and for what it decides: of two clicks at once the second waits here and finds the journey of the first.
    due = subscriptions.claim(subscription.id, billing_account.id)
    going_on = journeys.unfinished_of_payer(billing_account.id, subscription.id)
    if going_on is not None:
        outbox.enqueue_all(due)
        return going_on
    begun = journeys.begin(journeys.of_signed_in(BINDING, subscription, billing_account))
    journeys.note(begun, "workspaces", "begun")
    outbox.enqueue_all([*due, told_bound(begun)] if due else [])
    return begun
