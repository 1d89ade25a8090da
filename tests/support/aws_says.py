"""What AWS says of purchases, in its own words: events of EventBridge, notifications of SNS, and really signed.

body = event("Purchase Agreement Ended - Proposer", "agmt-1", minutes=3, status="CANCELLED")
topic = Topic("aws", "…-payg");  sent = topic.notify(legacy("unsubscribe-success", "X01"))
"""

import base64
import itertools
import json
import uuid
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

BEGAN = datetime(2026, 4, 7, 14, 0, tzinfo=UTC)
SUFFIXES = {"aws": "amazonaws.com", "aws-cn": "amazonaws.com.cn", "aws-eusc": "amazonaws.eu"}
REGIONS = {"aws": "us-east-1", "aws-cn": "cn-northwest-1", "aws-eusc": "eusc-de-east-1"}

_numbers = itertools.count(1)


def license_arn(agreement: str) -> str:
    number = agreement.rpartition("-")[2].encode().hex()
    return f"arn:aws:license-manager::294406891311:license:l-{number:0>32}"


def event(kind: str, agreement: str, minutes: float = 0, **facts: Any) -> dict[str, Any]:
    """An event of an agreement, so many minutes after :data:`BEGAN`; ``facts`` are members of its agreement.

    Licence events carry product and licence, the others neither, as captured from AWS.
    """
    detail: dict[str, Any] = {
        "requestId": str(uuid.uuid4()),
        "catalog": "AWSMarketplace",
        "acceptor": {"accountId": "782858285006"},
        "proposer": {"accountId": "993604559884"},
        "agreement": {"id": agreement, **facts},
    }
    if kind.startswith("License"):
        detail["license"] = {"arn": license_arn(agreement)}
        detail["product"] = {"id": "prod-k35yywhyj4eqg", "code": "payg-7f3k2m9q4x"}
    return {
        "version": "0",
        "id": str(uuid.UUID(int=next(_numbers))),
        "detail-type": kind,
        "source": "aws.agreement-marketplace",
        "account": "993604559884",
        "time": f"{BEGAN + timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}",
        "region": "us-east-1",
        "resources": [f"arn:aws:aws-marketplace::aws:agreement:{agreement}"],
        "detail": detail,
    }


def created(agreement: str, minutes: float = 0, **facts: Any) -> dict[str, Any]:
    facts = {"intent": "NEW", "status": "ACTIVE", "endTime": "9999-01-01T00:00:00Z", **facts}
    return event("Purchase Agreement Created - Proposer", agreement, minutes, **facts)


def renewed_as(agreement: str, previous: str, minutes: float = 0) -> dict[str, Any]:
    return created(agreement, minutes, intent="RENEW", previousAgreementId=previous)


def licensed(agreement: str, minutes: float = 1) -> dict[str, Any]:
    return event("License Updated - Manufacturer", agreement, minutes)


def ended(agreement: str, minutes: float = 60, status: str = "CANCELLED") -> dict[str, Any]:
    return event("Purchase Agreement Ended - Proposer", agreement, minutes, status=status)


def deprovisioned(agreement: str, minutes: float = 61) -> dict[str, Any]:
    return event("License Deprovisioned - Manufacturer", agreement, minutes)


def life(agreement: str, status: str = "CANCELLED") -> list[dict[str, Any]]:
    """The four events of a purchase that ended, in the order of their times."""
    return [
        created(agreement),
        licensed(agreement),
        ended(agreement, status=status),
        deprovisioned(agreement),
    ]


def legacy(action: str, customer: str, product: str = "payg-cn-4w9t1r8e6y") -> dict[str, Any]:
    """A notification. AWS's own samples have the blank before the identifier."""
    return {"action": action, "customer-identifier": f" {customer}", "product-code": product}


class Topic:
    """A topic of SNS that signs what it sends, with a certificate that is served at AWS's own address for it."""

    def __init__(
        self, partition: str = "aws-cn", name: str = "aws-mp-subscription-notification-payg-cn-4w9t1r8e6y"
    ) -> None:
        self.region = REGIONS[partition]
        self.arn = f"arn:{partition}:sns:{self.region}:287250355862:{name}"
        self.host = f"https://sns.{self.region}.{SUFFIXES[partition]}"
        self.certificate_url = f"{self.host}/SimpleNotificationService-{'0123456789abcdef' * 2}.pem"

    def notify(self, message: Any, at: datetime | None = None, **changes: Any) -> dict[str, Any]:
        """A signed notification. ``changes`` are made before it is signed; None leaves a member out."""
        text = message if isinstance(message, str) else json.dumps(message)
        return self._sign({"Type": "Notification", "Message": text}, at, changes)

    def confirm(self, at: datetime | None = None, **changes: Any) -> dict[str, Any]:
        """What a topic sends to an address that somebody subscribed."""
        what = {
            "Type": "SubscriptionConfirmation",
            "Message": f"You have chosen to subscribe to the topic {self.arn}.",
            "Token": "2336412f37fb687f5d51e6e241d09c805a5a57b30d712f794cc5f6a988666d92",
            "SubscribeURL": f"{self.host}/?Action=ConfirmSubscription&TopicArn={self.arn}&Token=2336412f37",
        }
        return self._sign(what, at, changes)

    def _sign(self, what: dict[str, Any], at: datetime | None, changes: dict[str, Any]) -> dict[str, Any]:
        moment = at or datetime.now(UTC)
        envelope = {
            **what,
            "MessageId": str(uuid.uuid4()),
            "TopicArn": self.arn,
            "Timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z",
            "SignatureVersion": "2",
            "SigningCertURL": self.certificate_url,
            **changes,
        }
        envelope = {name: value for name, value in envelope.items() if value is not None}
        return {**envelope, "Signature": signature(envelope)}


def signature(envelope: dict[str, Any], key: rsa.RSAPrivateKey | None = None) -> str:
    """What SNS's documentation says the signature of an envelope is, written apart from the code that checks it."""
    order = ["Message", "MessageId"]
    order += ["Subject"] if "Subject" in envelope else []
    order += ["SubscribeURL", "Timestamp", "Token"] if "Token" in envelope else ["Timestamp"]
    signed = "".join(f"{name}\n{envelope[name]}\n" for name in [*order, "TopicArn", "Type"])
    digest = hashes.SHA1() if envelope["SignatureVersion"] == "1" else hashes.SHA256()
    return base64.b64encode((key or a_key()).sign(signed.encode(), padding.PKCS1v15(), digest)).decode()


@cache
def a_key(_number: int = 0) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def certificate(begins: datetime = BEGAN - timedelta(days=3650), days: int = 36500) -> bytes:
    """The PEM file of the key that signs, good for these days."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(a_key().public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=days))
        .sign(a_key(), hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)
