"""What AWS says of a purchase, and by which road: pure functions of the purchase and a moment.

Licence-style purchases are told by EventBridge: *AWS Marketplace seller guide*, "Amazon EventBridge events", in the
shape of messages as sellers get them: *Created* and *Ended* name no product and no licence, *Ended* no offer, the
agreement is on all of them, a pay-as-you-go agreement ends in the year 9999. Legacy ones are told by SNS: the same
guide, "Amazon SNS notifications for SaaS products".
"""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from wizard.sandbox.bought import Purchase
from wizard.sandbox.credentials import ROLE_ACCOUNT
from wizard.sandbox.partitions import PARTITIONS

QUEUE, TOPIC = "queue", "topic"
"""The roads: EventBridge's rule puts an event into the seller's queue; SNS posts to who subscribed to a topic."""

SELLER = ROLE_ACCOUNT
NEVER = datetime(9999, 1, 1, tzinfo=UTC)
CONFIRMATION = "SubscriptionConfirmation"
ENTITLED = "entitlement-updated"

_TOPICS_ACCOUNT = "287250355862"


@dataclass(frozen=True)
class Listing:
    """What the seller sells, as AWS names it in messages."""

    title: str
    seller: str


@dataclass(frozen=True)
class Draft:
    """A message before it is sent. ``at``: its own time; ``due``: when it sets out, both in Unix seconds; ``body``: the
    innermost JSON."""

    road: str
    kind: str
    message_id: str
    at: float
    due: float
    body: str


def bought(purchase: Purchase, pace: float, listing: Listing | None = None) -> list[Draft]:
    """What is said of a new purchase. ``pace``: seconds between one message and the next (about a minute at AWS);
    ``listing``: named in a renewal only."""
    at = purchase.created_at
    if purchase.is_licensed:
        return [_created(purchase, at, listing), _licence(purchase, "License Updated", at + pace)]
    return [_notice(purchase, "subscribe-fail" if purchase.status == "FAILED" else "subscribe-success", at)]


def ended(purchase: Purchase, pace: float) -> list[Draft]:
    """What is said when a purchase is over. At AWS legacy sellers have an hour between the two, for metering."""
    at = purchase.cancelled_at or 0.0
    if purchase.is_licensed:
        return [_ended(purchase, at), _licence(purchase, "License Deprovisioned", at + pace)]
    return [
        _notice(purchase, "unsubscribe-pending", at),
        _notice(purchase, "unsubscribe-success", at + pace),
    ]


def entitled(purchase: Purchase, at: float) -> list[Draft]:
    """What is said when a purchase is entitled to something else: that it is, and not to what."""
    if purchase.is_licensed:
        return [_licence(purchase, "License Updated", at)]
    return [_notice(purchase, ENTITLED, at)]


def confirmation(token: str, topic: str, at: float) -> Draft:
    """SNS asks an endpoint whether it wants a topic; ``token`` is what it answers with."""
    says = (
        f"You have chosen to subscribe to the topic {topic}.\n"
        "To confirm the subscription, visit the SubscribeURL included in this message."
    )
    return Draft(
        TOPIC, CONFIRMATION, str(uuid.uuid4()), at, at, json.dumps({"Token": token, "Message": says})
    )


def topic_of(partition: str, product_code: str, kind: str = "") -> str:
    """The topic AWS makes for a listing's subscriptions, or the one for its entitlements, by the kind of a message."""
    here = PARTITIONS[partition]
    about = "entitlement" if kind == ENTITLED else "subscription"
    return here.arn(f"sns:{here.region}:{_TOPICS_ACCOUNT}:aws-mp-{about}-notification-{product_code}")


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC with milliseconds: ``2026-11-20T18:11:57.208Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _created(purchase: Purchase, at: float, renewal_of: Listing | None = None) -> Draft:
    accepted = iso(purchase.created_at)
    agreement: dict[str, Any] = {
        "id": purchase.agreement_id,
        "intent": "NEW",
        "status": "ACTIVE",
        "acceptanceTime": accepted,
        "startTime": accepted,
        "endTime": f"{NEVER:%Y-%m-%dT%H:%M:%SZ}",
    }
    detail: dict[str, Any] = {"agreement": agreement, "offer": {"id": purchase.offer_id}}
    proposer = {"accountId": SELLER}
    if renewal_of is not None:
        agreement |= {"intent": "RENEW", "previousAgreementId": purchase.previous_agreement_id}
        detail["product"] = {"id": purchase.product_id, "title": renewal_of.title}
        proposer["name"] = renewal_of.seller
    detail |= {"proposer": proposer, "resaleAuthorization": {"id": None}}
    return _event(purchase, "Purchase Agreement Created - Proposer", at, detail)


def _ended(purchase: Purchase, at: float) -> Draft:
    agreement = {"id": purchase.agreement_id, "status": purchase.status}
    detail = {"agreement": agreement, "resaleAuthorization": {"id": None}}
    return _event(purchase, "Purchase Agreement Ended - Proposer", at, detail)


def _licence(purchase: Purchase, what: str, at: float) -> Draft:
    detail = {
        "agreement": {"id": purchase.agreement_id},
        "license": {"arn": purchase.license_arn},
        "product": {"id": purchase.product_id, "code": purchase.product_code},
        "offer": {"id": purchase.offer_id},
    }
    return _event(purchase, f"{what} - Manufacturer", at, detail)


def _event(purchase: Purchase, kind: str, at: float, detail: dict[str, Any]) -> Draft:
    here = PARTITIONS[purchase.partition]
    event_id = str(uuid.uuid4())
    event = {
        "version": "0",
        "id": event_id,
        "detail-type": kind,
        "source": "aws.agreement-marketplace",
        "account": SELLER,
        "time": f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}",
        "region": here.region,
        "resources": [here.arn(f"aws-marketplace::aws:agreement:{purchase.agreement_id}")],
        "detail": {
            "requestId": str(uuid.uuid4()),
            "catalog": "AWSMarketplace",
            "acceptor": {"accountId": purchase.account},
            "proposer": {"accountId": SELLER},
        }
        | detail,
    }
    return Draft(QUEUE, kind, event_id, at, at, json.dumps(event))


def _notice(purchase: Purchase, action: str, at: float) -> Draft:
    message = {
        "action": action,
        "customer-identifier": purchase.customer_identifier,
        "product-code": purchase.product_code,
    }
    if action.startswith("subscribe-"):
        message |= {"offer-identifier": purchase.offer_id, "isFreeTrialTermPresent": "false"}
    return Draft(TOPIC, action, str(uuid.uuid4()), at, at, json.dumps(message))
