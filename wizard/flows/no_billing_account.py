"""The flow *no Billing Center account*: from nothing to a working workspace.

Basic information → code → (bind the account this address has?) → (another username) → company information →
activation method → (subscribe at AWS) → being made → successful. Each step's ``is_done`` is a fact: a verified
address, a held name, an account, a workspace.
"""

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wizard.accounts import directory
from wizard.billing import workspaces
from wizard.billing.models import ACTIVE, AWS
from wizard.billing.subscriptions import SubscriptionTaken
from wizard.extensions import db
from wizard.flows import claiming, ended, journeys, new_account, proofs, show
from wizard.flows.engine import Flow, Step
from wizard.flows.forms import ActivationForm, BasicForm, CompanyForm, OfferForm
from wizard.flows.models import REGISTERING, Journey
from wizard.flows.new_account import address_proven
from wizard.flows.pages import Action, FlowPage, Page
from wizard.flows.refusals import Refused
from wizard.forms import Form
from wizard.i18n import language_of
from wizard.marketplaces import arrivals
from wizard.verification import codes
from wizard.verification.forms import CodeForm

_NOT_YOURS = _l("This purchase pays for another Billing Center account already. Choose another way to pay")
ABOUT_COMPANY = ("industry", "region", "description", "contact_name")


# Facts ------------------------------------------------------------------------------------------------------


def basics_given(journey: Journey) -> bool:
    return "username" in journey.answers and (journey.password_hash is not None or is_registered(journey))


def is_offered(journey: Journey) -> bool:
    """The proven address has a Billing Center account, and a purchase that could be bound to it is there."""
    return (
        journey.offered_account_id is not None
        and journey.subscription_id is not None
        and not is_registered(journey)
    )


def is_answered(journey: Journey) -> bool:
    return "offer" in journey.answers


def name_held(journey: Journey) -> bool:
    return is_registered(journey) or new_account.name_held(journey)


def is_registered(journey: Journey) -> bool:
    return journey.console_account_id is not None


def not_registered(journey: Journey) -> bool:
    return not is_registered(journey)


def is_ordered(journey: Journey) -> bool:
    return journey.workspace_id is not None


def method_chosen(journey: Journey) -> bool:
    return is_ordered(journey) or journey.awaits is not None


def is_made(journey: Journey) -> bool:
    return journey.workspace is not None and journey.workspace.state == ACTIVE


# Verbs ------------------------------------------------------------------------------------------------------


def give_basics(journey: Journey, form: BasicForm) -> None:
    """Keep who somebody wants to be; mail a code unless the address is proven already."""
    if form.new_hash:
        journey.password_hash = form.new_hash
    journeys.answer(
        journey, **{name: form[name].data or "" for name in ("site", "username", "email", "phone")}
    )
    journey.locale = language_of(str(get_locale()))
    known = new_account.known(journey)
    sent = {} if address_proven(journey) else new_account.send_code(journey, "basic", known)
    journeys.note(journey, "basic", "submitted", site=form.site.data, **sent)
    if not address_proven(journey):
        return
    if known.at_site:
        # The address is proven, so its owner may be told.
        raise Refused(
            _("This address has an account on this site already. Sign in, or choose another site"), "email"
        )
    elif not name_held(journey):
        new_account.count_try(journey)
        _hold_name(journey)


def send_again(journey: Journey, _form: Form) -> None:
    """The button under the code."""
    proofs.send_again(
        journey,
        new_account.PURPOSE,
        "code",
        lambda: new_account.send_code(journey, "code", new_account.known(journey)),
    )


def enter_code(journey: Journey, form: CodeForm) -> None:
    """Spend the code: the address is proven and, if it is free, the username held.

    Where the address has a Billing Center account its owner may know that now, and is offered to bind it.
    """
    challenge = codes.live(new_account.PURPOSE, journey.reference)
    challenge = proofs.enter(journey, challenge, "code", form.code.data or "", address_proven)
    if challenge is None:
        return
    journey.offered_account_id = challenge.about.get("billing_account")
    journeys.prove(journey, challenge.address)
    if is_offered(journey) and not is_answered(journey):
        journeys.note(journey, "code", "proven")
        return
    held = new_account.hold_name(journey)
    journeys.note(journey, "code", "proven", username="held" if held else "taken")


def answer_offer(journey: Journey, form: OfferForm) -> None:
    """Bind the purchase to the Billing Center account the address has, or register a console account all the same."""
    journeys.answer(journey, offer=form.offer.data)
    journeys.note(journey, "offer", form.offer.data)
    if form.offer.data == "bind":
        assert journey.offered_account_id is not None
        claiming.bind_account(journey, journey.offered_account_id)
        claiming.switch(journey)
    else:
        _hold_name(journey)


def _hold_name(journey: Journey) -> None:
    held = new_account.hold_name(journey)
    journeys.note(journey, "username", "held" if held else "taken")


def register(journey: Journey, form: CompanyForm) -> None:
    """Make the console account."""
    journeys.answer(journey, **{name: form[name].data or "" for name in ("company_name", *ABOUT_COMPANY)})
    try:
        account = new_account.make(
            journey,
            journey.reference,
            journey.answers["company_name"],
            **{name: journey.answers[name] or None for name in ABOUT_COMPANY},
        )
    except new_account.MadeMeanwhile:
        return
    if journey.arrival_id:
        arrivals.forget_contact(journey.arrival_id)
    journey.console_account, journey.password_hash = account, None
    journeys.note(journey, "company", "registered")


def choose_method(journey: Journey, form: ActivationForm) -> None:
    """Keep the workspace's name and language, then activate; or wait for a subscription at AWS."""
    if journey.subscription is None and not form.method:
        # The page was made while a purchase would pay; another tab has just learnt that it will not.
        raise Refused(str(_NOT_YOURS))
    method = journey.subscription.provider if journey.subscription else form.method.data
    journeys.answer(
        journey, method=method, workspace_name=form.workspace_name.data, language=form.language.data
    )
    if method == AWS and journey.subscription is None:
        journey.awaits = AWS
        journeys.note(journey, "activation", "waits for a subscription")
        return
    journey.awaits = None
    if not ended.has_ended(journey):
        activate(journey)


def confirm_subscription(journey: Journey, _form: Form) -> None:
    """Back from AWS: the purchase this browser brought pays for the workspace that was waiting."""
    arrival = show.arrival_here()
    if arrival is None:
        raise Refused(_("Subscribe at AWS first: it brings you back here"))
    if arrivals.is_over(arrival):
        raise Refused(_("Your set-up link from AWS ran out. Open Set Up Your Account there once more"))
    journeys.pay_with(journey, arrival.subscription)
    journeys.note(journey, "subscribe", "confirmed")
    try:
        activate(journey)
    except Refused:
        journey.subscription, journey.awaits = None, AWS
        raise


def activate(journey: Journey) -> None:
    """Make the Billing Center account, unless the proven address has one, and order the workspace."""
    owner, answers = journey.console_account, journey.answers
    assert owner is not None
    wanted = workspaces.Order(owner.site_id, answers["workspace_name"], answers["language"])
    try:
        with db.session.begin_nested():
            payer = directory.billing_account_of(owner.email)
            if payer is None:
                payer = directory.create_billing_account(owner, origin=journey.reference)
            workspace = workspaces.order(
                wanted, owner, payer, journey.subscription, origin=journey.reference, by=journey.named
            )
            journey.billing_account, journey.workspace = payer, workspace
            journeys.finish(journey)
    except (directory.AccountExists, workspaces.WorkspaceExists):
        db.session.refresh(journey)
        if is_ordered(journey):
            return
        raise Refused(_("Something else was changing your account. Send it once more")) from None
    except SubscriptionTaken:
        assert journey.subscription is not None
        db.session.refresh(journey.subscription)
        if not journey.subscription.pays:
            return  # The next page says so, and the answers are kept.
        # It will never pay here: let go of it, so that something else may, and of binding it.
        journey.subscription, journey.flow = None, REGISTERING
        raise Refused(str(_NOT_YOURS)) from None
    except workspaces.MethodNotAllowed:
        raise Refused(_("This site cannot be paid that way. Choose another method"), "method") from None
    journeys.note(journey, "activation", "ordered", method=answers["method"])


# The flow ---------------------------------------------------------------------------------------------------

FLOW: Flow[Journey] = Flow(
    REGISTERING,
    page=FlowPage(show.line_of),
    stages=(
        _l("Basic information"),
        _l("Company information"),
        _l("Activation method"),
        _l("Activation successful"),
    ),
    steps=(
        Step(
            "basic",
            1,
            is_done=basics_given,
            can_reopen=not_registered,
            page=Page("flows/basic.html", _l("Basic information"), show.basic_form, give_basics, show.basic),
        ),
        Step(
            "code",
            1,
            is_done=address_proven,
            page=Page(
                "flows/code.html",
                _l("Enter the code from your email"),
                lambda _journey: CodeForm(),
                enter_code,
                show.code,
                actions={"resend": Action(send_again)},
            ),
        ),
        Step(
            "offer",
            1,
            is_done=is_answered,
            is_needed=is_offered,
            can_reopen=is_offered,
            page=Page(
                "flows/offer.html",
                _l("You have a Billing Center account"),
                lambda _journey: OfferForm(),
                answer_offer,
                show.offer,
            ),
        ),
        Step(
            "username",
            1,
            is_done=name_held,
            is_needed=lambda journey: not name_held(journey),
            page=Page(
                "flows/username.html",
                _l("Choose another username"),
                show.username_form,
                new_account.choose_username,
                show.username,
            ),
        ),
        Step(
            "company",
            2,
            is_done=is_registered,
            page=Page(
                "flows/company.html", _l("Company information"), show.company_form, register, show.company
            ),
        ),
        Step(
            "activation",
            3,
            is_done=method_chosen,
            can_reopen=lambda journey: not is_ordered(journey),
            page=Page(
                "flows/activation.html",
                _l("Activation method"),
                show.activation_form,
                choose_method,
                show.activation,
            ),
        ),
        Step(
            "subscribe",
            3,
            is_done=is_ordered,
            is_needed=lambda journey: journey.awaits is not None and not is_ordered(journey),
            page=Page(
                "flows/subscribe.html",
                _l("Subscribe at AWS"),
                submit=confirm_subscription,
                context=show.subscribe,
            ),
        ),
        Step(
            "making",
            3,
            is_done=is_made,
            page=Page("flows/making.html", _l("Your workspace is being made"), context=show.making),
        ),
        Step(
            "successful",
            4,
            is_done=is_made,
            page=Page("flows/success.html", _l("Activation successful"), context=show.success),
        ),
    ),
)
