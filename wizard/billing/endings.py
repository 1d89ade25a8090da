"""A subscription ends, comes back or is followed by another, and the workspaces it paid for follow.

What it does to them is true the moment :func:`live` has written one row, whatever their number, because what settles
a workspace is read (:mod:`wizard.billing.settlement`). The job :func:`follow` then writes their histories and has their
sites told, a batch at a time; it looks at what is true, so it may run twice, late, or again after a worker died.
"""

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
import sqlalchemy.orm
from flask import current_app

from wizard import clock, outbox
from wizard.billing import settlement, subscriptions
from wizard.billing.models import (
    ACTIVE,
    BEING_MADE,
    BILLING_CENTER,
    CLOSED,
    DISSOLVED,
    ENDED,
    LOCK,
    LOCKED,
    NONE,
    RENEWED,
    REPLACED,
    SETTLED,
    STAY,
    SWITCH,
    UNLOCKED,
    Subscription,
    Workspace,
)
from wizard.extensions import db
from wizard.sites import gateway
from wizard.transactions import release

BATCH = 200

log = logging.getLogger("wizard.billing")


@dataclass(frozen=True)
class Life:
    """What everything a marketplace has said of a purchase comes to.

    ``ended_at`` (the marketplace's own time) and ``why`` where it has ended; ``successor``: the purchase it was renewed
    as or replaced by, as far as it is known.
    """

    ended_at: datetime | None = None
    why: str | None = None
    successor: subscriptions.Purchase | None = None


def live(subscription: Subscription, life: Life) -> bool:
    """Make a subscription what its life says. False where it is so already.

    One short transaction, whatever it paid for. The caller holds the row (:func:`.subscriptions.hold`).
    """
    before, did = _facts(subscription), _effect(subscription)
    if life.ended_at is None:
        if subscription.state == ENDED:
            subscription.state = ACTIVE
            subscription.ended_at = subscription.stopped_at = subscription.warned_at = None
            subscription.why = subscription.on_end = subscription.successor_id = None
    else:
        subscription.ended_at, subscription.why = life.ended_at, life.why
        if subscription.state != ENDED:
            subscription.state, subscription.stopped_at = ENDED, clock.now()
        subscription.on_end = _on_end(subscription, life)
        if life.successor and (follower := _follower(subscription, life.successor)):
            subscription.successor_id = follower.id
        elif subscription.successor_id is None and (again := _subscribed_again(subscription)):
            subscription.successor_id = again
    if _effect(subscription) != did:
        _changed(subscription)
    db.session.flush()
    return _facts(subscription) != before


def _facts(subscription: Subscription) -> tuple[Any, ...]:
    return (*_effect(subscription), subscription.ended_at, subscription.why)


def _effect(subscription: Subscription) -> tuple[Any, ...]:
    """What its workspaces take from it."""
    return subscription.state, subscription.on_end, subscription.successor_id


def _changed(subscription: Subscription) -> None:
    """What it does to its workspaces is another thing now: they follow."""
    subscription.lives += 1
    log.info(
        "a subscription changed what it does to its workspaces",
        extra={"subscription": subscription.id, "state": subscription.state, "why": subscription.why},
    )
    _enqueue_follow(subscription, str(subscription.lives))


def _enqueue_follow(subscription: Subscription, occasion: str, batch: int = 0) -> None:
    payload = {
        "subscription": subscription.id,
        "life": subscription.lives,
        "occasion": occasion,
        "batch": batch,
    }
    outbox.enqueue("billing.follow", payload, key=f"follow:{subscription.id}:{occasion}:{batch}")


def _on_end(subscription: Subscription, life: Life) -> str:
    """What the end does to its workspaces: once it has locked or switched them, a later word on why changes that only
    if it was renewed or replaced after all."""
    if life.why in (RENEWED, REPLACED):
        return STAY
    if subscription.on_end in (LOCK, SWITCH):
        return subscription.on_end
    policy: str = current_app.config["ON_CANCEL"][subscription.provider]
    return policy


def _follower(subscription: Subscription, purchase: subscriptions.Purchase) -> Subscription | None:
    """The subscription of a renewal, claimed for whoever had claimed the one it follows. None if it is another's."""
    follower = subscriptions.record(purchase)
    owner = subscription.billing_account_id
    if owner is not None and subscriptions.inherit(follower, subscription):
        return follower
    if follower.billing_account_id != owner:
        log.error("a renewal was claimed by another account", extra={"alert": "no_successor"})
        return None
    return follower


def _subscribed_again(ended: Subscription) -> int | None:
    """The re-subscription of a purchase whose end we hear of only now."""
    if ended.billing_account_id is None or ended.on_end != LOCK:
        return None  # It paid for nothing, or nothing comes back to it.
    again = sa.orm.aliased(Subscription)
    found = sa.select(again.id).where(subscriptions.is_again(again, ended))
    return db.session.scalar(found.order_by(again.claimed_at).limit(1))


def bring_back(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.bring_back``: a cloud account has subscribed again, and its Billing Center account
    claimed that. What its ended subscriptions paid for, it pays for from now on.
    """
    again = db.session.get_one(Subscription, payload["subscription"])
    if not again.pays or again.billing_account_id is None:
        raise outbox.NoLongerNeeded("it has ended meanwhile")
    follower = sa.orm.aliased(Subscription)
    followed = sa.exists().where(follower.id == Subscription.successor_id, follower.state == ACTIVE)
    ended = db.session.scalars(
        sa.select(Subscription)
        .where(Subscription.state == ENDED, subscriptions.is_again(again, Subscription), ~followed)
        .order_by(Subscription.id)
        .with_for_update(of=Subscription)
        .execution_options(populate_existing=True)
    ).all()
    for subscription in ended:
        subscription.successor_id = again.id
        _changed(subscription)
    db.session.flush()


# What its workspaces' rows say ------------------------------------------------------------------------------


def follow(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.follow``: a batch of a subscription's workspaces, then the next one in an entry of
    its own; people are written to when all are done.
    """
    subscription = _held(payload["subscription"])
    step, stale = _step(subscription)
    of_it = settlement.bound_to(subscription.id)
    ids = list(
        db.session.scalars(
            sa.select(Workspace.id)
            .where(of_it, Workspace.state.in_((ACTIVE, BEING_MADE)), stale)
            .order_by(Workspace.id)
            .limit(BATCH)
            .with_for_update(of=Workspace)
        )
    )
    if ids:
        _take(subscription, step, ids, stale)
        _enqueue_follow(subscription, payload["occasion"], payload["batch"] + 1)
        return
    if subscription.successor and not subscription.successor.pays:
        _enqueue_follow(subscription.successor, f"after {subscription.id}.{payload['occasion']}")
    if payload["life"] == subscription.lives and (what := _news(subscription)):
        spread(subscription, what, payload["occasion"])


@dataclass(frozen=True)
class _Step:
    """What is written into the rows of workspaces, and the line that goes into their history."""

    what: str
    method: str
    subscription_id: int
    values: dict[str, Any]


def _step(subscription: Subscription) -> tuple[_Step, sa.ColumnElement[bool]]:
    """What is due for a subscription's workspaces, and the condition for those that it is still to be done for."""
    told_locked, provider = Workspace.locked_at.is_not(None), subscription.provider
    if subscription.pays or (subscription.on_end == STAY and subscription.successor is None):
        return _Step(UNLOCKED, provider, subscription.id, {"locked_at": None}), told_locked
    if subscription.successor is not None:
        to = subscription.successor
        moved = {"subscription_id": to.id, "locked_at": Workspace.locked_at if to.locks else None}
        return _Step(SETTLED, to.provider, to.id, moved), sa.true()
    if subscription.on_end == SWITCH:
        values = {"settlement_method": BILLING_CENTER, "locked_at": None}
        return _Step(SETTLED, BILLING_CENTER, subscription.id, values), sa.true()
    since = subscription.stopped_at or clock.now()
    return _Step(LOCKED, NONE, subscription.id, {"locked_at": since}), ~told_locked


def _take(subscription: Subscription, step: _Step, ids: list[int], stale: sa.ColumnElement[bool]) -> None:
    settlement.write_first_lines(ids)
    changed = db.session.execute(
        sa.update(Workspace)
        .where(Workspace.id.in_(ids), settlement.bound_to(subscription.id), stale)
        .values(settlement_number=Workspace.settlement_number + 1, **step.values)
        .returning(Workspace.id, Workspace.settlement_number),
        execution_options={"synchronize_session": False},
    ).all()
    by = f"marketplace {subscription.cloud_account.partition}"
    settlement.write_down_all(
        [(row.id, row.settlement_number) for row in changed], step.what, step.method, step.subscription_id, by
    )
    outbox.enqueue("billing.tell_site", {"workspaces": [row.id for row in changed]})


def _held(subscription_id: int) -> Subscription:
    """The subscription, which nobody changes before our commit. Others may read it so too."""
    return db.session.scalars(
        sa.select(Subscription)
        .where(Subscription.id == subscription_id)
        .options(sa.orm.joinedload(Subscription.successor))
        .with_for_update(read=True, of=Subscription)
        .execution_options(populate_existing=True)
    ).one()


# Who is told ------------------------------------------------------------------------------------------------


def _news(subscription: Subscription) -> str | None:
    """What people are written about when its workspaces have followed."""
    if subscription.state != ENDED or subscription.successor_id is not None:
        return None
    return {SWITCH: "switched", STAY: None}.get(subscription.on_end or LOCK, "ended")


def spread(subscription: Subscription, what: str, occasion: str = "") -> None:
    """Have everybody concerned written to, once each: "ended", "switched", "warning" or "closed". Another ``occasion``
    looks once more who is: workspaces that came to it later have owners too."""
    payload = {"subscription": subscription.id, "life": subscription.lives, "what": what, "after": 0}
    outbox.enqueue(
        "billing.spread", payload, key=f"spread {what}:{subscription.id}:{subscription.lives}:{occasion}"
    )


def tell_site(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.tell_site``: what these workspaces' sites let people do with them now."""
    rows = db.session.execute(
        sa.select(
            Workspace.site_id,
            Workspace.public_id,
            Workspace.state,
            Workspace.locked_at,
            Workspace.settlement_number,
        ).where(Workspace.id.in_(payload["workspaces"]), Workspace.state != BEING_MADE)
    ).all()
    release()
    by_site: dict[str, list[gateway.Access]] = {}
    for row in rows:
        access = {CLOSED: "closed", DISSOLVED: "dissolved"}.get(
            row.state, "open" if row.locked_at is None else "locked"
        )
        told = gateway.Access(row.public_id, access, row.settlement_number)
        by_site.setdefault(row.site_id, []).append(told)
    for site_id, accesses in by_site.items():
        gateway.console().set_access(site_id, accesses)
