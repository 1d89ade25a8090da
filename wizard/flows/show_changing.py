"""What the pages of *change settlement method* show. Nothing here changes anything."""

import re
from dataclasses import dataclass, replace
from typing import Any

from flask import abort, current_app, g, request, url_for
from flask_babel import gettext as _
from flask_babel import ngettext
from flask_sqlalchemy.pagination import Pagination
from wtforms.fields.choices import SelectChoice

from wizard.billing import locks, settlement, subscriptions, wording, workspaces
from wizard.billing.models import ACTIVE, AWS, BILLING_CENTER, CLOSED, DISSOLVED, Subscription, Workspace
from wizard.flows import line, show
from wizard.flows.forms import ChooseForm, MethodForm
from wizard.flows.models import Journey
from wizard.flows.pages import kept
from wizard.flows.show_binding import bound_here
from wizard.forms import Form
from wizard.lists import Listed, page_number, searched_for
from wizard.marketplaces import protocol as marketplaces
from wizard.sites import directory as sites
from wizard.wording import account_number, day_to_come

IN_LIST = ("q", "page")
"""Where in a list somebody is: what its address says of it."""

KEPT = "kept"
"""The method of who left it as it was."""


def workspace_here(journey: Journey) -> Workspace:
    """The workspace the change began at. 404 for one that this Billing Center account does not settle."""
    workspace = _began_at(journey)
    if workspace is None:
        abort(404)
    return workspace


def _began_at(journey: Journey) -> Workspace | None:
    """Asked once a request; None for a change that began with a purchase."""
    if "began_at" not in g:
        assert journey.billing_account_id is not None
        named = journey.answers.get("workspace", "")
        g.began_at = workspaces.of_payer(named, journey.billing_account_id) if named else None
    workspace: Workspace | None = g.began_at
    return workspace


def workspace_url(public_id: str) -> str:
    return url_for("billing_center.workspace", public_id=public_id)


def line_of(journey: Journey, step: str) -> line.Line:
    """How it is settled now; on the last pages what the purchase pays for."""
    workspace = None if step in ("choose", "changed") else _began_at(journey)
    if workspace is None:
        return _line_of_purchase(journey, step)
    return line.of_settlement(workspace)


# Change settlement method -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Option:
    """A way to settle the workspace. ``value`` on the form; ``refusal`` is the reason why it cannot be chosen.

    ``kind``, ``detail``: the cloud account on the line that it would be, nothing where there is none.
    """

    value: str
    title: str
    hint: str
    refusal: str | None = None
    kind: str = ""
    detail: str = ""


def _page_of_registered(journey: Journey) -> Pagination:
    if "page_of_registered" not in g:
        assert journey.billing_account_id is not None
        g.page_of_registered = subscriptions.claimed_by(
            journey.billing_account_id, searched_for(), page_number(), only_active=True
        )
    found: Pagination = g.page_of_registered
    return found


def _registered(journey: Journey, workspace: Workspace) -> list[Option]:
    """This page of the Billing Center account's active subscriptions."""
    bought = _page_of_registered(journey).items
    paid = subscriptions.settled_by([one.id for one in bought], 1) if bought else {}
    return [
        Option(
            str(one.id),
            wording.cloud_account_name(one.cloud_account),
            _pays_for(paid[one.id].count if one.id in paid else 0),
            _refused(workspace, one),
            wording.cloud_account_kind(one.cloud_account),
            account_number(one.cloud_account.account_id),
        )
        for one in bought
    ]


def _pays_for(count: int) -> str:
    product = line.product_title()
    if not count:
        return _("%(product)s. Pays for no workspace yet.", product=product)
    return ngettext(
        "%(product)s. Pays for %(num)s workspace.",
        "%(product)s. Pays for %(num)s workspaces.",
        count,
        product=product,
    )


def _others(journey: Journey, workspace: Workspace) -> list[Option]:
    """A new subscription, and the Billing Center account itself."""
    options = []
    if listed_for(workspace):
        options.append(
            Option(
                AWS,
                _("AWS account settlement"),
                _("Subscribe to AWS: you come back here and choose the workspaces it pays for."),
                kind=_("AWS account"),
                detail=_("After you subscribe"),
            )
        )
    assert journey.billing_account is not None
    settled = _("From the vouchers, prepaid cards or balance of %(username)s.")
    return [
        *options,
        Option(
            BILLING_CENTER,
            _("Billing Center account"),
            settled % {"username": journey.billing_account.username},
            _refused(workspace, None),
        ),
    ]


def listed_for(workspace: Workspace) -> list[marketplaces.Marketplace]:
    """The marketplaces of AWS whose cloud accounts may pay for this workspace."""
    return [m for m in marketplaces.listed(AWS) if settlement.is_allowed(workspace, AWS, m.name)]


def _refused(workspace: Workspace, to: Subscription | None) -> str | None:
    refusal = settlement.refusal_of(workspace, to)
    if refusal is None:
        return None
    if refusal.reason == settlement.BOUND:
        return _("Settles this workspace now.")
    return wording.refused(refusal, workspace, to)


def forbidden(workspace: Workspace) -> settlement.Refusal | None:
    """Why nothing else may settle it at the moment, whatever that would be."""
    if workspace.state != ACTIVE:
        return settlement.Refusal(workspace.state)
    return settlement.refusal_to_leave(workspace)


def method_form(journey: Journey) -> MethodForm:
    form = MethodForm(data={"method": journey.answers.get("method")})
    workspace = workspace_here(journey)
    # Whatever was on the page when it was opened: settling says of it what has become of that meanwhile.
    others = [one.value for one in _others(journey, workspace)]
    form.method.choices = [SelectChoice(value, value) for value in others]
    if (sent := form.method.data) and sent not in others and chosen(journey, sent):
        form.method.choices.append(SelectChoice(sent, sent))
    return form


def chosen(journey: Journey, method: str) -> Subscription | None:
    """The subscription of this Billing Center account that a method names, also one that has ended. Asked once a
    request."""
    if "chosen" not in g:
        assert journey.billing_account_id is not None
        is_id = re.fullmatch(r"[0-9]{1,9}", method)
        g.chosen = subscriptions.of_payer(int(method), journey.billing_account_id) if is_id else None
    subscription: Subscription | None = g.chosen
    return subscription


def method(journey: Journey, form: MethodForm) -> dict[str, Any]:
    workspace = workspace_here(journey)
    no = forbidden(workspace)
    locked = workspace.state == ACTIVE and settlement.is_locked(workspace)
    ended = settlement.lost(workspace)
    known: dict[str, Any] = {
        "workspace": workspace,
        "locked": locked,
        "site": str(sites.get(workspace.site_id).label),
        "ended": wording.cloud_account_name(ended.cloud_account) if ended else None,
        "closes_at": locks.closes_at(workspace),
        "keep_url": workspace_url(workspace.public_id),
        "back_url": workspace_url(workspace.public_id),
        "line_title": _("Now"),
        "why_not": wording.refused(no, workspace, None) if no else None,
        "over": workspace.state in (CLOSED, DISSOLVED),
        "again_on": day_to_come(no.until) if no and no.until else None,
        "reference": journey.reference if journey.is_written else None,
    }
    if no:
        return known
    days = current_app.config["SETTLEMENT_CHANGE_INTERVAL_DAYS"]
    ours, others = _registered(journey, workspace), _others(journey, workspace)
    return {
        **known,
        "registered": ours,
        "others": others,
        "only": wording.only_way(workspace),
        "can_choose": any(one.refusal is None for one in (*ours, *others)),
        "listed": Listed(_page_of_registered(journey), searched_for()),
        "after": line.of_settlement(workspace, after=True),
        "days": None if locked else days,
        "stays": not current_app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"],
    }


def address_of_method(journey: Journey) -> str | None:
    """A change that nobody has begun yet is at its workspace's address."""
    if journey.is_written:
        return None
    return url_for("billing_center.settlement", public_id=journey.answers["workspace"], **kept(IN_LIST))


# Subscribe at AWS -------------------------------------------------------------------------------------------


def subscribe(journey: Journey, _form: Form) -> dict[str, Any]:
    workspace = _began_at(journey)
    listings = listed_for(workspace) if workspace else marketplaces.listed(journey.awaits)
    return {
        "workspace": workspace,
        "listings": listings,
        "product": line.product_title(),
        "keep_url": url_for("flows.action", reference=journey.reference, key="subscribe", name="keep"),
        "line_title": _("Now"),
    }


# Choose workspaces ------------------------------------------------------------------------------------------


def arrived(journey: Journey) -> Subscription:
    """The purchase this browser brought to the page where workspaces are chosen. 404 without one."""
    arrival = show.arrival_here()
    if arrival is None:
        abort(404)
    return arrival.subscription


def cloud_of(bought: Subscription) -> str:
    return marketplaces.of_account(bought.cloud_account).words.cloud


def _line_of_purchase(journey: Journey, step: str) -> line.Line:
    bought = journey.subscription if step == "changed" else arrived(journey)
    assert journey.billing_account is not None
    nodes = [line.Node("billing", "exists", _("Billing Center account"), (journey.billing_account.username,))]
    if bought:
        nodes.insert(0, line.cloud_node(bought.cloud_account))
    if step == "changed" and bought:
        names = [line.Item("exists", workspace.name) for workspace in bound_here(journey).newest[:5]]
        nodes.append(line.Node("workspace", "exists", _("Workspaces"), parts=tuple(names)))
        return line.join(*nodes)
    nodes.append(line.Node("workspace", "making", _("Workspaces"), (_("You choose them here"),), accent=True))
    whole = line.join(*nodes)
    return replace(whole, edges=(replace(whole.edges[0], state="dotted"), *whole.edges[1:]))


def choose_form(journey: Journey) -> ChooseForm:
    began_at = _began_at(journey)
    return ChooseForm(data={"workspaces": [began_at.public_id] if began_at else []})


def choose(journey: Journey, form: ChooseForm) -> dict[str, Any]:
    assert journey.billing_account_id is not None
    bought, search, began_at = arrived(journey), searched_for(), _began_at(journey)
    found = workspaces.settled_through(journey.billing_account_id, search, page_number())
    first = [began_at] if began_at and began_at.state != "dissolved" else []
    rows = [*first, *[workspace for workspace in found.items if workspace not in first]]
    chosen = form.workspaces.data or []
    named = (request.view_args or {}).get("arrival_id")
    return {
        **show.payment(bought.cloud_account),
        "listed": Listed(found, search),
        "rows": [_row(workspace, bought, workspace.public_id in chosen) for workspace in rows],
        "changing": began_at is not None,
        "username": journey.billing_account.username if journey.billing_account else "",
        "create_url": url_for("billing_center.create_for", arrival_id=named),
        "other_url": None if journey.is_written else url_for("doors.arrive", arrival_id=named),
        "action_url": request.full_path.rstrip("?"),
        "back_url": url_for("flows.resume", reference=journey.reference) if began_at else None,
        "purchase": show.name_of(bought),
        "reference": journey.reference if journey.is_written else None,
        "comes_back": any(_comes_back(workspace, bought) for workspace in rows),
    }


def _row(workspace: Workspace, bought: Subscription, is_chosen: bool) -> dict[str, Any]:
    refusal = settlement.refusal_of(workspace, bought)
    paying = settlement.payer(workspace)
    return {
        "name": workspace.name,
        "public_id": workspace.public_id,
        "site": str(sites.get(workspace.site_id).label),
        "payer": wording.cloud_account_name(paying.cloud_account) if paying else None,
        "locked": settlement.is_locked(workspace),
        "refusal": wording.refused(refusal, workspace, bought) if refusal else None,
        "is_chosen": is_chosen,
    }


def _comes_back(workspace: Workspace, bought: Subscription) -> bool:
    """Whether the same cloud account paid for it until it cancelled: claiming its new subscription unlocks it."""
    ended = settlement.lost(workspace)
    return ended is not None and ended.cloud_account_id == bought.cloud_account_id


def address_of_choosing(journey: Journey) -> str | None:
    """It names the arrival: a purchase is not the journey's before it is confirmed."""
    if request.endpoint != "billing_center.arrived":
        return None
    arrival_id = (request.view_args or {})["arrival_id"]
    return url_for("billing_center.arrived", arrival_id=arrival_id, **kept(IN_LIST))


# Changed ----------------------------------------------------------------------------------------------------


def address_after(journey: Journey) -> str | None:
    """What settles one workspace is said on that one's page; what a purchase pays for, on the journey's own."""
    if journey.answers.get("method") in (None, AWS):
        return None
    if workspace := journey.answers.get("workspace"):
        return workspace_url(workspace)
    return url_for("billing_center.front")


def changed(journey: Journey, _form: Form) -> dict[str, Any]:
    bought = journey.subscription
    assert bought is not None
    paid = bound_here(journey)
    return {
        **show.payment(bought.cloud_account),
        "paid": paid,
        "more": paid.count - len(paid.newest),
        "coming_back": workspaces.coming_back_to(bought) if bought.pays else 0,
        "site_of": lambda workspace: sites.get(workspace.site_id).label,
        "cloud_account_url": url_for("billing_center.cloud_account", subscription_id=bought.id),
        "workspaces_url": url_for("billing_center.front"),
    }
