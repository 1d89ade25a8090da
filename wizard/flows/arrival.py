"""Where an arrival leads. A GET decides it from what this browser holds; the next POST acts."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.claiming import is_lost
from wizard.flows.models import Journey
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
        if journey.awaits == arrival.subscription.provider and not journey.is_finished:
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


def untouched_here() -> Arrival | None:
    """The newest purchase this browser brought, if no journey has begun with it yet."""
    arrival = arrivals.waiting_here()
    begun = arrival and db.session.scalar(sa.select(sa.exists().where(Journey.arrival_id == arrival.id)))
    return None if begun else arrival


def going_on_here() -> Journey | None:
    """The journey this browser is on, unless there is nothing left to do on it."""
    journey = journeys.latest_here()
    if journey is None or journeys.is_over(journey) or journey.is_finished or is_lost(journey):
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


def _can_take(journey: Journey, arrival: Arrival) -> bool:
    """Whether a purchase can pay for what a journey is about to make."""
    if journeys.is_over(journey) or journey.is_finished or journey.subscription_id is not None:
        return False
    site = journey.answers.get("site")
    return site is None or directory.allows(directory.get(site), *arrival.subscription.paid_through)
