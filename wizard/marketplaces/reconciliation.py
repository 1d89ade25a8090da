"""What no message told: once a day what is written here is compared with what the marketplaces say.

Nothing is ended because of it. What it finds is written on the purchase, told to staff in one mail, once each, and
forgotten when it is no longer so. The one thing the calendar decides by itself is a licence that was taken back without
a word on why (:func:`unanswered`), and that is put into the inbox as a message.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import sqlalchemy.orm
from flask import current_app
from flask_babel import force_locale
from flask_babel import gettext as _

from wizard import clock, outbox
from wizard.billing.models import (
    ACTIVE,
    DEPROVISIONED,
    ENDED,
    RENEWED,
    REPLACED,
    CloudAccount,
    Subscription,
)
from wizard.billing.wording import cloud_account_name, purchase_id
from wizard.extensions import change, db
from wizard.marketplaces import aws_messages, inbox, readings
from wizard.marketplaces.models import Message
from wizard.marketplaces.protocol import Denied, Said, all_marketplaces
from wizard.outbox.models import OutboxEntry
from wizard.transactions import release

UNANSWERED_AFTER = timedelta(hours=1)
"""AWS's window for final metering: whatever ends an agreement has said so by then."""

BATCH = 20
SECONDS = 20.0
PAUSE = 0.05
"""Purchases in one entry of the outbox, how long it may take, and seconds between two questions: AWS allows few a
second, and shares them with the landings."""

UNREGISTERED_AFTER = timedelta(days=1)
UNREGISTERED = "nobody has registered it"

LISTED = 50
"""So many findings are spelled out in the mail."""

NO_END, NO_SUCCESSOR = "no end", "no successor"

log = logging.getLogger("wizard.marketplaces")


def unanswered() -> bool:
    """The calendar: a licence was taken back an hour ago and no end of its agreement has come: that is its end.

    False when there is no more. Should the end come yet, it says why, and counts.
    """
    answer = sa.orm.aliased(Message)
    waits = db.session.scalar(
        sa.select(Message)
        .where(
            Message.kind == aws_messages.DEPROVISIONED,
            Message.received_at <= clock.now() - UNANSWERED_AFTER,
            ~sa.exists().where(
                answer.agreement_id == Message.agreement_id,
                answer.marketplace == Message.marketplace,
                answer.kind.in_((aws_messages.ENDED, aws_messages.UNANSWERED)),
            ),
        )
        .limit(1)
    )
    if waits is None:
        return False
    inbox.receive(
        Said(
            message_id=f"{waits.message_id}:unanswered",
            marketplace=waits.marketplace,
            road="calendar",
            kind=aws_messages.UNANSWERED,
            at=waits.at,
            agreement_id=waits.agreement_id,
            license_key=waits.license_key,
            why=DEPROVISIONED,
        )
    )
    return True


def begin() -> bool:
    """The calendar: have the day's comparison on its way, once whatever the number of workers. False where it is."""
    key = f"compare:{clock.now().date()}"
    known = sa.select(sa.exists().where(OutboxEntry.dedupe_key == key))
    if not _selling() or db.session.scalar(known):
        return False
    payload = {"day": key, "began": clock.now().isoformat(), "after": 0}
    outbox.enqueue("marketplaces.compare", payload, key)
    return True


def _selling() -> list[str]:
    return [name for name, marketplace in all_marketplaces().items() if marketplace.sells]


def compare(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``marketplaces.compare``: a batch of purchases, and the rest in an entry of its own."""
    batch = db.session.scalars(
        sa.select(Subscription)
        .join(Subscription.cloud_account)
        .where(
            Subscription.state == ACTIVE,
            Subscription.id > payload["after"],
            CloudAccount.partition.in_(_selling()),
        )
        .order_by(Subscription.id)
        .limit(BATCH)
    ).all()
    release()
    until, found = time.monotonic() + SECONDS, {}
    for subscription in batch:
        found[subscription.id] = _doubt_of(subscription)
        if time.monotonic() > until:
            break
        time.sleep(PAUSE)
    for subscription_id, doubt in found.items():
        _write(Subscription.id == subscription_id, Subscription.state == ACTIVE, doubt=doubt)
    if found:
        outbox.enqueue(
            "marketplaces.compare",
            {**payload, "after": max(found)},
            f"{payload['day']}:{max(found)}",
        )
    else:
        outbox.enqueue("marketplaces.report", payload, f"report:{payload['day']}")


def _doubt_of(subscription: Subscription) -> str | None:
    """What the marketplace says that is not as it is here. Uses the network."""
    try:
        status = readings.status_of(subscription)
    except Denied:
        return subscription.doubt  # Somebody has been alarmed; nothing more is known than before.
    return None if status == readings.AS_HERE else status


def _write(*conditions: sa.ColumnElement[bool], doubt: str | None) -> None:
    """On the purchases of which it is not known yet."""
    change(
        sa.update(Subscription)
        .where(*conditions, Subscription.doubt.is_distinct_from(doubt))
        .values(doubt=doubt, doubted_at=clock.now() if doubt else None)
    )


def report(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``marketplaces.report``: what the comparison found that staff were not told before."""
    ended = Subscription.state == ENDED
    _write(ended, Subscription.why == DEPROVISIONED, doubt=NO_END)
    renewed = Subscription.why.in_((RENEWED, REPLACED))
    _write(ended, renewed, Subscription.successor_id.is_(None), doubt=NO_SUCCESSOR)
    _write(ended, renewed, Subscription.successor_id.is_not(None), doubt=None)
    began = datetime.fromisoformat(payload["began"])
    doubted = db.session.scalars(
        sa.select(Subscription).where(Subscription.doubted_at >= began).order_by(Subscription.id)
    ).all()
    unregistered = _unregistered()
    if not doubted and not unregistered:
        return
    log.error(
        "purchases are not as the marketplace says",
        extra={"alert": "doubt", "purchases": len(doubted), "unregistered": len(unregistered)},
    )
    with force_locale("en"):
        told = [(_name(subscription), in_words(subscription.doubt or "")) for subscription in doubted]
        told += [
            (name, _("It was bought more than a day ago, and nobody has registered it."))
            for name in unregistered
        ]
    brand = current_app.extensions["brand"]
    context = {"count": len(told), "findings": told[:LISTED], "more": max(0, len(told) - LISTED)}
    outbox.enqueue(
        "mail",
        {"to": brand.support_email, "name": "doubts", "locale": "en", "context": context},
        f"doubts:{payload['day']}",
    )


def _name(subscription: Subscription) -> str:
    return f"{cloud_account_name(subscription.cloud_account)}, {' '.join(purchase_id(subscription))}"


def in_words(doubt: str) -> str:
    """What is doubted about a purchase, for staff."""
    words = {
        readings.NO_ENTITLEMENTS: _(
            "The marketplace lists no entitlement for it any more, and it still pays here."
        ),
        NO_END: _("Its licence was taken back and no message said why, so it was ended here."),
        NO_SUCCESSOR: _("It was renewed, and nothing said as what. Its workspaces stay as they are."),
    }
    return words.get(
        doubt, _("The marketplace says it is %(status)s, and it still pays here.", status=doubt.lower())
    )


def _unregistered() -> list[str]:
    """What names purchases that were told of a day ago and nobody came with; each is named once."""
    other, bought = sa.orm.aliased(Message), (aws_messages.CREATED, aws_messages.SUBSCRIBED)
    over = (aws_messages.ENDED, aws_messages.UNSUBSCRIBED, aws_messages.FAILED)
    rows = db.session.execute(
        sa.update(Message)
        .where(
            Message.kind.in_(bought),
            Message.applied_at.is_(None),
            Message.received_at <= clock.now() - UNREGISTERED_AFTER,
            Message.problem == "",
            ~sa.exists().where(
                other.marketplace == Message.marketplace,
                other.agreement_id == Message.agreement_id,
                other.customer_key == Message.customer_key,
                other.kind.in_(over),
                other.at >= Message.at,
            ),
        )
        .values(problem=UNREGISTERED)
        .returning(Message.agreement_id, Message.customer_key),
        execution_options={"synchronize_session": False},
    ).all()
    return sorted({row.agreement_id or row.customer_key for row in rows})
