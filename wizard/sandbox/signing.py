"""Messages as SNS signs and posts them: version 2 signatures, by a key and a certificate that are the sandbox's own.

*Amazon SNS developer guide*, "Verifying the signatures of Amazon SNS messages" and "Parsing Amazon SNS message
formats": SHA-256 with RSA (PKCS#1 v1.5) over names and values in the order of the alphabet, each on a line.
"""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from wizard.sandbox.events import CONFIRMATION, iso, topic_of
from wizard.sandbox.messages import Message
from wizard.sandbox.store import Store

_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    CONFIRMATION: ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_YEARS = 10


class Signer:
    """The key and its certificate, made once and kept in the store."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._kept: tuple[rsa.RSAPrivateKey, str] | None = None

    @property
    def certificate(self) -> str:
        """As PEM."""
        return self._pair()[1]

    @property
    def certificate_file(self) -> str:
        """What SNS calls it: ``SimpleNotificationService-<32 hex digits>.pem``."""
        return f"SimpleNotificationService-{hashlib.sha256(self.certificate.encode()).hexdigest()[:32]}.pem"

    def sign(self, text: str) -> str:
        """A signature in base64."""
        signed = self._pair()[0].sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return base64.b64encode(signed).decode("ascii")

    def _pair(self) -> tuple[rsa.RSAPrivateKey, str]:
        if self._kept is None:
            self._kept = self._read() or self._make()
        return self._kept

    def _read(self) -> tuple[rsa.RSAPrivateKey, str] | None:
        with self._store.reading() as db:
            row = db.execute("SELECT key, certificate FROM signing").fetchone()
        if row is None:
            return None
        key = serialization.load_pem_private_key(row["key"].encode(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key, row["certificate"]

    def _make(self) -> tuple[rsa.RSAPrivateKey, str]:
        key = rsa.generate_private_key(65537, 2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with self._store.writing() as db:
            # Another process may have been first: one of the two is kept, and both go by that one.
            db.execute(
                "INSERT OR IGNORE INTO signing (id, key, certificate) VALUES (1, ?, ?)",
                [pem.decode("ascii"), _certificate(key, datetime.fromtimestamp(self._now(), UTC))],
            )
        kept = self._read()
        assert kept is not None
        return kept


def envelope(message: Message, signer: Signer, sns_url: str) -> dict[str, str]:
    """A message as SNS posts it. ``sns_url``: where its certificate is found and subscriptions are confirmed."""
    topic = topic_of(message.partition, message.product_code or "", message.kind)
    said = {
        "Type": "Notification",
        "MessageId": message.message_id,
        "TopicArn": topic,
        "Message": message.body,
        "Timestamp": iso(message.at),
    }
    if message.kind == CONFIRMATION:
        said |= {"Type": CONFIRMATION} | json.loads(message.body)
        asked = {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": said["Token"]}
        said["SubscribeURL"] = f"{sns_url}?{urlencode(asked)}"
    else:
        asked = {"Action": "Unsubscribe", "SubscriptionArn": subscription_arn(topic)}
        said["UnsubscribeURL"] = f"{sns_url}?{urlencode(asked)}"
    signed = "".join(f"{name}\n{said[name]}\n" for name in _SIGNED[said["Type"]] if name in said)
    return said | {
        "SignatureVersion": "2",
        "Signature": signer.sign(signed),
        "SigningCertURL": f"{sns_url}/{signer.certificate_file}",
    }


def subscription_arn(topic: str) -> str:
    """The seller's subscription to a topic: there is one."""
    return f"{topic}:{uuid.uuid5(uuid.NAMESPACE_URL, topic)}"


def _certificate(key: rsa.RSAPrivateKey, now: datetime) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode("ascii")
