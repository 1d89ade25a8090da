"""What the pages of *existing Billing Center account* show. Nothing here changes anything."""

from typing import Any

from flask import abort, current_app, g, request, url_for
from flask_babel import format_decimal
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from wizard.accounts import identity
from wizard.accounts.models import BillingAccount
from wizard.billing import settlement, subscriptions, wording, workspaces
from wizard.billing.models import BEING_MADE, Workspace
from wizard.flows import line, show
from wizard.flows.forms import (
    HERE,
    OTHER,
    SAME,
    AccountForm,
    SiteForm,
)
from wizard.flows.models import Journey
from wizard.flows.pages import kept
from wizard.forms import Form
from wizard.lists import Listed, page_number, searched_for
from wizard.marketplaces import protocol as marketplaces
from wizard.sites import choices
from wizard.sites import directory as sites
from wizard.verification import codes
from wizard.verification.wording import of_page, sent_to_account
from wizard.wording import time_of_day

BIND = "bind"
"""What its codes are for: to show whose a Billing Center account is."""

IN_LIST = ("q", "page")
"""Where in the list of workspaces somebody is: what its address says of it."""

MOST_ON_LINE = 5
MOST_TOLD = 10


# On every page of the flow ----------------------------------------------------------------------------------


def around(journey: Journey) -> dict[str, Any]:
    """The site chooser at the top right."""
    form = SiteForm(formdata=None, data={"site": journey.answers.get("site")})
    form.site.id = "site-of-new"  # A page may ask for the site itself, and ids and names must be unique.
    form.site.label.text = _("Site for new workspaces")
    chosen = site_of(journey)
    return {
        "chooser": {
            "form": form,
            "field": form.site,
            "groups": choices.groups(*show.paid_through(journey)),
            "label": str(chosen.label) if chosen else None,
            "url": url_for("flows.site", reference=journey.reference, back=request.full_path.rstrip("?"))
            if journey.is_written
            else None,
        },
    }


def site_form(journey: Journey) -> SiteForm:
    form = SiteForm()
    form.site.choices = choices.offered(*show.paid_through(journey))
    return form


def site_of(journey: Journey) -> Any:
    """The site chosen for new workspaces, or None."""
    chosen = journey.answers.get("site", "")
    offered = {choice.value for choice in choices.offered(*show.paid_through(journey))}
    return sites.get(chosen) if chosen in offered else None


def line_of(journey: Journey, step: str) -> line.Line:
    """What exists: the cloud account, the Billing Center account once it is bound, the workspaces it pays for."""
    assert journey.subscription is not None
    nodes = [line.cloud_node(journey.subscription.cloud_account), _billing(journey, step)]
    if step in ("create", "create-account", "create-username"):
        made = _("Made when you create it") if step == "create" else _("Made when you register")
        nodes.append(line.Node("workspace", "making", _("Workspace"), (made,), accent=True))
        title, site = _("Console account"), site_of(journey)
        if step == "create":
            where = _("You have one on %(site)s", site=site.label) if site else _("You have one there")
            nodes.append(line.Node("console", "exists", title, (where,)))
        else:
            nodes.append(line.Node("console", "making", title, (made,), accent=True))
    else:
        nodes.append(_workspaces(journey, step))
    return line.join(*nodes)


def _billing(journey: Journey, step: str) -> line.Node:
    title = _("Billing Center account")
    if journey.billing_account is not None:
        return line.Node("billing", "exists", title, (journey.billing_account.username,))
    note = _("Waiting for your code") if step == "code" else _("You bind it here")
    return line.Node("billing", "making", title, (note,), accent=True)


def _workspaces(journey: Journey, step: str) -> line.Node:
    title = _("Workspaces")
    if journey.billing_account is None:
        return line.Node("workspace", "later", title, (_("You choose them at step %(number)s", number=2),))
    bound = bound_here(journey)
    items = [
        line.Item("making" if w.state == BEING_MADE else "exists", w.name)
        for w in bound.newest[:MOST_ON_LINE]
    ]
    more = bound.count - len(items)
    if step == "bind" and _can_be_bound(journey, chosen := workspace_here(journey)):
        items.append(line.Item("making", chosen.name))
    details = (_("and %(count)s more", count=format_decimal(more)),) if more else ()
    if not items:
        return line.Node("workspace", "making", title, (_("You choose them here"),), accent=True)
    return line.Node("workspace", "exists", title, details, parts=tuple(items))


def bound_here(journey: Journey) -> subscriptions.Bound:
    """The workspaces this journey's purchase pays for; asked once a request."""
    if "bound_here" not in g:
        assert journey.subscription_id is not None
        bought = journey.subscription_id
        g.bound_here = subscriptions.settled_by([bought], MOST_TOLD).get(bought, subscriptions.Bound())
    bound: subscriptions.Bound = g.bound_here
    return bound


# Bind Billing Center account --------------------------------------------------------------------------------


def offered_accounts(journey: Journey) -> dict[str, BillingAccount]:
    """Billing Center accounts that suggest themselves: the one signed in here a moment ago, and the one that another
    purchase of the same cloud account is bound to."""
    assert journey.subscription is not None
    if "offered_accounts" in g:
        found: dict[str, BillingAccount] = g.offered_accounts
        return found
    offered = g.offered_accounts = {}
    if here := identity.fresh_billing_account():
        offered[HERE] = here
    same = payer_of_other_purchase(journey)
    if same is not None and (here is None or same.id != here.id):
        offered[SAME] = same
    return offered


def payer_of_other_purchase(journey: Journey) -> BillingAccount | None:
    """The Billing Center account the same cloud account pays through already; asked once a request."""
    if "payer_of_other_purchase" not in g:
        assert journey.subscription is not None
        g.payer_of_other_purchase = subscriptions.payer_of_other_purchase(journey.subscription)
    found: BillingAccount | None = g.payer_of_other_purchase
    return found


def account_form(journey: Journey) -> AccountForm:
    form = AccountForm(
        data={"which": journey.answers.get("which"), "username": journey.answers.get("billing_username")}
    )
    offered = offered_accounts(journey)
    titles = {
        HERE: lambda: _("%(username)s, signed in here", username=offered[HERE].username),
        SAME: lambda: _("The one that this %(account)s is bound to already", account=_kind(journey)),
        OTHER: lambda: _("Another Billing Center account") if offered else _("A Billing Center account"),
    }
    form.which.choices = [SelectChoice(key, titles[key]()) for key in (*offered, OTHER)]
    return form


def account(journey: Journey, form: AccountForm) -> dict[str, Any]:
    return {**payment(journey), "offers": len(form.which.choices) > 1}


def payment(journey: Journey) -> dict[str, Any]:
    """The purchase, in the words of its marketplace."""
    assert journey.subscription is not None
    return show.payment(journey.subscription.cloud_account)


def _kind(journey: Journey) -> str:
    assert journey.subscription is not None
    return wording.cloud_account_kind(journey.subscription.cloud_account)


def code(journey: Journey, _form: Form) -> dict[str, Any]:
    challenge = codes.live(BIND, journey.reference)
    return {
        **of_page(challenge),
        "sent": _sent(journey, time_of_day(challenge.sent_at) if challenge else ""),
        "resend_url": url_for("flows.action", reference=journey.reference, key="code", name="resend"),
        "change_url": url_for("flows.step", reference=journey.reference, key="account"),
        "unnamed": journey.answers.get("which") == SAME,
    }


def _sent(journey: Journey, time: str) -> str:
    """The same sentence for a username that is known and one that is not, and true of both."""
    if journey.answers.get("which") == SAME:
        return _(
            "We sent an email at %(time)s to the address of the Billing Center account that this %(account)s is "
            "bound to already.",
            account=_kind(journey),
            time=time,
        )
    return sent_to_account(journey.answers.get("billing_username", ""), time)


def about_code(journey: Journey, account: BillingAccount | None) -> dict[str, Any]:
    """What the code's mail says besides the code, and whose account it shows."""
    paid_by = show.paid_by(journey)
    return {
        "billing_account": account.id if account else None,
        "what_for": _(
            "Binding %(account)s to the Billing Center account %(username)s",
            account=paid_by,
            username=account.username if account else "",
        ),
        "reference": journey.reference,
    }


# Bind workspace ---------------------------------------------------------------------------------------------


def list_of(journey: Journey, _form: Form) -> dict[str, Any]:
    assert journey.billing_account_id is not None
    search = searched_for()
    found = workspaces.settled_through(journey.billing_account_id, search, page_number())
    return {
        **payment(journey),
        "listed": Listed(found, search),
        "rows": [_row(journey, workspace) for workspace in found.items],
        "bound": bound_here(journey),
        "site": site_of(journey),
        "create_url": url_for("flows.step", reference=journey.reference, key="create"),
    }


def _row(journey: Journey, workspace: Workspace) -> dict[str, Any]:
    assert journey.subscription is not None
    refusal = settlement.refusal_of(workspace, journey.subscription)
    bound, paying = refusal is not None and refusal.reason == settlement.BOUND, settlement.payer(workspace)
    return {
        "name": workspace.name,
        "public_id": workspace.public_id,
        "site": str(sites.get(workspace.site_id).label),
        "payer": wording.cloud_account_name(paying.cloud_account) if paying else None,
        "bound": bound,
        "being_made": workspace.state == BEING_MADE,
        "locked": settlement.is_locked(workspace),
        "refusal": wording.refused(refusal, workspace, journey.subscription)
        if refusal and not bound
        else None,
        "bind_url": url_for(
            "flows.step",
            reference=journey.reference,
            key="bind",
            workspace=workspace.public_id,
            **kept(IN_LIST),
        ),
    }


def workspace_here(journey: Journey) -> Workspace:
    """The workspace this address names. 404 for one that this Billing Center account does not settle."""
    if "workspace_here" not in g:
        assert journey.billing_account_id is not None
        g.workspace_here = workspaces.of_payer(request.args.get("workspace", ""), journey.billing_account_id)
    workspace: Workspace | None = g.workspace_here
    if workspace is None:
        abort(404)
    return workspace


def _can_be_bound(journey: Journey, workspace: Workspace) -> bool:
    assert journey.subscription is not None
    return settlement.refusal_of(workspace, journey.subscription) is None


def bind(journey: Journey, _form: Form) -> dict[str, Any]:
    """What will change, and for which workspace."""
    assert journey.subscription is not None
    workspace = workspace_here(journey)
    refusal = settlement.refusal_of(workspace, journey.subscription)
    then = journey.subscription
    return {
        **payment(journey),
        "workspace": workspace,
        "site": str(sites.get(workspace.site_id).label),
        "now": _settled_by(workspace),
        "then": {
            "kind": "cloud",
            "title": wording.cloud_account_kind(then.cloud_account),
            "detail": then.cloud_account.account_id,
        },
        "locked": settlement.is_locked(workspace),
        "bound": refusal is not None and refusal.reason == settlement.BOUND,
        "refusal": wording.refused(refusal, workspace, then) if refusal else None,
        "stays": not current_app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"],
    }


def _settled_by(workspace: Workspace) -> dict[str, str]:
    """What settles it before the change, as a node of the line."""
    if now := settlement.payer(workspace) or settlement.lost(workspace):
        state = "exists" if now is settlement.payer(workspace) else "ended"
        kind = wording.cloud_account_kind(now.cloud_account)
        return {"kind": "cloud", "state": state, "title": kind, "detail": now.cloud_account.account_id}
    payer = workspace.billing_account.username
    return {"kind": "billing", "state": "exists", "title": _("Billing Center account"), "detail": payer}


# Successful -------------------------------------------------------------------------------------------------


def success(journey: Journey, _form: Form) -> dict[str, Any]:
    bound = bound_here(journey)
    doors: dict[str, list[Workspace]] = {}
    for workspace in bound.newest:
        doors.setdefault(workspace.site_id, []).append(workspace)
    return {
        **payment(journey),
        "count": bound.count,
        "being_made": any(w.state == BEING_MADE for w in bound.newest),
        "doors": [
            {
                "site": str(sites.get(site_id).label),
                "url": url_for("console.sign_in", site=site_id),
                "workspaces": found,
                "usernames": sorted({w.owner.username for w in found}),
            }
            for site_id, found in doors.items()
        ],
    }


def cloud_words(journey: Journey) -> Any:
    """The words of the marketplace the purchase came from."""
    assert journey.subscription is not None
    return marketplaces.of_account(journey.subscription.cloud_account).words
