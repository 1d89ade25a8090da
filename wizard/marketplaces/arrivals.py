"""The Arrival row: written at a landing, shown again only to the browser that landed.

Every POST of a token makes an arrival of its own with a claim cookie named after it. A token that was
resolved before is not resolved again; but another browser that brings it gets its own, empty, arrival.
"""

import hashlib
import hmac
import secrets
from datetime import timedelta

import sqlalchemy as sa
from flask import request

from wizard import clock
from wizard.accounts import sessions
from wizard.billing.models import Subscription
from wizard.extensions import change, db
from wizard.marketplaces.models import Arrival

LIFE = timedelta(hours=4)
"""As long as AWS lets a token live at most; whoever comes later fetches a new link there."""

_MOST_CLAIMS = 20


def hash_of(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def resolved_before(marketplace: str, token: str) -> Subscription | None:
    """What a token proved when it was first brought, while that answer is fresh enough to reuse."""
    arrival = db.session.scalar(
        sa.select(Arrival)
        .where(
            Arrival.token_hash == hash_of(token),
            Arrival.marketplace == marketplace,
            Arrival.created_at > clock.now() - LIFE,
        )
        .order_by(Arrival.created_at)
        .limit(1)
    )
    return arrival.subscription if arrival else None


def land(marketplace: str, token: str, subscription: Subscription, contact: dict[str, str]) -> Arrival:
    """Write a landing down and give the browser its claim.

    ``contact``: what the marketplace said of the buyer; not kept where a purchase that is set up leads elsewhere.
    """
    claim = secrets.token_urlsafe(24)
    now = clock.now()
    arrival = Arrival(
        id=secrets.token_urlsafe(12),
        marketplace=marketplace,
        token_hash=hash_of(token),
        claim_hash=hash_of(claim),
        subscription_id=subscription.id,
        created_at=now,
        expires_at=now + LIFE,
        contact=contact if contact and subscription.billing_account_id is None else None,
    )
    db.session.add(arrival)
    db.session.flush()
    sessions.set_cookie(_cookie(arrival.id), claim, int(LIFE.total_seconds()))
    return arrival


def claimed_here(arrival_id: str) -> tuple[Arrival | None, list[Arrival]]:
    """``(this arrival, older ones of the same token)``, each only if this browser holds its claim.

    One statement however many claims the browser brought.
    """
    brought = _brought()
    if arrival_id not in brought:
        return None, []
    mine = _mine(brought, [arrival_id, *[i for i in brought if i != arrival_id][:_MOST_CLAIMS]])
    this = next((a for a in mine if a.id == arrival_id), None)
    if this is None:
        return None, []
    older = [a for a in mine if a.token_hash == this.token_hash and a.created_at < this.created_at]
    return this, older


def waiting_here() -> Arrival | None:
    """The newest arrival of this browser whose purchase nobody has claimed yet and has not ended. No claim costs no
    statement."""
    waiting = [a for a in _unclaimed_here() if a.subscription.pays]
    return waiting[-1] if waiting else None


def ended_here() -> Subscription | None:
    """What the newest arrival of this browser has bought, if nobody had claimed it before it ended. No claim costs no
    statement."""
    newest = _unclaimed_here()[-1:]
    return newest[0].subscription if newest and not newest[0].subscription.pays else None


def _unclaimed_here() -> list[Arrival]:
    brought = _brought()
    mine = _mine(brought, list(brought)[:_MOST_CLAIMS]) if brought else []
    return [a for a in mine if not is_over(a) and a.subscription.billing_account_id is None]


def _brought() -> dict[str, str]:
    """Arrival id → claim, as this browser's cookies say."""
    prefix = _cookie("")
    return {
        name.removeprefix(prefix): claim for name, claim in request.cookies.items() if name.startswith(prefix)
    }


def _mine(brought: dict[str, str], wanted: list[str]) -> list[Arrival]:
    """Those of the wanted arrivals whose claim is right, oldest first."""
    rows = db.session.scalars(sa.select(Arrival).where(Arrival.id.in_(wanted)).order_by(Arrival.created_at))
    return [a for a in rows if hmac.compare_digest(a.claim_hash, hash_of(brought[a.id]))]


def forget_contact(arrival_id: str) -> None:
    """What was suggested has been answered."""
    change(sa.update(Arrival).where(Arrival.id == arrival_id).values(contact=None))


def is_over(arrival: Arrival) -> bool:
    return arrival.expires_at <= clock.now()


def _cookie(arrival_id: str) -> str:
    return sessions.cookie_name("claim", arrival_id) if arrival_id else sessions.cookie_name("claim") + "-"
