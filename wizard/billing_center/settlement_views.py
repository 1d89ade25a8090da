"""Changing what settles a workspace: the doors to the flow of that name, whose pages are shown here."""

from flask import redirect, url_for
from flask.typing import ResponseReturnValue

from wizard.accounts import identity
from wizard.billing import subscriptions
from wizard.billing_center.views import bp
from wizard.flows import arrival as leads
from wizard.flows import change_settlement, claiming, journeys, show
from wizard.flows.catalogue import FLOWS
from wizard.flows.door_views import problem
from wizard.flows.models import CHANGING
from wizard.flows.views import show_step
from wizard.forms import Button
from wizard.limits import limited
from wizard.transactions import genuine


@bp.route("/workspaces/<public_id>/settlement", methods=["GET", "POST"])
@limited("account")
def settlement(public_id: str) -> ResponseReturnValue:
    """Change what settles one workspace, or unlock it. 404 for anybody else's."""
    change = journeys.of_change(identity.billing_account(), workspace=public_id)
    return show_step(change, FLOWS[CHANGING].step("method"))


@bp.route("/arrived/<arrival_id>", methods=["GET", "POST"])
@limited("account")
def arrived(arrival_id: str) -> ResponseReturnValue:
    """Choose what a purchase that this browser brought pays for. One that nobody can choose for is explained where it
    arrives."""
    if (arrival := show.arrival_here()) is None:
        return problem("elsewhere", None)
    change = leads.change_for(arrival, identity.billing_account())
    if change is None:
        if arrival.subscription.billing_account_id == identity.billing_account().id:
            change_settlement.say_what_was_not_added(arrival.subscription)
        genuine(False)
        return redirect(url_for("doors.arrive", arrival_id=arrival_id), 303)
    return show_step(change, FLOWS[CHANGING].step("choose"))


@bp.post("/arrived/<arrival_id>/create")
@limited("account")
def create_for(arrival_id: str) -> ResponseReturnValue:
    """Create a workspace for a purchase that this browser brought: it becomes this account's."""
    if (arrival := show.arrival_here()) is None:
        return problem("elsewhere", None)
    if leads.problem_of(arrival) or not Button().validate_on_submit():
        genuine(False)
        return redirect(url_for("doors.arrive", arrival_id=arrival_id), 303)
    try:
        journey = claiming.bind_more(arrival.subscription, identity.billing_account())
    except subscriptions.SubscriptionTaken:
        return redirect(url_for("doors.arrive", arrival_id=arrival_id), 303)
    return redirect(url_for("flows.step", reference=journey.reference, key="create"), 303)
