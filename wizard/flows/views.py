"""A journey's pages. A view loads the journey, guards the step, checks the form, calls one verb, redirects."""

from collections.abc import Callable
from typing import Any

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError

from wizard import metrics
from wizard.accounts import identity, sessions
from wizard.extensions import SAFE_METHODS, db
from wizard.flows import claiming, ended, journeys, show, show_binding
from wizard.flows.catalogue import FLOWS, walk_of
from wizard.flows.engine import Step, Walk
from wizard.flows.models import BINDING, Journey
from wizard.flows.pages import Action, FlowPage, Page, kept
from wizard.flows.refusals import Refused
from wizard.forms import Button, Form
from wizard.limits import limited
from wizard.transactions import genuine, release

bp = Blueprint("flows", __name__)


@bp.route("/journeys/<reference>/<key>", methods=["GET", "POST"])
@limited("code")
def step(reference: str, key: str) -> ResponseReturnValue:
    """One step of a journey."""
    journey = _mine(reference)
    walk = walk_of(journey)
    if elsewhere := _elsewhere(walk, key):
        genuine(False)
        return _to(journey, elsewhere)
    step = walk.flow.step(key)
    if request.method in SAFE_METHODS:
        if journey.subscription is not None and ended.has_ended(journey):
            return ended.page(journey.subscription, journey)
        if there := step.page.address(journey):
            return redirect(there, 303)
    return show_step(journey, step)


@bp.route("/journeys/<reference>/<key>/<name>", methods=["GET", "POST"])
@limited("code")
def action(reference: str, key: str, name: str) -> ResponseReturnValue:
    """A lone button of a step's page. Whoever opens its address gets the page."""
    journey = _mine(reference)
    walk = walk_of(journey)
    if elsewhere := _elsewhere(walk, key):
        genuine(False)
        return _to(journey, elsewhere)
    step = walk.flow.step(key)
    page: Page = step.page
    if name not in page.actions:
        abort(404)
    if request.method in SAFE_METHODS:
        return _to(journey, step)
    return _submit(journey, step, page.actions[name])


@bp.route("/journeys/<reference>/site", methods=["GET", "POST"])
@limited("code")
def site(reference: str) -> ResponseReturnValue:
    """The chooser at the top right: where workspaces made on this journey will live. It leads back to its page."""
    journey = _mine(reference)
    back = request.args.get("back", "")
    if not back.startswith(f"/journeys/{reference}/"):
        back = url_for("flows.resume", reference=reference)
    form = show_binding.site_form(journey)

    def choose(now: Journey) -> None:
        journeys.answer(now, site=form.site.data)
        journeys.note(now, "site", "chosen", site=form.site.data)

    if form.validate_on_submit() and journey.flow == BINDING:
        _change(journey, choose)
    elif form.site.errors:
        flash(form.site.errors[0])
    return redirect(back, 303)


@bp.route("/journeys/<reference>/other", methods=["GET", "POST"])
@limited("code")
def other(reference: str) -> ResponseReturnValue:
    """From registering to binding a Billing Center account, or back: somebody has one after all, or has none."""
    journey = _mine(reference)
    wanted = request.args.get("to") or claiming.other_flow(journey)

    def switch(now: Journey) -> None:
        if now.flow != wanted and claiming.can_switch(now):  # A second click changes nothing back.
            claiming.switch(now)

    if Button().validate_on_submit():
        journey = _change(journey, switch)
    return to_current(journey)


@bp.route("/journeys/<reference>/without", methods=["GET", "POST"])
@limited("code")
def without(reference: str) -> ResponseReturnValue:
    """On without the purchase, which has ended: something else will pay."""
    journey = _mine(reference)
    if Button().validate_on_submit():
        journey = _change(journey, ended.let_go)
    return to_current(journey)


@bp.get("/journeys/<reference>")
def resume(reference: str) -> ResponseReturnValue:
    """Wherever this journey stands."""
    return to_current(_mine(reference))


def show_step(journey: Journey, step: Step[Journey]) -> ResponseReturnValue:
    """Show a step's page, or act on what was sent and lead on to the next."""
    page: Page = step.page
    if request.method in SAFE_METHODS:
        return _render(journey, step, page.form(journey))
    return _submit(journey, step, Action(page.submit, page.form, is_of_page=True))


def _submit(journey: Journey, step: Step[Journey], action: Action) -> ResponseReturnValue:
    """Act on what was sent, and lead on; or show the page with what was wrong."""
    form = action.form(journey)
    if not form.validate_on_submit():
        return _refuse(journey, step, action, form)
    if form.slow:
        release()
        fine = form.ahead()
        if journey.is_written:
            db.session.add(journey)  # As it was read: its version tells if another tab changes it meanwhile.
        if not fine:
            return _refuse(journey, step, action, form)
    try:
        if not journey.is_written:
            try:
                begun = journeys.begin(journey)
            except journeys.NotYours:
                abort(404, "journey")
            if begun is not journey and begun.answers:
                # A double click or a second tab began this very journey a moment ago.
                return to_current(begun)
            journey = begun
        journey = _act(journey, step, lambda now: action.verb(now, form))
    except Refused as refusal:
        if ended.has_ended(journey):
            return _to(journey, step)  # Whatever was refused: it says what became of the purchase.
        # The form anew: what the journey offers may have changed with the refusal.
        form = action.form(journey)
        form.validate()
        _put(refusal, form)
        return _refuse(journey, step, action, form)
    walk = walk_of(journey)
    if step.key not in {known.key for known in walk.flow.all_steps()}:
        return to_current(journey)  # It goes on in the other flow.
    stays = action.verb is not step.page.submit and walk.guard(step.key) is None
    return _to(journey, step if stays else walk.after(step.key))


def _refuse(journey: Journey, step: Step[Journey], action: Action, form: Form) -> ResponseReturnValue:
    """The page again: its own form with what was typed, or a lone button's problem above it."""
    if action.is_of_page:
        return _render(journey, step, form), 422
    return _render(journey, step, step.page.form(journey), problem=form.form_errors[0]), 422


def _act(journey: Journey, step: Step[Journey], verb: Callable[[Journey], None]) -> Journey:
    """Call a step's verb. If another tab changed the journey first, once more on what is true now.

    Raises :class:`Refused` with the journey as it then is; what a refusal changed is flushed here too, so that
    it can meet another tab only where that is expected.
    """
    reference, flow = journey.reference, journey.flow
    for _attempt in range(2):
        before = walk_of(journey).current
        try:
            try:
                verb(journey)
            except Refused:
                db.session.flush()
                raise
            db.session.flush()
            if (reached := walk_of(journey).current) is not before:
                metrics.STEPS.labels(journey.flow, reached.key).inc()
            break
        except (StaleDataError, IntegrityError):
            db.session.rollback()
            sessions.forget_cookies()
            journey = _mine(reference)
            if journey.flow != flow or walk_of(journey).guard(step.key):
                break
    return journey


def _change(journey: Journey, verb: Callable[[Journey], None]) -> Journey:
    """Change something beside the steps. If another tab changed the journey first, once more on what is true now."""
    reference = journey.reference
    for _attempt in range(2):
        try:
            verb(journey)
            db.session.flush()
            break
        except StaleDataError:
            db.session.rollback()
            sessions.forget_cookies()
            journey = _mine(reference)
    return journey


def _put(refusal: Refused, form: Form) -> None:
    """Show a refusal where its field is, or above the form."""
    field = form._fields.get(refusal.field or "")
    if field is None:
        form.form_errors = list(dict.fromkeys([*form.form_errors, refusal.message]))
    else:
        field.errors = [*field.errors, refusal.message]


def _render(journey: Journey, step: Step[Journey], form: Form, **more: Any) -> str:
    page: Page = step.page
    walk = walk_of(journey)
    around: FlowPage = walk.flow.page
    back = walk.back(step.key) if journey.is_written else None
    values = {
        "form": form,
        "resend_form": form,
        "progress": walk.progress(step.key) if walk.flow.stages else None,
        "line": around.line(journey, step.key),
        "line_title": _("What exists now"),
        "purchase": show.purchase(journey),
        "reference": journey.reference,
        "signed_in_as": journey.console_account.username
        if journey.console_account and not journey.is_finished
        else None,
        "back_url": _url(journey, back) if back else None,
        "switch_url": url_for("flows.other", reference=journey.reference, to=claiming.other_flow(journey))
        if claiming.can_switch(journey)
        else None,
        "action_url": request.full_path.rstrip("?")
        if request.endpoint == "flows.step"
        else _url(journey, step),
        **around.around(journey),
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
    if claiming.is_lost(journey) and journey.console_account_id is None:
        _lead_to_whose_it_is(journey)
    return journey


def _lead_to_whose_it_is(journey: Journey) -> None:
    """The purchase has been bound meanwhile: who did it, on another device, sees it; anybody else is told so."""
    assert journey.subscription is not None
    if journey.subscription.billing_account_id == identity.billing_account_id():
        genuine(False)
        abort(redirect(url_for("billing_center.cloud_account", subscription_id=journey.subscription_id), 303))
    abort(409, "taken")


def _elsewhere(walk: Walk[Journey], key: str) -> Step[Journey] | None:
    """The step to go to instead of one that may not be opened; None if it may. 404 for a step that there is not."""
    try:
        return walk.guard(key)
    except KeyError:
        if not any(key == step.key for flow in FLOWS.values() for step in flow.all_steps()):
            abort(404)
        return walk.current  # A page from before they changed over to the other flow.


def to_current(journey: Journey, arrival: str | None = None) -> ResponseReturnValue:
    """On to the step where a journey stands; ``arrival`` is a purchase to be confirmed there."""
    return _to(journey, walk_of(journey).current, arrival=arrival)


def _to(journey: Journey, step: Step[Journey], arrival: str | None = None) -> ResponseReturnValue:
    return redirect(_url(journey, step, arrival=arrival), 303)


def _url(journey: Journey, step: Step[Journey], arrival: str | None = None) -> str:
    if there := step.page.address(journey):
        return there
    if not journey.is_written:
        return url_for("doors.register")
    stays = kept(step.page.keeps)
    return url_for("flows.step", reference=journey.reference, key=step.key, arrival=arrival, **stays)
