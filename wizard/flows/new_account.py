"""A console account to be: what every flow that makes one shares.

Who they want to be is in the journey's answers (site, username, email, phone), the chosen password is its
hash. The address is proven by a code, then the name is held, then the account can be made.
"""

from flask_babel import gettext as _

from wizard import outbox
from wizard.accounts import addresses, directory, usernames
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.extensions import db
from wizard.flows import journeys, proofs, show
from wizard.flows.forms import UsernameForm
from wizard.flows.models import Journey
from wizard.flows.refusals import Refused
from wizard.limits import USERNAME_TRIES, LimitReached, hit
from wizard.wording import try_again_at

PURPOSE = "register"


class MadeMeanwhile(Exception):
    """Another request of this journey has made the account; the journey is as it is now."""


# Facts ------------------------------------------------------------------------------------------------------


def address_proven(journey: Journey) -> bool:
    proven, given = journey.verified_email, journey.answers.get("email", "")
    return proven is not None and addresses.key_of(proven) == addresses.key_of(given)


def name_held(journey: Journey) -> bool:
    return journey.reserved_username == wanted_name(journey)


def wanted_name(journey: Journey) -> str:
    return f"{journey.answers.get('site')}:{journey.answers.get('username')}"


# Verbs ------------------------------------------------------------------------------------------------------


def known(journey: Journey) -> addresses.Known:
    """Where the address somebody gave has an account already. One statement."""
    return addresses.known(journey.answers["site"], journey.answers["email"])


def send_code(journey: Journey, step: str, known: addresses.Known) -> dict[str, str]:
    """The same for a known and an unknown address, but for the words of the mail.

    Known at the chosen site: the mail says so and carries no code.
    """
    return proofs.send(
        journey,
        step,
        PURPOSE,
        journey.answers["email"],
        "email",
        about=show.about_mail(journey, known.billing_account_id),
        decoy_message="already_registered" if known.at_site else None,
    )


def choose_username(journey: Journey, form: UsernameForm) -> None:
    """Another name, because the first was taken when the address was proven."""
    count_try(journey)
    journeys.answer(journey, username=form.username.data)
    if not hold_name(journey):
        journeys.note(journey, "username", "taken")
        raise Refused(_("“%(name)s” is taken. Choose another username", name=form.username.data), "username")
    journeys.note(journey, "username", "held")


def count_try(journey: Journey) -> None:
    """Whether a name is taken is told to who has proven an address, and not without end."""
    try:
        hit(USERNAME_TRIES, "username", journey.reference)
    except LimitReached as limit:
        raise Refused(try_again_at(limit.until), "username") from None


def hold_name(journey: Journey) -> bool:
    """Hold the wanted name; False where somebody else has it."""
    if name_held(journey):
        return True
    site, name = journey.answers["site"], journey.answers["username"]
    try:
        usernames.reserve(
            site,
            name,
            journey.reference,
            journey.expires_at,
            lambda key: _is_own(journey, key),
        )
    except usernames.UsernameTaken:
        journey.reserved_username = None
        return False
    journey.reserved_username = wanted_name(journey)
    return True


def _is_own(journey: Journey, username_key: str) -> bool:
    """Whether it is the name of the Billing Center account that was bound here, or that the proven address has."""
    if journey.billing_account is not None and journey.billing_account.username_key == username_key:
        return True
    if journey.offered_account_id is None:
        return False
    # The address may have been proven a moment ago, after the journey was read.
    offered = db.session.get(BillingAccount, journey.offered_account_id)
    return offered is not None and offered.username_key == username_key


def make(journey: Journey, origin: str, company_name: str, **about: str | None) -> ConsoleAccount:
    """Make the console account with the journey's password hash, which the caller takes out, and tell its owner.

    Raises :class:`Refused` where the address or the name got an account meanwhile, and :class:`MadeMeanwhile`
    where this journey's own second request made it.
    """
    if journey.password_hash is None:
        raise MadeMeanwhile
    assert journey.verified_email is not None
    person = directory.Person(
        site_id=journey.answers["site"],
        username=journey.answers["username"],
        email=journey.verified_email,
        password_hash=journey.password_hash,
        locale=journey.locale,
        phone=journey.answers.get("phone") or None,
        company_name=company_name,
        **about,
    )
    try:
        account = directory.create_console_account(person, origin=origin)
    except directory.AccountExists:
        db.session.refresh(journey)
        if journey.password_hash is None:
            raise MadeMeanwhile from None
        raise Refused(
            _(
                "This address or username got an account on this site meanwhile. Sign in, or go back and change them"
            )
        ) from None
    usernames.keep(person.username, journey.reference, f"console:{account.id}")
    outbox.enqueue("mail", show.account_created(journey, account), key=f"account-created:{account.id}")
    return account
