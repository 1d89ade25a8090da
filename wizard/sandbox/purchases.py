"""Purchases at the stand-in AWS Marketplace: buy, set up (a fresh token), redeem, cancel, entitlements."""

import base64
import hashlib
import json
import re
import secrets
import sqlite3
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wizard.sandbox.contacts import Contact
from wizard.sandbox.errors import FAULTS, PurchaseCancelled, Refused, UnknownPurchase, fault_count
from wizard.sandbox.partitions import PARTITIONS
from wizard.sandbox.store import Store

TOKEN_LIFETIME_SECONDS = 4 * 3600
"""AWS's seller guide, "Integrating your SaaS subscription": a token answers the same for four hours."""

STYLES = ("licence", "legacy", "legacy_minimal")
"""licence: listings made since June 2026 (LicenseArn, agreement id, CustomerIdentifier ""). legacy: older
listings. legacy_minimal: the oldest, and AWS China, which promise a customer identifier and a product code only."""

ENTITLEMENT_SECONDS = 365 * 86400
_LICENCE_ISSUER = "294406891311"
_WORD = string.ascii_lowercase + string.digits
_IDENTIFIER = string.ascii_letters + string.digits
_PRODUCT_CODE = re.compile(r"[-a-zA-Z0-9/=:_.@]{1,255}")

FILTERS = ("account", "customer_identifier", "dimension", "license_arn")
"""What entitlements can be looked for by."""

# Values come as one JSON list for each key, so any number of them is one parameter of one fixed statement.
# The oldest listings know no account id, so it does not find them.
_ENTITLEMENTS = """
SELECT p.*, e.id AS entitlement_id, e.dimension, e.value, e.expires_at
FROM entitlements e JOIN purchases p USING (agreement_id)
WHERE p.partition = :partition AND p.product_code = :product_code AND p.cancelled_at IS NULL
  AND e.expires_at > :now AND e.id > :after
  AND (:account IS NULL
       OR (p.style <> 'legacy_minimal' AND p.account IN (SELECT value FROM json_each(:account))))
  AND (:customer_identifier IS NULL
       OR p.customer_identifier IN (SELECT value FROM json_each(:customer_identifier)))
  AND (:dimension IS NULL OR e.dimension IN (SELECT value FROM json_each(:dimension)))
  AND (:license_arn IS NULL OR p.license_arn IN (SELECT value FROM json_each(:license_arn)))
ORDER BY e.id LIMIT :limit
"""

Value = int | float | bool | str


@dataclass(frozen=True)
class Purchase:
    """One agreement of a buyer. ``agreement_id`` exists for every style; legacy styles do not show it to sellers."""

    agreement_id: str
    account: str
    product_code: str
    style: str
    license_arn: str | None
    customer_identifier: str
    created_at: float
    cancelled_at: float | None
    partition: str
    contact: Contact | None

    @property
    def product_id(self) -> str:
        """The listing's own id, ``prod-…``, the same for every purchase of one product code."""
        return "prod-" + _derived(self.product_code, 13, _WORD)


@dataclass(frozen=True)
class Token:
    """A registration token as AWS posts it; ``fault`` is what the API answers instead of the purchase."""

    token: str
    agreement_id: str
    created_at: float
    fault: str | None


@dataclass(frozen=True)
class Entitlement:
    """One entitled dimension of a purchase; ``id`` grows with time and is what pages are cut by."""

    id: int
    purchase: Purchase
    dimension: str
    value: Value
    expires_at: float


class Marketplace:
    """The verbs over a :class:`Store`. Safe in many threads; every verb is one transaction."""

    def __init__(self, store: Store, now: Callable[[], float], dimensions: Mapping[str, Value]) -> None:
        """``now`` gives Unix seconds; ``dimensions`` is what a purchase is entitled to when nobody says."""
        self._store = store
        self._now = now
        self._dimensions = dict(dimensions)

    def buy(
        self,
        account: str,
        product_code: str,
        style: str | None = None,
        partition: str = "aws",
        contact: Contact | None = None,
        entitlements: Mapping[str, Value] | None = None,
        order_ref: str | None = None,
        fault: str | None = None,
        count: int | None = None,
    ) -> tuple[Purchase, Token]:
        """Make a purchase and its first token. The same ``order_ref`` again gives the same purchase and token.

        ``account`` is 12 digits; ``style`` is the partition's own when not given; ``contact`` None: the buyer
        gave none; ``count``: how many calls the fault spoils. Raises :class:`Refused` for a style, fault or
        product code that does not exist.
        """
        style = style or PARTITIONS[partition].style
        if style not in STYLES:
            raise Refused(f"style is one of: {', '.join(STYLES)}.")
        if not _PRODUCT_CODE.fullmatch(product_code):
            raise Refused("productCode is 1 to 255 letters, digits and -/=:_.@ characters.")
        now = self._now()
        agreement_id = "agmt-" + _random(25, _WORD)
        licence = style == "licence"
        arn = (
            PARTITIONS[partition].arn(f"license-manager::{_LICENCE_ISSUER}:license:l-{secrets.token_hex(16)}")
            if licence
            else None
        )
        # A legacy customer identifier is the same in every purchase of one account at one listing.
        identifier = "" if licence else _derived(f"{partition}/{account}/{product_code}", 10, _IDENTIFIER)
        entitled = self._dimensions if entitlements is None else entitlements
        with self._store.writing() as db:
            if order_ref is not None:
                earlier = db.execute(
                    "SELECT agreement_id FROM purchases WHERE order_ref = ?", [order_ref]
                ).fetchone()
                if earlier is not None:
                    purchase = _purchase(db, earlier["agreement_id"])
                    return purchase, _latest(db, purchase.agreement_id)
            db.execute(
                "INSERT INTO purchases (agreement_id, order_ref, account, product_code, style, license_arn,"
                " customer_identifier, created_at, partition, contact) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    agreement_id,
                    order_ref,
                    account,
                    product_code,
                    style,
                    arn,
                    identifier,
                    now,
                    partition,
                    None if contact is None else json.dumps(contact.shape()),
                ],
            )
            db.executemany(
                "INSERT INTO entitlements (agreement_id, dimension, value, expires_at) VALUES (?, ?, ?, ?)",
                [
                    (agreement_id, name, json.dumps(v), now + ENTITLEMENT_SECONDS)
                    for name, v in entitled.items()
                ],
            )
            token = _mint(db, agreement_id, now, fault, count)
            return _purchase(db, agreement_id), token

    def set_up(
        self, agreement_id: str, fault: str | None = None, count: int | None = None
    ) -> tuple[Purchase, Token]:
        """A fresh token for a purchase, as AWS's *Set up product* gives one. Earlier tokens keep working.

        Raises :class:`UnknownPurchase`, :class:`PurchaseCancelled` or :class:`Refused` (an unknown fault).
        """
        with self._store.writing() as db:
            purchase = _purchase(db, agreement_id)
            if purchase.cancelled_at is not None:
                raise PurchaseCancelled("This purchase is cancelled. Make a new one.")
            return purchase, _mint(db, agreement_id, self._now(), fault, count)

    def cancel(self, agreement_id: str) -> Purchase:
        """End a purchase; a second cancel changes nothing. Raises :class:`UnknownPurchase`."""
        with self._store.writing() as db:
            db.execute(
                "UPDATE purchases SET cancelled_at = ? WHERE agreement_id = ? AND cancelled_at IS NULL",
                [self._now(), agreement_id],
            )
            return _purchase(db, agreement_id)

    def find(self, agreement_id: str, partition: str | None = None) -> Purchase:
        """A purchase, of one partition or of any. Raises :class:`UnknownPurchase`."""
        with self._store.reading() as db:
            purchase = _purchase(db, agreement_id)
        if partition not in (None, purchase.partition):
            raise UnknownPurchase("No purchase has this agreement id.")
        return purchase

    def of_account(self, account: str, partition: str, limit: int = 200) -> list[Purchase]:
        """The purchases of an account in its partition, newest first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM purchases WHERE account = ? AND partition = ? ORDER BY id DESC LIMIT ?",
                [account, partition, limit],
            )
            return [to_purchase(row) for row in rows]

    def latest_token(self, agreement_id: str) -> tuple[Purchase, Token]:
        """A purchase and the newest of its tokens. Raises :class:`UnknownPurchase`."""
        with self._store.reading() as db:
            return _purchase(db, agreement_id), _latest(db, agreement_id)

    def lapsed(self, token: Token) -> bool:
        """Whether a token's four hours are over."""
        return self._now() - token.created_at >= TOKEN_LIFETIME_SECONDS

    def redeem(self, token: str, partition: str) -> tuple[Purchase | None, str | None]:
        """``(purchase, None)``, or ``(None, fault)`` with one of :data:`FAULTS`. Spends one count of a passing fault.

        A good token gives the same purchase every time until it expires, also after the purchase was cancelled.
        In a partition other than its own nobody knows it.
        """
        with self._store.writing() as db:
            row = db.execute(
                "SELECT t.* FROM tokens t JOIN purchases p USING (agreement_id)"
                " WHERE t.token = ? AND p.partition = ?",
                [token, partition],
            ).fetchone()
            if row is None:
                return None, "invalid"
            if self.lapsed(_to_token(row)):
                return None, "expired"
            if row["fault"] is not None and row["fault_left"] is None:
                return None, row["fault"]
            spent = db.execute(
                "UPDATE tokens SET fault_left = fault_left - 1 WHERE id = ? AND fault_left > 0", [row["id"]]
            )
            if spent.rowcount:
                return None, row["fault"]
            return _purchase(db, row["agreement_id"]), None

    def entitlements(
        self,
        partition: str,
        product_code: str,
        filters: Mapping[str, Sequence[str]],
        after: int,
        limit: int,
    ) -> list[Entitlement]:
        """What is in force for one product: purchases that are not cancelled, values that have not expired.

        ``filters`` maps names of :data:`FILTERS` to values: any value within a
        key, all keys together. Rows come in the order of their id, only those past ``after``.
        """
        asked = {key: json.dumps(list(filters[key])) if key in filters else None for key in FILTERS}
        with self._store.reading() as db:
            return [
                Entitlement(
                    row["entitlement_id"],
                    to_purchase(row),
                    row["dimension"],
                    json.loads(row["value"]),
                    row["expires_at"],
                )
                for row in db.execute(
                    _ENTITLEMENTS,
                    asked
                    | {"partition": partition, "product_code": product_code}
                    | {"now": self._now(), "after": after, "limit": limit},
                )
            ]


def account_number(typed: str) -> str | None:
    """``"7828-5828 5006"`` → ``"782858285006"``; None when it is not twelve digits."""
    digits = re.sub(r"[\s\u00a0-]+", "", typed)
    return digits if re.fullmatch(r"[0-9]{12}", digits) else None


def random_account() -> str:
    """Twelve digits that do not start with a zero."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def _mint(
    db: sqlite3.Connection, agreement_id: str, now: float, fault: str | None, count: int | None
) -> Token:
    count = fault_count(fault, count, FAULTS)
    token = _token()
    db.execute(
        "INSERT INTO tokens (token, agreement_id, created_at, fault, fault_left) VALUES (?, ?, ?, ?, ?)",
        [token, agreement_id, now, fault, count],
    )
    return Token(token, agreement_id, now, fault)


def _token() -> str:
    """Base64 that always holds ``+``, ``/`` and ``=``: the characters a careless form handler spoils."""
    while True:
        token = base64.b64encode(secrets.token_bytes(160)).decode("ascii")
        if "+" in token and "/" in token:
            return token


def _random(length: int, alphabet: str) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _derived(seed: str, length: int, alphabet: str) -> str:
    digest = hashlib.sha256(seed.encode()).digest()
    return "".join(alphabet[byte % len(alphabet)] for byte in digest[:length])


def _purchase(db: sqlite3.Connection, agreement_id: str) -> Purchase:
    row = db.execute("SELECT * FROM purchases WHERE agreement_id = ?", [agreement_id]).fetchone()
    if row is None:
        raise UnknownPurchase("No purchase has this agreement id.")
    return to_purchase(row)


def _latest(db: sqlite3.Connection, agreement_id: str) -> Token:
    row = db.execute("SELECT * FROM tokens WHERE agreement_id = ? ORDER BY id DESC LIMIT 1", [agreement_id])
    return _to_token(row.fetchone())


def to_purchase(row: sqlite3.Row) -> Purchase:
    """A row of the table of purchases."""
    members = {name: row[name] for name in Purchase.__dataclass_fields__}
    if members["contact"] is not None:
        members["contact"] = Contact(**json.loads(members["contact"]))
    return Purchase(**members)


def _to_token(row: sqlite3.Row) -> Token:
    return Token(**{name: row[name] for name in Token.__dataclass_fields__})
