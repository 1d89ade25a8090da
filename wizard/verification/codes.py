"""Email codes: one process for every purpose.

Six digits, ten minutes, five wrong tries per challenge (a new mail does not give new tries), a minute
between mails, and only the newest code works. The code is derived from the challenge with a key from
the configuration, so nothing secret is stored and a mail that is sent twice carries the same code.
Counting and spending are single conditional UPDATEs: sixteen requests at once spend one code once.
"""

import hmac
import secrets
import unicodedata
from contextlib import suppress
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app
from flask_babel import force_locale
from sqlalchemy.orm.attributes import set_committed_value

from wizard import clock, limits, mail, metrics, outbox
from wizard.extensions import change, db
from wizard.transactions import release
from wizard.verification.models import Challenge
from wizard.wording import time_of_day

DIGITS = 6
LIFE = timedelta(minutes=10)
TRIES = 5
BETWEEN_MAILS = timedelta(seconds=60)
DOUBLE_CLICK = timedelta(seconds=30)
"""How long after a code was accepted the second submit of the same click may still come."""
CODE_MESSAGE = "code"
NOBODY = ""
"""The address of a challenge for a name that nobody has."""


class CodeRefused(Exception):
    """Base of the ways a code is not accepted."""


class WrongCode(CodeRefused):
    """Not the newest code. ``tries_left`` more may be entered."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"{tries_left} tries left")
        self.tries_left = tries_left


class CodeExpired(CodeRefused):
    """Ten minutes have passed since the newest code was sent."""


class TriesUsedUp(CodeRefused):
    """Five wrong codes were entered; only a new challenge helps."""


class AlreadySpent(CodeRefused):
    """The challenge is closed: this code was accepted a moment ago, or a newer challenge replaced it."""


class TooSoon(Exception):
    """A mail went out less than a minute ago. ``wait`` is in seconds."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"{wait} seconds")
        self.wait = wait


def begin(
    purpose: str,
    address: str,
    bound_to: str,
    locale: str,
    about: dict[str, Any],
    decoy_message: str | None = None,
    asked_as: str = "",
    instead_of: Challenge | None = None,
) -> Challenge:
    """Open a challenge and mail its code; the one this owner had open for the purpose (``instead_of``) ends.

    ``about`` is what the mail says besides the code (JSON). With ``decoy_message`` everything happens
    the same way, but that message goes out in place of the code and nothing typed will match.

    ``asked_as`` is for somebody who named an account and must not learn its address: what they named, as they
    may be told about it. The limit that is told counts by it, and the address's own stops mails without a word,
    so that no limit tells which address belongs to which name. With it and the address :data:`NOBODY` everything
    happens the same way and no mail goes out.
    Raises :class:`wizard.limits.LimitReached` when the address had its mails for the hour or the day, and
    ``IntegrityError`` when a parallel request opened a challenge first.
    """
    mails = _count_mail(address, asked_as)
    now = clock.now()
    if instead_of is not None:
        change(
            sa.update(Challenge)
            .where(Challenge.id == instead_of.id, Challenge.closed_at.is_(None))
            .values(closed_at=now, outcome="superseded")
        )
    challenge = Challenge(
        id=secrets.token_urlsafe(16),
        purpose=purpose,
        bound_to=bound_to,
        address=address,
        asked_as=asked_as,
        decoy=decoy_message is not None or address == NOBODY,
        locale=locale,
        message=decoy_message or CODE_MESSAGE,
        about=about,
        generation=1,
        attempts=0,
        created_at=now,
        sent_at=now,
        expires_at=now + LIFE,
    )
    db.session.add(challenge)
    db.session.flush()
    _mail(challenge, mails)
    return challenge


def _count_mail(address: str, asked_as: str) -> bool:
    """Count a mail to an address. False: none goes out, and nobody is told. Raises ``LimitReached``."""
    if not asked_as:
        return limits.hit(limits.ADDRESS_MAILS, "mail", _blind(address))
    # In a window of its own: were it the one that is told to who types an address, five asks by name would show
    # whose address somebody has guessed.
    blind = _blind(f"by name: {address if address != NOBODY else asked_as}")
    allowed = limits.hit(limits.ADDRESS_MAILS, "mail", _blind(f"asked: {asked_as}"), also=("mail", blind))
    return allowed and address != NOBODY


def send(
    purpose: str,
    address: str,
    bound_to: str,
    locale: str,
    about: dict[str, Any],
    decoy_message: str | None = None,
    asked_as: str = "",
    is_first: bool = False,
) -> bool:
    """Have a code on its way to an address: the open challenge's, if it is for the same, else a new one's.

    False where that one was mailed less than a minute ago. ``about["site_id"]``, the address and what was asked for
    say what is the same. Otherwise like :func:`begin`, and raises what it raises. ``is_first``: none can be open.
    """
    challenge = None if is_first else live(purpose, bound_to)
    wanted = (address, asked_as, about.get("site_id"))
    if (
        challenge
        and not is_dead(challenge)
        and wanted == (challenge.address, challenge.asked_as, challenge.about.get("site_id"))
    ):
        if not wait_of(challenge):
            with suppress(TooSoon):  # A parallel request has just sent it.
                resend(challenge)
                return True
        return False
    begin(purpose, address, bound_to, locale, about, decoy_message, asked_as, instead_of=challenge)
    return True


def resend(challenge: Challenge) -> None:
    """Mail a new code of the same challenge; the one before stops working, the tries stay used.

    Raises :class:`TooSoon`, :class:`TriesUsedUp` or :class:`wizard.limits.LimitReached`.
    """
    now = clock.now()
    if is_dead(challenge):
        raise TriesUsedUp
    if wait_of(challenge):
        raise TooSoon(wait_of(challenge))
    # The UPDATE decides which of several clicks sends; only that one counts against the address, and the
    # savepoint takes it back when the address has had enough.
    with db.session.begin_nested():
        generation = db.session.scalar(
            sa.update(Challenge)
            .where(
                Challenge.id == challenge.id,
                Challenge.closed_at.is_(None),
                Challenge.sent_at <= now - BETWEEN_MAILS,
            )
            .values(generation=Challenge.generation + 1, sent_at=now, expires_at=now + LIFE)
            .returning(Challenge.generation),
            execution_options={"synchronize_session": False},
        )
        if generation is None:
            raise TooSoon(int(BETWEEN_MAILS.total_seconds()))
        mails = _count_mail(challenge.address, challenge.asked_as)
    for name, value in {"generation": generation, "sent_at": now, "expires_at": now + LIFE}.items():
        set_committed_value(challenge, name, value)  # As the UPDATE has just written.
    _mail(challenge, mails)


def spend(challenge: Challenge, typed: str) -> None:
    """Accept the newest code once. Raises a :class:`CodeRefused`; a wrong try is counted."""
    now = clock.now()
    right = hmac.compare_digest(normalise(typed), code_of(challenge)) and not challenge.decoy
    values: dict[str, Any]
    if right:
        values = {"closed_at": now, "outcome": "proven"}
    else:
        values = {"attempts": Challenge.attempts + 1}
    counted = change(
        sa.update(Challenge)
        .where(
            Challenge.id == challenge.id,
            Challenge.generation == challenge.generation,
            Challenge.closed_at.is_(None),
            Challenge.attempts < TRIES,
            Challenge.expires_at > now,
        )
        .values(**values)
    )
    if counted and right:
        metrics.CODES.labels(challenge.purpose, "accepted").inc()
        return
    db.session.refresh(challenge)
    reason = _why_refused(challenge)
    metrics.CODES.labels(challenge.purpose, type(reason).__name__).inc()
    raise reason


def _why_refused(challenge: Challenge) -> CodeRefused:
    if challenge.closed_at is not None:
        return AlreadySpent()
    if is_dead(challenge):
        return TriesUsedUp()
    if is_expired(challenge):
        return CodeExpired()
    return WrongCode(TRIES - challenge.attempts)


def proved(purpose: str, bound_to: str, typed: str) -> Challenge | None:
    """The challenge this code was accepted for: the second submit of a double click shows it once more.

    Wrong ones count like before; after five no code is the right one.
    """
    spent = db.session.scalar(
        sa.select(Challenge)
        .where(
            Challenge.purpose == purpose,
            Challenge.bound_to == bound_to,
            Challenge.outcome == "proven",
            Challenge.closed_at > clock.now() - DOUBLE_CLICK,
        )
        .order_by(Challenge.closed_at.desc())
        .limit(1)
    )
    if spent is None or is_dead(spent):
        return None
    if hmac.compare_digest(normalise(typed), code_of(spent)):
        return spent
    change(
        sa.update(Challenge)
        .where(Challenge.id == spent.id, Challenge.attempts < TRIES)
        .values(attempts=Challenge.attempts + 1)
    )
    return None


def outdate(purpose: str, owners: sa.Select[str]) -> None:
    """Codes mailed to these owners until now stop working, without a sign of it: only a newer one helps."""
    change(
        sa.update(Challenge)
        .where(Challenge.purpose == purpose, Challenge.bound_to.in_(owners), Challenge.closed_at.is_(None))
        .values(generation=Challenge.generation + 1)
    )


def live(purpose: str, bound_to: str) -> Challenge | None:
    """The challenge this owner has open for the purpose (perhaps with its tries used up), if any."""
    return db.session.scalar(
        sa.select(Challenge).where(
            Challenge.purpose == purpose, Challenge.bound_to == bound_to, Challenge.closed_at.is_(None)
        )
    )


def is_dead(challenge: Challenge) -> bool:
    return challenge.attempts >= TRIES


def is_expired(challenge: Challenge) -> bool:
    return challenge.expires_at <= clock.now()


def wait_of(challenge: Challenge) -> int:
    """Seconds until another mail of this challenge may go out; 0 when it may now."""
    left = challenge.sent_at + BETWEEN_MAILS - clock.now()
    return max(0, -int(-left.total_seconds() // 1))


def code_of(challenge: Challenge) -> str:
    """The six digits of a challenge's present generation."""
    words = f"{challenge.purpose}\0{challenge.id}\0{challenge.generation}"
    digest = hmac.digest(_key(b"code"), words.encode(), "sha256")
    return f"{int.from_bytes(digest[:8], 'big') % 10**DIGITS:0{DIGITS}d}"


def normalise(typed: str) -> str:
    """Digits as people paste them (spaces, dashes, full width) → plain ASCII digits."""
    return "".join(c for c in unicodedata.normalize("NFKC", typed) if c in "0123456789")


def deliver(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``verification.mail``. A mail that is no longer the newest is dropped."""
    challenge = db.session.get(Challenge, payload["challenge"])
    release()
    if challenge is None or challenge.closed_at or challenge.generation != payload["generation"]:
        raise outbox.NoLongerNeeded("a newer code was sent, or none is needed")
    if not payload.get("mails", True):
        raise outbox.NoLongerNeeded("nobody is to be written to")
    if is_expired(challenge):
        raise outbox.NoLongerNeeded("the code had expired before it could be sent")
    context = dict(challenge.about)
    if challenge.message == CODE_MESSAGE:
        with force_locale(challenge.locale):
            context |= {"code": code_of(challenge), "works_until": time_of_day(challenge.expires_at)}
    mail.deliver(challenge.address, challenge.message, challenge.locale, context, entry_id)


def _mail(challenge: Challenge, really: bool) -> None:
    """Ask for the mail. One that is not to go out leaves the same trace here, and ends in the outbox."""
    generation = challenge.generation
    metrics.CODES.labels(challenge.purpose, "sent").inc()
    outbox.enqueue(
        "verification.mail",
        {"challenge": challenge.id, "generation": generation, "mails": really},
        key=f"verification:{challenge.id}:{generation}",
    )


def _blind(address: str) -> str:
    """An address as a key that does not show it."""
    return hmac.digest(_key(b"address"), address.casefold().encode(), "sha256").hex()[:32]


def _key(use: bytes) -> bytes:
    return hmac.digest(current_app.config["SECRET_KEY"].encode(), b"verification:" + use, "sha256")


def sweep() -> None:
    """Remove challenges that ended a day ago, with the addresses in them."""
    change(sa.delete(Challenge).where(Challenge.expires_at < clock.now() - timedelta(days=1)))
