"""A purchase that ended while its buyer was on the way with it: what the marketplace says, and how to go on.

What was typed is kept. Who registers may go on without it and choose another way to pay; or subscribe again, come back,
and go on with the new purchase where they stopped.
"""

from flask import render_template, url_for
from flask_babel import gettext as _

from wizard.accounts import identity
from wizard.billing.models import CANCELLED, FAILED, RENEWED, REPLACED, STAY, Subscription
from wizard.billing.subscriptions import Bound
from wizard.billing.wording import cloud_account_name
from wizard.flows import journeys, show
from wizard.flows.models import REGISTERING, Journey
from wizard.flows.show_binding import bound_here
from wizard.forms import Button
from wizard.marketplaces import arrivals
from wizard.marketplaces import protocol as marketplaces

_KINDS = {FAILED: "failed", CANCELLED: "cancelled", RENEWED: "renewed", REPLACED: "renewed"}
"""Why it ended → what the page says of it; of any other reason only that it ended."""


def has_ended(journey: Journey) -> bool:
    """Whether what this journey is about pays for nothing any more. What is done may be paid for by what follows it."""
    bought = journey.subscription
    if bought is None or bought.pays:
        return False
    return not (journey.is_finished and (bought.successor_id is not None or bought.on_end == STAY))


def can_go_on(journey: Journey) -> bool:
    """Whether something else can pay for what the journey is about to make."""
    return journey.flow == REGISTERING and has_ended(journey) and not journey.is_finished


def let_go(journey: Journey) -> None:
    """They go on without the purchase that ended."""
    if can_go_on(journey):  # Not at a second click.
        journey.subscription = None
        journeys.note(journey, "subscription", "let go")


def notice() -> str | None:
    """What became of the purchase this browser has brought and nobody has confirmed, for the pages it leads to; None if
    it has not ended."""
    bought = arrivals.ended_here()
    if bought is None:
        return None
    about = {
        "cloud": marketplaces.of_account(bought.cloud_account).words.cloud,
        "account": cloud_account_name(bought.cloud_account),
    }
    kind = _KINDS.get(bought.why or "")
    if kind == "failed":
        return _(
            "%(cloud)s reported that the subscription of %(account)s failed, so it pays for nothing. Check that "
            "account’s payment method at %(cloud)s before you subscribe again.",
            **about,
        )
    if kind == "cancelled":
        return _(
            "%(cloud)s reported that the subscription of %(account)s was cancelled, so it pays for nothing.",
            **about,
        )
    return _("The subscription of %(account)s has ended, so it pays for nothing.", account=about["account"])


def page(bought: Subscription, journey: Journey | None = None) -> str:
    """What became of it, on the way of a journey or at its arrival."""
    is_done = journey is not None and journey.is_finished
    is_bound = journey is not None and journeys.is_bound(journey)
    return render_template(
        "flows/ended.html",
        kind=_KINDS.get(bought.why or "", "ended"),
        ended_at=bought.ended_at,
        marketplace=marketplaces.of_account(bought.cloud_account),
        **show.payment(bought.cloud_account),
        form=Button(),
        is_begun=journey is not None and not is_done,
        is_done=is_done,
        is_bound=is_bound,
        paid=bound_here(journey) if journey and is_bound else Bound(),
        locks=bought.locks,
        without_url=url_for("flows.without", reference=journey.reference)
        if journey and can_go_on(journey)
        else None,
        has_center=is_bound or identity.billing_account_id() is not None,
        reference=journey.reference if journey else None,
    )
