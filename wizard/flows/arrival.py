"""Where an arrival leads. A GET decides it from what this browser holds; the next POST acts."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from wizard.accounts.models import BillingAccount
from wizard.extensions import db
from wizard.flows import claiming, ended, journeys
from wizard.flows.claiming import is_lost
from wizard.flows.models import Journey
from wizard.marketplaces import arrivals
from wizard.marketplaces.models import Arrival
from wizard.sites import directory


@dataclass(frozen=True)
class Lead:
    """One of: a ``problem`` to explain (with its ``arrival``, if it is this browser's), an ``older`` arrival to
    return to, a ``journey`` to go on with (``to_confirm`` when it waits for this purchase; ``to_choose`` when that is a
    change of settlement), or none of them: ask which way to go. ``stopped`` is then the journey whose own purchase has
    ended, and that may go on with this one.
    """

    problem: str | None = None
    journey: Journey | None = None
    to_confirm: bool = False
    to_choose: bool = False
    older: Arrival | None = None
    stopped: Journey | None = None
    arrival: Arrival | None = None


def lead_of(arrival_id: str, signed_in: Callable[[], int | None], pays: Callable[[], int | None]) -> Lead:
    """Where the arrival of this id leads in this browser. ``signed_in`` finds the console account, if need be, and
    ``pays`` the Billing Center account."""
    arrival, older = arrivals.claimed_here(arrival_id)
    if arrival is None:
        return Lead(problem="elsewhere")
    journey = journeys.latest_here() or _of_account(signed_in())
    if journey is not None and (journeys.is_over(journey) or is_lost(journey)):
        journey = None
    if journey is not None and journey.subscription_id == arrival.subscription_id:
        return Lead(journey=journey, arrival=arrival)
    stopped = journey if journey is not None and _has_stopped(journey, arrival) else None
    if journey is not None and (journey.awaits != arrival.subscription.provider or journey.is_finished):
        journey = None
    problem = problem_of(arrival)
    if problem is None and (change := _waiting_change(arrival, pays(), journey or stopped)):
        return Lead(journey=change, to_choose=True, arrival=arrival)
    if journey is not None and problem != "ended":
        return Lead(journey=journey, to_confirm=True, arrival=arrival)
    if problem is not None:
        return Lead(problem=problem, arrival=arrival)
    if older:
        return Lead(older=older[0], arrival=arrival)
    return Lead(arrival=arrival, stopped=stopped)


def _waiting_change(arrival: Arrival, account_id: int | None, other: Journey | None) -> Journey | None:
    """The change of settlement that waits for such a purchase, unless another journey has begun to wait after it."""
    if account_id is None:
        return None
    change = journeys.waiting_change(account_id, arrival.subscription.provider)
    return None if change and other and other.created_at > change.created_at else change


def change_for(arrival: Arrival, account: BillingAccount) -> Journey | None:
    """The change of settlement on which this account chooses what a purchase of this browser pays for: the one that
    waits for it, or one that is not written yet. None where the arrival leads somewhere else."""
    if problem_of(arrival) is not None:
        return None
    provider = arrival.subscription.provider
    return journeys.waiting_change(account.id, provider) or journeys.of_change(account, awaits=provider)


def problem_of(arrival: Arrival) -> str | None:
    """Why nobody can go on with an arrival of this browser, or None."""
    if arrivals.is_over(arrival):
        return "gone"
    if arrival.subscription.billing_account_id is not None:
        return "bound"
    return None if arrival.subscription.pays else "ended"


def waiting_here() -> Journey | Arrival | None:
    """What somebody at the front door can go on with: the registration this browser is on, or a purchase it brought."""
    return going_on_here() or arrivals.waiting_here()


def untouched_here() -> Arrival | None:
    """The newest purchase this browser brought, if no journey has begun with it yet."""
    arrival = arrivals.waiting_here()
    begun = arrival and db.session.scalar(sa.select(sa.exists().where(Journey.arrival_id == arrival.id)))
    return None if begun else arrival


def going_on_here() -> Journey | None:
    """The journey this browser is on, unless there is nothing left to do on it, or its purchase has ended and this
    browser has brought another one."""
    journey = journeys.latest_here()
    if journey is None or journeys.is_over(journey) or journey.is_finished or is_lost(journey):
        return None
    return None if ended.has_ended(journey) and arrivals.waiting_here() else journey


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
    if (
        journey is not None
        and journey.flow == flow
        and not journeys.is_bound(journey)
        and _can_take(journey, arrival)
    ):
        _take(journey, arrival)
        return journey
    return journeys.begin(journeys.fresh(flow, arrival))


def go_on(journey: Journey, arrival: Arrival) -> None:
    """This purchase pays in place of the one that ended; where that was bound, for the same account.

    Raises :class:`wizard.flows.refusals.Refused` where this one has ended too.
    """
    _take(journey, arrival)
    if journeys.is_bound(journey):
        assert journey.billing_account_id is not None
        claiming.bind_account(journey, journey.billing_account_id)


def _take(journey: Journey, arrival: Arrival) -> None:
    journey.arrival_id = arrival.id
    journeys.pay_with(journey, arrival.subscription)
    # The journey first: its event's foreign key shares a lock that this change of a unique key must not wait on.
    db.session.flush()
    journeys.note(journey, "arrival", "a purchase came")
    if journey.console_account_id is not None:
        arrivals.forget_contact(arrival.id)  # Who it suggests has registered already.


def _has_stopped(journey: Journey, arrival: Arrival) -> bool:
    """Whether a journey stands still because its purchase has ended, and can go on with this one."""
    return ended.has_ended(journey) and _can_take(journey, arrival)


def _can_take(journey: Journey, arrival: Arrival) -> bool:
    """Whether a purchase can pay for what a journey is about to make, which has none or one that has ended."""
    if journeys.is_over(journey) or journey.is_finished:
        return False
    if journey.subscription is not None and journey.subscription.pays:
        return False
    site = journey.answers.get("site")
    return site is None or directory.allows(directory.get(site), *arrival.subscription.paid_through)
