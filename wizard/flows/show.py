"""What the pages of *no Billing Center account* show: forms filled with the answers, and what stands around them.

Nothing here changes anything.
"""

from datetime import timedelta
from typing import Any

from flask import current_app, g, request, url_for
from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from wizard import clock
from wizard.accounts import addresses, usernames
from wizard.accounts import directory as accounts
from wizard.accounts.models import ConsoleAccount
from wizard.billing.models import ACTIVE, AWS, BILLING_CENTER, CloudAccount, Subscription
from wizard.billing.wording import cloud_account_kind, cloud_account_name, when_cancelled
from wizard.brand import SiteConfig
from wizard.extensions import SAFE_METHODS
from wizard.flows import line
from wizard.flows.forms import ActivationForm, BasicForm, CompanyForm, OfferForm, UsernameForm
from wizard.flows.models import BINDING, Journey
from wizard.forms import Form, offers
from wizard.i18n import LANGUAGES
from wizard.marketplaces import arrivals
from wizard.marketplaces import protocol as marketplaces
from wizard.marketplaces.models import Arrival
from wizard.sites import choices
from wizard.sites import directory as sites
from wizard.verification import codes
from wizard.verification.forms import CodeForm
from wizard.verification.wording import of_page

SLOW = timedelta(minutes=5)
"""After this long a page that waits for a site says that it takes longer than usual."""


def line_of(journey: Journey, step: str) -> line.Line:
    return line.of_registration(journey, step, brought=brought(step))


def purchase(bought: Journey | Arrival) -> str | None:
    """What was bought, in one line that stays in sight."""
    return name_of(bought.subscription) if bought.subscription else None


def name_of(subscription: Subscription) -> str:
    return f"{cloud_account_name(subscription.cloud_account)} · {line.product_title()}"


def paid_through(journey: Journey) -> tuple[str, ...]:
    """The settlement method of the journey's purchase and its marketplace; nothing without one."""
    return journey.subscription.paid_through if journey.subscription else ()


def payment(account: CloudAccount) -> dict[str, Any]:
    """A cloud account that pays, in the words of its marketplace."""
    words = marketplaces.of_account(account).words
    return {
        "cloud": words.cloud,
        "account": cloud_account_name(account),
        "when_cancelled": when_cancelled(account.provider, words.cloud),
        "paid_through": _(
            "%(product)s, %(marketplace)s", product=line.product_title(), marketplace=words.title
        ),
    }


# Basic information and its code -----------------------------------------------------------------------------


def basic_form(journey: Journey) -> BasicForm:
    form = BasicForm(data={**_suggestion(journey, "email"), **journey.answers})
    form.site.choices = choices.offered(*paid_through(journey))
    form.keeps_password = journey.password_hash is not None
    return form


def basic(journey: Journey, form: BasicForm) -> dict[str, Any]:
    return {
        "site_groups": choices.groups(*paid_through(journey)),
        "keeps_password": form.keeps_password,
        "suggested": suggested(journey, form),
        # Somebody who came with a purchase has nothing to begin again with.
        "again_url": url_for("doors.register_again")
        if journey.is_written and not journey.arrival_id
        else None,
    }


def code(journey: Journey, _form: CodeForm) -> dict[str, Any]:
    return {
        **of_page(codes.live("register", journey.reference)),
        "email": journey.answers.get("email", ""),
        "resend_url": url_for("flows.action", reference=journey.reference, key="code", name="resend"),
        "change_url": url_for("flows.step", reference=journey.reference, key="basic"),
    }


def offer(journey: Journey, _form: OfferForm) -> dict[str, Any]:
    assert journey.offered_account is not None
    assert journey.subscription is not None
    return {
        "username": journey.offered_account.username,
        "account": cloud_account_name(journey.subscription.cloud_account),
    }


def paid_by(journey: Journey) -> str | None:
    """What pays, for a mail that may reach somebody else: the last digits of its number and no more."""
    if journey.subscription is None:
        return None
    account = journey.subscription.cloud_account
    kind, digits = cloud_account_kind(account), account.account_id[-4:]
    return _("%(account)s ending %(digits)s", account=kind, digits=digits)


def about_mail(journey: Journey, billing_account_id: int | None) -> dict[str, Any]:
    """What a code's mail says besides the code, in the journey's language; and whose address it is as well."""
    site = sites.get(journey.answers["site"])
    label = site.label.in_(journey.locale)
    return {
        "site_id": site.id,
        "billing_account": billing_account_id,
        "site": label,
        "what_for": _("A new console account on %(site)s", site=label),
        "paid_by": paid_by(journey),
        "is_binding": journey.flow == BINDING,
        "reference": journey.reference,
        "sign_in_url": _sign_in_url(site),
        "forgot_url": f"{current_app.config['PUBLIC_URL']}/forgot-password?site={site.id}",
    }


# Username and company ---------------------------------------------------------------------------------------


def username_form(journey: Journey) -> UsernameForm:
    return UsernameForm()


def username(journey: Journey, _form: UsernameForm) -> dict[str, Any]:
    wanted = journey.answers.get("username", "")
    return {"taken": wanted, "suggestions": usernames.suggestions(journey.answers.get("site", ""), wanted)}


def company_form(journey: Journey) -> CompanyForm:
    known = _suggestion(journey, "company_name", "region", "contact_name")
    form = CompanyForm(data={**known, **journey.answers})
    if form.region.data not in offers(form.region):
        form.region.data = ""
    return form


def company(journey: Journey, form: CompanyForm) -> dict[str, Any]:
    optional = (form.industry, form.region, form.description, form.contact_name)
    return {
        "more_open": any(field.data or field.errors for field in optional),
        "suggested": suggested(journey, form),
    }


def _suggestion(journey: Journey, *names: str) -> dict[str, str]:
    """What the marketplace said of the buyer, for these fields: a start for an answer that is not given yet.

    Only for a page to be filled in: what is sent speaks for itself, and what it leaves out is not made up.
    """
    if request.method not in SAFE_METHODS:
        return {}
    contact = (journey.arrival.contact if journey.arrival else None) or {}
    known = {name: contact[name] for name in names if name in contact}
    try:
        addresses.normalise(known.get("email", "nobody@example.com"))
    except ValueError:
        del known["email"]  # Not an address we could write to.
    return known


def suggested(journey: Journey, form: Form) -> dict[str, str]:
    """Where a form shows what the marketplace said: field name → the marketplace's short name."""
    if journey.arrival is None or not journey.arrival.contact:
        return {}
    cloud = marketplaces.all_marketplaces()[journey.arrival.marketplace].words.cloud
    return {
        name: cloud
        for name, said in journey.arrival.contact.items()
        if name in form and form[name].data == said
    }


def account_created(journey: Journey, account: ConsoleAccount) -> dict[str, Any]:
    """The outbox's payload of the mail that says an account exists and what comes next."""
    site = sites.get(account.site_id)
    return {
        "to": account.email,
        "name": "account_created",
        "locale": journey.locale,
        "context": {
            "username": account.username,
            "site": site.label.in_(journey.locale),
            "next_url": _sign_in_url(site),
            "paid_by": cloud_account_name(journey.subscription.cloud_account)
            if journey.subscription
            else None,
            "workspace_name": journey.answers["workspace_name"] if journey.flow == BINDING else None,
            "reference": journey.reference,
        },
    }


def _sign_in_url(site: SiteConfig) -> str:
    return f"{current_app.config['PUBLIC_URL']}/sign-in?site={site.id}"


# Activation -------------------------------------------------------------------------------------------------


def activation_form(journey: Journey) -> ActivationForm:
    form = ActivationForm(data={**journey.answers})
    if journey.subscription is not None:
        del form.method
    else:
        form.method.choices = [SelectChoice(m["value"], m["title"]) for m in methods(journey)]
    return form


def methods(journey: Journey) -> list[dict[str, str]]:
    """The activation methods the site of the new workspace allows and that are open here, its default first."""
    site = sites.get(journey.console_account.site_id if journey.console_account else journey.answers["site"])
    known = {
        BILLING_CENTER: (_("Billing Center account"), _("From its vouchers, prepaid cards or balance.")),
    }
    if marketplaces.listed(AWS):
        known[AWS] = (
            _("AWS Marketplace"),
            _("You subscribe at AWS on the next page and come straight back here."),
        )
    allowed = [m for m in site.settlement if m in known]
    allowed.sort(key=lambda m: m != site.default_settlement)
    return [{"value": m, "title": known[m][0], "hint": known[m][1]} for m in allowed]


def activation(journey: Journey, form: ActivationForm) -> dict[str, Any]:
    owner = journey.console_account
    assert owner is not None
    own = accounts.billing_account_of(owner.email)
    account = journey.subscription.cloud_account if journey.subscription else None
    return {
        "arrived": account is not None,
        **(payment(account) if account else {}),
        "site": sites.get(owner.site_id),
        "own_billing_account": own.username if own else None,
        "username": owner.username,
        "methods": [] if account else methods(journey),
    }


def arrival_here() -> Arrival | None:
    """The arrival this address names, if this browser holds its claim."""
    if "arrival_here" not in g:
        named = (request.view_args or {}).get("arrival_id") or request.args.get("arrival", "")
        g.arrival_here = arrivals.claimed_here(named)[0]
    arrival: Arrival | None = g.arrival_here
    return arrival


def brought(step: str) -> Subscription | None:
    """The purchase that came back to the page where it is confirmed."""
    arrival = arrival_here() if step == "subscribe" else None
    return arrival.subscription if arrival else None


def subscribe(journey: Journey, _form: Any) -> dict[str, Any]:
    arrival = arrival_here()
    return {
        "listings": marketplaces.listed(journey.awaits),
        "arrival": arrival,
        **(payment(arrival.subscription.cloud_account) if arrival else {}),
        "product": line.product_title(),
        "workspace_name": journey.answers.get("workspace_name", ""),
        "language_name": LANGUAGES.get(journey.answers.get("language", ""), ""),
        "site": sites.get(journey.answers["site"]),
    }


# Being made, and made ---------------------------------------------------------------------------------------


def making(journey: Journey, _form: Any) -> dict[str, Any]:
    workspace = journey.workspace
    assert workspace is not None
    made = workspace.state == ACTIVE
    slow = not made and workspace.created_at < clock.now() - SLOW
    place = sites.get(workspace.site_id).label
    rows = [
        {"text": _("Billing Center account"), "state": "made"},
        {
            "text": _("%(workspace)s on %(site)s", workspace=workspace.name, site=place),
            "state": "made" if made else "stuck" if slow else "being_made",
        },
        {"text": _("Settled by %(payer)s", payer=payer(journey)), "state": "made" if made else "next"},
    ]
    look_url = url_for("flows.step", reference=journey.reference, key="making")
    return {"rows": rows, "checked_at": clock.now(), "look_url": look_url}


def payer(journey: Journey) -> str:
    if journey.subscription is not None:
        return cloud_account_name(journey.subscription.cloud_account)
    assert journey.billing_account is not None
    return _("Billing Center account %(username)s", username=journey.billing_account.username)


def success(journey: Journey, _form: Any) -> dict[str, Any]:
    workspace, account = journey.workspace, journey.console_account
    assert workspace is not None
    assert account is not None
    assert journey.billing_account is not None
    return {
        "had_billing_account": journey.billing_account.origin != journey.reference,
        "workspace_name": workspace.name,
        "paid_by": payer(journey),
        "sign_in_url": url_for("console.sign_in", site=workspace.site_id),
        "username": account.username,
    }
