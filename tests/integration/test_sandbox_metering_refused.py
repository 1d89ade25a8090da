"""Calls of BatchMeterUsage that the sandbox refuses whole, as AWS does: nothing of them is counted."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.metering import (
    ACCOUNT,
    HOUR,
    NOON,
    counted,
    legacy,
    meter,
    refused,
    statuses,
    tagged,
    usage,
)
from tests.support.sandbox import PRODUCT, SECOND_PRODUCT, LiveSandbox, live_sandbox


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSandbox]:
    with live_sandbox(tmp_path) as running:
        running.clock.at = NOON
        yield running


@pytest.fixture
def bought(live: LiveSandbox) -> dict[str, Any]:
    return live.buy(customerAWSAccountId=ACCOUNT)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"Dimension": "nobody-sells-this"}, "InvalidUsageDimensionException"),
        ({"CustomerAWSAccountId": "111122223333"}, "InvalidLicenseException"),
        (
            {"LicenseArn": "arn:aws:license-manager::294406891311:license:l-" + "0" * 32},
            "InvalidLicenseException",
        ),
        ({"LicenseArn": "licence"}, "ValidationException"),
        ({"CustomerAWSAccountId": "twelve"}, "ValidationException"),
        ({"CustomerAWSAccountId": None}, "ValidationException"),
        ({"LicenseArn": None}, "ValidationException"),
        ({"CustomerIdentifier": "both"}, "ValidationException"),
        ({"CustomerAWSAccountId": None, "CustomerIdentifier": "licence"}, "ValidationException"),
        ({"Quantity": 2**31}, "ValidationException"),
        ({"QuantityAsDecimal": "3"}, "ValidationException"),
        ({"Quantity": None, "QuantityAsDecimal": "03"}, "ValidationException"),
        ({"Quantity": None, "QuantityAsDecimal": "1.2345678"}, "ValidationException"),
        ({"Quantity": None, "QuantityAsDecimal": "-1"}, "ValidationException"),
        ({"Quantity": None, "QuantityAsDecimal": "٣"}, "ValidationException"),
        ({"Dimension": "d" * 256}, "ValidationException"),
    ],
)
def test_one_record_that_cannot_be_refuses_the_whole_call(
    live: LiveSandbox, bought: dict[str, Any], changes: dict[str, Any], error: str
) -> None:
    assert refused(live, usage(bought), usage(bought, **changes)) == error
    assert counted(live, bought)["records"] == []


@pytest.mark.parametrize(
    ("allocations", "error"),
    [
        ([tagged(2, a="1")], "InvalidUsageAllocationsException"),
        ([tagged(2, a="1"), tagged(2, a="2")], "InvalidUsageAllocationsException"),
        ([tagged(2, a="1"), tagged(1, a="1")], "InvalidUsageAllocationsException"),
        ([{"AllocatedUsageQuantityAsDecimal": "3"}], "InvalidUsageAllocationsException"),
        ([{"Tags": [{"Key": "a", "Value": "1"}]}], "InvalidUsageAllocationsException"),
        (
            [{"AllocatedUsageQuantity": 3, "AllocatedUsageQuantityAsDecimal": "3"}],
            "InvalidUsageAllocationsException",
        ),
        (
            [tagged(3, a="0"), *(tagged(0, a=str(number)) for number in range(1, 2501))],
            "InvalidUsageAllocationsException",
        ),
        ([tagged(3, a="1", b="1", c="1", d="1", e="1", f="1")], "InvalidTagException"),
        ([tagged(3, a="工作空间")], "InvalidTagException"),
        ([tagged(3, a="x" * 257)], "InvalidTagException"),
        ([tagged(3, **{"k" * 101: "1"})], "InvalidTagException"),
        (
            [
                {
                    "AllocatedUsageQuantity": 3,
                    "Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
                }
            ],
            "InvalidTagException",
        ),
    ],
)
def test_allocations_that_do_not_add_up_and_bad_tags_are_refused(
    live: LiveSandbox, bought: dict[str, Any], allocations: list[dict[str, Any]], error: str
) -> None:
    assert refused(live, usage(bought, UsageAllocations=allocations)) == error
    assert counted(live, bought)["records"] == []


def test_the_most_allocations_and_tags_are_taken(live: LiveSandbox, bought: dict[str, Any]) -> None:
    most = [tagged(1, a=str(number), b="1", c="1", d="1", e="1") for number in range(2500)]
    asked = usage(bought, Quantity=2500, UsageAllocations=most)
    assert statuses(meter(live, asked)) == ["Success"]


def test_twenty_five_records_are_taken_and_one_more_is_not(live: LiveSandbox) -> None:
    live.clock.at -= 25 * HOUR
    bought = live.buy()
    live.clock.at += 25 * HOUR
    records = [usage(bought, at=NOON - 600 * number) for number in range(26)]
    assert refused(live, *records) == "ValidationException"
    assert len(meter(live, *records[:25])["Results"]) == 25


def test_a_product_nobody_sells_and_a_customer_nobody_knows_are_refused(live: LiveSandbox) -> None:
    bought = live.buy(style="legacy")
    assert refused(live, legacy(bought), product="never-published") == "InvalidProductCodeException"
    unknown = legacy(bought, CustomerIdentifier="nobody")
    assert refused(live, unknown, product=PRODUCT) == "InvalidCustomerIdentifierException"
    stranger = usage(bought, LicenseArn=None, CustomerAWSAccountId="111122223333")
    assert refused(live, stranger, product=PRODUCT) == "InvalidCustomerIdentifierException"
    assert refused(live, legacy(bought)) == "ValidationException", "an identifier needs its product code"


def test_one_call_is_for_one_product(live: LiveSandbox, bought: dict[str, Any]) -> None:
    other = live.buy(productCode=SECOND_PRODUCT)
    assert refused(live, usage(bought), usage(other)) == "InvalidProductCodeException"
    assert refused(live, usage(bought), product=SECOND_PRODUCT) == "InvalidProductCodeException"


def test_a_vendors_own_dimension_comes_with_a_purchase(live: LiveSandbox, bought: dict[str, Any]) -> None:
    asked = usage(bought, Dimension="gb_ingested")
    assert refused(live, asked) == "InvalidUsageDimensionException"
    live.buy(entitlements={"gb_ingested": 1})
    assert statuses(meter(live, asked)) == ["Success"]


def test_a_timestamp_out_of_bounds_refuses_the_whole_batch(live: LiveSandbox) -> None:
    live.clock.at -= 48 * HOUR
    bought = live.buy()
    live.clock.at += 48 * HOUR
    day = 24 * HOUR
    assert statuses(meter(live, usage(bought, at=NOON - day + 1))) == ["Success"]
    for late in (NOON - day, NOON - 5 * day, NOON + 2 * HOUR, 10.0**12):
        stamp = {"Timestamp": late}
        status, answer = live.post(
            "/aws/api",
            {"UsageRecords": [usage(bought) | {"Timestamp": NOON}, usage(bought) | stamp]},
            {"X-Amz-Target": "AWSMPMeteringService.BatchMeterUsage"},
        )
        assert (status, answer["__type"]) == (400, "TimestampOutOfBoundsException")
    assert refused(live, usage(bought), usage(bought, at=NOON - day)) == "TimestampOutOfBoundsException"
    assert len(counted(live, bought)["records"]) == 1


def test_a_month_closes_at_six_on_the_first(live: LiveSandbox) -> None:
    first = datetime(2026, 5, 1, tzinfo=UTC)
    live.clock.at = (first - timedelta(days=2)).timestamp()
    bought = live.buy()
    last_hour = (first - timedelta(minutes=30)).timestamp()
    live.clock.at = (first + timedelta(hours=6, seconds=-1)).timestamp()
    assert statuses(meter(live, usage(bought, at=last_hour))) == ["Success"]
    live.clock.at += 1
    assert refused(live, usage(bought, at=last_hour)) == "TimestampOutOfBoundsException"
    assert statuses(meter(live, usage(bought, at=first.timestamp()))) == ["Success"]


def test_usage_from_before_the_purchase_is_refused(live: LiveSandbox, bought: dict[str, Any]) -> None:
    old = live.buy(style="legacy")
    early = {"Timestamp": datetime.fromtimestamp(NOON - 1, UTC)}
    assert refused(live, usage(bought) | early) == "InvalidLicenseException"
    assert refused(live, legacy(old) | early, product=PRODUCT) == "TimestampOutOfBoundsException"


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "ValidationException"),
        ({"UsageRecords": "logs"}, "SerializationException"),
        ({"UsageRecords": ["logs"]}, "SerializationException"),
        ({"UsageRecords": [], "ProductCode": 7}, "SerializationException"),
        ({"UsageRecords": [{"Dimension": "logs"}]}, "ValidationException"),
        ({"UsageRecords": [{"Timestamp": 1}]}, "ValidationException"),
        ({"UsageRecords": [{"Timestamp": "now", "Dimension": "logs"}]}, "SerializationException"),
        ({"UsageRecords": [{"Timestamp": True, "Dimension": "logs"}]}, "SerializationException"),
        (
            {"UsageRecords": [{"Timestamp": 1, "Dimension": "logs", "Quantity": 1.5}]},
            "SerializationException",
        ),
        (
            {"UsageRecords": [{"Timestamp": 1, "Dimension": "x", "CustomerIdentifier": "c", "Quantity": -1}]},
            "ValidationException",
        ),
    ],
)
def test_what_boto3_would_not_send_is_refused_too(
    live: LiveSandbox, body: dict[str, Any], error: str
) -> None:
    target = {"X-Amz-Target": "AWSMPMeteringService.BatchMeterUsage"}
    status, answer = live.post("/aws/api", body, target)
    assert (status, answer["__type"]) == (400, error)


def test_a_timestamp_beyond_every_number_is_out_of_bounds(live: LiveSandbox, bought: dict[str, Any]) -> None:
    record = usage(bought) | {"Timestamp": 0}
    for number in (b"1e400", b"-1e400"):
        body = (
            json.dumps({"UsageRecords": [record]})
            .encode()
            .replace(b'"Timestamp": 0', b'"Timestamp": ' + number)
        )
        status, answer = live.post("/aws/api", body, {"X-Amz-Target": "AWSMPMeteringService.BatchMeterUsage"})
        assert (status, answer["__type"]) == (400, "TimestampOutOfBoundsException")
