"""Codes on a journey: sent, sent again and entered the same way, whatever they prove.

Each purpose is one code at a time on a journey; a refusal becomes a sentence for the page.
"""

from collections.abc import Callable
from typing import Any

from flask_babel import gettext as _

from wizard.accounts import addresses
from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.models import Journey
from wizard.flows.refusals import Refused
from wizard.limits import LimitReached
from wizard.verification import codes, wording


def send(
    journey: Journey, step: str, purpose: str, address: str, field: str, **options: Any
) -> dict[str, str]:
    """Have a code on its way, asked for at this step; ``options`` as for :func:`wizard.verification.codes.send`.

    What the event about it says: to whom, masked; nothing where the last one was mailed less than a minute ago.
    Raises :class:`Refused` at the form field the address or the name was typed in.
    """
    # Whoever sent something on it before has made it another version.
    options |= {"bound_to": journey.reference, "locale": journey.locale, "is_first": journey.version == 1}
    try:
        sent = codes.send(purpose, address, **options)
    except LimitReached as limit:
        journeys.note(journey, step, "refused", why=type(limit).__name__)
        raise Refused(_too_many(options.get("asked_as", ""), limit), field) from None
    if not sent:
        return {}
    return {"code_to": "nobody" if address == codes.NOBODY else addresses.masked(address)}


def send_again(journey: Journey, purpose: str, step: str, anew: Callable[[], dict[str, str]]) -> None:
    """The button under the code: a new mail, or a new challenge (``anew``) once five tries are used up."""
    challenge = codes.live(purpose, journey.reference)
    if challenge is None or codes.is_dead(challenge):
        journeys.note(journey, step, "sent anew", **anew())
        return
    try:
        codes.resend(challenge)
    except codes.TooSoon as soon:
        raise Refused(wording.wait_for(soon.wait)) from None
    except LimitReached as limit:
        raise Refused(_too_many(challenge.asked_as, limit)) from None
    journeys.note(journey, step, "sent again")


def enter(
    journey: Journey,
    challenge: codes.Challenge | None,
    step: str,
    typed: str,
    proven: Callable[[Journey], bool],
) -> codes.Challenge | None:
    """Spend the code of the live challenge. None when another request of the same double click has: this one follows.

    ``proven`` says whether what the code is for is shown by now. Raises :class:`Refused`.
    """
    if challenge is None:
        db.session.refresh(journey)
        if proven(journey):
            return None
        raise Refused(_("Send a new code first"))
    try:
        codes.spend(challenge, typed)
    except codes.AlreadySpent:
        # A double click: the other request proved the address and this one follows it.
        db.session.refresh(journey)
        return None
    except codes.CodeRefused as reason:
        journeys.note(journey, step, "refused", why=type(reason).__name__)
        # Only a wrong code can be typed again here; after the others the page has no field for it.
        field = "code" if isinstance(reason, codes.WrongCode) else None
        raise Refused(wording.refused(reason), field) from None
    return challenge


def _too_many(asked_as: str, limit: LimitReached) -> str:
    return wording.too_many_asked(limit.until) if asked_as else wording.too_many_mails(limit.until)
