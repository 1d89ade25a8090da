"""The sandbox's AWS API and its doors for programs, asked by unmodified boto3 over a real socket."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.sandbox import PRODUCT, SECOND_PRODUCT, LiveSandbox, live_sandbox

ACCOUNT = "782858285006"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSandbox]:
    with live_sandbox(tmp_path) as running:
        yield running


def entitlements(live: LiveSandbox, **asked: object) -> dict:
    return live.aws("marketplace-entitlement").get_entitlements(**{"ProductCode": PRODUCT} | asked)


# Purchases and ResolveCustomer ---------------------------------------------------------------------------


def test_a_licence_purchase_resolves_to_its_agreement(live: LiveSandbox) -> None:
    bought = live.buy(customerAWSAccountId=ACCOUNT)

    assert live.resolve(bought["token"]) == {
        "CustomerIdentifier": "",
        "ProductCode": PRODUCT,
        "CustomerAWSAccountId": ACCOUNT,
        "LicenseArn": bought["licenseArn"],
        "Metadata": {"AgreementId": bought["agreementId"]},
    }
    assert re.fullmatch(r"arn:aws:license-manager::[0-9]{12}:license:l-[0-9a-f]{32}", bought["licenseArn"])
    assert re.fullmatch(r"agmt-[a-z0-9]{25}", bought["agreementId"])
    assert re.fullmatch(r"[A-Za-z0-9+/=]{1,512}", bought["token"])
    assert {"+", "/", "="} <= set(bought["token"]), "the characters a careless form handler spoils"


def test_a_purchase_needs_no_wishes_at_all(live: LiveSandbox) -> None:
    status, bought = live.post("/aws/purchases", b"")
    assert status == 201
    assert set(bought) == {
        "token",
        "customerAWSAccountId",
        "productCode",
        "agreementId",
        "licenseArn",
        "customerIdentifier",
        "partition",
    }
    assert bought["partition"] == "aws"
    assert re.fullmatch(r"[1-9][0-9]{11}", bought["customerAWSAccountId"])
    assert bought["productCode"] == PRODUCT


def test_a_legacy_purchase_has_an_identifier_and_no_licence(live: LiveSandbox) -> None:
    bought = live.buy(customerAWSAccountId=ACCOUNT, style="legacy")
    assert bought["licenseArn"] is None
    assert live.resolve(bought["token"]) == {
        "CustomerIdentifier": bought["customerIdentifier"],
        "ProductCode": PRODUCT,
        "CustomerAWSAccountId": ACCOUNT,
    }
    again = live.buy(customerAWSAccountId=ACCOUNT, style="legacy")
    other = live.buy(style="legacy")
    assert again["customerIdentifier"] == bought["customerIdentifier"] != other["customerIdentifier"]


def test_the_oldest_purchases_tell_no_account(live: LiveSandbox) -> None:
    bought = live.buy(style="legacy_minimal")
    assert set(live.resolve(bought["token"])) == {"CustomerIdentifier", "ProductCode"}


def test_a_token_answers_the_same_until_it_expires(live: LiveSandbox) -> None:
    bought = live.buy()
    first = live.resolve(bought["token"])
    live.post(f"/aws/purchases/{bought['agreementId']}/cancel")
    live.clock.at += 4 * 3600 - 1
    assert live.resolve(bought["token"]) == first
    live.clock.at += 1
    with pytest.raises(live.aws("meteringmarketplace").exceptions.ExpiredTokenException):
        live.resolve(bought["token"])


def test_set_up_product_gives_the_same_purchase_a_fresh_token(live: LiveSandbox) -> None:
    bought = live.buy(customerAWSAccountId=ACCOUNT, fault="expired")
    again = live.buy(agreementId=bought["agreementId"])
    assert again == bought | {"token": again["token"]}
    assert again["token"] != bought["token"]
    assert live.resolve(again["token"])["Metadata"]["AgreementId"] == bought["agreementId"]


def test_one_account_may_hold_several_agreements(live: LiveSandbox) -> None:
    first, second = live.buy(customerAWSAccountId=ACCOUNT), live.buy(customerAWSAccountId=ACCOUNT)
    assert first["agreementId"] != second["agreementId"]
    assert first["licenseArn"] != second["licenseArn"]


@pytest.mark.parametrize(
    ("fault", "exception", "status"),
    [
        ("expired", "ExpiredTokenException", 400),
        ("invalid", "InvalidTokenException", 400),
        ("throttled", "ThrottlingException", 400),
        ("internal", "InternalServiceErrorException", 500),
        ("disabled", "DisabledApiException", 400),
    ],
)
def test_a_scripted_fault_is_the_exception_boto3_knows(
    live: LiveSandbox, fault: str, exception: str, status: int
) -> None:
    bought = live.buy(fault=fault)
    with pytest.raises(getattr(live.aws("meteringmarketplace").exceptions, exception)) as caught:
        live.resolve(bought["token"])
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert caught.value.response["Error"]["Message"]


def test_access_denied_is_a_plain_client_error(live: LiveSandbox) -> None:
    bought = live.buy(fault="access_denied")
    with pytest.raises(ClientError) as caught:
        live.resolve(bought["token"])
    assert caught.value.response["Error"]["Code"] == "AccessDeniedException"


@pytest.mark.parametrize("token", ["never sold", "", "x" * 10_000, "令牌"])
def test_a_token_nobody_sold_is_invalid(live: LiveSandbox, token: str) -> None:
    with pytest.raises(live.aws("meteringmarketplace").exceptions.InvalidTokenException):
        live.resolve(token)


@pytest.mark.parametrize("fault", ["throttled", "internal", "expired"])
def test_a_counted_fault_passes(live: LiveSandbox, fault: str) -> None:
    bought = live.buy(fault=fault, faultCount=2)
    for _ in range(2):
        with pytest.raises(ClientError):
            live.resolve(bought["token"])
    assert live.resolve(bought["token"])["ProductCode"] == PRODUCT


def test_a_passing_fault_outlives_one_retry_and_a_lasting_one_every_retry(live: LiveSandbox) -> None:
    passing, lasting = live.buy(fault="throttled"), live.buy(fault="disabled")
    for _ in range(3):
        with pytest.raises(ClientError):
            live.resolve(passing["token"])
    assert live.resolve(passing["token"])
    for _ in range(5):
        with pytest.raises(ClientError):
            live.resolve(lasting["token"])


@pytest.mark.parametrize(
    "wish",
    [
        {"customerAWSAccountId": "12"},
        {"customerAWSAccountId": 782858285006},
        {"customerAWSAccountId": ""},
        {"customerAWSAccountId": "１２３４５６７８９０１２"},
        {"productCode": "with space"},
        {"productCode": "p" * 256},
        {"productCode": 7},
        {"style": "licenceish"},
        {"fault": "meteor"},
        {"fault": ["expired"]},
        {"faultCount": 2},
        {"fault": "throttled", "faultCount": 0},
        {"fault": "throttled", "faultCount": True},
        {"fault": "throttled", "faultCount": 10**30},
        {"entitlements": [1]},
        {"entitlements": {"seats": None}},
        {"entitlements": {"": 1}},
        {"agreementId": 7},
        b'{"entitlements": {"seats": NaN}}',
        b'{"agreementId": "\\ud800"}',
        b"[" * 100_000,
        {"acount": ACCOUNT},
        ["not an object"],
        b"not JSON",
        b"\xff\xfe",
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused_in_words(live: LiveSandbox, wish: object) -> None:
    status, answer = live.post("/aws/purchases", wish)
    assert status == 400
    assert answer["error"].endswith(".")


def test_a_purchase_that_is_not_there_is_404(live: LiveSandbox) -> None:
    assert live.post("/aws/purchases", {"agreementId": "agmt-nobody"})[0] == 404
    assert live.post("/aws/purchases/agmt-nobody/cancel")[0] == 404
    assert live.post("/aws/purchases/nothing")[0] == 404


def test_a_fresh_token_takes_no_wishes_about_the_purchase(live: LiveSandbox) -> None:
    bought = live.buy()
    status, answer = live.post("/aws/purchases", {"agreementId": bought["agreementId"], "style": "legacy"})
    assert (status, "style" in answer["error"]) == (400, True)


def test_cancelling_twice_says_the_same(live: LiveSandbox) -> None:
    bought = live.buy()
    first = live.post(f"/aws/purchases/{bought['agreementId']}/cancel")
    live.clock.at += 60
    assert live.post(f"/aws/purchases/{bought['agreementId']}/cancel") == first
    assert first == (
        200,
        {
            "agreementId": bought["agreementId"],
            "customerAWSAccountId": bought["customerAWSAccountId"],
            "status": "cancelled",
            "cancelledAt": "2026-04-07T18:40:00.000Z",
        },
    )
    assert live.post("/aws/purchases", {"agreementId": bought["agreementId"]})[0] == 409


# GetEntitlements ------------------------------------------------------------------------------------------


def test_a_purchase_is_entitled_until_it_is_cancelled(live: LiveSandbox) -> None:
    bought = live.buy(customerAWSAccountId=ACCOUNT)
    found = entitlements(live, Filter={"LICENSE_ARN": [bought["licenseArn"]]})
    assert [e["Dimension"] for e in found["Entitlements"]] == ["logs", "time_series", "traces"]
    one = found["Entitlements"][0]
    assert one.pop("ExpirationDate").timestamp() == live.clock.at + 365 * 86400
    assert one == {
        "ProductCode": PRODUCT,
        "Dimension": "logs",
        "CustomerAWSAccountId": ACCOUNT,
        "CustomerIdentifier": "",
        "LicenseArn": bought["licenseArn"],
        "Value": {"IntegerValue": 1},
    }
    assert "NextToken" not in found

    live.post(f"/aws/purchases/{bought['agreementId']}/cancel")
    assert entitlements(live)["Entitlements"] == []


def test_entitlements_end_with_their_year(live: LiveSandbox) -> None:
    live.buy()
    live.clock.at += 365 * 86400
    assert entitlements(live)["Entitlements"] == []


def test_values_keep_their_kind(live: LiveSandbox) -> None:
    live.buy(entitlements={"seats": 50, "rate": 1.5, "sso": True, "tier": "gold"})
    values = {e["Dimension"]: e["Value"] for e in entitlements(live)["Entitlements"]}
    assert values == {
        "seats": {"IntegerValue": 50},
        "rate": {"DoubleValue": 1.5},
        "sso": {"BooleanValue": True},
        "tier": {"StringValue": "gold"},
    }


def test_filters_are_any_within_a_key_and_all_across_keys(live: LiveSandbox) -> None:
    mine, second = live.buy(customerAWSAccountId=ACCOUNT), live.buy(customerAWSAccountId=ACCOUNT)
    legacy = live.buy(customerAWSAccountId=ACCOUNT, style="legacy")
    oldest = live.buy(customerAWSAccountId=ACCOUNT, style="legacy_minimal")
    live.buy()
    live.buy(customerAWSAccountId=ACCOUNT, productCode=SECOND_PRODUCT)

    def count(**filters: list[str]) -> int:
        return len(entitlements(live, Filter=filters)["Entitlements"])

    assert count() == 15
    assert count(CUSTOMER_AWS_ACCOUNT_ID=[ACCOUNT]) == 9, "the oldest style has no account to be found by"
    assert count(LICENSE_ARN=[mine["licenseArn"], second["licenseArn"]]) == 6
    assert count(LICENSE_ARN=[mine["licenseArn"]], DIMENSION=["logs", "traces"]) == 2
    assert count(CUSTOMER_AWS_ACCOUNT_ID=[ACCOUNT], DIMENSION=["logs"]) == 3
    assert count(CUSTOMER_AWS_ACCOUNT_ID=["111122223333"], DIMENSION=["logs"]) == 0
    # A legacy identifier belongs to the account at the listing, so both of its purchases are found.
    assert legacy["customerIdentifier"] == oldest["customerIdentifier"]
    assert count(CUSTOMER_IDENTIFIER=[legacy["customerIdentifier"]]) == 6


def test_pages_follow_each_other_without_gap_or_repeat(live: LiveSandbox) -> None:
    wanted = {live.buy(customerAWSAccountId=ACCOUNT)["licenseArn"] for _ in range(5)}
    client = live.aws("marketplace-entitlement")
    pages = list(
        client.get_paginator("get_entitlements").paginate(
            ProductCode=PRODUCT,
            Filter={"CUSTOMER_AWS_ACCOUNT_ID": [ACCOUNT]},
            PaginationConfig={"PageSize": 4},
        )
    )
    assert [len(page["Entitlements"]) for page in pages] == [4, 4, 4, 3]
    found = [(e["LicenseArn"], e["Dimension"]) for page in pages for e in page["Entitlements"]]
    assert len(set(found)) == len(found) == 15
    assert {arn for arn, _ in found} == wanted


def test_a_next_token_belongs_to_its_question(live: LiveSandbox) -> None:
    live.buy()
    token = entitlements(live, MaxResults=1)["NextToken"]
    assert len(entitlements(live, MaxResults=2, NextToken=token)["Entitlements"]) == 2
    refused = live.aws("marketplace-entitlement").exceptions.InvalidParameterException
    for asked in (
        {"NextToken": token, "Filter": {"DIMENSION": ["logs"]}},
        {"NextToken": token, "ProductCode": SECOND_PRODUCT},
        {"NextToken": "made-up"},
        {"NextToken": "WzFd"},
        {"Filter": {"CUSTOMER_IDENTIFIER": ["a"], "CUSTOMER_AWS_ACCOUNT_ID": [ACCOUNT]}},
    ):
        with pytest.raises(refused):
            entitlements(live, **asked)


def test_what_boto3_would_not_send_is_refused_too(live: LiveSandbox) -> None:
    for body in (
        {},
        {"ProductCode": ""},
        {"ProductCode": PRODUCT, "MaxResults": 26},
        {"ProductCode": PRODUCT, "MaxResults": 0},
        {"ProductCode": PRODUCT, "Filter": {"COLOUR": ["red"]}},
        {"ProductCode": PRODUCT, "Filter": {"DIMENSION": []}},
    ):
        status, answer, _ = call(live, "AWSMPEntitlementService.GetEntitlements", json.dumps(body).encode())
        assert (status, answer["__type"]) == (400, "InvalidParameterException")
    for body in ({"ProductCode": 7}, {"ProductCode": PRODUCT, "Filter": {"DIMENSION": "logs"}}):
        status, answer, _ = call(live, "AWSMPEntitlementService.GetEntitlements", json.dumps(body).encode())
        assert (status, answer["__type"]) == (400, "SerializationException")


# The wire -------------------------------------------------------------------------------------------------


def call(live: LiveSandbox, target: str | None, body: bytes, path: str = "/aws/api") -> tuple:
    headers = {"Content-Type": "application/x-amz-json-1.1"} | ({"X-Amz-Target": target} if target else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(live.url + path, body, headers), timeout=30)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        return response.status, json.load(response), response.headers


@pytest.mark.parametrize(
    "target", [None, "", "AWSMPMeteringService.MeterUsage", "AWSMPMeteringService", "Nobody.DoThings"]
)
def test_an_operation_that_is_not_here_is_unknown(live: LiveSandbox, target: str | None) -> None:
    status, answer, _ = call(live, target, b"{}")
    assert (status, answer["__type"]) == (400, "UnknownOperationException")


@pytest.mark.parametrize(
    "body",
    [
        b"not JSON",
        b"[]",
        b"\xff",
        b'"text"',
        b'{"RegistrationToken": 7}',
        b'{"RegistrationToken": "\\ud800"}',
    ],
)
def test_a_body_that_is_not_a_json_object_is_a_serialization_error(live: LiveSandbox, body: bytes) -> None:
    status, answer, _ = call(live, "AWSMPMeteringService.ResolveCustomer", body)
    assert (status, answer["__type"]) == (400, "SerializationException")


def test_answers_are_json_1_1_with_a_request_id_of_their_own(live: LiveSandbox) -> None:
    seen = set()
    for path in ("/aws/api", "/aws/api/"):
        for body in (b"{}", json.dumps({"RegistrationToken": live.buy()["token"]}).encode()):
            _, answer, headers = call(live, "AWSMPMeteringService.ResolveCustomer", body, path)
            assert headers["Content-Type"] == "application/x-amz-json-1.1"
            assert headers["Cache-Control"] == "no-store"
            assert set(answer) == {"__type", "message"} or "ProductCode" in answer
            seen.add(headers["x-amzn-RequestId"])
    assert len(seen) == 4
