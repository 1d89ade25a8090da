"""Where an arrival leads. A GET decides it from what this browser holds; the next POST acts."""

from collections.abc import Callable
from dataclasses import dataclass

from flask_babel import gettext as _
from sqlalchemy.orm.attributes import set_committed_value

from wizard import clock, outbox
from wizard.accounts.models import BillingAccount
from wizard.billing import subscriptions, workspaces
from wizard.billing.models import ACTIVE, Subscription
from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.models import Journey
from wizard.flows.refusals import Refused
from wizard.marketplaces import arrivals
from wizard.marketplaces.models import Arrival
from wizard.sites import directory


@dataclass(frozen=True)
class Lead:
    """One of: a ``problem`` to explain (with its ``arrival``, if it is this browser's), an ``older`` arrival to
    return to, a ``journey`` to go on with (``to_confirm`` when it waits for this purchase), or none of them: ask
    which way to go.
    """

    problem: str | None = None
    journey: Journey | None = None
    to_confirm: bool = False
    older: Arrival | None = None
    arrival: Arrival | None = None


def lead_of(arrival_id: str, signed_in: Callable[[], int | None]) -> Lead:
    """Where the arrival of this id leads in this browser. ``signed_in`` finds the console account, if need be."""
    arrival, older = arrivals.claimed_here(arrival_id)
    if arrival is None:
        return Lead(problem="elsewhere")
    journey = journeys.latest_here() or _of_account(signed_in())
    if journey is not None and not journeys.is_over(journey) and not is_lost(journey):
        if journey.subscription_id == arrival.subscription_id:
            return Lead(journey=journey, arrival=arrival)
        if journey.awaits == arrival.subscription.provider and journey.finished_at is None:
            return Lead(journey=journey, to_confirm=True, arrival=arrival)
    if arrivals.is_over(arrival):
        return Lead(problem="gone", arrival=arrival)
    if arrival.subscription.billing_account_id is not None:
        return Lead(problem="bound", arrival=arrival)
    if older:
        return Lead(older=older[0], arrival=arrival)
    return Lead(arrival=arrival)


def waiting_here() -> Journey | Arrival | None:
    """What somebody at the front door can go on with: the registration this browser is on, or a purchase it brought."""
    return going_on_here() or arrivals.waiting_here()


def going_on_here() -> Journey | None:
    """The journey this browser is on, unless there is nothing left to do on it."""
    journey = journeys.latest_here()
    if journey is None or journeys.is_over(journey) or journey.finished_at is not None or is_lost(journey):
        return None
    return journey


def purchase_here() -> tuple[Journey | None, Arrival | None]:
    """The purchase somebody who has a Billing Center account goes on with: one a journey of this browser is about,
    else the newest that it brought."""
    journey = going_on_here()
    if journey is not None and journey.subscription_id is not None:
        return journey, None
    return None, arrivals.waiting_here()


def _of_account(console_account_id: int | None) -> Journey | None:
    return journeys.unfinished_of(console_account_id) if console_account_id is not None else None


def begin(arrival: Arrival, flow: str, signed_in: Callable[[], int | None]) -> Journey:
    """Claim an arrival: a registration that was going on here without a purchase takes it over, else one begins.

    A parallel request may have begun with the arrival already; then that journey is returned.
    """
    journey = journeys.latest_here() or _of_account(signed_in())
    if (
        journey is not None
        and not journeys.is_over(journey)
        and journey.subscription_id == arrival.subscription_id
    ):
        return journey  # A second click gave it the purchase since this request asked where it leads.
    if journey is not None and journey.flow == flow and _can_take(journey, arrival):
        journey.arrival_id = arrival.id
        journeys.pay_with(journey, arrival.subscription)
        # The journey first: its event's foreign key shares a lock that this change of a unique key must not wait on.
        db.session.flush()
        journeys.note(journey, "arrival", "a purchase came")
        if journey.console_account_id is not None:
            arrivals.forget_contact(arrival.id)  # Who it suggests has registered already.
        return journey
    return journeys.begin(journeys.fresh(flow, arrival))


def switch(journey: Journey) -> None:
    """From registering to binding an account, or back. The purchase and the answers stay; asks :func:`can_switch`."""
    journey.flow = other_flow(journey)
    if journey.subscription is None or journey.subscription.billing_account_id != journey.billing_account_id:
        # A proven address suggested it and nothing is bound to it: from here on they say themselves which one it is.
        journey.billing_account_id = None
    journeys.note(journey, journey.flow, "chosen instead")


def other_flow(journey: Journey) -> str:
    return "no_billing_account" if journey.flow == "existing_account" else "existing_account"


def can_switch(journey: Journey) -> bool:
    """Whether somebody may still say that they do have a Billing Center account after all, or that they do not."""
    if not journey.is_written or journey.finished_at is not None or journey.subscription_id is None:
        return False
    return journey.flow == "no_billing_account" or journey.billing_account_id is None


def bind_account(journey: Journey, account_id: int) -> None:
    """Bind the journey's purchase to the Billing Center account of whoever has proven it, and tell them by mail.

    Raises :class:`Refused` where it has ended. Where another account has it now, :func:`is_lost` is true afterwards.
    """
    purchase = journey.subscription
    assert purchase is not None
    try:
        subscriptions.claim(purchase.id, account_id)
    except subscriptions.SubscriptionTaken:
        db.session.refresh(purchase)
        journeys.note(journey, "account", "taken")
        if purchase.state != ACTIVE:
            raise Refused(
                _("This subscription has ended. Subscribe once more where you bought it, and set that one up")
            ) from None
        return
    set_committed_value(purchase, "billing_account_id", account_id)  # As the UPDATE has just written.
    journey.billing_account_id = account_id
    if "site" not in journey.answers and (site := workspaces.newest_site(account_id, purchase.provider)):
        journeys.answer(journey, site=site)
    journeys.note(journey, "account", "bound")
    told = {"journey": journey.id, "at": clock.now().isoformat()}
    outbox.enqueue("flows.tell_bound", told, key=f"account-bound:{purchase.id}")


def is_lost(journey: Journey) -> bool:
    """Whether the purchase this journey wants to bind has been bound to somebody else's account."""
    taken_by = journey.subscription.billing_account_id if journey.subscription else None
    return journey.flow == "existing_account" and taken_by not in (None, journey.billing_account_id)


def bind_more(subscription: Subscription, billing_account: BillingAccount) -> Journey:
    """The journey on which this account binds workspaces to a purchase of its own: the one going on, or a new one.

    Raises :class:`wizard.billing.subscriptions.SubscriptionTaken` if the purchase has ended or is not its own.
    """
    # First, and for what it decides: of two clicks at once the second waits here and finds the journey of the first.
    subscriptions.claim(subscription.id, billing_account.id)
    going_on = journeys.unfinished_of_payer(billing_account.id, subscription.id)
    if going_on is not None:
        return going_on
    begun = journeys.begin(journeys.of_signed_in("existing_account", subscription, billing_account))
    journeys.note(begun, "workspaces", "begun")
    return begun


def _can_take(journey: Journey, arrival: Arrival) -> bool:
    """Whether a purchase can pay for what a journey is about to make."""
    if journeys.is_over(journey) or journey.finished_at is not None or journey.subscription_id is not None:
        return False
    site = journey.answers.get("site")
    return site is None or directory.allows(directory.get(site), arrival.subscription.provider)
