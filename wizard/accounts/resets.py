"""Password resets: a browser proves an address by a code, and may then set one new password.

What a reset is stands in its row, which the browser finds by a session of its own; nothing of it is in an
address. For an address nobody has everything happens the same way, and no code fits.
"""

import secrets
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import session
from sqlalchemy.exc import IntegrityError

from wizard import clock
from wizard.accounts import addresses, sessions
from wizard.accounts.models import ConsoleAccount, PasswordReset, Session
from wizard.extensions import change, db
from wizard.verification import codes

KIND = PURPOSE = "reset"
UNPROVEN_LIFE = sessions.LIFE[KIND]
PROOF_LIFE = timedelta(minutes=10)


class NotHere(Exception):
    """This browser has no reset going on."""


def expect() -> None:
    """Remember what this browser's reset will be called, so that a double click begins one."""
    session.setdefault("coming_reset", secrets.token_urlsafe(16))


def begin(site_id: str, email: str, locale: str, about: dict[str, Any]) -> None:
    """Send a code to an address, or a mail that says there is no account; this browser waits for the code.

    ``about`` is what the mail says besides. Raises :class:`wizard.limits.LimitReached`, and ``IntegrityError``
    where a parallel request began with another address first.
    """
    key = addresses.key_of(email)
    is_known = _is_known(site_id, key)
    reset = _mine()
    if reset is None or reset.proven_at is not None or is_over(reset):
        reset = _insert(site_id, email)
        sessions.start(KIND, reset.id)
    _send(reset.reference, email, locale, about, is_known)
    if (reset.site_id, reset.email) != (site_id, email):
        # Only now, and only unproven: a code that is open for one address must never stand beside another.
        change(
            sa.update(PasswordReset)
            .where(PasswordReset.id == reset.id, PasswordReset.proven_at.is_(None))
            .values(site_id=site_id, email=email, email_key=key)
        )


def _insert(site_id: str, email: str) -> PasswordReset:
    """A row for this browser: a new one, or the one a parallel request has just made."""
    reference = session.pop("coming_reset", None) or secrets.token_urlsafe(16)
    now = clock.now()
    reset = PasswordReset(
        reference=reference,
        site_id=site_id,
        email=email,
        email_key=addresses.key_of(email),
        created_at=now,
        expires_at=now + UNPROVEN_LIFE,
    )
    try:
        with db.session.begin_nested():
            db.session.add(reset)
    except IntegrityError:
        same = db.session.scalars(sa.select(PasswordReset).where(PasswordReset.reference == reference)).one()
        # A reference opens nothing once its address is proven: then this is a reset of its own.
        return same if same.proven_at is None else _insert(site_id, email)
    return reset


def send_again(reset: PasswordReset, locale: str, about: dict[str, Any]) -> None:
    """A new mail, or a new challenge once five tries are used up. Raises what :mod:`codes` raises."""
    challenge = challenge_of(reset)
    if challenge is not None and not codes.is_dead(challenge):
        codes.resend(challenge)
        return
    _send(reset.reference, reset.email, locale, about, _is_known(reset.site_id, reset.email_key))


def _send(reference: str, email: str, locale: str, about: dict[str, Any], is_known: bool) -> None:
    codes.send(
        PURPOSE,
        email,
        bound_to=reference,
        locale=locale,
        about=about,
        decoy_message=None if is_known else "no_account",
    )


def here() -> tuple[PasswordReset, ConsoleAccount | None]:
    """This browser's reset, and the account it is for, if there is one. Raises :class:`NotHere`."""
    mine = sessions.where_mine(KIND, late=False)
    if mine is None:
        raise NotHere
    found = db.session.execute(
        sa.select(PasswordReset, ConsoleAccount)
        .join(Session, Session.subject == PasswordReset.id)
        .outerjoin(
            ConsoleAccount,
            sa.and_(
                ConsoleAccount.site_id == PasswordReset.site_id,
                ConsoleAccount.email_key == PasswordReset.email_key,
            ),
        )
        .where(mine)
    ).first()
    if found is None:
        raise NotHere
    return found[0], found[1]


def _mine() -> PasswordReset | None:
    try:
        return here()[0]
    except NotHere:
        return None


def challenge_of(reset: PasswordReset) -> codes.Challenge | None:
    return codes.live(PURPOSE, reset.reference)


def is_over(reset: PasswordReset) -> bool:
    return reset.expires_at <= clock.now()


def enter_code(reset: PasswordReset, typed: str) -> None:
    """Spend the code: for ten minutes this browser, under a new session id, may set a password.

    It proves the address and the site it was mailed for, and the reset only if that is still for the same.
    Raises :class:`wizard.verification.codes.CodeRefused`.
    """
    challenge = challenge_of(reset)
    if challenge is None:
        raise codes.AlreadySpent
    codes.spend(challenge, typed)
    now = clock.now()
    proven = change(
        sa.update(PasswordReset)
        .where(
            PasswordReset.id == reset.id,
            PasswordReset.proven_at.is_(None),
            PasswordReset.email_key == addresses.key_of(challenge.address),
            PasswordReset.site_id == challenge.about.get("site_id"),
        )
        .values(proven_at=now, expires_at=now + PROOF_LIFE)
    )
    if not proven:
        raise codes.AlreadySpent
    sessions.rotate(KIND)


def enter_code_again(typed: str) -> bool:
    """The second submit of a double click: its id was replaced a moment ago, and it shows the right code too."""
    mine = sessions.where_mine(KIND)
    if mine is None:
        return False
    found = db.session.execute(
        sa.select(PasswordReset.reference, Session)
        .join(Session, Session.subject == PasswordReset.id)
        .where(mine)
    ).first()
    if found is None or not codes.proved(PURPOSE, found.reference, typed):
        return False
    sessions.follow(found.Session)
    return True


def use_up(site_id: str, email_key: str) -> set[int]:
    """The password changes: every proof for this account is spent, and codes mailed until now stop working.

    Returns the ids of the resets whose proof this call has spent: of two that race one has it.
    """
    # The codes first: one that is entered meanwhile is a proof by the time proofs are spent.
    owners = sa.select(PasswordReset.reference).where(
        PasswordReset.site_id == site_id, PasswordReset.email_key == email_key
    )
    codes.outdate(PURPOSE, owners)
    proofs = (
        sa.update(PasswordReset)
        .where(
            PasswordReset.site_id == site_id,
            PasswordReset.email_key == email_key,
            PasswordReset.proven_at.is_not(None),
            PasswordReset.used_at.is_(None),
            PasswordReset.expires_at > clock.now(),
        )
        .values(used_at=clock.now())
        .returning(PasswordReset.id)
    )
    spent = set(db.session.scalars(proofs, execution_options={"synchronize_session": False}))
    return spent


def _is_known(site_id: str, email_key: str) -> bool:
    known = sa.exists().where(ConsoleAccount.site_id == site_id, ConsoleAccount.email_key == email_key)
    return bool(db.session.scalar(sa.select(known)))


def sweep() -> None:
    """Remove resets that ended a day ago, with the addresses in them."""
    change(sa.delete(PasswordReset).where(PasswordReset.expires_at < clock.now() - timedelta(days=1)))
