"""Signatures of SNS checked as its guide says, by nothing of the product's own."""

import base64
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate

_ALGORITHMS: dict[str, hashes.HashAlgorithm] = {"2": hashes.SHA256()}


def is_genuine(said: Mapping[str, str], certificate: bytes) -> bool:
    """Whether a message is signed by the key of a certificate in PEM."""
    names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    if said["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    text = "".join(f"{name}\n{said[name]}\n" for name in names if name in said)
    key = load_pem_x509_certificate(certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        algorithm = _ALGORITHMS[said["SignatureVersion"]]
        key.verify(base64.b64decode(said["Signature"]), text.encode(), padding.PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True
