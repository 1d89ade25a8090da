"""Dissolving a locked workspace: the same page for its owner in the console and for whoever settles it."""

from collections.abc import Callable

from flask import flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from wizard.billing import locks, settlement
from wizard.billing.models import DISSOLVED, Workspace
from wizard.billing.wording import payer_of, state_of
from wizard.flows.forms import DissolveForm
from wizard.sites import directory


def answer(
    workspace: Workspace, by: str, page: Callable[..., str], back_url: str, done_url: str
) -> ResponseReturnValue:
    """What a request for the page is answered. ``by``: who dissolves it, as its history says · ``page``: draws a
    template of the area · ``back_url``: the workspace · ``done_url``: where somebody is who has dissolved it."""
    form = DissolveForm(workspace.name)
    typed = form.validate_on_submit()
    if workspace.state == DISSOLVED or (typed and _dissolved(workspace, by)):
        flash(_("%(workspace)s is dissolved. It and its data are deleted.", workspace=workspace.name))
        return redirect(done_url, 303)
    if typed:
        return redirect(request.path, 303)  # The page says what is true now.
    drawn = page(
        "flows/dissolve.html",
        form=form,
        workspace=workspace,
        state=state_of(workspace),
        is_locked=settlement.is_locked(workspace),
        paid_by=payer_of(workspace),
        site=str(directory.get(workspace.site_id).label),
        action_url=request.path,
        back_url=back_url,
    )
    return drawn, 422 if form.errors or form.form_errors else 200


def _dissolved(workspace: Workspace, by: str) -> bool:
    try:
        locks.dissolve(workspace, by)
    except locks.CannotDissolve:
        flash(_("Something else was changing it. Look once more"))
        return False
    return True
