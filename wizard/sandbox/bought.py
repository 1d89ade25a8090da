"""What a buyer has, as it stands in the store: purchases, their tokens, what they are entitled to."""

import json
import sqlite3
from dataclasses import dataclass

from wizard.sandbox import names
from wizard.sandbox.contacts import Contact

STYLES = ("licence", "legacy", "legacy_minimal")
"""licence: listings made since June 2026 (LicenseArn, agreement id, CustomerIdentifier ""). legacy: older
listings. legacy_minimal: the oldest, and AWS China, which promise a customer identifier and a product code only."""

Value = int | float | bool | str


@dataclass(frozen=True)
class Purchase:
    """One agreement of a buyer. ``agreement_id`` exists for every style; legacy styles do not show it to sellers.

    ``cancelled_at``: when it was over, whatever ended it; ``ended_as``: what did, in AWS's words (``CANCELLED``,
    ``RENEWED``), or ``FAILED`` where the buyer could not pay; ``previous_agreement_id``: what it renews.
    """

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
    ended_as: str | None
    previous_agreement_id: str | None

    @property
    def product_id(self) -> str:
        """The listing's own id, ``prod-…``, the same for every purchase of one product code."""
        return names.product_id(self.product_code)

    @property
    def offer_id(self) -> str:
        """The listing's public offer, ``offer-…``, the same for everybody who buys it."""
        return names.offer_id(self.product_code)

    @property
    def is_licensed(self) -> bool:
        """Whether AWS speaks of it as an agreement and a licence."""
        return self.style == "licence"

    @property
    def status(self) -> str:
        """As AWS words it: ``ACTIVE``, ``CANCELLED``, ``RENEWED``; or ``FAILED``."""
        if self.cancelled_at is None:
            return "ACTIVE"
        return self.ended_as or "CANCELLED"


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


def to_purchase(row: sqlite3.Row) -> Purchase:
    """A row of the table of purchases."""
    members = {name: row[name] for name in Purchase.__dataclass_fields__}
    if members["contact"] is not None:
        members["contact"] = Contact(**json.loads(members["contact"]))
    return Purchase(**members)


def to_token(row: sqlite3.Row) -> Token:
    """A row of the table of tokens."""
    return Token(**{name: row[name] for name in Token.__dataclass_fields__})
