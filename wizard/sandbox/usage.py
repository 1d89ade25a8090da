"""The shape of ``BatchMeterUsage``: what a request must look like before anything is looked up.

Limits and errors: *AWS Marketplace Metering Service* (2016-01-14), ``UsageRecord``, ``UsageAllocation`` and ``Tag``,
as in the service model of botocore 1.44. boto3 itself checks the least
lengths only, so everything longer or odd arrives.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from wizard.sandbox.errors import AwsError, serialization_error

MOST_RECORDS = 25
MOST_ALLOCATIONS = 2500
MOST_TAGS = 5

_MOST = 2**31 - 1
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,9})(\.[0-9]{1,6})?", re.ASCII)
_TAG = re.compile(r"[a-zA-Z0-9+ \-=._:/@]+")
_TAG_KEY_LENGTH, _TAG_VALUE_LENGTH = 100, 256
_LICENCE = re.compile(
    r"arn:aws[a-zA-Z-]*:[A-Za-z0-9][A-Za-z0-9_/.-]{0,62}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:"
    r"[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]{0,1023}"
)
_ACCOUNT = re.compile(r"[0-9]{1,255}")
_MEMBERS = {
    "Timestamp": (int, float),
    "Dimension": (str,),
    "CustomerIdentifier": (str,),
    "CustomerAWSAccountId": (str,),
    "LicenseArn": (str,),
    "Quantity": (int,),
    "QuantityAsDecimal": (str,),
    "UsageAllocations": (list,),
}


@dataclass(frozen=True)
class Allocation:
    """One bucket of a record's usage; no tags is the bucket of the rest."""

    quantity: Decimal
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Usage:
    """One record. ``given``: as it came, which is how it is answered · ``at``: Unix seconds · exactly one way to
    say whose usage it is: ``identifier``, ``account`` with ``licence``, or ``account`` alone."""

    given: Mapping[str, Any]
    at: float
    dimension: str
    quantity: Decimal
    allocations: tuple[Allocation, ...]
    identifier: str | None
    account: str | None
    licence: str | None


def usages(request: Mapping[str, Any]) -> tuple[str | None, list[Usage]]:
    """``(product code or None, records)``. Raises :class:`AwsError` for a request that no record of is looked at."""
    product_code = _typed(request, "ProductCode", (str,)) or None
    records = _typed(request, "UsageRecords", (list,))
    if records is None:
        raise _breaks("usageRecords", "Member must not be null")
    if len(records) > MOST_RECORDS:
        raise _breaks("usageRecords", f"Member must have length less than or equal to {MOST_RECORDS}")
    return product_code, [_usage(record, product_code) for record in records]


def _usage(record: Any, product_code: str | None) -> Usage:
    if not isinstance(record, dict):
        raise serialization_error("UsageRecords")
    given = {name: _typed(record, name, kinds) for name, kinds in _MEMBERS.items()}
    given = {name: value for name, value in given.items() if value is not None}
    if "Timestamp" not in given:
        raise _breaks("usageRecords.timestamp", "Member must not be null")
    if not 1 <= len(given.get("Dimension", "")) <= 255:
        raise _breaks("usageRecords.dimension", "Member must have length from 1 to 255")
    identifier, account, licence = _customer(given, product_code)
    quantity = _quantity(given, "Quantity", "QuantityAsDecimal")
    return Usage(
        given=given,
        at=given["Timestamp"],
        dimension=given["Dimension"],
        quantity=quantity,
        allocations=_allocations(given, quantity),
        identifier=identifier,
        account=account,
        licence=licence,
    )


def _customer(
    given: Mapping[str, Any], product_code: str | None
) -> tuple[str | None, str | None, str | None]:
    identifier = given.get("CustomerIdentifier") or None
    account, licence = given.get("CustomerAWSAccountId"), given.get("LicenseArn")
    if (identifier is None) == (account is None):
        raise AwsError(
            "ValidationException", "A record names either CustomerIdentifier or CustomerAWSAccountId."
        )
    if identifier is not None and len(identifier) > 255:
        raise _breaks("usageRecords.customerIdentifier", "Member must have length less than or equal to 255")
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise _breaks("usageRecords.customerAWSAccountId", "Member must be 1 to 255 digits")
    if licence is not None and not _LICENCE.fullmatch(licence):
        raise _breaks("usageRecords.licenseArn", "Member must be the name of a licence")
    if licence is not None and account is None:
        raise AwsError("ValidationException", "LicenseArn goes with CustomerAWSAccountId.")
    if licence is None and product_code is None:
        raise AwsError("ValidationException", "A record without LicenseArn needs ProductCode in the request.")
    return identifier, account, licence


def _quantity(given: Mapping[str, Any], whole: str, decimal: str) -> Decimal:
    """The quantity of a record, 0 when none is said."""
    if whole in given and decimal in given:
        raise AwsError("ValidationException", f"{whole} and {decimal} exclude each other.")
    if decimal in given:
        return _decimal(given[decimal], decimal)
    return _whole(given.get(whole, 0), whole)


def _whole(value: int, name: str) -> Decimal:
    if not 0 <= value <= _MOST:
        raise _breaks(f"usageRecords.{name}", f"Member must be between 0 and {_MOST}")
    return Decimal(value)


def _decimal(value: str, name: str) -> Decimal:
    if not _DECIMAL.fullmatch(value):
        raise _breaks(f"usageRecords.{name}", "Member must be a decimal such as 17.42, with up to 6 places")
    return Decimal(value)


def _allocations(given: Mapping[str, Any], quantity: Decimal) -> tuple[Allocation, ...]:
    asked = given.get("UsageAllocations")
    if asked is None:
        return ()
    if not 1 <= len(asked) <= MOST_ALLOCATIONS:
        raise _bad_allocations(f"There are 1 to {MOST_ALLOCATIONS} allocations in a record.")
    name = "AllocatedUsageQuantity" + ("AsDecimal" if "QuantityAsDecimal" in given else "")
    allocations = tuple(_allocation(one, name) for one in asked)
    if len({frozenset(one.tags.items()) for one in allocations}) < len(allocations):
        raise _bad_allocations("Two allocations have the same tags.")
    if sum(one.quantity for one in allocations) != quantity:
        raise _bad_allocations("Sum of allocated usage quantities is not equal to the usage quantity.")
    return allocations


def _allocation(asked: Any, name: str) -> Allocation:
    if not isinstance(asked, dict):
        raise serialization_error("UsageAllocations")
    whole = _typed(asked, "AllocatedUsageQuantity", (int,))
    decimal = _typed(asked, "AllocatedUsageQuantityAsDecimal", (str,))
    said = {"AllocatedUsageQuantity": whole, "AllocatedUsageQuantityAsDecimal": decimal}
    if [key for key, value in said.items() if value is not None] != [name]:
        raise _bad_allocations(f"This record's allocations have {name}, and that alone.")
    quantity = _whole(whole, name) if whole is not None else _decimal(decimal, name)
    tags = _typed(asked, "Tags", (list,))
    return Allocation(quantity, {} if tags is None else _tags(tags))


def _tags(asked: Sequence[Any]) -> dict[str, str]:
    if not 1 <= len(asked) <= MOST_TAGS:
        raise AwsError("InvalidTagException", f"There are 1 to {MOST_TAGS} tags in an allocation.")
    tags: dict[str, str] = {}
    for tag in asked:
        if not isinstance(tag, dict):
            raise serialization_error("Tags")
        key, value = _typed(tag, "Key", (str,)) or "", _typed(tag, "Value", (str,)) or ""
        for text, length in ((key, _TAG_KEY_LENGTH), (value, _TAG_VALUE_LENGTH)):
            if not _TAG.fullmatch(text) or len(text) > length:
                raise AwsError(
                    "InvalidTagException", "A tag's key and value are letters, digits and +-=._:/@ or spaces."
                )
        if key in tags:
            raise AwsError("InvalidTagException", "A tag's key stands once in an allocation.")
        tags[key] = value
    return tags


def _typed(given: Mapping[str, Any], name: str, kinds: tuple[type, ...]) -> Any:
    """A member, None where it is absent or null. True is no number here, though Python thinks so."""
    value = given.get(name)
    if value is not None and (not isinstance(value, kinds) or isinstance(value, bool)):
        raise serialization_error(name)
    return value


def _breaks(name: str, rule: str) -> AwsError:
    return AwsError(
        "ValidationException",
        f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {rule}",
    )


def _bad_allocations(message: str) -> AwsError:
    return AwsError("InvalidUsageAllocationsException", message)
