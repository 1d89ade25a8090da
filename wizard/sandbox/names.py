"""The names AWS gives to things: account numbers, agreements, licences, customers, products, tokens."""

import base64
import hashlib
import re
import secrets
import string

from wizard.sandbox.partitions import PARTITIONS

_LICENCE_ISSUER = "294406891311"
_WORD = string.ascii_lowercase + string.digits
_IDENTIFIER = string.ascii_letters + string.digits


def account_number(typed: str) -> str | None:
    """``"7828-5828 5006"`` → ``"782858285006"``; None when it is not twelve digits."""
    digits = re.sub(r"[\s\u00a0-]+", "", typed)
    return digits if re.fullmatch(r"[0-9]{12}", digits) else None


def random_account() -> str:
    """Twelve digits that do not start with a zero."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def agreement_id() -> str:
    """``agmt-…``, a new one."""
    return "agmt-" + _random(25, _WORD)


def licence_arn(partition: str) -> str:
    """A new licence's; its region is empty, as at AWS."""
    licence = f"license-manager::{_LICENCE_ISSUER}:license:l-{secrets.token_hex(16)}"
    return PARTITIONS[partition].arn(licence)


def customer_identifier(partition: str, account: str, product_code: str) -> str:
    """The same for every purchase of one account at one listing."""
    return _derived(f"{partition}/{account}/{product_code}", 10, _IDENTIFIER)


def product_id(product_code: str) -> str:
    """A listing's own id, ``prod-…``."""
    return "prod-" + _derived(product_code, 13, _WORD)


def offer_id(product_code: str) -> str:
    """A listing's public offer, ``offer-…``, the same for everybody who buys it."""
    return "offer-" + _derived(f"offer/{product_code}", 13, _WORD)


def token() -> str:
    """Base64 that always holds ``+``, ``/`` and ``=``: the characters a careless form handler spoils."""
    while True:
        made = base64.b64encode(secrets.token_bytes(160)).decode("ascii")
        if "+" in made and "/" in made:
            return made


def _derived(seed: str, length: int, alphabet: str) -> str:
    """The same characters for the same seed, and others for every other."""
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:length])


def _random(length: int, alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
