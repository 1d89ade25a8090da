"""What AWS's messages say: :func:`read` one of them, and :func:`fold` all of one purchase into what became of it.

Facts: EventBridge events of ``aws.agreement-marketplace`` and SNS notifications of SaaS products, in the *AWS
Marketplace seller guide*. Both come at least once and in any order, so what counts is the time each carries, and a
fold over all of them: it asks no database and no clock.
"""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from wizard.billing import models as why
from wizard.billing.subscriptions import Purchase
from wizard.marketplaces.protocol import Said, Unreadable

EVENTS_FROM = "aws.agreement-marketplace"

CREATED = "Purchase Agreement Created"
ENDED = "Purchase Agreement Ended"
LICENSE_UPDATED = "License Updated"
DEPROVISIONED = "License Deprovisioned"

SUBSCRIBED = "subscribe-success"
FAILED = "subscribe-fail"
UNSUBSCRIBED = "unsubscribe-success"
ENTITLED = "entitlement-updated"

LANDED = "landed"
"""Ours: a buyer brought a new token, so the purchase was there."""
UNANSWERED = "deprovisioned-unanswered"
"""Ours: the licence was taken back, and why was not said within the hour."""
NO_ENTITLEMENTS = "entitlements-gone"
ENTITLED_AGAIN = "entitlements-back"
"""Ours: what GetEntitlements answered changed from something to nothing, and back."""
NOT_ACTIVE = "agreement-not-active"
"""Ours: DescribeAgreement answered that the agreement is over."""

_WHY = {
    FAILED: why.FAILED,
    UNSUBSCRIBED: why.CANCELLED,
    UNANSWERED: why.DEPROVISIONED,
    NO_ENTITLEMENTS: why.EXPIRED,
}
_STATUSES = (why.CANCELLED, why.EXPIRED, why.TERMINATED, why.RENEWED, why.REPLACED)
_ENDS = (ENDED, NOT_ACTIVE, *_WHY)

READ_ENTITLEMENTS, READ_STATUS = "marketplaces.read_entitlements", "marketplaces.read_status"
"""What is asked of AWS because of a message, by the outbox's name for it."""

TOKEN_LIFE = timedelta(hours=4)
"""How long a token may still be brought after the purchase it is of has ended."""

_IDENTIFIER = re.compile(r"[\x21-\x7e]{0,256}")
_PRINTABLE = re.compile(r"[\x20-\x7e]{1,100}")
_LICENSE_KEY = re.compile(r"[:/](l-[0-9a-z]+)$|^(l-[0-9a-z]+)$")
_ROLE = re.compile(r" - (Proposer|Manufacturer)$")


def license_key_of(arn: str) -> str:
    """The part of a licence's ARN that names it, "l-…": events and tokens do not spell the rest alike."""
    found = _LICENSE_KEY.search(arn)
    return (found[1] or found[2]) if found else ""


def read(
    marketplace: str,
    road: str,
    body: str,
    message_id: str = "",
    at: datetime | None = None,
    topics: Collection[str] = (),
) -> Said:
    """One message, in whatever it is wrapped. Raises :class:`Unreadable`.

    An EventBridge event or a notification of SNS, bare or in an envelope of SNS. ``message_id`` and ``at`` are the
    road's own, for what brings neither. An event is the same whichever way it took: its own id counts. Where ``topics``
    are given an envelope has to name one of them.
    """
    content = _object(body)
    if content.get("Type") == "Notification" and "TopicArn" in content:
        if topics and content["TopicArn"] not in topics:
            raise Unreadable("of a topic that is not ours")
        message_id, at = _text(content, "MessageId"), _time(content.get("Timestamp"))
        content = _object(content.get("Message"))
    if "detail-type" in content:
        facts = _event(content)
    elif "action" in content:
        facts = _notification(content)
    else:
        raise Unreadable("neither an event nor a notification")
    facts = {"message_id": message_id, "at": at, **facts}
    if not facts["message_id"] or facts["at"] is None:
        raise Unreadable("no id or no time")
    facts["message_id"] = f"{marketplace}:{facts['message_id']}"
    return Said(marketplace=marketplace, road=road, payload=content, **facts)


def _event(event: dict[str, Any]) -> dict[str, Any]:
    if event.get("source") != EVENTS_FROM:
        raise Unreadable("an event of something else")
    kind = _ROLE.sub("", str(event["detail-type"]))
    if not _PRINTABLE.fullmatch(kind):
        raise Unreadable("an event of no kind")
    detail = _part(event, "detail")
    agreement = _part(detail, "agreement")
    facts: dict[str, Any] = {
        "message_id": _text(event, "id"),
        "at": _time(event.get("time")),
        "kind": kind,
        "agreement_id": _text(agreement, "id"),
        "previous_agreement_id": _text(agreement, "previousAgreementId"),
        "license_key": license_key_of(_text(_part(detail, "license"), "arn")),
    }
    if kind == ENDED:
        facts["why"] = _text(agreement, "status").lower()
        if facts["why"] not in _STATUSES:
            raise Unreadable("an agreement ended in an unknown way")
    if kind in (CREATED, ENDED, LICENSE_UPDATED, DEPROVISIONED) and not facts["agreement_id"]:
        raise Unreadable("an event of no agreement")
    return facts


def _notification(content: dict[str, Any]) -> dict[str, Any]:
    kind = _text(content, "action")
    product, customer = _text(content, "product-code"), _text(content, "customer-identifier")
    if not kind or not product or not customer:
        raise Unreadable("a notification of no customer or product")
    return {"kind": kind, "customer_key": f"{product}:{customer}", "why": _WHY.get(kind, "")}


def _object(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text, parse_constant=_no_number)
    except (TypeError, ValueError, RecursionError):
        raise Unreadable("not JSON") from None
    if not isinstance(found, dict):
        raise Unreadable("not an object")
    return found


def _no_number(word: str) -> None:
    """NaN and the infinities are no JSON; Python would take them, and no database keeps them."""
    raise ValueError(word)


def _part(of: dict[str, Any], name: str) -> dict[str, Any]:
    found = of.get(name) or {}
    if not isinstance(found, dict):
        raise Unreadable(f"{name} is no object")
    return found


def _text(of: dict[str, Any], name: str) -> str:
    """A word, without the blanks that AWS's own samples have around it; "" where it is missing."""
    found = of.get(name)
    word = "" if found is None else str(found).strip()
    if not _IDENTIFIER.fullmatch(word):
        raise Unreadable(f"{name} is no identifier")
    return word


def _time(told: Any) -> datetime:
    try:
        found = datetime.fromisoformat(told)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise Unreadable("no time") from None


# ── what they say together ──────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Outcome:
    """What became of a purchase: the message that ended it, the agreement that came in its place."""

    end: Said | None = None
    successor: str = ""


def learn(purchase: Purchase, said: Iterable[Said]) -> dict[str, str]:
    """The agreement or the licence of a purchase that is known by the other one only, by column."""
    for one in _in_order(said):
        if one.kind != LICENSE_UPDATED:
            continue
        if not purchase.license_arn and purchase.agreement_id == one.agreement_id and one.license_key:
            arn = str(one.payload["detail"]["license"]["arn"]).strip()
            return {"license_arn": arn if arn.startswith("arn:") else f"arn:{arn}"}
        if not purchase.agreement_id and license_key_of(purchase.license_arn) == one.license_key != "":
            return {"agreement_id": one.agreement_id}
    return {}


def question(purchase: Purchase, one: Said) -> str:
    """What has to be asked because of a message about a purchase; "" for nothing.

    A licence that was taken back asks for no entitlements: the agreement says why that was, and a renewal takes the old
    licence back too.
    """
    if one.kind in (ENTITLED, LICENSE_UPDATED):
        return READ_ENTITLEMENTS
    if one.kind in (FAILED, UNSUBSCRIBED) and not _by_customer(purchase):
        return READ_STATUS
    return ""


def why_not_active(status: str) -> str:
    """Why an agreement of this status is over; "" for one that is not, or of which the status does not say so."""
    return status.lower() if status.lower() in (*_STATUSES, why.ARCHIVED) else ""


def fold(purchase: Purchase, said: Iterable[Said]) -> Outcome:
    """What all messages of a purchase say, whatever their number and order of arrival.

    An agreement ends once and says why; nothing revives it, since who subscribes again gets another one. A customer of
    a legacy listing keeps one identifier for all times they subscribe, so there the newest message decides, and the
    "unsubscribed" of an earlier time may never have come.
    """
    end, successor = None, ""
    for one in _in_order(said):
        if one.kind == CREATED and one.previous_agreement_id == purchase.agreement_id != "":
            successor = successor or one.agreement_id
        elif not _is_of(purchase, one):
            continue
        elif one.kind in _ENDS:
            end = one if end is None or (one.kind == ENDED != end.kind) else end
        elif end is not None and _revives(purchase, one, end):
            end = None
    return Outcome(end, successor if successor != purchase.agreement_id else "")


def _in_order(said: Iterable[Said]) -> list[Said]:
    return sorted({one.message_id: one for one in said}.values(), key=lambda one: (one.at, one.message_id))


def _is_of(purchase: Purchase, one: Said) -> bool:
    """Whether a message speaks of this very purchase.

    A notification names a customer, who may have had several agreements, before and beside each other. It is no proof
    about any one of them; what is true of it is asked (:func:`question`).
    """
    if one.kind == ENDED:
        return one.agreement_id == purchase.agreement_id
    return not one.customer_key or _by_customer(purchase)


def _revives(purchase: Purchase, one: Said, end: Said) -> bool:
    if one.kind == ENTITLED_AGAIN and end.kind == NO_ENTITLEMENTS:
        return True
    if not _by_customer(purchase):
        return False
    if one.kind == LANDED:
        return one.at > end.at + TOKEN_LIFE
    return one.kind in (SUBSCRIBED, ENTITLED_AGAIN)


def _by_customer(purchase: Purchase) -> bool:
    """Whether customer and product are what names this purchase (see ``aws.AwsMarketplace._key``)."""
    return bool(purchase.customer_identifier) and ":customer:" in purchase.identity
