"""The flow *no Billing Center account*: from nothing to a working workspace.

Basic information → code → (another username) → company information → activation method → (subscribe at
AWS) → being made → successful. Each step's ``is_done`` is a fact: a verified address, a held name, an
account, a workspace.
"""

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wizard import outbox
from wizard.accounts import addresses, directory, usernames
from wizard.billing import workspaces
from wizard.billing.models import ACTIVE, AWS
from wizard.billing.subscriptions import SubscriptionTaken
from wizard.extensions import db
from wizard.flows import journeys, show
from wizard.flows.engine import Flow, Step
from wizard.flows.forms import ActivationForm, BasicForm, CompanyForm, UsernameForm
from wizard.flows.models import Journey
from wizard.flows.pages import Page
from wizard.flows.refusals import Refused
from wizard.forms import Form
from wizard.i18n import language_of
from wizard.limits import USERNAME_TRIES, LimitReached, hit
from wizard.marketplaces import arrivals
from wizard.verification import codes, wording
from wizard.verification.forms import CodeForm
from wizard.wording import try_again_at

PURPOSE = "register"
ABOUT_COMPANY = ("industry", "region", "description", "contact_name")


# Facts ------------------------------------------------------------------------------------------------------


def basics_given(journey: Journey) -> bool:
    return "username" in journey.answers and (journey.password_hash is not None or is_registered(journey))


def address_proven(journey: Journey) -> bool:
    proven, given = journey.verified_email, journey.answers.get("email", "")
    return proven is not None and addresses.key_of(proven) == addresses.key_of(given)


def name_held(journey: Journey) -> bool:
    return is_registered(journey) or journey.reserved_username == _wanted_name(journey)


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


def _wanted_name(journey: Journey) -> str:
    return f"{journey.answers.get('site')}:{journey.answers.get('username')}"


# Verbs ------------------------------------------------------------------------------------------------------


def give_basics(journey: Journey, form: BasicForm) -> None:
    """Keep who somebody wants to be; mail a code unless the address is proven already."""
    if form.new_hash:
        journey.password_hash = form.new_hash
    journeys.answer(
        journey, **{name: form[name].data or "" for name in ("site", "username", "email", "phone")}
    )
    journey.locale = language_of(str(get_locale()))
    journeys.note(journey, "basic", "submitted", site=form.site.data)
    known = addresses.known(form.site.data, form.email.data)
    if not address_proven(journey):
        _send_code(journey, known)
    elif known.at_site:
        # The address is proven, so its owner may be told.
        raise Refused(
            _("This address has an account on this site already. Sign in, or choose another site"), "email"
        )
    elif not name_held(journey):
        _count_try(journey)
        _hold_name(journey)


def _send_code(journey: Journey, known: addresses.Known) -> None:
    """The same for a known and an unknown address, but for the words of the mail.

    Known at the chosen site: the mail says so and carries no code.
    """
    site = journey.answers["site"]
    try:
        codes.send(
            PURPOSE,
            journey.answers["email"],
            bound_to=journey.reference,
            locale=journey.locale,
            about=show.about_mail(journey, site),
            decoy_message="already_registered" if known.at_site else None,
        )
    except LimitReached as limit:
        raise Refused(wording.too_many_mails(limit.until), "email") from None


def send_again(journey: Journey) -> None:
    """The button under the code: a new mail, or a new challenge once five tries are used up."""
    challenge = codes.live(PURPOSE, journey.reference)
    if challenge is None or codes.is_dead(challenge):
        known = addresses.known(journey.answers["site"], journey.answers["email"])
        _send_code(journey, known)
        journeys.note(journey, "code", "sent anew")
        return
    try:
        codes.resend(challenge)
    except codes.TooSoon as soon:
        raise Refused(wording.wait_for(soon.wait)) from None
    except LimitReached as limit:
        raise Refused(wording.too_many_mails(limit.until)) from None
    journeys.note(journey, "code", "sent again")


def enter_code(journey: Journey, form: CodeForm) -> None:
    """Spend the code: the address is proven and, if it is free, the username held."""
    challenge = codes.live(PURPOSE, journey.reference)
    if challenge is None:
        db.session.refresh(journey)
        if address_proven(journey):
            return
        raise Refused(_("Send a new code first"))
    try:
        codes.spend(challenge, form.code.data or "")
    except codes.AlreadySpent:
        # A double click: the other request proved the address and this one follows it.
        db.session.refresh(journey)
        return
    except codes.CodeRefused as reason:
        journeys.note(journey, "code", "refused", why=type(reason).__name__)
        # Only a wrong code can be typed again here; after the others the page has no field for it.
        field = "code" if isinstance(reason, codes.WrongCode) else None
        raise Refused(wording.refused(reason), field) from None
    journeys.prove(journey, challenge.address)
    journeys.note(journey, "code", "proven")
    _hold_name(journey)


def choose_username(journey: Journey, form: UsernameForm) -> None:
    """Another name, because the first was taken when the address was proven."""
    _count_try(journey)
    journeys.answer(journey, username=form.username.data)
    if not _hold_name(journey):
        raise Refused(_("“%(name)s” is taken. Choose another username", name=form.username.data), "username")


def _count_try(journey: Journey) -> None:
    """Whether a name is taken is told to who has proven an address, and not without end."""
    try:
        hit(USERNAME_TRIES, "username", journey.reference)
    except LimitReached as limit:
        raise Refused(try_again_at(limit.until), "username") from None


def _hold_name(journey: Journey) -> bool:
    """Hold the wanted name. Where it is taken the step *username* becomes needed."""
    assert journey.verified_email is not None
    if name_held(journey):
        return True
    site, name = journey.answers["site"], journey.answers["username"]
    try:
        usernames.reserve(
            site, name, journey.reference, journey.expires_at, addresses.key_of(journey.verified_email)
        )
    except usernames.UsernameTaken:
        journey.reserved_username = None
        journeys.note(journey, "username", "taken")
        return False
    journey.reserved_username = _wanted_name(journey)
    return True


def register(journey: Journey, form: CompanyForm) -> None:
    """Make the console account; the journey's password hash moves into it."""
    journeys.answer(journey, **{name: form[name].data or "" for name in ("company_name", *ABOUT_COMPANY)})
    assert journey.password_hash is not None
    assert journey.verified_email is not None
    person = directory.Person(
        site_id=journey.answers["site"],
        username=journey.answers["username"],
        email=journey.verified_email,
        password_hash=journey.password_hash,
        locale=journey.locale,
        phone=journey.answers.get("phone") or None,
        company_name=journey.answers["company_name"],
        **{name: journey.answers[name] or None for name in ABOUT_COMPANY},
    )
    try:
        account = directory.create_console_account(person, origin=journey.reference)
    except directory.AccountExists:
        db.session.refresh(journey)
        if is_registered(journey):
            return
        raise Refused(
            _(
                "This address or username got an account on this site meanwhile. Sign in, or go back and change them"
            )
        ) from None
    usernames.keep(person.username, journey.reference, f"console:{account.id}")
    if journey.arrival_id:
        arrivals.forget_contact(journey.arrival_id)
    journey.console_account = account
    journey.password_hash = None
    journeys.note(journey, "company", "registered")
    outbox.enqueue("mail", show.account_created(journey, account), key=f"account-created:{account.id}")


def choose_method(journey: Journey, form: ActivationForm) -> None:
    """Keep the workspace's name and language, then activate; or wait for a subscription at AWS."""
    method = journey.subscription.provider if journey.subscription else form.method.data
    journeys.answer(
        journey, method=method, workspace_name=form.workspace_name.data, language=form.language.data
    )
    if method == AWS and journey.subscription is None:
        journey.awaits = AWS
        journeys.note(journey, "activation", "waits for a subscription")
        return
    journey.awaits = None
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
            workspace = workspaces.order(wanted, owner, payer, journey.subscription, origin=journey.reference)
            journey.billing_account, journey.workspace = payer, workspace
            journeys.finish(journey)
    except (directory.AccountExists, workspaces.WorkspaceExists):
        db.session.refresh(journey)
        if is_ordered(journey):
            return
        raise Refused(_("Something else was changing your account. Send it once more")) from None
    except SubscriptionTaken:
        # It will never pay here: let go of it, so that something else may.
        journey.subscription = None
        raise Refused(
            _("This purchase pays for another Billing Center account already. Choose another way to pay")
        ) from None
    except workspaces.MethodNotAllowed:
        raise Refused(_("This site cannot be paid that way. Choose another method"), "method") from None
    journeys.note(journey, "activation", "ordered", method=answers["method"])


# The flow ---------------------------------------------------------------------------------------------------

FLOW: Flow[Journey] = Flow(
    "no_billing_account",
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
                actions={"resend": send_again},
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
                choose_username,
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
