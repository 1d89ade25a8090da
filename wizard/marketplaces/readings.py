"""What a marketplace is asked because of a message that does not say it itself; the answer becomes a message too.

Entitlements: the message is the same for new, more, less and none. Products that are paid by use only never have any,
so only something that became nothing says that a purchase has ended; and of an agreement not even that, since a renewal
empties the old one: there its status is asked. The status, too, where a notification names a customer and not which of
their agreements it is about.
"""

from datetime import datetime
from typing import Any

from wizard import clock, outbox
from wizard.billing import subscriptions
from wizard.billing.models import ENDED, EXPIRED, Subscription
from wizard.extensions import db
from wizard.marketplaces import aws_messages, inbox
from wizard.marketplaces.protocol import Denied, Said, all_marketplaces
from wizard.transactions import release

AS_HERE, NO_ENTITLEMENTS = "ACTIVE", "no entitlements"
"""Answers of :func:`status_of` besides what AWS calls the status of an agreement."""


def status_of(subscription: Subscription) -> str:
    """Whether a purchase that is active here is so at its marketplace: :data:`AS_HERE`, or what it is instead.

    Uses the network; raises :class:`Denied`, and anything where another try may do.
    """
    marketplace = all_marketplaces()[subscription.cloud_account.partition]
    purchase = inbox.purchase_of(subscription)
    status = marketplace.status(purchase)
    if status not in ("", AS_HERE):
        return status
    if subscription.entitlements and not marketplace.entitlements(purchase):
        return NO_ENTITLEMENTS
    return AS_HERE


def read_status(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``marketplaces.read_status``. A status that does not say that it is over ends nothing."""
    subscription = _asked_about(payload)
    if subscription.state == ENDED:
        raise outbox.NoLongerNeeded("it has ended meanwhile")
    purchase = inbox.purchase_of(subscription)
    release()
    asked_at = clock.now()
    try:
        status = status_of(subscription)
    except Denied as error:
        raise outbox.NoLongerNeeded("the marketplace does not let us ask") from error
    if status == NO_ENTITLEMENTS:  # Read and written down in one place only.
        outbox.enqueue(aws_messages.READ_ENTITLEMENTS, payload, f"entitlements:status:{entry_id}")
    elif why := aws_messages.why_not_active(status):
        inbox.receive(_said(purchase, entry_id, asked_at, aws_messages.NOT_ACTIVE, why))


def _asked_about(payload: dict[str, Any]) -> Subscription:
    subscription = db.session.get_one(Subscription, payload["subscription"])
    if not all_marketplaces()[subscription.cloud_account.partition].sells:
        raise outbox.NoLongerNeeded("nothing is sold there")
    return subscription


def read_entitlements(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``marketplaces.read_entitlements``."""
    subscription = _asked_about(payload)
    marketplace = all_marketplaces()[subscription.cloud_account.partition]
    purchase, had_some = inbox.purchase_of(subscription), bool(subscription.entitlements)
    release()
    asked_at = clock.now()
    try:
        found = marketplace.entitlements(purchase)
        status = marketplace.status(purchase) if had_some and not found else ""
    except Denied as error:
        raise outbox.NoLongerNeeded("the marketplace does not let us ask") from error
    subscription = db.session.get_one(Subscription, payload["subscription"])
    subscriptions.hold(subscription)
    if subscription.entitlements_at is not None and subscription.entitlements_at >= asked_at:
        raise outbox.NoLongerNeeded("somebody has asked since")
    before = subscription.entitlements
    if status and not aws_messages.why_not_active(status):
        raise outbox.NoLongerNeeded("its agreement goes on")  # The nightly comparison tells staff.
    subscription.entitlements, subscription.entitlements_at = found, asked_at
    db.session.flush()
    if status:
        why = aws_messages.why_not_active(status)
        inbox.receive(_said(purchase, entry_id, asked_at, aws_messages.NOT_ACTIVE, why))
    elif before and not found:
        inbox.receive(_said(purchase, entry_id, asked_at, aws_messages.NO_ENTITLEMENTS, EXPIRED))
    elif found and before == []:
        inbox.receive(_said(purchase, entry_id, asked_at, aws_messages.ENTITLED_AGAIN))


def _said(
    purchase: subscriptions.Purchase, entry_id: int, asked_at: datetime, kind: str, why: str = ""
) -> Said:
    """What was read, as a message about this very purchase: by the strongest name it has, since its customer may have
    others."""
    names = {
        "agreement_id": purchase.agreement_id,
        "license_key": aws_messages.license_key_of(purchase.license_arn),
        "customer_key": f"{purchase.product_code}:{purchase.customer_identifier}",
    }
    name = next(name for name, value in names.items() if value)
    return Said(
        message_id=f"{purchase.partition}:reading:{entry_id}",
        marketplace=purchase.partition,
        road="reading",
        kind=kind,
        at=asked_at,
        why=why,
        **dict[str, Any]({name: names[name]}),
    )
