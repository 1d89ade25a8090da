"""AWS in every partition: the same walk, the seller's role, and what names a purchase."""

import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from config import Settings
from tests.support.client import Client
from tests.support.factories import Person, alerts_in, recorded, rows_of, text_of
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.sandbox import LiveSandbox, at, in_partition, live_sandbox
from tests.support.sockets import answering, http
from tests.support.walk import LANDINGS, TOKEN, Walk, walk_in
from wizard.sandbox.partitions import PARTITIONS

pytestmark = pytest.mark.engines("sqlite")
"""What a partition says and is asked is the same whatever keeps it."""

MakeApp = Callable[[Settings], Flask]
Another = Callable[..., Walk]

CHOICE = "Do you have a Billing Center account?"
OUR_FAULT = "We cannot check your purchase right now"
UNKNOWN = "AWS does not know this link"
EXTERNAL_ID = "sandbox-external-id"
ROLE_SECONDS = 3600
OTHER_ROLE = "arn:aws:iam::111122223333:role/another"
NAMES = {
    "aws": ("AWS account", "AWS Marketplace"),
    "aws-cn": ("AWS China customer", "AWS Marketplace China"),
    "aws-eusc": ("AWS European Sovereign Cloud account", "AWS European Sovereign Cloud Marketplace"),
}
NUMBERS = {"aws": "customerAWSAccountId", "aws-cn": "customerIdentifier", "aws-eusc": "customerAWSAccountId"}

every_partition = pytest.mark.parametrize("partition", list(NAMES))


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[LiveSandbox]:
    """An AWS of the test's own, whose clock is the one on the wall."""
    with live_sandbox(tmp_path / "aws") as live:
        live.clock.at = time.time()
        yield live


def role(partition: str) -> dict[str, str]:
    """How the seller's role is configured; the sandbox knows this one in each partition."""
    return {"role_arn": f"arn:{partition}:iam::111122223333:role/marketplace", "external_id": EXTERNAL_ID}


def in_every(settings: Settings, **changes: object) -> Settings:
    for name in settings.aws_partitions:
        settings = in_partition(settings, name, **changes)
    return settings


def says(text: str, *words: str) -> bool:
    """Whether these words stand there in a row, however numbers are grouped."""
    return "".join("".join(words).split()) in "".join(text.split())


def admits_our_fault(page: Page) -> None:
    assert (page.status, page.h1) == (503, OUR_FAULT)
    assert "fault is ours" in page.text
    assert not page.soup.select("ol.numbered")


# The walk ----------------------------------------------------------------------------------------------------


@every_partition
def test_a_buyer_walks_to_a_workspace_from_any_partition(walk: Walk, partition: str) -> None:
    account, marketplace = NAMES[partition]
    walk.land(partition=partition)
    number = walk.bought[NUMBERS[partition]]
    assert walk.page.h1 == CHOICE
    assert account in walk.page.text
    walk.say_new().give_basics().enter_code()
    walk.give_company()
    assert marketplace in walk.page.text
    assert says(walk.page.text, account, number)
    walk.activate()
    assert walk.wait_until_made().h1 == "Activation successful"
    home = walk.sign_in()
    assert home.h1 == "Harbour"
    assert says(home.text, account, number)
    told = [mail.text for mail in walk.mailbox.to(walk.person.email)]
    assert len(told) == 3
    assert all(says(text, account) for text in told)


@every_partition
def test_the_cloud_account_is_named_in_chinese_too(another: Another, partition: str) -> None:
    names = {"aws": "AWS 账号", "aws-cn": "AWS 中国客户", "aws-eusc": "AWS 欧洲主权云账号"}
    walk = another("zh")
    assert names[partition] in walk.land(partition=partition).page.text
    page = walk.client.get(LANDINGS[partition])
    assert page.status == 200
    assert page.h1.startswith("从 AWS ")


@pytest.mark.parametrize("site", ["cn1", "us1"])
def test_a_purchase_in_china_pays_wherever_a_site_takes_aws(another: Another, site: str) -> None:
    walk = another(site=site).land(partition="aws-cn").say_new()
    walk.give_basics().enter_code()
    walk.give_company()
    assert walk.activate().h1 == "Your workspace is being made"


@every_partition
def test_the_landing_of_each_partition_leads_back_to_its_own_aws(walk: Walk, partition: str) -> None:
    page = walk.client.get(LANDINGS[partition])
    assert (page.status, page.h1) == (200, f"Start at {NAMES[partition][1]}")
    there = walk.client.app.extensions["marketplaces"][partition].manage_url
    assert f"/sandbox/{partition}/" in there
    assert page.link(f"Open {NAMES[partition][1]}") == there
    steps = page.soup.select("ol.numbered > li")
    assert len(steps) == 4
    assert ("Your Marketplace Software" in page.text) == (partition == "aws-cn")
    assert walk.client.get("/marketplaces/gcp/landing").status == 404


@every_partition
def test_a_link_of_another_partition_proves_nothing_here(walk: Walk, partition: str) -> None:
    """… also where it was brought to its own before."""
    token = walk.marketplace.buy(partition=partition)["token"]
    assert walk.client.other().post(LANDINGS[partition], {TOKEN: token}, cross_site=True).status == 303
    before = rows_of(walk.client.app)
    for other, landing in LANDINGS.items():
        if other != partition:
            page = walk.client.post(landing, {TOKEN: token}, cross_site=True)
            assert (page.status, page.h1) == (400, UNKNOWN)
    assert rows_of(walk.client.app) == before


def test_a_partition_that_is_off_blames_nobody_and_the_others_go_on(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox
) -> None:
    app = make_app(replace(in_partition(settings, "aws-cn", product_codes=()), sandbox=False))
    assert Client(app).get(LANDINGS["aws-cn"]).status == 200
    with recorded() as log:
        admits_our_fault(walk_in(app, mailbox, marketplace).land(partition="aws-cn").page)
    assert alerts_in(log) == ["aws_off"]
    assert walk_in(app, mailbox, marketplace).land().page.h1 == CHOICE


# Subscribing from here -------------------------------------------------------------------------------------


@every_partition
def test_whichever_aws_somebody_subscribes_at_they_come_back_to_this_very_journey(
    walk: Walk, partition: str
) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()
    page = walk.activate(method="aws")
    assert page.h1 == "Subscribe at AWS"
    links = {
        "aws": "Subscribe to AWS",
        "aws-cn": "Subscribe to AWS China",
        "aws-eusc": "Subscribe to AWS European Sovereign Cloud",
    }
    assert page.link(links[partition]).endswith(f"/sandbox/{partition}/")
    reference = walk.reference
    back = walk.land(partition=partition).page
    assert back.path == f"/journeys/{reference}/subscribe"
    assert says(back.text, walk.bought[NUMBERS[partition]])
    walk.page = walk.client.submit(back, "Confirm")
    assert walk.wait_until_made().h1 == "Activation successful"


def test_only_listings_that_are_configured_are_linked_to(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox
) -> None:
    china_only = in_partition(in_partition(settings, "aws", product_codes=()), "aws-eusc", marketplace_url="")
    walk = walk_in(make_app(replace(china_only, sandbox=False)), mailbox, marketplace)
    walk.register().give_basics().enter_code()
    walk.give_company()
    page = walk.activate(method="aws")
    assert [text for text in page.links if text.startswith("Subscribe to")] == ["Subscribe to AWS China"]
    assert "more than one AWS" not in page.text


def test_where_no_listing_is_configured_aws_is_not_offered(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox
) -> None:
    walk = walk_in(make_app(in_every(settings, marketplace_url="")), mailbox, marketplace)
    walk.register().give_basics().enter_code()
    walk.give_company()
    offered = [tag["value"] for tag in walk.page.soup.select("input[name=method]")]
    assert offered == ["billing_center"]


def test_who_waits_for_an_aws_that_was_switched_off_may_choose_again(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox
) -> None:
    walk = walk_in(make_app(settings), mailbox, marketplace)
    walk.register().give_basics().enter_code()
    walk.give_company()
    path = walk.activate(method="aws").path
    later = Client(make_app(in_every(settings, marketplace_url="")), origin=settings.public_url)
    for name in ("wizard", f"journey-{walk.reference}"):
        cookie = walk.client.cookie(name)
        assert cookie
        later.http.set_cookie(name, cookie, domain="127.0.0.1")
    page = later.get(path)
    assert page.status == 200
    assert later.click(page, "Choose another method").h1 == "Activation method"


# What names a purchase -------------------------------------------------------------------------------------


def identities(app: Flask) -> list[str]:
    with app.app_context():
        from wizard.billing.models import Subscription
        from wizard.extensions import db

        return [s.identity for s in db.session.query(Subscription).order_by(Subscription.id)]


@pytest.mark.parametrize("partition", ["aws", "aws-eusc"])
def test_two_agreements_of_one_account_are_two_purchases(another: Another, partition: str) -> None:
    first, second = another(), another()
    first.land(partition=partition)
    second.land(partition=partition, customerAWSAccountId=first.bought["customerAWSAccountId"])
    assert identities(first.client.app) == [
        f"aws:{partition}:agreement:{walk.bought['agreementId']}" for walk in (first, second)
    ]
    for walk in (first, second):
        walk.say_new().give_basics().enter_code()
        walk.give_company()
        walk.activate()
        assert walk.wait_until_made().h1 == "Activation successful"


def test_in_china_customer_and_product_name_the_purchase(another: Another) -> None:
    first, again = another(), another()
    first.land(partition="aws-cn")
    again.land(partition="aws-cn", customerAWSAccountId=first.bought["customerAWSAccountId"])
    customer, product = first.bought["customerIdentifier"], first.bought["productCode"]
    assert identities(first.client.app) == [f"aws:aws-cn:customer:{product}:{customer}"]


def test_the_same_number_in_two_partitions_is_two_accounts(another: Another) -> None:
    first = another().land()
    same = first.bought["customerAWSAccountId"]
    another().land(partition="aws-eusc", customerAWSAccountId=same)
    assert len([row for row in rows_of(first.client.app)["cloud_accounts"] if same in row]) == 2


@pytest.mark.parametrize("identifiers", ["licence", "legacy"])
@pytest.mark.parametrize("style", ["licence", "legacy", "legacy_minimal"])
def test_a_purchase_with_one_sure_name_is_taken_in_either_style(
    make_app: MakeApp,
    settings: Settings,
    mailbox: Mailbox,
    marketplace: LiveSandbox,
    style: str,
    identifiers: str,
) -> None:
    app = make_app(in_every(settings, identifiers=identifiers))
    assert walk_in(app, mailbox, marketplace).land(style=style).page.h1 == CHOICE
    kind = "agreement" if style == "licence" else "customer"
    assert [identity.split(":")[2] for identity in identities(app)] == [kind]


# The seller's role -----------------------------------------------------------------------------------------


@every_partition
def test_the_walk_with_a_role_and_an_external_id(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, aws: LiveSandbox, partition: str
) -> None:
    app = make_app(in_partition(at(settings, aws.url), partition, **role(partition)))
    walk = walk_in(app, mailbox, aws)
    walk.land(partition=partition).say_new().give_basics().enter_code()
    walk.give_company()
    walk.activate()
    assert walk.wait_until_made().h1 == "Activation successful"


@pytest.mark.parametrize("wrong", [{"external_id": ""}, {"external_id": "another"}, {"role_arn": OTHER_ROLE}])
def test_a_role_that_is_refused_is_our_fault_and_somebody_is_called(
    make_app: MakeApp, settings: Settings, aws: LiveSandbox, wrong: dict[str, str]
) -> None:

    app = make_app(in_partition(at(settings, aws.url), **{**role("aws"), **wrong}))
    with recorded() as log:
        page = Client(app).post(LANDINGS["aws"], {TOKEN: aws.buy()["token"]}, cross_site=True)
    admits_our_fault(page)
    assert alerts_in(log) == ["aws_role_refused"]
    assert not [record for record in log if EXTERNAL_ID in text_of(record)]


def test_credentials_of_the_role_are_renewed_before_they_are_over(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, aws: LiveSandbox
) -> None:
    app = make_app(in_partition(at(settings, aws.url), **role("aws")))
    # AWS's clock is behind: what it gives now is over in half a minute of ours, and so has to be renewed.
    aws.clock.at = time.time() - ROLE_SECONDS + 30
    assert walk_in(app, mailbox, aws).land().page.h1 == CHOICE
    aws.clock.at = time.time() + 60
    assert walk_in(app, mailbox, aws).land().page.h1 == CHOICE


def test_credentials_that_are_over_when_they_come_are_our_trouble(
    make_app: MakeApp, settings: Settings, aws: LiveSandbox
) -> None:
    app = make_app(in_partition(at(settings, aws.url), **role("aws")))
    aws.clock.at = time.time() - 2 * ROLE_SECONDS
    with recorded() as log:
        page = Client(app).post(LANDINGS["aws"], {TOKEN: aws.buy()["token"]}, cross_site=True)
    admits_our_fault(page)
    assert alerts_in(log) == ["aws_unreachable"]


def test_an_sts_that_cannot_be_reached_is_our_trouble(
    make_app: MakeApp, settings: Settings, aws: LiveSandbox
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    app = make_app(in_partition(at(settings, aws.url), **role("aws"), sts_endpoint=nobody))
    with recorded() as log:
        page = Client(app).post(LANDINGS["aws"], {TOKEN: aws.buy()["token"]}, cross_site=True)
    admits_our_fault(page)
    assert alerts_in(log) == ["aws_unreachable"]


@pytest.mark.parametrize("service", ["sts_endpoint", "metering_endpoint"])
@pytest.mark.parametrize("answer", [b"", http(b"<html>Welcome"), http(b"[1]"), http(b"{}")])
def test_whatever_answers_in_awss_place_is_our_trouble(
    make_app: MakeApp, settings: Settings, aws: LiveSandbox, service: str, answer: bytes
) -> None:
    with answering(answer) as odd, recorded() as log:
        app = make_app(in_partition(at(settings, aws.url), **{**role("aws"), service: odd}))
        page = Client(app).post(LANDINGS["aws"], {TOKEN: aws.buy()["token"]}, cross_site=True)
    admits_our_fault(page)
    assert set(alerts_in(log)) <= {"aws_unreachable", "aws_nameless"}
    assert alerts_in(log)


def test_our_own_credentials_that_are_over_are_not_the_buyers_link(
    make_app: MakeApp, settings: Settings, aws: LiveSandbox
) -> None:
    told = b'{"__type": "ExpiredTokenException", "message": "The security token included in the request is expired"}'
    with answering(http(told, "400 Bad Request")) as odd, recorded() as log:
        app = make_app(in_partition(at(settings, aws.url), metering_endpoint=odd))
        page = Client(app).post(LANDINGS["aws"], {TOKEN: aws.buy()["token"]}, cross_site=True)
    admits_our_fault(page)
    assert alerts_in(log) == ["aws_refused"]


def test_an_identity_of_the_machine_that_comes_late_is_taken(
    make_app: MakeApp, settings: Settings, aws: LiveSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    app = make_app(in_partition(at(settings, aws.url), access_key_id="", secret_access_key=""))
    admits_our_fault(Client(app).post(LANDINGS["aws"], {TOKEN: aws.buy()["token"]}, cross_site=True))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the machine")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "has one now")
    landed = Client(app).post(LANDINGS["aws"], {TOKEN: aws.buy()["token"]}, cross_site=True)
    assert landed.status == 303


def test_the_sandbox_plays_every_partition_there_is(settings: Settings) -> None:
    assert set(settings.aws_partitions) == set(PARTITIONS)
    for name, partition in settings.aws_partitions.items():
        assert partition.region == PARTITIONS[name].region


def test_a_person_may_buy_in_two_partitions_and_keep_one_billing_center_account(another: Another) -> None:
    person = Person()
    first = another(person=person)
    first.to_end()
    second = another(person=person, site="cn2")
    second.land(partition="aws-cn").say_new().give_basics().enter_code()
    second.register_anyway().give_company()
    assert f"Billing Center account {person.username}" in second.page.text
    second.activate()
    assert second.wait_until_made().h1 == "Activation successful"
