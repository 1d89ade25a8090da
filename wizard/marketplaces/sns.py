"""Amazon SNS over HTTPS: what proves that a message is of one of our topics, and confirming a subscription.

The signature proves only that *some* topic sent it, and anybody can make a topic: so the topic has to be one of those
in the configuration, and the certificate has to come from that topic's own region. Facts: *Verifying the signatures of
Amazon SNS messages* in the SNS Developer Guide. No library does it for Python without fetching what the message says.
"""

import base64
import binascii
import json
import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from config import AwsPartition
from wizard import clock
from wizard.marketplaces.protocol import Refused
from wizard.transactions import outside_transaction

NOTIFICATION = "Notification"
CONFIRMATION = "SubscriptionConfirmation"
GOODBYE = "UnsubscribeConfirmation"

MOST_BYTES = 256 * 1024
OLDEST, NEWEST = timedelta(hours=1), timedelta(minutes=5)
"""How old a message may be, and how far ahead of our clock: what is sent again later than that is not SNS's retry."""

_SIGNED = {
    NOTIFICATION: ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_SIGNED[GOODBYE] = _SIGNED[CONFIRMATION]
"""What the signature is over, in this order; a subject only where there is one."""

_HASHES: dict[str, hashes.HashAlgorithm] = {"1": hashes.SHA1(), "2": hashes.SHA256()}  # noqa: S303  what SNS signs with
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{32}\.pem")

REFUSALS = {
    "malformed": 400,
    "too large": 413,
    "topic": 403,
    "stale": 403,
    "certificate": 403,
    "signature": 403,
    "unreachable": 503,
    "unconfirmed": 503,
}
"""Why a message is refused, and the status that says so. SNS sends again what was answered with 5xx."""

log = logging.getLogger("wizard.marketplaces.sns")


def refused(reason: str) -> Refused:
    """Not a message of ours, or not provably: one of :data:`REFUSALS`."""
    return Refused(reason, REFUSALS[reason])


@dataclass(frozen=True)
class Envelope:
    """A message that is proven to be of one of our topics. ``body``: as it came. ``token``: to confirm with."""

    type: str
    topic: str
    message_id: str
    token: str
    body: str


def region_of(topic: str) -> str:
    return topic.split(":")[3]


class Certificates:
    """The certificates SNS signs with, fetched once each and kept while they are good.

    ``fetch(url)`` gives the PEM file, and raises :class:`Refused`. What a stranger sends can make us fetch nothing but
    files of this one name from AWS's own hosts, and two at a time.
    """

    _MOST = 32

    def __init__(self, fetch: "Callable[[str], bytes] | None" = None) -> None:
        self._fetch = fetch or _download
        self._known: dict[str, x509.Certificate] = {}
        self._fetching = threading.BoundedSemaphore(2)

    def get(self, url: str, now: datetime) -> x509.Certificate:
        certificate = self._known.get(url)
        if certificate is None:
            if not self._fetching.acquire(blocking=False):
                raise refused("unreachable")
            try:
                certificate = x509.load_pem_x509_certificate(self._fetch(url))
            except ValueError:
                raise refused("certificate") from None
            finally:
                self._fetching.release()
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            self._known.pop(url, None)
            raise refused("certificate")
        while len(self._known) >= self._MOST:
            self._known.pop(next(iter(self._known)), None)
        self._known[url] = certificate
        return certificate


@outside_transaction
def _download(url: str) -> bytes:
    try:
        with requests.get(url, timeout=(2, 4), allow_redirects=False, stream=True) as answer:
            if answer.status_code == 200:
                return answer.raw.read(64 * 1024, decode_content=True)
            reason = "unreachable" if answer.status_code >= 500 else "certificate"
    except requests.RequestException:
        reason = "unreachable"
    if reason == "unreachable":
        log.error("a certificate of SNS could not be fetched", extra={"alert": "sns_unreachable"})
    raise refused(reason)


def verify(of: AwsPartition, certificates: Certificates, body: bytes, told_type: str) -> Envelope:
    """A message whose sender and age are proven. Raises :class:`Refused`.

    ``told_type``: the header ``x-amz-sns-message-type``. May use the network, once for each certificate.
    """
    if len(body) > MOST_BYTES:
        raise refused("too large")
    message = _parsed(body)
    topic = message["TopicArn"]
    if message["Type"] != told_type:
        raise refused("malformed")
    if topic not in of.sns_topics:
        raise refused("topic")
    now = clock.now()
    if not now - OLDEST <= _time(message["Timestamp"]) <= now + NEWEST:
        raise refused("stale")
    url = message["SigningCertURL"]
    home = of.sns_endpoint.rstrip("/") or f"https://sns.{region_of(topic)}.{of.dns_suffix}"
    if not url.startswith(home) or not _CERTIFICATE.fullmatch(url, len(home)):
        raise refused("certificate")
    _check_signature(message, certificates.get(url, now))
    return Envelope(message["Type"], topic, message["MessageId"], message.get("Token", ""), body.decode())


def _parsed(body: bytes) -> dict[str, str]:
    """The members of an envelope, each a text. Raises :class:`Refused`."""
    try:
        found: Any = json.loads(body.decode())
        kind = found["Type"]
        wanted = {*_SIGNED[kind], "SignatureVersion", "Signature", "SigningCertURL"} - {"Subject"}
        message = {name: value for name, value in found.items() if value is not None}
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise refused("malformed") from None
    told = [message.get(name) for name in wanted]
    if not all(isinstance(value, str) for value in (*told, message.get("Subject", ""))):
        raise refused("malformed")
    if message["SignatureVersion"] not in _HASHES:
        raise refused("malformed")
    return message


def _time(told: str) -> datetime:
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        raise refused("malformed") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _check_signature(message: dict[str, str], certificate: x509.Certificate) -> None:
    names = [name for name in _SIGNED[message["Type"]] if name in message]
    if any("\n" in message[name] for name in names if name != "Message"):
        raise refused("signature")  # What was signed could be cut into members in another way.
    signed = "".join(f"{name}\n{message[name]}\n" for name in names)
    key = certificate.public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise refused("certificate")
    try:
        signature = base64.b64decode(message["Signature"], validate=True)
        key.verify(signature, signed.encode(), padding.PKCS1v15(), _HASHES[message["SignatureVersion"]])
    except (InvalidSignature, binascii.Error, UnicodeError, ValueError):
        raise refused("signature") from None


@outside_transaction
def confirm(client_of: Callable[[str], Any], envelope: Envelope) -> None:
    """Say yes to a subscription of ours (``sns:ConfirmSubscription``). Raises :class:`Refused`.

    Asked through the API of the topic's own region: the address in the message is never opened. Nobody who only has a
    message's link can end a subscription that was confirmed so.
    """
    try:
        client_of(region_of(envelope.topic)).confirm_subscription(
            TopicArn=envelope.topic, Token=envelope.token, AuthenticateOnUnsubscribe="true"
        )
    except Exception as error:  # Whatever it is, AWS sends the message again.
        told = error.response.get("Error", {}) if isinstance(error, ClientError) else {}
        log.error(
            "a subscription to a topic could not be confirmed",
            extra={"alert": "sns_unconfirmed", "code": told.get("Code") or type(error).__name__},
        )
        raise refused("unconfirmed") from None
    log.info("a subscription to a topic is confirmed", extra={"topic": envelope.topic})
