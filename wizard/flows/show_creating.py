"""What the pages of *Create workspace* show. Nothing here changes anything."""

from typing import Any, TypeVar

from flask import request, url_for
from flask_babel import gettext as _

from wizard.flows import new_account, show
from wizard.flows.forms import CreateAccountForm, CreateForm, OwnUsernameForm
from wizard.flows.models import Journey
from wizard.flows.new_account import address_proven
from wizard.flows.show_binding import around, payment, site_of
from wizard.sites import choices
from wizard.sites import directory as sites
from wizard.verification import codes
from wizard.verification.wording import of_page

F = TypeVar("F", bound=CreateForm)

PURPOSE = "create"
"""What its codes are for: to show who owns a new workspace."""


def create_form(journey: Journey) -> CreateForm:
    return _fill(CreateForm(data={**journey.answers}), journey)


def create_account_form(journey: Journey) -> CreateAccountForm:
    form = _fill(CreateAccountForm(data={**journey.answers}), journey)
    form.keeps_password = journey.password_hash is not None
    return form


def username_form(journey: Journey) -> OwnUsernameForm:
    form = OwnUsernameForm()
    form.show_site(journey.answers.get("site", ""))
    return form


def _fill(form: F, journey: Journey) -> F:
    offered = choices.offered(*show.paid_through(journey))
    form.new_site.choices = offered
    if chosen := site_of(journey):
        form.site_now = chosen.id
        form.new_site.data = form.new_site.data or chosen.id
        del form.site
    else:
        form.site.choices = offered
    form.pressed = (request.view_args or {}).get("name")
    if _is_proven(journey, form):
        del form.code
    return form


def _is_proven(journey: Journey, form: CreateForm) -> bool:
    """Whether the address in the form needs no code."""
    return address_proven(journey) and journey.answers.get("email") == form.email.data


def create(journey: Journey, form: CreateForm) -> dict[str, Any]:
    return {**_create(journey, "create", PURPOSE, form), "registers": False}


def create_account(journey: Journey, form: CreateAccountForm) -> dict[str, Any]:
    return {
        **_create(journey, "create-account", new_account.PURPOSE, form),
        "registers": True,
        "keeps_password": form.keeps_password,
    }


def _create(journey: Journey, key: str, purpose: str, form: CreateForm) -> dict[str, Any]:
    challenge = codes.live(purpose, journey.reference)
    mailed = challenge is not None and challenge.address == form.email.data
    return {
        **payment(journey),
        **of_page(challenge if mailed else None),
        "mailed": mailed,
        "proven": _is_proven(journey, form),
        "site": site_of(journey),
        "site_groups": choices.groups(*show.paid_through(journey)),
        "have_url": url_for("flows.step", reference=journey.reference, key="create"),
        "none_url": url_for("flows.step", reference=journey.reference, key="create-account"),
        "send_url": url_for("flows.action", reference=journey.reference, key=key, name="code"),
        "chooser": {
            **around(journey)["chooser"],
            "field": form.new_site,
            "owner": "create",
            "url": url_for("flows.action", reference=journey.reference, key=key, name="site"),
        },
    }


def about_owner_code(journey: Journey) -> dict[str, Any]:
    """What the mail to a workspace's owner says besides the code, in the journey's language."""
    site = sites.get(journey.answers["site"])
    label = site.label.in_(journey.locale)
    return {
        "site_id": site.id,
        "site": label,
        "what_for": _("A new workspace on %(site)s", site=label),
        "paid_by": show.paid_by(journey),
        "reference": journey.reference,
    }
