"""The inbox: what a marketplace says is written down once, and the purchase it is of is made what all of it says.

A message is applied by reading every message of its purchase and folding them (:meth:`.protocol.Marketplace.life`), so
that neither how often they come nor in what order can matter. One of a purchase nobody has registered here waits; it
is applied when the buyer lands, a moment after that, and by the calendar. Why so: docs/decisions/0026-messages-in.md.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from wizard import clock, metrics, outbox
from wizard.billing import endings, subscriptions
from wizard.billing.models import CloudAccount, Subscription
from wizard.extensions import change, db, insert
from wizard.marketplaces import aws_messages
from wizard.marketplaces.models import Message
from wizard.marketplaces.protocol import Said, all_marketplaces, unreadable

MOST_TRIES = 8
AGAIN_AFTER = timedelta(minutes=20)
"""The calendar tries so often to apply a message whose application failed, and so long after; then somebody has to
look."""

BATCH = 100

NOT_APPLIED = "could not be applied"

_FACTS = tuple(field.name for field in fields(Said))

log = logging.getLogger("wizard.marketplaces.inbox")


def receive(said: Said) -> str:
    """Write a message down and apply it, in the present transaction. Returns what became of it, for the metrics.

    "duplicate", "unreadable", "waits" (its purchase is not known), "applied", or "failed": a mistake of ours in
    applying it does not lose it.
    """
    kept = _keep(said)
    outcome = _take(kept) if kept else "duplicate"
    metrics.MESSAGES.labels(said.marketplace, said.road, outcome).inc()
    log.info(
        "a message came",
        extra={"marketplace": said.marketplace, "road": said.road, "kind": said.kind, "outcome": outcome},
    )
    return outcome


def _keep(said: Said) -> Said | None:
    """Write a message down as it is, or else that it cannot be: it must stop neither its queue nor its sender. None
    where it is there."""
    try:
        with db.session.begin_nested():
            return said if _write(said) else None
    except (sa.exc.StatementError, ValueError, OverflowError) as error:
        if isinstance(error, sa.exc.DBAPIError) and not isinstance(error, sa.exc.DataError):
            raise  # Not because of the message.
    body = json.dumps(said.payload)
    aside = unreadable(said.marketplace, said.road, said.message_id, body, "the database cannot keep it")
    return aside if _write(aside) else None


def _write(said: Said, **more: Any) -> bool:
    """Into the inbox, once. False where it is there."""
    now, facts = clock.now(), {name: getattr(said, name) for name in _FACTS}
    values = {"received_at": now, "try_after": now, "tries": MOST_TRIES if said.problem else 0, **more}
    row = insert(Message).values(**facts, **values).on_conflict_do_nothing()
    return db.session.scalar(row.returning(Message.id)) is not None


def _take(said: Said) -> str:
    if said.problem:
        log.error("a message was set aside", extra={"alert": "message", "problem": said.problem})
        return "unreadable"
    # What is renewed is held before what it is renewed as, by everybody: two who wait for each other never come on.
    found = sorted(
        db.session.scalars(_subscriptions_of([said])),
        key=lambda one: one.agreement_id != said.previous_agreement_id,
    )
    if _try(bring_up_to_date, *found):
        return "applied" if found else "waits"
    _count_try(said.message_id)
    return "failed"


def _try(apply: Callable[[Subscription], object], *found: Subscription) -> bool:
    """A mistake of ours in applying a message must lose neither it nor what came with it."""
    try:
        with db.session.begin_nested():
            for subscription in found:
                apply(subscription)
    except Exception:
        log.exception("a message could not be applied")
        return False
    return True


def _count_try(message_id: str) -> None:
    """A message that is not applied yet is tried again later, and not for ever."""
    tries = db.session.scalar(
        sa.update(Message)
        .where(Message.message_id == message_id, Message.applied_at.is_(None))
        .values(tries=Message.tries + 1, try_after=clock.now() + AGAIN_AFTER, problem=NOT_APPLIED)
        .returning(Message.tries),
        execution_options={"synchronize_session": False},
    )
    if tries == MOST_TRIES:
        log.error("a message cannot be applied", extra={"alert": "message", "of": message_id})


def _subscriptions_of(said: Sequence[Said | Message]) -> sa.Select[Subscription]:
    """The purchases that messages speak of: of one its own, and the one it renews. A few more where they are many."""
    agreements = {name for one in said for name in (one.agreement_id, one.previous_agreement_id) if name}
    customers = {one.customer_key.split(":", 1)[1] for one in said if one.customer_key}
    products = {one.customer_key.split(":", 1)[0] for one in said if one.customer_key}
    licences = {one.license_key for one in said if one.license_key}
    by_licence = (Subscription.license_arn.endswith(key, autoescape=True) for key in sorted(licences))
    return (
        sa.select(Subscription)
        .join(Subscription.cloud_account)
        .where(
            CloudAccount.partition.in_({one.marketplace for one in said}),
            sa.or_(
                Subscription.agreement_id.in_(agreements),
                sa.and_(
                    Subscription.customer_identifier.in_(customers), Subscription.product_code.in_(products)
                ),
                sa.and_(Subscription.agreement_id.is_(None), sa.or_(sa.false(), *by_licence)),
            ),
        )
        .order_by(Subscription.id)
    )


def bring_up_to_date(subscription: Subscription) -> None:
    """Make a purchase what all its messages say, and have asked what one of them leaves open.

    It holds the purchase's row from before it reads them: of two that come at once, the second sees both.
    """
    subscriptions.hold(subscription)
    _catch_up(subscription)


def _catch_up(subscription: Subscription) -> None:
    """What :func:`bring_up_to_date` does to a purchase that is held."""
    rows = _apply_all(subscription)
    purchase = purchase_of(subscription)
    asked = {
        question: outbox.Due(
            question, {"subscription": subscription.id}, f"{question}:{subscription.id}:{row.id}"
        )
        for row in sorted(rows, key=lambda row: row.id)
        if (question := aws_messages.question(purchase, _said(row)))
    }  # Once for the newest: one message may ask about many purchases, and was applied with the first of them.
    outbox.enqueue_all(asked.values())


def _apply_all(subscription: Subscription) -> list[Message]:
    """Make a purchase that is held what its messages say. Returns all of them."""
    marketplace = all_marketplaces()[subscription.cloud_account.partition]
    rows = _messages_of(subscription)
    while learned := marketplace.learn(purchase_of(subscription), map(_said, rows)):
        for column, name in learned.items():
            setattr(subscription, column, name)
        rows = _messages_of(subscription)  # It has one more name now, so there may be more of them.
    if not rows:
        return []
    life = marketplace.life(purchase_of(subscription), map(_said, rows))
    endings.live(subscription, life)
    new = [row for row in rows if row.applied_at is None]
    if new:
        change(
            sa.update(Message)
            .where(Message.id.in_([row.id for row in new]))
            .values(applied_at=clock.now(), problem="")
        )
    if new and life.successor is not None and subscription.successor is not None:
        bring_up_to_date(subscription.successor)  # What came of it waited until it was known.
    return rows


def purchase_of(subscription: Subscription) -> subscriptions.Purchase:
    """What is known of a purchase, as its marketplace's module takes it."""
    return subscriptions.Purchase(
        provider=subscription.provider,
        partition=subscription.cloud_account.partition,
        identity=subscription.identity,
        product_code=subscription.product_code,
        account_id=subscription.cloud_account.account_id,
        agreement_id=subscription.agreement_id or "",
        license_arn=subscription.license_arn or "",
        customer_identifier=subscription.customer_identifier or "",
    )


def _messages_of(subscription: Subscription) -> list[Message]:
    """Every message of a purchase, by any of its names."""
    names = _names_of(subscription)
    of_it = (column == value for column, value in names.items())
    return list(
        db.session.scalars(
            sa.select(Message).where(
                Message.marketplace == subscription.cloud_account.partition, sa.or_(sa.false(), *of_it)
            )
        )
    )


def _names_of(subscription: Subscription) -> dict[Any, str]:
    customer = subscription.customer_identifier
    names: dict[Any, str | None] = {
        Message.agreement_id: subscription.agreement_id,
        Message.previous_agreement_id: subscription.agreement_id,
        Message.license_key: aws_messages.license_key_of(subscription.license_arn or ""),
        Message.customer_key: customer and f"{subscription.product_code}:{customer}",
    }
    return {column: value for column, value in names.items() if value}


def _said(row: Message) -> Said:
    return Said(**{name: getattr(row, name) for name in _FACTS})


# ── what waited ─────────────────────────────────────────────────────────────────────────────────────────────────


def landed(subscription: Subscription, token_hash: str, is_new: bool) -> None:
    """A buyer has brought a new token: apply what came before them. ``is_new``: and with it a new purchase.

    That is looked at once more when this is committed: a message that arrives at this very moment sees no purchase yet,
    and is not seen from here. The caller has just recorded it, so the row is held.
    """
    if subscription.customer_identifier:
        partition = subscription.cloud_account.partition
        said = Said(
            message_id=f"{partition}:landing:{token_hash}",
            marketplace=partition,
            road="landing",
            kind=aws_messages.LANDED,
            at=clock.now(),
            customer_key=f"{subscription.product_code}:{subscription.customer_identifier}",
        )
        _write(said, applied_at=said.at)
    _try(_apply_all if is_new else _catch_up, subscription)
    if is_new:
        outbox.enqueue("marketplaces.replay", {"subscription": subscription.id}, f"replay:{subscription.id}")


def replay(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``marketplaces.replay``: once more, for a purchase that was registered a moment ago."""
    subscription = db.session.get_one(Subscription, payload["subscription"])
    bring_up_to_date(subscription)
    if subscription.entitlements_at is None:
        outbox.enqueue(
            aws_messages.READ_ENTITLEMENTS,
            {"subscription": subscription.id},
            f"entitlements:first:{subscription.id}",
        )


def replay_waiting() -> bool:
    """The calendar: apply what waits and is of a purchase that is known by now. False when nothing is due any more.

    One purchase a transaction, so that it holds no other. What nobody knows is looked at ever more rarely: the landing
    finds it anyway.
    """
    now = clock.now()
    waiting = db.session.scalars(
        sa.select(Message)
        .where(Message.applied_at.is_(None), Message.tries < MOST_TRIES, Message.try_after <= now)
        .order_by(Message.try_after, Message.id)
        .limit(BATCH)
    ).all()
    for subscription in db.session.scalars(_subscriptions_of(waiting)) if waiting else ():
        names = {column.key: name for column, name in _names_of(subscription).items()}
        its = [one for one in waiting if any(getattr(one, key) == name for key, name in names.items())]
        if its:
            _try(bring_up_to_date, subscription)
            for one in its:
                _count_try(one.message_id)
            return True
    later = [{"id": one.id, "try_after": now + max(AGAIN_AFTER, now - one.received_at)} for one in waiting]
    if later:
        db.session.execute(sa.update(Message), later)
    return bool(later)
