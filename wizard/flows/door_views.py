"""The front doors: the home page, an arrival, registering, binding. What they lead to are a journey's pages."""

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from wtforms.fields.choices import SelectChoice

from wizard.accounts import identity, sessions
from wizard.billing.wording import cloud_account_kind
from wizard.extensions import SAFE_METHODS, db
from wizard.flows import arrival as leads
from wizard.flows import claiming, ended, journeys, line, show
from wizard.flows.catalogue import FLOWS
from wizard.flows.forms import STOPPED, ChoiceForm
from wizard.flows.models import BINDING, REGISTERING, Journey
from wizard.flows.refusals import Refused
from wizard.flows.views import show_step, to_current
from wizard.forms import Button, Form
from wizard.limits import limited
from wizard.marketplaces import protocol as marketplaces
from wizard.marketplaces.models import Arrival
from wizard.sites import choices
from wizard.transactions import genuine

bp = Blueprint("doors", __name__)


@bp.get("/")
def home() -> str:
    """The front door, which knows what this browser has begun."""
    waiting, begun, bought = leads.waiting_here(), None, None
    if isinstance(waiting, Journey):
        begun = url_for("flows.resume", reference=waiting.reference)
    elif waiting:
        bought = url_for(".arrive", arrival_id=waiting.id)
    return render_template(
        "home.html",
        begun_url=begun,
        bought_url=bought,
        purchase_name=show.purchase(waiting) if waiting else None,
        clouds=choices.clouds(),
    )


# Arrival ----------------------------------------------------------------------------------------------------


@bp.route("/arrive/<arrival_id>", methods=["GET", "POST"])
@limited("start")
def arrive(arrival_id: str) -> ResponseReturnValue:
    """Where a landing leads: onwards, or the question whether there is a Billing Center account."""
    lead = leads.lead_of(arrival_id, identity.console_account_id, identity.billing_account_id)
    if lead.problem == "bound" and lead.arrival and _settled_by_whoever_is_here(lead.arrival):
        genuine(False)
        return redirect(_its_page(lead.arrival), 303)
    if lead.problem or lead.journey or lead.older:
        genuine(False)  # Somebody led on, or told why not, has sent nothing that counts.
    if lead.problem == "ended" and lead.arrival:
        return ended.page(lead.arrival.subscription)
    if lead.problem:
        return problem(lead.problem, lead.arrival)
    if lead.to_choose:
        return redirect(url_for("billing_center.arrived", arrival_id=arrival_id), 303)
    if lead.journey:
        return to_current(lead.journey, arrival=arrival_id if lead.to_confirm else None)
    if lead.older:
        return redirect(url_for(".arrive", arrival_id=lead.older.id), 303)
    assert lead.arrival is not None
    form = _choice_form(lead)
    if form.validate_on_submit():
        return _begin(lead.arrival, form.has_account.data, lead.stopped)
    return _choice(lead.arrival, form, lead.stopped)


def _begin(arrival: Arrival, answer: str, stopped: Journey | None) -> ResponseReturnValue:
    here = url_for(".arrive", arrival_id=arrival.id)
    try:
        if stopped and answer == STOPPED:
            leads.go_on(stopped, arrival)
            return to_current(stopped)
        flow = BINDING if answer == "yes" else REGISTERING
        return to_current(leads.begin(arrival, flow, identity.console_account_id))
    except journeys.NotYours:
        abort(404, "journey")
    except (StaleDataError, IntegrityError):
        # A second click gave the purchase to the journey first: look again where it leads now.
        db.session.rollback()
        sessions.forget_cookies()
    except Refused:
        pass  # The purchase has ended at this very moment, and says so where it arrives.
    return redirect(here, 303)


def _choice_form(lead: leads.Lead) -> ChoiceForm:
    form = ChoiceForm(data={"has_account": STOPPED if lead.stopped else None})
    if lead.stopped:
        form.has_account.choices = [
            SelectChoice(STOPPED, _("Go on where I stopped")),
            *form.has_account.choices,
        ]
    return form


def _settled_by_whoever_is_here(arrival: Arrival) -> bool:
    return arrival.subscription.billing_account_id == identity.billing_account_id()


def _its_page(arrival: Arrival) -> str:
    """Where the Billing Center shows what a purchase pays for."""
    return url_for("billing_center.cloud_account", subscription_id=arrival.subscription_id)


def _choice(arrival: Arrival, form: ChoiceForm, stopped: Journey | None) -> ResponseReturnValue:
    account = arrival.subscription.cloud_account
    page = render_template(
        "arrivals/choice.html",
        form=form,
        stopped=stopped is not None,
        bound_to=stopped.billing_account.username if stopped and stopped.billing_account else None,
        clouds=choices.clouds(),
        cloud=marketplaces.of_account(account).words.cloud,
        account_kind=cloud_account_kind(account),
        account_number=account.account_id,
        line=line.of_purchase(account),
        line_title=_("What exists now"),
        action_url=url_for(".arrive", arrival_id=arrival.id),
        choose_url=url_for("billing_center.arrived", arrival_id=arrival.id)
        if identity.billing_account_id()
        else None,
    )
    return page, _status(form)


@bp.get("/bind")
def bind() -> ResponseReturnValue:
    """The front door for somebody who has a Billing Center account: on with the purchase this browser brought, or
    where to buy and how to come back with one."""
    journey, arrival = leads.purchase_here()
    if arrival is not None:
        return redirect(url_for(".arrive", arrival_id=arrival.id), 303)
    if journey is None:
        return render_template("arrivals/bind.html", listings=marketplaces.listed())
    if journey.flow == BINDING or not claiming.can_switch(journey):
        return to_current(journey)
    return render_template(
        "arrivals/bind.html",
        form=Button(),
        purchase_name=show.purchase(journey),
        switch_url=url_for("flows.other", reference=journey.reference, to=BINDING),
        begun_url=url_for("flows.resume", reference=journey.reference),
        reference=journey.reference,
    )


# Journeys ---------------------------------------------------------------------------------------------------


@bp.route("/register", methods=["GET", "POST"])
@limited("start")
def register() -> ResponseReturnValue:
    """The front door without a marketplace: goes on where this browser stopped, or begins."""
    journey = leads.going_on_here()
    if journey is not None:
        genuine(False)
        return to_current(journey)
    if request.method in SAFE_METHODS and (arrival := leads.untouched_here()):
        return redirect(url_for(".arrive", arrival_id=arrival.id), 303)  # With what was bought.
    return show_step(journeys.fresh(REGISTERING), FLOWS[REGISTERING].step("basic"))


@bp.post("/register/again")
def register_again() -> ResponseReturnValue:
    """This browser lets go of the journey it is on, and begins a new one."""
    if Button().validate_on_submit() and (reference := session.pop("journey", None)):
        sessions.stop("journey", reference)
    return redirect(url_for(".register"), 303)


def _status(form: Form) -> int:
    return 422 if form.errors or form.form_errors else 200


def problem(kind: str, arrival: Arrival | None) -> ResponseReturnValue:
    """What stopped an arrival, and the way on."""
    status = {"elsewhere": 404, "gone": 410}.get(kind, 200)
    everywhere = marketplaces.all_marketplaces()
    here = identity.billing_account_here() if kind == "bound" else None
    # Of an arrival that is not this browser's nothing is told, so the first marketplace has to do.
    first = next(iter([*marketplaces.listed(), *everywhere.values()]))
    page = render_template(
        "arrivals/problem.html",
        kind=kind,
        marketplace=everywhere[arrival.marketplace] if arrival else first,
        sign_in_url=url_for("console.sign_in"),
        here=here.username if here else None,
        billing_url=url_for("billing_center.sign_in", next=url_for(".arrive", arrival_id=arrival.id))
        if arrival
        else None,
    )
    return page, status
