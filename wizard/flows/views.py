"""The wizard's pages. A view loads the journey, guards the step, checks the form, calls one verb, redirects."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from wizard import metrics
from wizard.accounts import identity, sessions
from wizard.billing.wording import cloud_account_kind, cloud_account_name
from wizard.extensions import SAFE_METHODS, db
from wizard.flows import arrival as leads
from wizard.flows import journeys, line, show
from wizard.flows.engine import Step, Walk
from wizard.flows.forms import ChoiceForm
from wizard.flows.models import Journey
from wizard.flows.no_billing_account import FLOW
from wizard.flows.pages import Page
from wizard.flows.refusals import Refused
from wizard.forms import Button, Form
from wizard.limits import limited
from wizard.marketplaces import protocol as marketplaces
from wizard.marketplaces.models import Arrival
from wizard.sites import choices
from wizard.transactions import genuine, release

bp = Blueprint("flows", __name__)

FLOWS = {FLOW.key: FLOW}


@bp.get("/")
def home() -> str:
    """The front door, which knows what this browser has begun."""
    waiting, begun, bought = leads.waiting_here(), None, None
    if isinstance(waiting, Journey):
        begun = url_for(".resume", reference=waiting.reference)
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
    lead = leads.lead_of(arrival_id, identity.console_account_id)
    if lead.problem:
        return _problem(lead.problem, lead.arrival)
    if lead.journey or lead.older:
        genuine(False)  # Somebody led on has sent nothing that counts.
    if lead.journey:
        return _to_current(lead.journey, arrival=arrival_id if lead.to_confirm else None)
    if lead.older:
        return redirect(url_for(".arrive", arrival_id=lead.older.id), 303)
    assert lead.arrival is not None
    form = ChoiceForm()
    if form.validate_on_submit():
        if form.has_account.data == "yes":
            return redirect(url_for(".bind", arrival=arrival_id), 303)
        try:
            return _to_current(leads.begin(lead.arrival, FLOW.key, identity.console_account_id))
        except journeys.NotYours:
            abort(404, "journey")
        except (StaleDataError, IntegrityError):
            # A second click gave the purchase to the journey first: look again where it leads now.
            db.session.rollback()
            sessions.forget_cookies()
            return redirect(url_for(".arrive", arrival_id=arrival_id), 303)
    return _choice(lead.arrival, form)


def _choice(arrival: Arrival, form: ChoiceForm) -> ResponseReturnValue:
    account = arrival.subscription.cloud_account
    page = render_template(
        "arrivals/choice.html",
        form=form,
        clouds=choices.clouds(),
        cloud=marketplaces.of_account(account).words.cloud,
        account_kind=cloud_account_kind(account),
        account_number=account.account_id,
        line=line.of_purchase(account),
        line_title=_("What exists now"),
        action_url=url_for(".arrive", arrival_id=arrival.id),
    )
    return page, _status(form)


@bp.get("/bind")
def bind() -> str:
    """Binding an existing Billing Center account; until it is open here, how to get it done."""
    arrival, journey = show.arrival_here(), journeys.mine(request.args.get("reference", ""))
    subscription = arrival.subscription if arrival else journey.subscription if journey else None
    return render_template(
        "flows/existing.html",
        back_url=url_for(".arrive", arrival_id=arrival.id) if arrival else url_for(".home"),
        account=cloud_account_name(subscription.cloud_account) if subscription else None,
        reference=journey.reference if journey else None,
    )


# Journeys ---------------------------------------------------------------------------------------------------


@bp.route("/register", methods=["GET", "POST"])
@limited("start")
def register() -> ResponseReturnValue:
    """The front door without a marketplace: goes on where this browser stopped, or begins."""
    journey = journeys.latest_here()
    if journey is not None and not journeys.is_over(journey) and journey.finished_at is None:
        genuine(False)
        return _to_current(journey)
    return _show(journeys.fresh(FLOW.key), FLOW.step("basic"))


@bp.post("/register/again")
def register_again() -> ResponseReturnValue:
    """This browser lets go of the journey it is on, and begins a new one."""
    if Button().validate_on_submit() and (reference := session.pop("journey", None)):
        sessions.stop("journey", reference)
    return redirect(url_for(".register"), 303)


@bp.route("/journeys/<reference>/<key>", methods=["GET", "POST"])
@limited("code")
def step(reference: str, key: str) -> ResponseReturnValue:
    """One step of a journey."""
    journey = _mine(reference)
    walk = _walk(journey, key)
    if elsewhere := walk.guard(key):
        genuine(False)
        return _to(journey, elsewhere)
    return _show(journey, walk.flow.step(key))


@bp.route("/journeys/<reference>/<key>/<name>", methods=["GET", "POST"])
@limited("code")
def action(reference: str, key: str, name: str) -> ResponseReturnValue:
    """A lone button of a step's page. Whoever opens its address gets the page."""
    journey = _mine(reference)
    walk = _walk(journey, key)
    if elsewhere := walk.guard(key):
        genuine(False)
        return _to(journey, elsewhere)
    step = walk.flow.step(key)
    page: Page = step.page
    if name not in page.actions:
        abort(404)
    if request.method in SAFE_METHODS:
        return _to(journey, step)
    button, problem = Button(), None
    if button.validate_on_submit():
        try:
            journey = _act(journey, step, page.actions[name])
        except Refused as refusal:
            problem = refusal.message
    else:
        problem = button.form_errors[0]
    if problem:
        return _render(journey, step, page.form(journey), problem=problem), 422
    return _to_current(journey)


@bp.get("/journeys/<reference>")
def resume(reference: str) -> ResponseReturnValue:
    """Wherever this journey stands."""
    return _to_current(_mine(reference))


def _show(journey: Journey, step: Step[Journey]) -> ResponseReturnValue:
    """Show a step's page, or act on what was sent and lead on to the next."""
    page: Page = step.page
    form = page.form(journey)
    if not form.validate_on_submit():
        return _render(journey, step, form), _status(form)
    if form.slow:
        release()
        fine = form.ahead()
        if journey.is_written:
            db.session.add(journey)  # As it was read: its version tells if another tab changes it meanwhile.
        if not fine:
            return _render(journey, step, form), _status(form)
    try:
        if not journey.is_written:
            try:
                journey = journeys.begin(journey)
            except journeys.NotYours:
                abort(404, "journey")
            if journey.answers:
                # A double click or a second tab began this very journey a moment ago.
                return _to_current(journey)
        journey = _act(journey, step, lambda now: page.submit(now, form))
    except Refused as refusal:
        # The form anew: what the journey offers may have changed with the refusal.
        form = page.form(journey)
        form.validate()
        _put(refusal, form)
        return _render(journey, step, form), 422
    return _to_current(journey)


def _act(journey: Journey, step: Step[Journey], verb: Callable[[Journey], None]) -> Journey:
    """Call a step's verb. If another tab changed the journey first, once more on what is true now.

    Raises :class:`Refused` with the journey as it then is; what a refusal changed is flushed here too, so that
    it can meet another tab only where that is expected.
    """
    reference = journey.reference
    for _attempt in range(2):
        before = Walk(FLOWS[journey.flow], journey).current
        try:
            try:
                verb(journey)
            except Refused:
                db.session.flush()
                raise
            db.session.flush()
            if (reached := Walk(FLOWS[journey.flow], journey).current) is not before:
                metrics.STEPS.labels(journey.flow, reached.key).inc()
            break
        except (StaleDataError, IntegrityError):
            db.session.rollback()
            sessions.forget_cookies()
            journey = _mine(reference)
            if _walk(journey, step.key).guard(step.key):
                break
    return journey


def _put(refusal: Refused, form: Form) -> None:
    """Show a refusal where its field is, or above the form."""
    field = form._fields.get(refusal.field or "")
    if field is None:
        form.form_errors.append(refusal.message)
    else:
        field.errors = [*field.errors, refusal.message]


def _render(journey: Journey, step: Step[Journey], form: Form, **more: Any) -> str:
    page: Page = step.page
    walk = Walk(FLOWS[journey.flow], journey)
    back = walk.back(step.key) if journey.is_written else None
    values = {
        "form": form,
        "resend_form": form,
        "progress": walk.progress(step.key),
        "line": line.of_journey(journey, step.key, brought=show.brought(step.key)),
        "line_title": _("What exists now"),
        "purchase": show.purchase(journey),
        "reference": journey.reference,
        "signed_in_as": journey.console_account.username
        if journey.console_account and journey.finished_at is None
        else None,
        "back_url": _url(journey, back) if back else None,
        "action_url": request.full_path.rstrip("?")
        if request.endpoint == "flows.step"
        else _url(journey, step),
        **page.context(journey, form),
        **more,
    }
    return render_template(page.template, **values)


def _mine(reference: str) -> Journey:
    """The journey of this browser or of an account signed in here; 404 for anybody else's, 410 for one that is over."""
    journey = journeys.mine(reference)
    if journey is None:
        signed_in = (identity.console_account_id(), identity.billing_account_id())
        journey = journeys.of_accounts(reference, *signed_in)
    if journey is None:
        abort(404, "journey")
    if journeys.is_over(journey):
        abort(410, "journey")
    return journey


def _walk(journey: Journey, key: str) -> Walk[Journey]:
    flow = FLOWS[journey.flow]
    if key not in {step.key for step in flow.steps}:
        abort(404)
    return Walk(flow, journey)


def _to_current(journey: Journey, arrival: str | None = None) -> ResponseReturnValue:
    return _to(journey, Walk(FLOWS[journey.flow], journey).current, arrival=arrival)


def _to(journey: Journey, step: Step[Journey], arrival: str | None = None) -> ResponseReturnValue:
    return redirect(_url(journey, step, arrival=arrival), 303)


def _url(journey: Journey, step: Step[Journey], arrival: str | None = None) -> str:
    if not journey.is_written:
        return url_for(".register")
    return url_for(".step", reference=journey.reference, key=step.key, arrival=arrival)


def _status(form: Form) -> int:
    return 422 if form.errors or form.form_errors else 200


def _problem(kind: str, arrival: Arrival | None) -> ResponseReturnValue:
    status = {"elsewhere": 404, "gone": 410}.get(kind, 200)
    everywhere = marketplaces.all_marketplaces()
    # Of an arrival that is not this browser's nothing is told, so the first marketplace has to do.
    first = next(iter([*marketplaces.listed(), *everywhere.values()]))
    page = render_template(
        "arrivals/problem.html",
        kind=kind,
        marketplace=everywhere[arrival.marketplace] if arrival else first,
        sign_in_url=url_for("console.sign_in"),
    )
    return page, status
