"""What a buyer is entitled to, asked anew whenever a message says that it may have changed.

The message itself is the same for new, more, less and none. Products that are paid by use only never have any, so only
something that became nothing says that a purchase has ended; and that is put into the inbox as a message too.
"""

from typing import Any

from wizard import clock, outbox
from wizard.billing import subscriptions
from wizard.billing.models import EXPIRED, Subscription
from wizard.extensions import db
from wizard.marketplaces import aws_messages, inbox
from wizard.marketplaces.protocol import Denied, Said, all_marketplaces
from wizard.transactions import release


def read(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``marketplaces.read_entitlements``."""
    subscription = db.session.get_one(Subscription, payload["subscription"])
    marketplace = all_marketplaces()[subscription.cloud_account.partition]
    if not marketplace.sells:
        raise outbox.NoLongerNeeded("nothing is sold there")
    purchase = inbox.purchase_of(subscription)
    release()
    asked_at = clock.now()
    try:
        found = marketplace.entitlements(purchase)
    except Denied as error:
        raise outbox.NoLongerNeeded("the marketplace does not let us ask") from error
    subscription = db.session.get_one(Subscription, payload["subscription"])
    subscriptions.hold(subscription)
    if subscription.entitlements_at is not None and subscription.entitlements_at >= asked_at:
        raise outbox.NoLongerNeeded("somebody has asked since")
    before = subscription.entitlements
    subscription.entitlements, subscription.entitlements_at = found, asked_at
    db.session.flush()
    if before and not found:
        inbox.receive(_said(purchase, entry_id, aws_messages.NO_ENTITLEMENTS, EXPIRED))
    elif found and before == []:
        inbox.receive(_said(purchase, entry_id, aws_messages.ENTITLED_AGAIN))


def _said(purchase: subscriptions.Purchase, entry_id: int, kind: str, why: str = "") -> Said:
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
        at=clock.now(),
        why=why,
        **dict[str, Any]({name: names[name]}),
    )
