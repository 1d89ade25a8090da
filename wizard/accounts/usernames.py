"""Usernames: their shape, and who holds which.

A name is unique on its site and across the Billing Center, because activating makes an account of the
same name in both. It is held from the moment the address is proven; only then is *taken* said.
"""

import re
import secrets
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from wizard import clock
from wizard.accounts.models import UsernameClaim
from wizard.extensions import change, db, insert

SHAPE = re.compile(r"[A-Za-z0-9._-]{3,40}")
BILLING = "billing"


class UsernameTaken(Exception):
    """Somebody else holds the name on this site or in the Billing Center."""


def site_scope(site_id: str) -> str:
    return f"site:{site_id}"


def key_of(username: str) -> str:
    return username.lower()


def _nobodys(_key: str) -> bool:
    return False


def reserve(
    site_id: str, username: str, holder: str, until: datetime, is_own: Callable[[str], bool] = _nobodys
) -> None:
    """Hold a name on a site and in the Billing Center for ``holder``, in place of any it held before.

    One upsert decides: a name goes to whoever inserts it first, or takes over a claim that ran out. The
    name of a Billing Center account is free to its owner, which ``is_own`` is asked about where it is taken.
    Raises :class:`UsernameTaken`; the holder then holds no name.
    """
    key = key_of(username)
    wanted = {site_scope(site_id), BILLING}
    rows = [{"scope": s, "key": key, "holder": holder, "expires_at": until} for s in sorted(wanted)]
    claim = insert(UsernameClaim).values(rows)
    free = sa.or_(UsernameClaim.holder == holder, UsernameClaim.expires_at <= clock.now())
    claim = claim.on_conflict_do_update(
        index_elements=["scope", "key"], set_={"holder": holder, "expires_at": until}, where=free
    )
    held = set(db.session.scalars(claim.returning(UsernameClaim.scope)))
    if wanted - held == {BILLING} and is_own(key):
        held = wanted
    others = UsernameClaim.key != key if held == wanted else sa.true()
    change(sa.delete(UsernameClaim).where(UsernameClaim.holder == holder, others))
    if held != wanted:
        raise UsernameTaken


def keep(username: str, holder: str, account: str) -> None:
    """A reservation becomes an account's name for good."""
    change(
        sa.update(UsernameClaim)
        .where(UsernameClaim.holder == holder, UsernameClaim.key == key_of(username))
        .values(holder=account, expires_at=None)
    )


def suggestions(site_id: str, username: str, most: int = 3) -> list[str]:
    """Free names near a taken one. Only for somebody whose address is proven."""
    stem = username[:34].rstrip("._-") or "user"
    candidates = [f"{stem}-{site_id}"[:40], *(f"{stem}.{secrets.randbelow(90) + 10}" for _ in range(4))]
    taken = set(
        db.session.scalars(
            sa.select(UsernameClaim.key).where(
                UsernameClaim.key.in_([key_of(c) for c in candidates]),
                UsernameClaim.scope.in_([site_scope(site_id), BILLING]),
            )
        )
    )
    return [c for c in dict.fromkeys(candidates) if key_of(c) not in taken and SHAPE.fullmatch(c)][:most]


def sweep() -> None:
    """Free names whose journey never came to an account."""
    change(sa.delete(UsernameClaim).where(UsernameClaim.expires_at < clock.now()))
