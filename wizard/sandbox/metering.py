"""The meter: usage that sellers report, counted once for each customer, dimension and hour.

What is refused and how: *AWS Marketplace Metering Service* (2016-01-14), ``BatchMeterUsage``. Where its text leaves a
choice: the same quantity again in the same hour is the record that is there already, whatever its allocations; a
customer identifier nobody ever had is ``InvalidCustomerIdentifierException``, one that has no purchase of this
product is ``CustomerNotSubscribed``; usage from before the hour of the purchase is ``InvalidLicenseException`` or,
without a licence, ``TimestampOutOfBoundsException``.
"""

import json
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from wizard.sandbox.bought import Purchase, to_purchase
from wizard.sandbox.errors import METERING_FAULTS, AwsError, UnknownPurchase, fault_count, fault_error
from wizard.sandbox.partitions import Partition
from wizard.sandbox.store import Store
from wizard.sandbox.usage import Allocation, Usage

ACTION = "aws-marketplace:BatchMeterUsage"
HOUR = 3600
WINDOW_SECONDS = 24 * HOUR
"""Usage is not taken 24 hours or more after it happened."""

MONTH_CLOSES_AT_HOUR = 6
"""A month's usage is not taken after 06:00 UTC on the first of the next one."""

FINAL_SECONDS = HOUR
"""How long after its end a purchase can still be metered: AWS's last hour (``unsubscribe-pending``)."""

_CLOCK_SKEW_SECONDS = 300


@dataclass(frozen=True)
class Metered:
    """One counted record. ``hour``: Unix seconds of its start · ``licence``: whether it was reported by licence, or
    by product code · ``twice``: both were done for this hour, and the buyer pays twice."""

    record_id: str
    dimension: str
    quantity: Decimal
    hour: int
    at: float
    received_at: float
    licence: bool
    allocations: tuple[Allocation, ...]
    twice: bool


@dataclass(frozen=True)
class _Customer:
    """Whom a record is for. ``key`` is counted once an hour; ``purchase`` is None for nobody of this product."""

    key: str
    purchase: Purchase | None


class Meter:
    """The verbs over the metered records of a :class:`Store`. Every verb is one transaction."""

    def __init__(
        self,
        store: Store,
        now: Callable[[], float],
        dimensions: Sequence[str],
        product_codes: Mapping[str, Sequence[str]],
    ) -> None:
        """``dimensions`` every product has, and each purchase adds those it was made with; ``product_codes`` on
        sale in each partition."""
        self._store = store
        self._now = now
        self._dimensions = frozenset(dimensions)
        self._product_codes = product_codes

    def report(
        self, partition: Partition, product_code: str | None, usages: Sequence[Usage]
    ) -> tuple[list[dict[str, Any]], list[Mapping[str, Any]]]:
        """``(results, unprocessed)`` in AWS's shapes. Raises :class:`AwsError`, and then nothing is counted."""
        now = self._now()
        with self._store.writing() as db:
            customers = [self._customer(db, partition, product_code, usage) for usage in usages]
            self._check(db, partition, product_code, customers, usages, now)
            faults = _spend(db, {c.purchase.agreement_id for c in customers if c.purchase is not None})
            spoilt = next((fault for fault in faults.values() if fault != "unprocessed"), None)
            results, unprocessed = [], []
            for customer, usage in zip(customers, usages, strict=True):
                if spoilt is not None:
                    break
                if customer.purchase is not None and customer.purchase.agreement_id in faults:
                    unprocessed.append(usage.given)
                else:
                    results.append({"UsageRecord": usage.given} | _count(db, customer, usage, now))
        # Raised out here: the call that was spoilt is spent, so it must not be rolled back.
        if spoilt is not None:
            raise fault_error(spoilt, partition, ACTION)
        return results, unprocessed

    def of(self, agreement_id: str) -> list[Metered]:
        """What was counted for a purchase, the latest hour first."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM metered WHERE agreement_id = ? ORDER BY hour DESC, dimension, id",
                [agreement_id],
            ).fetchall()
        times = Counter((row["dimension"], row["hour"]) for row in rows)
        return [_to_metered(row, times[row["dimension"], row["hour"]] > 1) for row in rows]

    def script(
        self, agreement_id: str, fault: str | None, count: int | None = None
    ) -> tuple[str | None, int | None]:
        """Let the next calls for a purchase go wrong; no fault makes it well. Gives the fault and its count.

        ``fault``: one of :data:`~wizard.sandbox.errors.METERING_FAULTS`. Raises
        :class:`~wizard.sandbox.errors.Refused`.
        """
        count = fault_count(fault, count, METERING_FAULTS)
        with self._store.writing() as db:
            done = db.execute(
                "UPDATE purchases SET metering_fault = ?, metering_fault_left = ? WHERE agreement_id = ?",
                [fault, count, agreement_id],
            )
            if not done.rowcount:
                raise UnknownPurchase("No purchase has this agreement id.")
        return fault, count

    def _customer(
        self, db: sqlite3.Connection, partition: Partition, product_code: str | None, usage: Usage
    ) -> _Customer:
        if usage.licence is not None:
            row = db.execute(
                "SELECT * FROM purchases WHERE partition = ? AND license_arn = ? AND account = ?",
                [partition.name, usage.licence, usage.account],
            ).fetchone()
            if row is None:
                raise AwsError("InvalidLicenseException", "No licence of this customer has this LicenseArn.")
            return _Customer(usage.licence, to_purchase(row))
        # The newest of those in force, else the newest: an identifier belongs to all purchases of its account.
        rows = db.execute(
            "SELECT * FROM purchases WHERE partition = :partition AND"
            " CASE WHEN :identifier IS NULL THEN account = :account ELSE customer_identifier = :identifier END"
            " ORDER BY cancelled_at IS NULL, id",
            {"partition": partition.name, "identifier": usage.identifier, "account": usage.account},
        )
        found = [to_purchase(row) for row in rows]
        if not found:
            raise AwsError("InvalidCustomerIdentifierException", "No customer is named like this.")
        own = [purchase for purchase in found if purchase.product_code == product_code]
        # Somebody who left and came back within the hour is still metered for what they used before.
        own = [purchase for purchase in own if _had_started(purchase, usage)] or own
        return _Customer(f"{partition.name}/{product_code}/{found[-1].account}", own[-1] if own else None)

    def _check(
        self,
        db: sqlite3.Connection,
        partition: Partition,
        product_code: str | None,
        customers: Sequence[_Customer],
        usages: Sequence[Usage],
        now: float,
    ) -> None:
        """What refuses the whole call."""
        products = {c.purchase.product_code for c in customers if c.purchase is not None}
        products |= {product_code} if product_code is not None else set()
        if len(products) > 1:
            raise AwsError("InvalidProductCodeException", "The records of one call are for one product.")
        for product in products:
            if not self._on_sale(db, partition, product):
                raise AwsError("InvalidProductCodeException", "No product has this ProductCode.")
            known = self._dimensions | _dimensions_of(db, partition, product)
            if unknown := {usage.dimension for usage in usages} - known:
                raise AwsError(
                    "InvalidUsageDimensionException",
                    f"The product has no dimension {', '.join(sorted(unknown))}.",
                )
        for customer, usage in zip(customers, usages, strict=True):
            if not _in_time(usage.at, now):
                raise AwsError("TimestampOutOfBoundsException", "A Timestamp is out of the allowed range.")
            if customer.purchase is not None and not _had_started(customer.purchase, usage):
                raise AwsError(
                    "InvalidLicenseException" if usage.licence else "TimestampOutOfBoundsException",
                    "A Timestamp is before the start of the purchase.",
                )

    def _on_sale(self, db: sqlite3.Connection, partition: Partition, product_code: str) -> bool:
        """Whether it is a product: one of the sandbox's own, or one that somebody bought."""
        if product_code in self._product_codes.get(partition.name, ()):
            return True
        bought = db.execute(
            "SELECT 1 FROM purchases WHERE partition = ? AND product_code = ?", [partition.name, product_code]
        )
        return bought.fetchone() is not None


def totals(records: Sequence[Metered]) -> dict[str, Decimal]:
    """Dimension → all that was counted of it."""
    found: dict[str, Decimal] = {}
    for record in records:
        found[record.dimension] = found.get(record.dimension, Decimal(0)) + record.quantity
    return dict(sorted(found.items()))


def plain(quantity: Decimal) -> str:
    """``Decimal("17.50")`` → ``"17.5"``: one way to write each value."""
    text = format(quantity, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _dimensions_of(db: sqlite3.Connection, partition: Partition, product_code: str) -> set[str]:
    """What the purchases of a product are entitled to: a vendor's own dimensions come from there."""
    rows = db.execute(
        "SELECT DISTINCT dimension FROM entitlements JOIN purchases USING (agreement_id)"
        " WHERE partition = ? AND product_code = ?",
        [partition.name, product_code],
    )
    return {row["dimension"] for row in rows}


def _had_started(purchase: Purchase, usage: Usage) -> bool:
    return purchase.created_at // HOUR <= usage.at // HOUR


def _in_time(at: float, now: float) -> bool:
    if not now - WINDOW_SECONDS < at <= now + _CLOCK_SKEW_SECONDS:
        return False
    today = datetime.fromtimestamp(now, UTC)
    month = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
    return at >= month or now < month + MONTH_CLOSES_AT_HOUR * HOUR


def _spend(db: sqlite3.Connection, agreement_ids: set[str]) -> dict[str, str]:
    """The faults these purchases are scripted to show, by agreement; spends one count of those that pass."""
    faults = {}
    for agreement_id in agreement_ids:
        row = db.execute(
            "SELECT metering_fault, metering_fault_left FROM purchases WHERE agreement_id = ?", [agreement_id]
        ).fetchone()
        if row["metering_fault"] is None or row["metering_fault_left"] == 0:
            continue
        faults[agreement_id] = row["metering_fault"]
        db.execute(
            "UPDATE purchases SET metering_fault_left = metering_fault_left - 1 WHERE agreement_id = ?",
            [agreement_id],
        )
    return faults


def _count(db: sqlite3.Connection, customer: _Customer, usage: Usage, now: float) -> dict[str, str]:
    """A record's status, with its id when it counts."""
    bought = customer.purchase
    if bought is None or (bought.cancelled_at is not None and now >= bought.cancelled_at + FINAL_SECONDS):
        return {"Status": "CustomerNotSubscribed"}
    hour = int(usage.at // HOUR) * HOUR
    record_id = str(uuid.uuid4())
    allocations = [{"quantity": plain(a.quantity), "tags": dict(a.tags)} for a in usage.allocations]
    inserted = db.execute(
        "INSERT INTO metered (record_id, agreement_id, customer, dimension, hour, quantity, allocations, at,"
        " received_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (customer, dimension, hour) DO NOTHING",
        [record_id, bought.agreement_id, customer.key, usage.dimension, hour, plain(usage.quantity),
         json.dumps(allocations), usage.at, now],
    )  # fmt: skip
    if inserted.rowcount:
        return {"MeteringRecordId": record_id, "Status": "Success"}
    there = db.execute(
        "SELECT record_id, quantity FROM metered WHERE customer = ? AND dimension = ? AND hour = ?",
        [customer.key, usage.dimension, hour],
    ).fetchone()
    if there["quantity"] == plain(usage.quantity):
        return {"MeteringRecordId": there["record_id"], "Status": "Success"}
    return {"Status": "DuplicateRecord"}


def _to_metered(row: sqlite3.Row, twice: bool) -> Metered:
    return Metered(
        record_id=row["record_id"],
        dimension=row["dimension"],
        quantity=Decimal(row["quantity"]),
        hour=row["hour"],
        at=row["at"],
        received_at=row["received_at"],
        licence=row["customer"].startswith("arn:"),
        allocations=tuple(
            Allocation(Decimal(one["quantity"]), one["tags"]) for one in json.loads(row["allocations"])
        ),
        twice=twice,
    )
