"""Purchases at the stand-in AWS Marketplace: buy, set up (a fresh token), redeem, cancel, entitlements."""

import json
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from wizard.sandbox import events, names
from wizard.sandbox.bought import (
    STYLES,
    Entitlement,
    Purchase,
    Token,
    Value,
    to_purchase,
    to_token,
)
from wizard.sandbox.contacts import Contact
from wizard.sandbox.errors import FAULTS, PurchaseCancelled, Refused, UnknownPurchase, fault_count
from wizard.sandbox.events import TOPIC, Draft, Listing
from wizard.sandbox.messages import Messages, Switches
from wizard.sandbox.partitions import PARTITIONS
from wizard.sandbox.store import Store

TOKEN_LIFETIME_SECONDS = 4 * 3600
"""AWS's seller guide, "Integrating your SaaS subscription": a token answers the same for four hours."""

ENTITLEMENT_SECONDS = 365 * 86400
_TICK = 0.001
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


class Marketplace:
    """The verbs over a :class:`Store`. Safe in many threads; every verb is one transaction, and what it tells the
    seller is in it."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        dimensions: Mapping[str, Value],
        messages: Messages,
        listing: Listing,
        pace: float,
    ) -> None:
        """``now`` gives Unix seconds; ``dimensions`` is what a purchase is entitled to when nobody says; ``pace``:
        seconds between its messages."""
        self._store = store
        self._now = now
        self._dimensions = dict(dimensions)
        self._messages = messages
        self._listing = listing
        self._pace = pace

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
        fails: bool = False,
        switches: Switches | None = None,
    ) -> tuple[Purchase, Token]:
        """Make a purchase and its first token. The same ``order_ref`` again gives the same purchase and token.

        ``account`` is 12 digits; ``style`` is the partition's own when not given; ``contact`` None: the buyer
        gave none; ``count``: how many calls the fault spoils; ``fails``: the buyer cannot pay, which is only known
        when the token is out; ``switches``: how its messages travel. Raises :class:`Refused` for a style, fault or
        product code that does not exist.
        """
        style = style or PARTITIONS[partition].style
        if style not in STYLES:
            raise Refused(f"style is one of: {', '.join(STYLES)}.")
        if not _PRODUCT_CODE.fullmatch(product_code):
            raise Refused("productCode is 1 to 255 letters, digits and -/=:_.@ characters.")
        licence = style == "licence"
        if fails and licence:
            raise Refused(
                "fails goes with style legacy or legacy_minimal: AWS tells no seller of other failures."
            )
        now = self._now()
        purchase = Purchase(
            agreement_id=names.agreement_id(),
            account=account,
            product_code=product_code,
            style=style,
            license_arn=names.licence_arn(partition) if licence else None,
            # A legacy customer identifier is the same in every purchase of one account at one listing.
            customer_identifier=""
            if licence
            else names.customer_identifier(partition, account, product_code),
            created_at=now,
            cancelled_at=now if fails else None,
            partition=partition,
            contact=contact,
            ended_as="FAILED" if fails else None,
            previous_agreement_id=None,
        )
        with self._store.writing() as db:
            if order_ref is not None:
                earlier = db.execute(
                    "SELECT agreement_id FROM purchases WHERE order_ref = ?", [order_ref]
                ).fetchone()
                if earlier is not None:
                    purchase = _purchase(db, earlier["agreement_id"])
                    return purchase, _latest(db, purchase.agreement_id)
            token = self._insert(
                db,
                purchase,
                self._dimensions if entitlements is None else entitlements,
                order_ref,
                fault,
                count,
            )
            if switches is not None:
                self._messages.switch_in(db, switches, purchase.agreement_id)
            if not licence:
                # Who comes back before the last word on the earlier purchase is only told of as coming.
                self._messages.overtake(db, _of_customer(db, purchase), "unsubscribe-success")
            self._tell(db, purchase, events.bought(purchase, self._pace))
        self._messages.ring()
        return purchase, token

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

    def cancel(self, agreement_id: str, switches: Switches | None = None) -> Purchase:
        """End a purchase; a second cancel changes nothing. Raises :class:`UnknownPurchase`."""
        with self._store.writing() as db:
            ended = self._end(db, agreement_id, "CANCELLED")
            purchase = _purchase(db, agreement_id)
            if ended:
                if switches is not None:
                    self._messages.switch_in(db, switches, agreement_id)
                self._tell(db, purchase, events.ended(purchase, self._pace))
        self._messages.ring()
        return purchase

    def renew(self, agreement_id: str, switches: Switches | None = None) -> tuple[Purchase, Token]:
        """Let an agreement give way to a new one with a licence of its own; again gives the same one.

        Raises :class:`UnknownPurchase`, :class:`PurchaseCancelled`, or :class:`Refused` for a legacy purchase.
        """
        with self._store.writing() as db:
            old = _purchase(db, agreement_id)
            made = db.execute(
                "SELECT agreement_id FROM purchases WHERE previous_agreement_id = ?", [agreement_id]
            ).fetchone()
            if made is not None:
                return _purchase(db, made["agreement_id"]), _latest(db, made["agreement_id"])
            if not old.is_licensed:
                raise Refused("A legacy purchase has no agreement to renew.")
            if not self._end(db, agreement_id, "RENEWED"):
                raise PurchaseCancelled("This purchase is cancelled. Make a new one.")
            now = self._now()
            new = replace(
                old,
                agreement_id=names.agreement_id(),
                license_arn=names.licence_arn(old.partition),
                created_at=now,
                previous_agreement_id=agreement_id,
            )
            token = self._insert(db, new, _entitled(db, agreement_id))
            if switches is not None:
                self._messages.switch_in(db, switches, agreement_id)
                self._messages.switch_in(db, switches, new.agreement_id)
            self._tell(db, new, events.bought(new, self._pace, self._listing))
            self._tell(db, old, events.ended(_purchase(db, agreement_id), self._pace))
        self._messages.ring()
        return new, token

    def entitle(self, agreement_id: str, entitled: Mapping[str, Value]) -> Purchase:
        """Entitle a purchase to this, and to nothing else, for a year. Raises :class:`UnknownPurchase` or
        :class:`PurchaseCancelled`."""
        now = self._now()
        with self._store.writing() as db:
            purchase = _purchase(db, agreement_id)
            if purchase.cancelled_at is not None:
                raise PurchaseCancelled("This purchase is over. Make a new one.")
            db.execute("DELETE FROM entitlements WHERE agreement_id = ?", [agreement_id])
            _entitle(db, agreement_id, entitled, now)
            self._tell(db, purchase, events.entitled(purchase, now))
        self._messages.ring()
        return purchase

    def find(self, agreement_id: str, partition: str | None = None) -> Purchase:
        """A purchase, of one partition or of any. Raises :class:`UnknownPurchase`."""
        with self._store.reading() as db:
            purchase = _purchase(db, agreement_id)
        if partition not in (None, purchase.partition):
            raise UnknownPurchase("No purchase has this agreement id.")
        return purchase

    def first_of(self, purchase: Purchase) -> Purchase:
        """The purchase that this one renews, at whatever distance; itself where it renews none."""
        with self._store.reading() as db:
            while purchase.previous_agreement_id is not None:
                purchase = _purchase(db, purchase.previous_agreement_id)
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
            if self.lapsed(to_token(row)):
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

    def _insert(
        self,
        db: sqlite3.Connection,
        purchase: Purchase,
        entitled: Mapping[str, Value],
        order_ref: str | None = None,
        fault: str | None = None,
        count: int | None = None,
    ) -> Token:
        contact = None if purchase.contact is None else json.dumps(purchase.contact.shape())
        members = {name: getattr(purchase, name) for name in Purchase.__dataclass_fields__}
        members |= {"contact": contact, "order_ref": order_ref}
        db.execute(
            f"INSERT INTO purchases ({', '.join(members)}) VALUES ({', '.join(f':{m}' for m in members)})",  # noqa: S608
            members,
        )
        _entitle(db, purchase.agreement_id, entitled, purchase.created_at)
        return _mint(db, purchase.agreement_id, purchase.created_at, fault, count)

    def _end(self, db: sqlite3.Connection, agreement_id: str, ended_as: str) -> bool:
        """Whether it was this that ended it."""
        done = db.execute(
            "UPDATE purchases SET cancelled_at = ?, ended_as = ? WHERE agreement_id = ? AND cancelled_at IS NULL",
            [self._now(), ended_as, agreement_id],
        )
        return bool(done.rowcount)

    def _tell(self, db: sqlite3.Connection, purchase: Purchase, drafts: list[Draft]) -> None:
        """Send messages. A customer's notices have times that grow: these, and no agreement, say which is newest."""
        if any(draft.road == TOPIC for draft in drafts):
            latest = self._messages.last_time(db, _of_customer(db, purchase))
            for number, draft in enumerate(drafts):
                latest = max(draft.at, latest + _TICK)
                drafts[number] = replace(draft, at=latest)
        self._messages.put(db, purchase.partition, drafts, purchase.agreement_id, purchase.product_code)


def _mint(
    db: sqlite3.Connection, agreement_id: str, now: float, fault: str | None, count: int | None
) -> Token:
    count = fault_count(fault, count, FAULTS)
    token = names.token()
    db.execute(
        "INSERT INTO tokens (token, agreement_id, created_at, fault, fault_left) VALUES (?, ?, ?, ?, ?)",
        [token, agreement_id, now, fault, count],
    )
    return Token(token, agreement_id, now, fault)


def _of_customer(db: sqlite3.Connection, purchase: Purchase) -> list[str]:
    """The agreements of a legacy customer: one account at one listing."""
    rows = db.execute(
        "SELECT agreement_id FROM purchases WHERE partition = ? AND product_code = ? AND customer_identifier = ?",
        [purchase.partition, purchase.product_code, purchase.customer_identifier],
    )
    return [row["agreement_id"] for row in rows]


def _entitle(db: sqlite3.Connection, agreement_id: str, entitled: Mapping[str, Value], now: float) -> None:
    db.executemany(
        "INSERT INTO entitlements (agreement_id, dimension, value, expires_at) VALUES (?, ?, ?, ?)",
        [
            (agreement_id, name, json.dumps(value), now + ENTITLEMENT_SECONDS)
            for name, value in entitled.items()
        ],
    )


def _entitled(db: sqlite3.Connection, agreement_id: str) -> dict[str, Value]:
    rows = db.execute("SELECT dimension, value FROM entitlements WHERE agreement_id = ?", [agreement_id])
    return {row["dimension"]: json.loads(row["value"]) for row in rows}


def _purchase(db: sqlite3.Connection, agreement_id: str) -> Purchase:
    row = db.execute("SELECT * FROM purchases WHERE agreement_id = ?", [agreement_id]).fetchone()
    if row is None:
        raise UnknownPurchase("No purchase has this agreement id.")
    return to_purchase(row)


def _latest(db: sqlite3.Connection, agreement_id: str) -> Token:
    row = db.execute("SELECT * FROM tokens WHERE agreement_id = ? ORDER BY id DESC LIMIT 1", [agreement_id])
    return to_token(row.fetchone())
