"""BatchMeterUsage at the sandbox, asked by unmodified boto3 over a real socket: what counts, and who sees it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.metering import (
    ACCOUNT,
    HOUR,
    NOON,
    counted,
    legacy,
    meter,
    refused,
    script,
    statuses,
    tagged,
    usage,
)
from tests.support.races import race, results
from tests.support.sandbox import CHINA_PRODUCT, PRODUCT, SECOND_PRODUCT, LiveSandbox, live_sandbox
from tests.support.sandbox_buyer import Buyer
from wizard.sandbox import create_sandbox


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSandbox]:
    with live_sandbox(tmp_path) as running:
        running.clock.at = NOON
        yield running


@pytest.fixture
def bought(live: LiveSandbox) -> dict[str, Any]:
    return live.buy(customerAWSAccountId=ACCOUNT)


# Counting -------------------------------------------------------------------------------------------------


def test_usage_by_licence_is_counted(live: LiveSandbox, bought: dict[str, Any]) -> None:
    asked = usage(
        bought,
        UsageAllocations=[
            {"AllocatedUsageQuantity": 2, "Tags": [{"Key": "workspace", "Value": "wksp_1"}]},
            {"AllocatedUsageQuantity": 1},
        ],
    )
    answer = meter(live, asked, usage(bought, Dimension="traces", Quantity=None))
    first, second = answer["Results"]
    assert first.pop("MeteringRecordId") != second["MeteringRecordId"]
    assert first == {"UsageRecord": asked, "Status": "Success"}
    assert answer["UnprocessedRecords"] == []

    found = counted(live, bought)
    assert found["totals"] == {"logs": "3", "traces": "0"}
    record = found["records"][0]
    assert record.pop("meteringRecordId")
    assert record == {
        "dimension": "logs",
        "quantity": "3",
        "hour": "2026-04-07T12:00:00.000Z",
        "timestamp": "2026-04-07T12:00:00.000Z",
        "receivedAt": "2026-04-07T12:00:00.000Z",
        "by": "licence",
        "billedTwice": False,
        "allocations": [{"quantity": "2", "tags": {"workspace": "wksp_1"}}, {"quantity": "1", "tags": {}}],
    }


@pytest.mark.parametrize("style", ["legacy", "legacy_minimal"])
def test_usage_by_customer_identifier_is_counted(live: LiveSandbox, style: str) -> None:
    bought = live.buy(style=style)
    assert statuses(meter(live, legacy(bought), product=PRODUCT)) == ["Success"]
    assert counted(live, bought)["records"][0]["by"] == "productCode"


def test_an_account_with_the_product_code_is_the_same_customer(live: LiveSandbox) -> None:
    bought = live.buy(customerAWSAccountId=ACCOUNT, style="legacy")
    first = meter(live, legacy(bought), product=PRODUCT)["Results"][0]["MeteringRecordId"]
    again = meter(live, usage(bought, LicenseArn=None), product=PRODUCT)
    assert again["Results"][0]["MeteringRecordId"] == first
    assert counted(live, bought)["totals"] == {"logs": "3"}


def test_the_same_again_is_the_same_record_and_another_quantity_is_a_duplicate(
    live: LiveSandbox, bought: dict[str, Any]
) -> None:
    first = meter(live, usage(bought))["Results"][0]["MeteringRecordId"]
    # The hour counts, not the minute, and the value, not how it is written.
    for again in (
        usage(bought),
        usage(bought, at=NOON + 200),
        usage(bought, Quantity=None, QuantityAsDecimal="3.00"),
    ):
        answer = meter(live, again)["Results"][0]
        assert (answer["Status"], answer["MeteringRecordId"]) == ("Success", first)
    other = meter(live, usage(bought, Quantity=4))["Results"][0]
    assert other["Status"] == "DuplicateRecord"
    assert "MeteringRecordId" not in other
    assert counted(live, bought)["totals"] == {"logs": "3"}


def test_another_hour_dimension_or_licence_is_another_record(
    live: LiveSandbox, bought: dict[str, Any]
) -> None:
    live.clock.at += HOUR
    second = live.buy(customerAWSAccountId=ACCOUNT)
    answer = meter(
        live,
        usage(bought),
        usage(bought, at=NOON + HOUR),
        usage(bought, Dimension="traces"),
        usage(second, at=NOON + HOUR),
    )
    assert statuses(answer) == ["Success"] * 4
    assert len({result["MeteringRecordId"] for result in answer["Results"]}) == 4
    assert counted(live, bought)["totals"] == {"logs": "6", "traces": "3"}
    assert counted(live, second)["totals"] == {"logs": "3"}


def test_one_call_may_hold_a_record_twice(live: LiveSandbox, bought: dict[str, Any]) -> None:
    answer = meter(live, usage(bought), usage(bought), usage(bought, Quantity=4))
    assert statuses(answer) == ["Success", "Success", "DuplicateRecord"]
    assert counted(live, bought)["totals"] == {"logs": "3"}


def test_decimals_are_counted_exactly(live: LiveSandbox, bought: dict[str, Any]) -> None:
    decimal = {"Quantity": None, "QuantityAsDecimal": "0.300000"}
    parts = [
        {"AllocatedUsageQuantityAsDecimal": "0.1", "Tags": [{"Key": "w", "Value": "1"}]},
        {"AllocatedUsageQuantityAsDecimal": "0.2", "Tags": [{"Key": "w", "Value": "2"}]},
    ]
    meter(
        live, usage(bought, **decimal, UsageAllocations=parts), usage(bought, Dimension="traces", **decimal)
    )
    live.clock.at += HOUR
    meter(live, usage(bought, at=NOON + HOUR, Quantity=None, QuantityAsDecimal="9999999999.999999"))
    assert counted(live, bought)["totals"] == {"logs": "10000000000.299999", "traces": "0.3"}


def test_licence_and_product_code_in_one_hour_bill_twice_and_it_is_said(
    live: LiveSandbox, bought: dict[str, Any]
) -> None:
    meter(live, usage(bought))
    meter(live, usage(bought, LicenseArn=None), product=PRODUCT)
    assert [(r["by"], r["billedTwice"]) for r in counted(live, bought)["records"]] == [
        ("licence", True),
        ("productCode", True),
    ]


def test_nothing_to_meter_is_no_error(live: LiveSandbox) -> None:
    answer = meter(live)
    assert (answer["Results"], answer["UnprocessedRecords"]) == ([], [])


def test_sixteen_threads_metering_one_record_count_it_once(live: LiveSandbox, bought: dict[str, Any]) -> None:
    live.aws("meteringmarketplace")  # boto3 makes clients in one thread at a time
    said = results(race(16, lambda _: meter(live, usage(bought))["Results"][0]))
    assert {one["Status"] for one in said} == {"Success"}
    assert len({one["MeteringRecordId"] for one in said}) == 1
    assert counted(live, bought)["totals"] == {"logs": "3"}


def test_of_sixteen_quantities_for_one_hour_one_counts(live: LiveSandbox, bought: dict[str, Any]) -> None:
    live.aws("meteringmarketplace")
    said = results(race(16, lambda n: statuses(meter(live, usage(bought, Quantity=n + 1)))[0]))
    assert sorted(said) == ["DuplicateRecord"] * 15 + ["Success"]
    assert len(counted(live, bought)["records"]) == 1


# Who is subscribed ----------------------------------------------------------------------------------------


def test_the_last_hour_after_the_end_is_still_metered(live: LiveSandbox, bought: dict[str, Any]) -> None:
    old = live.buy(style="legacy")
    for one in (bought, old):
        live.post(f"/aws/purchases/{one['agreementId']}/cancel")
    live.clock.at += HOUR - 1
    assert statuses(meter(live, usage(bought))) == ["Success"]
    assert statuses(meter(live, legacy(old), product=PRODUCT)) == ["Success"]
    live.clock.at += 1
    assert statuses(meter(live, usage(bought, Dimension="traces"))) == ["CustomerNotSubscribed"]
    assert statuses(meter(live, legacy(old, Dimension="traces"), product=PRODUCT)) == [
        "CustomerNotSubscribed"
    ]
    assert counted(live, bought)["totals"] == {"logs": "3"}


def test_a_customer_who_subscribed_again_is_metered_on_the_new_purchase(live: LiveSandbox) -> None:
    first = live.buy(customerAWSAccountId=ACCOUNT, style="legacy")
    live.post(f"/aws/purchases/{first['agreementId']}/cancel")
    live.clock.at += 2 * HOUR
    second = live.buy(customerAWSAccountId=ACCOUNT, style="legacy")
    later = {"Timestamp": datetime.fromtimestamp(live.clock.at, UTC)}
    assert statuses(meter(live, legacy(second, **later), product=PRODUCT)) == ["Success"]
    assert counted(live, first)["records"] == []
    assert counted(live, second)["totals"] == {"logs": "3"}


def test_who_comes_back_within_the_hour_is_metered_for_before_and_after(live: LiveSandbox) -> None:
    first = live.buy(customerAWSAccountId=ACCOUNT, style="legacy")
    live.clock.at += HOUR + 1200
    live.post(f"/aws/purchases/{first['agreementId']}/cancel")
    live.clock.at += 1200
    second = live.buy(customerAWSAccountId=ACCOUNT, style="legacy")
    after = {"Timestamp": datetime.fromtimestamp(live.clock.at, UTC)}
    answer = meter(live, legacy(first), legacy(second) | after, product=PRODUCT)
    assert statuses(answer) == ["Success", "Success"]
    assert [len(counted(live, one)["records"]) for one in (first, second)] == [1, 1]


def test_a_customer_of_another_product_is_not_subscribed(live: LiveSandbox) -> None:
    other = live.buy(style="legacy", productCode=SECOND_PRODUCT)
    mine = live.buy(style="legacy")
    answer = meter(live, legacy(mine), legacy(other), product=PRODUCT)
    assert statuses(answer) == ["Success", "CustomerNotSubscribed"]
    assert "MeteringRecordId" not in answer["Results"][1]


# Scripted trouble -----------------------------------------------------------------------------------------


def test_records_can_be_left_unprocessed_and_sent_again(live: LiveSandbox, bought: dict[str, Any]) -> None:
    other = live.buy()
    assert script(live, bought, fault="unprocessed", faultCount=2) == (
        200,
        {"agreementId": bought["agreementId"], "fault": "unprocessed", "faultCount": 2},
    )
    mine, theirs = usage(bought), usage(other)
    for _ in range(2):
        answer = meter(live, mine, theirs)
        assert answer["UnprocessedRecords"] == [mine]
        assert [result["UsageRecord"] for result in answer["Results"]] == [theirs]
    assert counted(live, bought)["records"] == []
    again = meter(live, *answer["UnprocessedRecords"])
    assert (statuses(again), again["UnprocessedRecords"]) == (["Success"], [])


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("throttled", "ThrottlingException"),
        ("internal", "InternalServiceErrorException"),
        ("disabled", "DisabledApiException"),
        ("access_denied", "AccessDeniedException"),
    ],
)
def test_a_scripted_fault_spoils_the_whole_call(
    live: LiveSandbox, bought: dict[str, Any], fault: str, error: str
) -> None:
    other = live.buy()
    script(live, bought, fault=fault, faultCount=2)
    for _ in range(2):
        assert refused(live, usage(other), usage(bought)) == error
    assert counted(live, other)["records"] == []
    assert statuses(meter(live, usage(other), usage(bought))) == ["Success"] * 2


def test_a_passing_fault_passes_and_a_lasting_one_is_ended_by_hand(
    live: LiveSandbox, bought: dict[str, Any]
) -> None:
    script(live, bought, fault="throttled")
    assert [refused(live, usage(bought)) for _ in range(3)] == ["ThrottlingException"] * 3
    assert statuses(meter(live, usage(bought))) == ["Success"]
    script(live, bought, fault="disabled")
    assert [refused(live, usage(bought)) for _ in range(5)] == ["DisabledApiException"] * 5
    assert script(live, bought, fault=None)[1]["faultCount"] is None
    assert statuses(meter(live, usage(bought))) == ["Success"]


def test_a_refused_call_spends_no_fault_and_many_calls_spend_each_count_once(
    live: LiveSandbox, bought: dict[str, Any]
) -> None:
    script(live, bought, fault="throttled", faultCount=7)
    assert refused(live, usage(bought, Dimension="nothing")) == "InvalidUsageDimensionException"
    outcomes = race(16, lambda _: meter(live, usage(bought)))
    assert sum(outcome.error is not None for outcome in outcomes) == 7


@pytest.mark.parametrize(
    "wish",
    [{"fault": "meteor"}, {"fault": "expired"}, {"faultCount": 1}, {"fault": "internal", "faultCount": 0}],
)
def test_a_fault_metering_does_not_have_is_refused_in_words(
    live: LiveSandbox, bought: dict[str, Any], wish: dict[str, Any]
) -> None:
    status, answer = script(live, bought, **wish)
    assert (status, answer["error"].endswith(".")) == (400, True)
    assert script(live, bought, colour="red")[0] == 400


def test_the_metering_of_no_purchase_is_404(live: LiveSandbox) -> None:
    assert live.get("/aws/purchases/agmt-nobody/metering")[0] == 404
    assert live.post("/aws/purchases/agmt-nobody/metering", {"fault": "internal"})[0] == 404


# Partitions -----------------------------------------------------------------------------------------------


def test_partitions_meter_apart(live: LiveSandbox, bought: dict[str, Any]) -> None:
    china = live.buy(partition="aws-cn", customerAWSAccountId=ACCOUNT)
    asked = legacy(china)
    assert statuses(meter(live, asked, product=CHINA_PRODUCT, partition="aws-cn")) == ["Success"]
    assert counted(live, china)["totals"] == {"logs": "3"}
    for partition, record, product, error in (
        ("aws", asked, CHINA_PRODUCT, "InvalidCustomerIdentifierException"),
        ("aws", usage(china, LicenseArn=None), CHINA_PRODUCT, "InvalidProductCodeException"),
        ("aws-eusc", usage(bought), None, "InvalidLicenseException"),
        ("aws-cn", usage(bought), None, "InvalidLicenseException"),
    ):
        with pytest.raises(ClientError, match=error):
            meter(live, record, product=product, partition=partition)
    script(live, china, fault="access_denied")
    with pytest.raises(ClientError, match="arn:aws-cn:iam::.*aws-marketplace:BatchMeterUsage"):
        meter(live, asked, product=CHINA_PRODUCT, partition="aws-cn")


# The page -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_person_sees_what_was_metered(live: LiveSandbox, bought: dict[str, Any], language: str) -> None:
    buyer = Buyer(create_sandbox(live.settings), language)
    place = f"/aws/software/{bought['agreementId']}"
    link, nothing, twice = {
        "en": ("Metered usage", "Nothing yet", "Billed twice"),
        "zh": ("用量记录", "还没有用量", "重复计费"),
    }[language]
    assert nothing in buyer.follow(buyer.get(place), link).text
    live.buy(entitlements={"gb_ingested": 1})
    live.clock.at += HOUR
    parts = [tagged(2, workspace="wksp_1"), {"AllocatedUsageQuantity": 1}]
    meter(live, usage(bought, UsageAllocations=parts), usage(bought, at=NOON + HOUR, Quantity=4))
    meter(live, usage(bought, Dimension="gb_ingested", Quantity=None, QuantityAsDecimal="17.50"))
    page = buyer.follow(buyer.get(place), link)
    rows = [
        [cell.get_text(" ", strip=True) for cell in row.find_all(["th", "td"])]
        for row in page.soup.select("tbody tr")
    ]
    assert [row[-1] for row in rows] == ["4", "17.5", "3"]
    assert "workspace=wksp_1" in rows[2][0]
    assert [dd.get_text(" ", strip=True).split()[0] for dd in page.soup.select("dl.facts dd")] == [
        "17.5",
        "7",
    ]
    assert twice not in page.text
    meter(live, usage(bought, LicenseArn=None), product=PRODUCT)
    assert buyer.get(f"{place}/metering").text.count(twice) == 2
    assert buyer.get(f"/aws-cn/software/{bought['agreementId']}/metering").status == 404


def test_a_long_history_is_cut_on_the_page_and_whole_at_the_door(live: LiveSandbox) -> None:
    dimensions = [f"dimension-{number}" for number in range(9)]
    bought = live.buy(entitlements=dict.fromkeys(dimensions, 1))
    live.clock.at += 23 * HOUR
    records = [usage(bought, at=NOON + hour * HOUR, Dimension=d) for hour in range(23) for d in dimensions]
    for start in range(0, 201, 25):
        meter(live, *records[start : min(start + 25, 201)])
    assert len(counted(live, bought)["records"]) == 201
    page = Buyer(create_sandbox(live.settings)).get(f"/aws/software/{bought['agreementId']}/metering")
    assert len(page.soup.select("tbody tr")) == 200
    assert "1 earlier record is not shown here." in page.text
