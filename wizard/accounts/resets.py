"""Password resets: a browser proves an address by a code, and may then set one new password.

What a reset is stands in its row, which the browser finds by a session of its own; nothing of it is in an
address. Where nobody is called what was typed everything happens the same way, and no code fits.
"""

import secrets
from datetime import timedelta
from typing import Any, cast

import sqlalchemy as sa
from flask import session
from sqlalchemy.exc import IntegrityError

from wizard import clock
from wizard.accounts import addresses, sessions, usernames
from wizard.accounts.areas import Account, Area
from wizard.accounts.models import PasswordReset, Session
from wizard.extensions import change, db
from wizard.verification import codes

PURPOSE = "reset"
UNPROVEN_LIFE = sessions.LIFE["reset"]
PROOF_LIFE = timedelta(minutes=10)


class NotHere(Exception):
    """This browser has no reset going on."""


def key_of(name: str) -> str:
    """What two spellings of one address, or of one username, share."""
    return addresses.key_of(name) if is_address(name) else usernames.key_of(name)


def is_address(name: str) -> bool:
    """Whether somebody was named by their address. No username has an @ in it."""
    return "@" in name


def _coming(area: Area) -> str:
    return f"coming_{area.reset}"


def expect(area: Area) -> None:
    """Remember what this browser's reset will be called, so that a double click begins one."""
    session.setdefault(_coming(area), secrets.token_urlsafe(16))


def begin(area: Area, site_id: str, name: str, locale: str, about: dict[str, Any]) -> None:
    """Send a code to whom a name means, or a mail that says there is no account; this browser waits for the code.

    ``name``: see :class:`.PasswordReset`. To a username nobody has no mail goes out, and nobody is told whether one
    does. ``about`` is what the mail says besides. Raises :class:`wizard.limits.LimitReached`, and ``IntegrityError``
    where a parallel request began with another name first.
    """
    owner = _address_of(area, site_id, name)
    reset = _mine(area)
    if reset is None or reset.proven_at is not None or is_over(reset):
        reset = _insert(area, site_id, name)
        sessions.start(area.reset, reset.id)
    _send(reset.reference, name, locale, about, owner)
    if (reset.site_id, reset.named) != (site_id, name):
        # Only now, and only unproven: a code that is open for one name must never stand beside another.
        change(
            sa.update(PasswordReset)
            .where(PasswordReset.id == reset.id, PasswordReset.proven_at.is_(None))
            .values(site_id=site_id, named=name, named_key=key_of(name))
        )


def _insert(area: Area, site_id: str, name: str) -> PasswordReset:
    """A row for this browser: a new one, or the one a parallel request has just made."""
    reference = session.pop(_coming(area), None) or secrets.token_urlsafe(16)
    now = clock.now()
    reset = PasswordReset(
        reference=reference,
        site_id=site_id,
        named=name,
        named_key=key_of(name),
        created_at=now,
        expires_at=now + UNPROVEN_LIFE,
    )
    try:
        with db.session.begin_nested():
            db.session.add(reset)
    except IntegrityError:
        same = db.session.scalars(sa.select(PasswordReset).where(PasswordReset.reference == reference)).one()
        # A reference opens nothing once its address is proven: then this is a reset of its own.
        return same if same.proven_at is None else _insert(area, site_id, name)
    return reset


def send_again(area: Area, reset: PasswordReset, locale: str, about: dict[str, Any]) -> None:
    """A new mail, or a new challenge once five tries are used up. Raises what :mod:`codes` raises."""
    challenge = challenge_of(reset)
    if challenge is not None and not codes.is_dead(challenge):
        codes.resend(challenge)
        return
    owner = _address_of(area, reset.site_id, reset.named)
    _send(reset.reference, reset.named, locale, about, owner)


def _send(reference: str, name: str, locale: str, about: dict[str, Any], owner: str | None) -> None:
    """``owner`` is the address of the account this name means, None where it means nobody."""
    by_address = is_address(name)
    codes.send(
        PURPOSE,
        name if by_address else owner or codes.NOBODY,
        bound_to=reference,
        locale=locale,
        about={**about, "named": key_of(name)},
        decoy_message="no_account" if by_address and owner is None else None,
        asked_as="" if by_address else f"called {key_of(name)}",
    )


def here(area: Area) -> tuple[PasswordReset, Account | None]:
    """This browser's reset, and the account it is for, if there is one. Raises :class:`NotHere`."""
    mine = sessions.where_mine(area.reset, late=False)
    if mine is None:
        raise NotHere
    found = db.session.execute(
        sa.select(PasswordReset, area.model)
        .join(Session, Session.subject == PasswordReset.id)
        .outerjoin(area.model, area.named(PasswordReset.site_id, PasswordReset.named_key))
        .where(mine)
    ).first()
    if found is None:
        raise NotHere
    return found[0], cast("Account | None", found[1])


def _mine(area: Area) -> PasswordReset | None:
    try:
        return here(area)[0]
    except NotHere:
        return None


def challenge_of(reset: PasswordReset) -> codes.Challenge | None:
    return codes.live(PURPOSE, reset.reference)


def is_over(reset: PasswordReset) -> bool:
    return reset.expires_at <= clock.now()


def enter_code(area: Area, reset: PasswordReset, typed: str) -> None:
    """Spend the code: for ten minutes this browser, under a new session id, may set a password.

    It proves who was named when it was mailed, and the reset only if that is still for the same.
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
            PasswordReset.named_key == challenge.about.get("named", key_of(challenge.address)),
            PasswordReset.site_id == challenge.about.get("site_id"),
        )
        .values(proven_at=now, expires_at=now + PROOF_LIFE)
    )
    if not proven:
        raise codes.AlreadySpent
    sessions.rotate(area.reset)


def enter_code_again(area: Area, typed: str) -> bool:
    """The second submit of a double click: its id was replaced a moment ago, and it shows the right code too."""
    mine = sessions.where_mine(area.reset)
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


def use_up(area: Area, account: Account) -> set[int]:
    """The password changes: every proof for this account is spent, and codes mailed until now stop working.

    Returns the ids of the resets whose proof this call has spent: of two that race one has it.
    """
    for_account = area.resets_of(account)
    # The codes first: one that is entered meanwhile is a proof by the time proofs are spent.
    codes.outdate(PURPOSE, sa.select(PasswordReset.reference).where(for_account))
    proofs = (
        sa.update(PasswordReset)
        .where(
            for_account,
            PasswordReset.proven_at.is_not(None),
            PasswordReset.used_at.is_(None),
            PasswordReset.expires_at > clock.now(),
        )
        .values(used_at=clock.now())
        .returning(PasswordReset.id)
    )
    spent = set(db.session.scalars(proofs, execution_options={"synchronize_session": False}))
    return spent


def _address_of(area: Area, site_id: str, name: str) -> str | None:
    return db.session.scalar(sa.select(area.model.email).where(area.named(site_id, key_of(name))))


def sweep() -> None:
    """Remove resets that ended a day ago, with the addresses in them."""
    change(sa.delete(PasswordReset).where(PasswordReset.expires_at < clock.now() - timedelta(days=1)))
