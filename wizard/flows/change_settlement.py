"""The flow *change settlement method*, of somebody signed in to their Billing Center account.

Which method → (subscribe at AWS → choose the workspaces it pays for) → changed. A registered cloud account and the
Billing Center account itself settle at once. A purchase that came without a change that waits for it, and whose buyer
then signed in, begins at choosing workspaces.
"""

from flask import flash
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wizard import outbox
from wizard.billing import settlement, subscriptions, wording, workspaces
from wizard.billing.models import AWS, BILLING_CENTER, Subscription, Workspace
from wizard.extensions import db
from wizard.flows import claiming, ended, journeys
from wizard.flows import show_changing as show
from wizard.flows.engine import Flow, Step
from wizard.flows.forms import ChooseForm, MethodForm
from wizard.flows.models import CHANGING, Journey
from wizard.flows.pages import Action, FlowPage, Page
from wizard.flows.refusals import Refused
from wizard.forms import Form

# Facts ------------------------------------------------------------------------------------------------------


def method_chosen(journey: Journey) -> bool:
    return journey.awaits is not None or journey.is_finished


def is_waiting(journey: Journey) -> bool:
    return journey.awaits is not None and not journey.is_finished


def may_choose_again(journey: Journey) -> bool:
    return is_waiting(journey) and "workspace" in journey.answers


def is_finished(journey: Journey) -> bool:
    return journey.is_finished


# Verbs ------------------------------------------------------------------------------------------------------


def choose_method(journey: Journey, form: MethodForm) -> None:
    """Settle it by what is there already; or wait for a subscription at AWS."""
    workspace, method = show.workspace_here(journey), form.method.data
    if method == AWS:
        if no := show.forbidden(workspace):
            raise Refused(wording.refused(no, workspace, None))
        journeys.answer(journey, method=method)
        journey.awaits = AWS
        journeys.note(journey, "method", "waits for a subscription", workspace=workspace.public_id)
        return
    to = None if method == BILLING_CENTER else show.chosen(journey, method)
    assert to is not None or method == BILLING_CENTER
    was_locked = settlement.is_locked(workspace)
    changed = _settle(journey, "method", [workspace], to)
    journeys.answer(journey, method=method)
    journey.subscription = to
    _finish(journey, "method", "settled" if changed else "settled so already", workspace=workspace.public_id)
    name = workspace.name
    payer = wording.cloud_account_name(to.cloud_account) if to else _("the Billing Center account")
    flash(
        _("%(workspace)s is unlocked: from now on %(payer)s pays for it.", workspace=name, payer=payer)
        if was_locked
        else _("From now on %(payer)s pays for %(workspace)s.", workspace=name, payer=payer)
    )


def choose_workspaces(journey: Journey, form: ChooseForm) -> None:
    """Claim the purchase that this browser brought, and let it pay for these workspaces: all of them, or nothing."""
    assert journey.billing_account_id is not None
    bought = show.arrived(journey)
    chosen = workspaces.all_of_payer(form.workspaces.data or [], journey.billing_account_id)
    if not chosen:
        raise Refused(_("Choose at least one workspace"), "workspaces")
    try:
        with db.session.begin_nested():
            due = subscriptions.claim(bought.id, journey.billing_account_id)
            _settle(journey, "choose", chosen, bought)
    except subscriptions.SubscriptionTaken:
        journeys.note(journey, "choose", "taken")
        raise Refused(
            _(
                "Something else has happened to this subscription. Open its link at %(cloud)s once more to see what",
                cloud=show.cloud_of(bought),
            )
        ) from None
    journey.subscription = bought
    _finish(journey, "choose", "settled", workspaces=[workspace.public_id for workspace in chosen])
    if due:
        outbox.enqueue_all([*due, claiming.told_bound(journey)])


def _settle(journey: Journey, step: str, chosen: list[Workspace], to: Subscription | None) -> bool:
    """Whether it changed anything. Raises :class:`Refused` for the first workspace that may not be settled so; its row
    says it as well."""
    try:
        return bool(settlement.settle(chosen, to, by=journey.named))
    except settlement.CannotSettle as no:
        refused, why = no.workspace, wording.refused(no.refusal, no.workspace, to)
        journeys.note(journey, step, "refused", workspace=refused.public_id, why=no.refusal.reason)
        if len(chosen) == 1:
            raise Refused(why) from None
        raise Refused(
            _("Nothing was changed, because of %(workspace)s: %(why)s", workspace=refused.name, why=why),
            "workspaces",
        ) from None


def keep(journey: Journey, _form: Form) -> None:
    """They leave it as it is, and wait for no purchase any more."""
    journeys.answer(journey, method=show.KEPT)
    _finish(journey, "subscribe", "kept as it is")


def _finish(journey: Journey, step: str, what: str, **detail: object) -> None:
    if journey.is_finished:
        return
    journey.awaits = None
    journeys.finish(journey)
    journeys.note(journey, step, what, **detail)


# The flow ---------------------------------------------------------------------------------------------------

FLOW: Flow[Journey] = Flow(
    CHANGING,
    page=FlowPage(show.line_of),
    stages=(),
    steps=(
        Step(
            "method",
            1,
            is_done=method_chosen,
            can_reopen=may_choose_again,
            page=Page(
                "flows/change_method.html",
                _l("Change settlement method"),
                show.method_form,
                choose_method,
                show.method,
                keeps=show.IN_LIST,
                address=show.address_of_method,
            ),
        ),
        Step(
            "subscribe",
            1,
            is_done=is_finished,
            is_needed=is_waiting,
            page=Page(
                "flows/change_subscribe.html",
                _l("AWS account settlement"),
                context=lambda journey, form: {**show.subscribe(journey, form), "over": ended.notice()},
                actions={"keep": Action(keep)},
            ),
        ),
        Step(
            "choose",
            1,
            is_done=is_finished,
            page=Page(
                "flows/change_choose.html",
                _l("Choose workspaces"),
                show.choose_form,
                choose_workspaces,
                show.choose,
                keeps=show.IN_LIST,
                address=show.address_of_choosing,
            ),
        ),
        Step(
            "changed",
            1,
            is_done=is_finished,
            page=Page(
                "flows/changed.html",
                _l("Settlement method changed"),
                context=show.changed,
                address=show.address_after,
            ),
        ),
    ),
)
