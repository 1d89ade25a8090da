"""*Bind workspace*: the Billing Center account's workspaces, and binding one of them to the purchase."""

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wizard.billing import settlement, wording
from wizard.flows import create_workspace, journeys
from wizard.flows import show_binding as show
from wizard.flows.engine import Flow, Step, never
from wizard.flows.models import Journey
from wizard.flows.pages import Page
from wizard.flows.refusals import Refused
from wizard.forms import Form


def bind(journey: Journey, _form: Form) -> None:
    """The purchase pays for the workspace this address names."""
    assert journey.subscription is not None
    workspace = show.workspace_here(journey)
    try:
        changed = settlement.bind(workspace, journey.subscription, by=journey.named)
    except settlement.CannotSettle as no:
        journeys.note(journey, "bind", "refused", workspace=workspace.public_id, why=no.refusal.reason)
        raise Refused(wording.refused(no.refusal, workspace, journey.subscription)) from None
    if changed:
        journeys.note(journey, "bind", "bound", workspace=workspace.public_id)


def confirm(journey: Journey, _form: Form) -> None:
    """They are done: at least one workspace is bound."""
    if not show.bound_here(journey).count:
        raise Refused(_("Bind a workspace or create one first"))
    if not journey.is_finished:
        create_workspace.forget_draft(journey)  # Nothing of what was begun and left is kept.
        journeys.finish(journey)
        journeys.note(journey, "workspaces", "confirmed")


PAGE = Page(
    "flows/workspaces.html",
    _l("Bind workspace"),
    submit=confirm,
    context=show.list_of,
    keeps=show.IN_LIST,
)

FLOW: Flow[Journey] = Flow(
    "bind_workspace",
    stages=(),
    steps=(
        Step(
            "bind",
            2,
            is_done=never,
            page=Page("flows/bind.html", _l("Bind workspace"), submit=bind, context=show.bind),
        ),
    ),
)
