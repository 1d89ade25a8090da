"""Three partitions in one sandbox, who the buyers are, and roles: asked by unmodified boto3 over a real socket."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.sandbox import (
    CHINA_PRODUCT,
    PRODUCT,
    SOVEREIGN_PRODUCT,
    WIZARD,
    LiveSandbox,
    aws_client,
    live_sandbox,
    settings,
)
from tests.support.sandbox_buyer import Buyer
from wizard.sandbox import create_sandbox
from wizard.sandbox.partitions import of_region

ACCOUNT = "782858285006"
PRODUCTS = {"aws": PRODUCT, "aws-cn": CHINA_PRODUCT, "aws-eusc": SOVEREIGN_PRODUCT}
CONTACT = {
    "firstName": "Ana",
    "lastName": "Ruiz",
    "emailAddress": "ana.ruiz@acme.example",
    "companyName": "Acme",
    "countryCode": "ES",
}
EXTERNAL_ID = "sandbox-external-id"

every_partition = pytest.mark.parametrize("partition", list(PRODUCTS))


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSandbox]:
    with live_sandbox(tmp_path) as running:
        yield running


def refusal(call: Any) -> tuple[str, int]:
    """The code and the status of what boto3 raises."""
    with pytest.raises(ClientError) as caught:
        call()
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


# Partitions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-east-1", "aws"),
        ("eu-central-1", "aws"),
        ("", "aws"),
        ("cn-northwest-1", "aws-cn"),
        ("cn-north-1", "aws-cn"),
        ("eusc-de-east-1", "aws-eusc"),
    ],
)
def test_a_region_belongs_to_its_partition(region: str, partition: str) -> None:
    assert of_region(region).name == partition


@every_partition
def test_a_token_is_known_in_its_own_partition_only(live: LiveSandbox, partition: str) -> None:
    bought = live.buy(partition=partition)
    assert (bought["partition"], bought["productCode"]) == (partition, PRODUCTS[partition])
    assert live.resolve(bought["token"], partition)["ProductCode"] == PRODUCTS[partition]
    for other in set(PRODUCTS) - {partition}:
        assert refusal(lambda there=other: live.resolve(bought["token"], there)) == (
            "InvalidTokenException",
            400,
        )


def test_a_counted_fault_is_not_spent_by_another_partition(live: LiveSandbox) -> None:
    bought = live.buy(fault="throttled", faultCount=1)
    assert refusal(lambda: live.resolve(bought["token"], "aws-cn"))[0] == "InvalidTokenException"
    assert refusal(lambda: live.resolve(bought["token"]))[0] == "ThrottlingException"
    assert live.resolve(bought["token"])


@pytest.mark.parametrize(
    ("partition", "members"),
    [
        ("aws", {"CustomerIdentifier", "ProductCode", "CustomerAWSAccountId", "LicenseArn", "Metadata"}),
        ("aws-cn", {"CustomerIdentifier", "ProductCode"}),
        ("aws-eusc", {"CustomerIdentifier", "ProductCode", "CustomerAWSAccountId", "LicenseArn", "Metadata"}),
    ],
)
def test_each_partition_has_its_usual_kind_of_purchase(
    live: LiveSandbox, partition: str, members: set[str]
) -> None:
    assert set(live.resolve(live.buy(partition=partition)["token"], partition)) == members


@every_partition
def test_names_carry_their_partition(live: LiveSandbox, partition: str) -> None:
    bought = live.buy(partition=partition, style="licence")
    assert bought["licenseArn"].startswith(f"arn:{partition}:license-manager::")
    denied = live.buy(partition=partition, fault="access_denied")
    with pytest.raises(ClientError, match=f"arn:{partition}:iam::"):
        live.resolve(denied["token"], partition)


def test_entitlements_and_identifiers_stay_in_their_partition(live: LiveSandbox) -> None:
    wish = {"customerAWSAccountId": ACCOUNT, "productCode": PRODUCT, "style": "legacy"}
    here, there = live.buy(**wish), live.buy(**wish, partition="aws-cn")
    assert here["customerIdentifier"] != there["customerIdentifier"]
    for partition, bought in (("aws", here), ("aws-cn", there), ("aws-eusc", None)):
        client = live.aws("marketplace-entitlement", partition)
        found = client.get_entitlements(ProductCode=PRODUCT)["Entitlements"]
        assert {e["CustomerIdentifier"] for e in found} == (
            {bought["customerIdentifier"]} if bought else set()
        )


@pytest.mark.parametrize("partition", ["aws-moon", "", 7, None])
def test_a_partition_that_is_not_there_is_refused_or_the_usual(live: LiveSandbox, partition: object) -> None:
    status, answer = live.post("/aws/purchases", {"partition": partition})
    if partition:
        assert (status, "partition" in answer["error"]) == (400, True)
    else:
        assert (status, answer["partition"]) == (201, "aws")


def test_a_partition_nothing_is_sold_in_has_no_doors(tmp_path: Path) -> None:
    buyer = Buyer(create_sandbox(settings(tmp_path, product_codes={"aws-cn": [CHINA_PRODUCT]})))
    assert buyer.get("/aws-cn/").status == 200
    for path in ("/aws/", "/aws-eusc/", "/aws-eusc/software"):
        assert buyer.get(path).status == 404
    assert "/sandbox/aws/" not in [link["href"] for link in buyer.get("/").soup.find_all("a")]


@pytest.mark.parametrize(
    ("partition", "marketplace", "price"),
    [
        ("aws", "AWS Marketplace", "$0.60"),
        ("aws-cn", "AWS Marketplace in China", "¥4.20"),
        ("aws-eusc", "AWS Marketplace in the European Sovereign Cloud", "€0.55"),
    ],
)
def test_each_partition_is_walked_behind_its_own_door(
    tmp_path: Path, partition: str, marketplace: str, price: str
) -> None:
    buyer = Buyer(create_sandbox(settings(tmp_path)))
    product = buyer.follow(buyer.get("/"), f"The product at {marketplace}")
    assert product.path == f"/sandbox/{partition}/"
    assert f"A stand-in for {marketplace}. Nothing is bought" in product.text
    assert price in product.text
    assert ("NWCD" in product.text) == (partition == "aws-cn")
    subscribe = buyer.press(product, "Continue Subscription", account=ACCOUNT)
    assert price in subscribe.text
    assert ".example" in subscribe.text, "who buys is shown"
    ready = buyer.press(subscribe, "Subscribe")
    form = ready.form("Set Up Your Account")
    assert form.action == f"{WIZARD}/marketplaces/{partition}/landing"
    assert f"form-action 'self' {WIZARD};" in ready.headers["Content-Security-Policy"]
    # What was bought is in this partition's list and in no other, nor can it be opened there.
    assert buyer.get(f"/{partition}/software?account={ACCOUNT}").text.count("Active") == 1
    agreement = ready.path.split("/")[-2]
    for other in set(PRODUCTS) - {partition}:
        assert buyer.get(f"/{other}/software?account={ACCOUNT}").text.count("Active") == 0
        for page in ("", "/set-up", "/cancel"):
            assert buyer.get(f"/{other}/software/{agreement}{page}").status == 404
        for page in ("/set-up", "/cancel"):
            assert buyer.post(f"/{other}/software/{agreement}{page}").status == 404
    done = buyer.press(buyer.get(f"/{partition}/software/{agreement}/cancel"), "Yes, Cancel Subscription")
    assert done.path == f"/sandbox/{partition}/software"
    assert done.text.count("Cancelled") == 1


def test_every_partition_remembers_its_own_account(tmp_path: Path) -> None:
    buyer = Buyer(create_sandbox(settings(tmp_path)))
    buyer.press(buyer.get("/aws-cn/"), "Continue Subscription", account="111122223333")
    shown = {
        name: buyer.get(f"/{name}/").form("Continue Subscription").fields["account"][0] for name in PRODUCTS
    }
    assert shown["aws-cn"] == "1111 2222 3333"
    assert len(set(shown.values())) == 3


def test_a_file_of_an_earlier_version_keeps_its_purchases(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "sandbox.db") as old:
        old.execute(
            "CREATE TABLE purchases (id INTEGER PRIMARY KEY AUTOINCREMENT, agreement_id TEXT NOT NULL UNIQUE,"
            " order_ref TEXT UNIQUE, account TEXT NOT NULL, product_code TEXT NOT NULL, style TEXT NOT NULL,"
            " license_arn TEXT, customer_identifier TEXT NOT NULL, created_at REAL NOT NULL, cancelled_at REAL)"
        )
        old.execute(
            "INSERT INTO purchases (agreement_id, account, product_code, style, customer_identifier, created_at)"
            " VALUES ('agmt-old', ?, ?, 'legacy', 'abc', 1775000000)",
            [ACCOUNT, PRODUCT],
        )
    with live_sandbox(tmp_path) as live:
        again = live.buy(agreementId="agmt-old")
        assert again["partition"] == "aws"
        assert live.resolve(again["token"])["CustomerIdentifier"] == "abc"
        contacts = live.aws("marketplace-agreement").get_agreement_contacts(agreementId="agmt-old")
        assert "acceptorContact" not in contacts
        assert live.buy(partition="aws-cn")["partition"] == "aws-cn"
    buyer = Buyer(create_sandbox(settings(tmp_path)))
    assert "Somebody who gave AWS no name" in buyer.get("/aws/software/agmt-old").text


# Contacts -------------------------------------------------------------------------------------------------


def contacts(live: LiveSandbox, agreement_id: str, partition: str = "aws") -> dict[str, Any]:
    client = live.aws("marketplace-agreement", partition)
    answer: dict[str, Any] = client.get_agreement_contacts(agreementId=agreement_id)
    return answer


def test_the_seller_is_told_who_bought(live: LiveSandbox) -> None:
    said = contacts(live, live.buy(contact=CONTACT)["agreementId"])
    assert said["acceptorContact"] == CONTACT
    assert said["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/x-amz-json-1.0"


def test_somebody_believable_buys_when_nobody_is_named(live: LiveSandbox) -> None:
    first, again, other = (
        contacts(live, live.buy(customerAWSAccountId=account)["agreementId"])["acceptorContact"]
        for account in (ACCOUNT, ACCOUNT, "111122223333")
    )
    assert set(first) == set(CONTACT)
    assert all(first.values())
    assert first["emailAddress"].endswith(".example")
    assert first == again
    assert first["emailAddress"] != other["emailAddress"]


def test_a_buyer_may_have_given_nothing_and_an_ended_agreement_tells_nothing(live: LiveSandbox) -> None:
    assert "acceptorContact" not in contacts(live, live.buy(contact=None)["agreementId"])
    ended = live.buy(contact=CONTACT)["agreementId"]
    live.post(f"/aws/purchases/{ended}/cancel")
    assert "acceptorContact" not in contacts(live, ended)


def test_contacts_are_refused_as_aws_refuses(live: LiveSandbox) -> None:
    here = live.buy()["agreementId"]
    assert refusal(lambda: contacts(live, "agmt-nobody")) == ("ResourceNotFoundException", 404)
    assert refusal(lambda: contacts(live, "with space")) == ("ValidationException", 400)
    # China has no agreement service, and the sovereign cloud keeps its buyers to itself.
    for partition, said in (
        ("aws-cn", ("UnknownOperationException", 400)),
        ("aws-eusc", ("AccessDeniedException", 403)),
    ):
        for agreement in (here, live.buy(partition=partition)["agreementId"]):
            assert refusal(lambda there=partition, of=agreement: contacts(live, of, there)) == said
    assert refusal(lambda: contacts(live, live.buy(partition="aws-cn")["agreementId"])) == (
        "ResourceNotFoundException",
        404,
    )


@pytest.mark.parametrize(
    "contact",
    [
        "Ana",
        {},
        {"firstName": "Ana"},
        CONTACT | {"countryCode": "Spain"},
        CONTACT | {"emailAddress": "ana"},
        CONTACT | {"firstName": ""},
        CONTACT | {"lastName": 7},
        CONTACT | {"phone": "1"},
    ],
)
def test_a_contact_aws_would_not_hold_is_refused_in_words(live: LiveSandbox, contact: object) -> None:
    status, answer = live.post("/aws/purchases", {"contact": contact})
    assert (status, answer["error"].startswith("contact")) == (400, True)


# Roles ----------------------------------------------------------------------------------------------------


def role(partition: str = "aws") -> str:
    return f"arn:{partition}:iam::111122223333:role/marketplace"


def assume(
    live: LiveSandbox, partition: str = "aws", credentials: Any = None, **asked: Any
) -> dict[str, Any]:
    wish = {"RoleArn": role(partition), "RoleSessionName": "wizard", "ExternalId": EXTERNAL_ID} | asked
    given = live.aws("sts", partition, credentials)
    answer: dict[str, Any] = given.assume_role(**{k: v for k, v in wish.items() if v is not None})
    return answer


@every_partition
def test_a_role_is_taken_and_its_credentials_work(live: LiveSandbox, partition: str) -> None:
    taken = assume(live, partition, DurationSeconds=900)
    credentials = taken["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA")
    assert credentials["Expiration"].timestamp() == live.clock.at + 900
    assert taken["AssumedRoleUser"]["Arn"] == (
        f"arn:{partition}:sts::111122223333:assumed-role/marketplace/wizard"
    )
    client = live.aws("meteringmarketplace", partition, credentials)
    bought = live.buy(partition=partition)
    assert client.resolve_customer(RegistrationToken=bought["token"])["ProductCode"] == PRODUCTS[partition]


def test_credentials_last_an_hour_when_nobody_says(live: LiveSandbox) -> None:
    assert assume(live)["Credentials"]["Expiration"].timestamp() == live.clock.at + 3600


@pytest.mark.parametrize(
    "asked",
    [
        {"ExternalId": "somebody-else"},
        {"ExternalId": None},
        {"RoleArn": "arn:aws:iam::111122223333:role/other"},
        {"RoleArn": "arn:aws:iam::999999999999:role/marketplace"},
        {"RoleArn": role("aws-cn")},
    ],
)
def test_a_wrong_role_or_external_id_is_denied(live: LiveSandbox, asked: dict[str, Any]) -> None:
    assert refusal(lambda: assume(live, **asked)) == ("AccessDenied", 403)


@pytest.mark.parametrize(
    "asked", [{"DurationSeconds": 43201}, {"RoleSessionName": "with space"}, {"RoleSessionName": "x" * 65}]
)
def test_a_role_is_asked_for_in_the_shape_aws_takes(live: LiveSandbox, asked: dict[str, Any]) -> None:
    assert refusal(lambda: assume(live, **asked)) == ("ValidationError", 400)


def test_sts_does_nothing_else(live: LiveSandbox) -> None:
    assert refusal(lambda: live.aws("sts").get_caller_identity()) == ("InvalidAction", 400)


def test_temporary_credentials_end(live: LiveSandbox) -> None:
    credentials = assume(live, DurationSeconds=900)["Credentials"]
    bought = live.buy()
    clients = {
        name: live.aws(name, credentials=credentials)
        for name in ("meteringmarketplace", "marketplace-entitlement", "marketplace-agreement")
    }
    calls = (
        lambda: clients["meteringmarketplace"].resolve_customer(RegistrationToken=bought["token"]),
        lambda: clients["marketplace-entitlement"].get_entitlements(ProductCode=PRODUCT),
        lambda: clients["marketplace-agreement"].get_agreement_contacts(agreementId=bought["agreementId"]),
    )
    live.clock.at += 899
    for call in calls:
        call()
    live.clock.at += 1
    for call in calls:
        assert refusal(call) == ("ExpiredTokenException", 400)
    with pytest.raises(ClientError, match="The security token included in the request is expired"):
        calls[0]()
    assert refusal(lambda: assume(live, credentials=credentials)) == ("ExpiredToken", 400)


def test_temporary_credentials_need_their_own_session_token_and_partition(live: LiveSandbox) -> None:
    first, second = (assume(live)["Credentials"] for _ in range(2))
    token = live.buy()["token"]
    wrong = [
        first | {"SessionToken": None},
        first | {"SessionToken": second["SessionToken"]},
        {"AccessKeyId": "ASIAMADEUPMADEUP1234", "SecretAccessKey": "x", "SessionToken": "y"},
    ]
    for credentials in wrong:
        client = aws_client(live.url, "meteringmarketplace", credentials=credentials)
        assert refusal(lambda asked=client: asked.resolve_customer(RegistrationToken=token)) == (
            "UnrecognizedClientException",
            400,
        )
    abroad = live.aws("meteringmarketplace", "aws-cn", first)
    assert refusal(lambda: abroad.resolve_customer(RegistrationToken=token)) == (
        "UnrecognizedClientException",
        400,
    )
