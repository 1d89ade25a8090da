"""Going on with a journey in another browser: a mailed link leads to a code, and the code opens the journey.

A link is the journey's reference, signed, so that nobody can make one up. It opens nothing and tells nothing of
whose journey it is. The code is bound to the journey, to its proven address and to the browser that asked for it:
who shares the link sees nothing of another's tries, and a code is good in one browser (docs/decisions/0022).
"""

import hashlib
import secrets

import sqlalchemy as sa
from flask import current_app, session
from flask_babel import get_locale
from flask_babel import gettext as _
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy.orm import joinedload

from wizard import logs
from wizard.accounts import addresses, identity, sessions
from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.models import Journey
from wizard.i18n import language_of
from wizard.verification import codes

PURPOSE = "resume"


class NoSuchLink(Exception):
    """We never made this link."""


class Gone(Exception):
    """The link's journey is over, or is not kept any more."""


def address_of(journey: Journey) -> str | None:
    """The address whose owner may go on with a journey anywhere: one that was proven, or None."""
    if journeys.is_bound(journey) and journey.billing_account is not None:
        return journey.billing_account.email
    if journey.console_account is not None:
        return journey.console_account.email
    return journey.verified_email


def has_address() -> sa.ColumnElement[bool]:
    """The condition for journeys that :func:`address_of` has an answer for."""
    facts = (Journey.verified_email, Journey.console_account_id, Journey.billing_account_id)
    return sa.or_(*(fact.is_not(None) for fact in facts))


def url_of(journey: Journey) -> str:
    """The link to mail to the journey's proven address; the same one every time."""
    assert address_of(journey) is not None
    return f"{current_app.config['PUBLIC_URL']}/go-on/{_signer().dumps(journey.reference)}"


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(
        current_app.config["SECRET_KEY"],
        salt="go-on",
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )


def find(opaque: str) -> Journey:
    """The journey a link is for. Raises :class:`NoSuchLink` or :class:`Gone`."""
    try:
        reference = _signer().loads(opaque)
    except BadData:
        raise NoSuchLink from None
    logs.concerns(reference)
    journey = db.session.scalar(
        sa.select(Journey)
        .where(Journey.reference == reference)
        .options(joinedload(Journey.console_account), joinedload(Journey.billing_account))
    )
    if journey is None:
        raise Gone  # It was kept when the link was made, and has been swept away since.
    if address_of(journey) is None:
        raise NoSuchLink
    if journeys.is_over(journey):
        raise Gone
    return journey


def is_open_here(journey: Journey) -> bool:
    """Whether this browser may go on with it already."""
    signed_in = (identity.console_account_id(), identity.billing_account_id())
    return journeys.is_of(journey, *signed_in) or journeys.mine(journey.reference) is not None


def expect() -> None:
    """Remember what this browser's code will be bound to, so that a double click asks for one."""
    session.setdefault("going_on", secrets.token_urlsafe(16))


def challenge_of(journey: Journey) -> codes.Challenge | None:
    """The code this browser has asked for, if it is still for the journey's address."""
    return codes.live(PURPOSE, _bound_to(journey))


def send(journey: Journey) -> None:
    """A code on its way to the journey's address.

    Raises :class:`wizard.limits.LimitReached`, and ``IntegrityError`` where a parallel request asked first.
    """
    address = address_of(journey)
    assert address is not None
    codes.send(
        PURPOSE,
        address,
        bound_to=_bound_to(journey),
        locale=language_of(str(get_locale())),
        about={"what_for": _("Going on where you stopped"), "reference": journey.reference},
    )


def send_again(journey: Journey) -> None:
    """A new mail, or a new challenge once five tries are used up. Raises what :mod:`codes` raises."""
    challenge = challenge_of(journey)
    if challenge is None or codes.is_dead(challenge):
        send(journey)
    else:
        codes.resend(challenge)


def enter_code(journey: Journey, typed: str) -> None:
    """Spend the code: this browser may go on with the journey. Those that could before still can.

    Raises :class:`wizard.verification.codes.CodeRefused`.
    """
    challenge = challenge_of(journey)
    if challenge is None:
        raise codes.AlreadySpent
    codes.spend(challenge, typed)
    journeys.note(journey, "resume", "opened in another browser")
    _open(journey)


def enter_code_again(journey: Journey, typed: str) -> bool:
    """The second submit of a double click, which shows the right code too."""
    if not codes.proved(PURPOSE, _bound_to(journey), typed):
        return False
    _open(journey)
    return True


def _open(journey: Journey) -> None:
    session.pop("csrf_token", None)
    session["journey"] = journey.reference
    sessions.start("journey", journey.id, label=journey.reference)


def _bound_to(journey: Journey) -> str:
    """The owner of a code: the journey, and as one word its address and this browser."""
    whose = f"{session.get('going_on', '')}\0{addresses.key_of(address_of(journey) or '')}"
    return f"{journey.reference}:{hashlib.sha256(whose.encode()).hexdigest()[:32]}"
