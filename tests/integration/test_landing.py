"""The landing: every answer AWS can give has its page, and what it proved stays with the browser that brought it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from flask import Flask

from config import Settings
from tests.support.client import Client
from tests.support.factories import alerts_in, recorded, rows_of, text_of
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.sandbox import PRODUCT, SECOND_PRODUCT, LiveSandbox, at, in_partition, live_sandbox
from tests.support.walk import LANDING, TOKEN, Walk, walk_in
from wizard import clock

CHOICE = "Do you have a Billing Center account?"
SLOW_DOWN = "AWS did not answer"
OUR_FAULT = "We cannot check your purchase right now"

MakeApp = Callable[[Settings], Flask]
Another = Callable[..., Walk]


def land(client: Client, token: str) -> Page:
    """The landing alone, without where it leads."""
    return client.post(LANDING, {TOKEN: token}, cross_site=True)


def admits_our_fault(page: Page) -> None:
    """A page neither blames the buyer's link nor sends them for another, and leaves no cookie."""
    assert (page.status, page.h1) == (503, OUR_FAULT)
    assert "fault is ours" in page.text
    assert "your link" not in page.text.replace("’", "'").lower()
    assert not page.soup.select("ol.numbered")
    assert not page.headers.getlist("Set-Cookie")


# What AWS says: hardly any of it reaches the database, so one engine tells -----------------------------------


@pytest.mark.engines("sqlite")
def test_a_link_that_proves_nothing_leads_to_a_new_one_in_four_steps(walk: Walk) -> None:
    expired = walk.marketplace.buy(fault="expired")["token"]
    listing = walk.client.app.extensions["marketplaces"]["aws"].manage_url
    before = rows_of(walk.client.app)
    for data, heading in (
        ({TOKEN: expired}, "This link from AWS has expired"),
        ({TOKEN: "nobody+made/this=="}, "AWS does not know this link"),
        ({TOKEN: "x" * 5000}, "AWS does not know this link"),
        ({TOKEN: ""}, "Start at AWS Marketplace"),
        ({TOKEN: "  "}, "Start at AWS Marketplace"),
        ({}, "Start at AWS Marketplace"),
    ):
        page = walk.client.post(LANDING, data, cross_site=True)
        assert (page.status, page.h1) == (400, heading)
        steps = [item.get_text() for item in page.soup.select("ol.numbered > li")]
        for word, step in zip(
            ("Sign in to AWS", "Manage", "Set up product", "Click here"), steps, strict=True
        ):
            assert word in step
        assert page.link("Open AWS Marketplace") == listing
        assert not page.headers.getlist("Set-Cookie")
    assert rows_of(walk.client.app) == before


@pytest.mark.engines("sqlite")
def test_opening_the_landing_address_says_how_to_get_there(walk: Walk) -> None:
    page = walk.client.get(LANDING)
    assert (page.status, page.h1) == (200, "Start at AWS Marketplace")
    assert len(page.soup.select("ol.numbered > li")) == 4
    assert walk.client.other("zh").get(LANDING).status == 200


@pytest.mark.engines("sqlite")
def test_a_purchase_of_a_product_that_is_not_listed_here_is_told_so(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox
) -> None:
    app = make_app(in_partition(settings, product_codes=(PRODUCT, SECOND_PRODUCT)))
    for code in (PRODUCT, SECOND_PRODUCT):
        walk = walk_in(app, mailbox, marketplace)
        assert walk.land(productCode=code).page.h1 == CHOICE
    before = rows_of(app)
    stranger = walk_in(app, mailbox, marketplace).land(productCode="somebody-elses-product")
    assert (stranger.page.status, stranger.page.h1) == (400, "This purchase is for another product")
    assert rows_of(app) == before


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("fault", ["throttled", "internal"])
def test_try_again_works_once_aws_has_calmed_down(walk: Walk, fault: str) -> None:
    walk.land(fault=fault)
    assert (walk.page.status, walk.page.h1) == (503, SLOW_DOWN)
    assert int(walk.page.headers["Retry-After"]) > 0
    for _attempt in range(3):
        if walk.page.h1 != SLOW_DOWN:
            break
        walk.page = walk.client.submit(walk.page, "Try again")
    assert walk.page.h1 == CHOICE


@pytest.mark.engines("sqlite")
def test_our_own_misconfiguration_is_admitted_and_somebody_is_called(walk: Walk) -> None:
    for fault in ("disabled", "access_denied"):
        token = walk.marketplace.buy(fault=fault)["token"]
        with recorded() as log:
            page = land(walk.client, token)
        admits_our_fault(page)
        assert alerts_in(log) == ["aws_refused"]


@pytest.mark.engines("sqlite")
def test_an_aws_that_cannot_be_reached_is_our_trouble_not_the_buyers(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, tmp_path: Path
) -> None:
    with live_sandbox(tmp_path / "aws") as gone:
        token = gone.buy()["token"]
        app = make_app(at(settings, gone.url))
    with recorded() as log:
        page = land(Client(app), token)
    admits_our_fault(page)
    assert alerts_in(log) == ["aws_unreachable"]
    assert not [record for record in log if token in text_of(record)]


@pytest.mark.engines("sqlite")
def test_a_buyer_of_an_installation_that_lists_no_product_is_not_blamed(
    make_app: MakeApp, settings: Settings, marketplace: LiveSandbox
) -> None:
    app = make_app(replace(in_partition(settings, product_codes=()), sandbox=False))
    with recorded() as log:
        page = land(Client(app), marketplace.buy()["token"])
    admits_our_fault(page)
    assert alerts_in(log) == ["aws_off"]


# The token ---------------------------------------------------------------------------------------------------


def test_every_character_of_a_token_arrives_as_aws_sent_it(walk: Walk) -> None:
    token = walk.marketplace.buy()["token"]
    assert all(sign in token for sign in "+/=")
    body = f"{TOKEN}={quote(token, safe='')}&x-amzn-marketplace-agreement-id=agmt-1&offer%2Btype=a+b"
    form = "application/x-www-form-urlencoded"
    answer = walk.client.post(LANDING, body.encode(), cross_site=True, content_type=form)
    assert answer.status == 303
    # Decoded a second time it would be another token, so this one AWS must not know.
    other = walk.client.post(LANDING, {TOKEN: quote(token, safe="")}, cross_site=True)
    assert other.h1 == "AWS does not know this link"


def test_a_token_is_kept_nowhere_in_clear(walk: Walk) -> None:
    client = walk.client
    with recorded() as log:
        token = walk.marketplace.buy()["token"]
        answer = land(client, token)
        walk.page = client.get(answer.location or "", follow=True)
        walk.say_new().give_basics()
        throttled = walk.marketplace.buy(fault="throttled")["token"]
        refused = [land(client, throttled), land(client, walk.marketplace.buy(fault="disabled")["token"])]
    spellings = {
        text for secret in (token, throttled) for text in (secret, quote(secret, safe=""), quote_plus(secret))
    }

    def spills(text: str) -> bool:
        return any(spelling in text for spelling in spellings)

    pages = [answer, walk.page, *walk.page.history, *refused]
    assert not [page for page in pages if spills(page.url + (page.location or ""))]
    assert not [page for page in pages if spills(str(page.headers))]
    signer = client.app.session_interface.get_signing_serializer(client.app)  # type: ignore[attr-defined]
    assert not spills(str(signer.loads(client.cookie("wizard"))))
    assert not [record for record in log if spills(text_of(record))]
    assert not [table for table, rows in rows_of(client.app).items() if spills("".join(rows))]


# Whose it is -------------------------------------------------------------------------------------------------


def test_a_token_brought_twice_is_asked_once_and_returns_to_where_it_was(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, tmp_path: Path
) -> None:
    with live_sandbox(tmp_path / "aws") as aws:
        app = make_app(at(settings, aws.url))
        waiting, going_on = walk_in(app, mailbox, aws).land(), walk_in(app, mailbox, aws).to_code()
    # From here on AWS cannot be asked any more.
    first = waiting.page
    assert waiting.land().page.path == first.path
    code_page = going_on.page
    assert going_on.land().page.path == code_page.path

    # Another browser with the same token begins with nothing.
    other = walk_in(app, mailbox, aws)
    other.bought = going_on.bought
    other.land()
    assert other.page.h1 == CHOICE
    assert other.page.path not in (first.path, going_on.page.path)
    other.say_new()
    assert other.page.h1 == "Basic information"
    for page in (other.page, *other.page.history):
        assert going_on.person.username not in page.html
        assert going_on.person.email not in page.html
    assert other.client.get(code_page.path).status == 404


def test_a_new_link_of_the_same_subscription_returns_this_browser_to_its_journey(another: Another) -> None:
    styles = {
        "licence": "customerAWSAccountId",
        "legacy": "customerAWSAccountId",
        "legacy_minimal": "customerIdentifier",
    }
    for number, (style, known_by) in enumerate(styles.items(), start=1):
        walk = another()
        walk.land(style=style).say_new()
        here, old = walk.page, walk.bought["token"]
        shown = here.soup.select(".purchase")[0].get_text().replace("\N{NO-BREAK SPACE}", "")
        assert walk.bought[known_by] in shown
        walk.bought = walk.marketplace.buy(agreementId=walk.bought["agreementId"])
        assert walk.bought["token"] != old
        assert walk.land().page.path == here.path
        assert len(rows_of(walk.client.app)["subscriptions"]) == number


def test_landing_in_a_subscription_that_is_set_up_leads_to_sign_in_and_names_nobody(
    walk: Walk, another: Another
) -> None:
    walk.to_end()
    newcomer = another()
    for token in (
        walk.bought["token"],
        walk.marketplace.buy(agreementId=walk.bought["agreementId"])["token"],
    ):
        newcomer.bought = {"token": token}
        page = newcomer.land().page
        assert (page.status, page.h1) == (200, "This subscription is already set up")
        assert page.link("Sign in to the Billing Center").startswith("/billing/sign-in?next=/arrive/")
        known = (walk.person.username, walk.person.email, "Harbour", walk.reference)
        assert not [word for word in known if word in page.html]
    # Whoever set it up, on the browser that did it, sees what came of it.
    assert walk.land().page.h1 == "Activation successful"


def test_an_arrival_nobody_went_on_from_ends_after_four_hours(walk: Walk) -> None:
    walk.land()
    with clock.later(timedelta(hours=3, minutes=59)):
        assert walk.client.get(walk.page.path).h1 == CHOICE
    with clock.later(timedelta(hours=4, seconds=1)):
        page = walk.client.get(walk.page.path)
        assert (page.status, page.h1) == (410, "Start again from AWS")
        assert len(page.soup.select("ol.numbered > li")) == 4
        before = rows_of(walk.client.app)
        late = walk.client.submit(walk.page, "Next", has_account="no")
        assert late.status == 410
        assert rows_of(walk.client.app) == before


@pytest.mark.parametrize(
    ("fault", "in_english", "in_chinese"),
    [
        ("expired", "This link from AWS has expired", "来自 AWS 的链接已过期"),
        ("invalid", "AWS does not know this link", "AWS 无法识别此链接"),
        ("access_denied", "We cannot check your purchase right now", "暂时无法核实您的订购"),
    ],
)
@pytest.mark.engines("sqlite")
def test_what_became_of_a_landing_can_be_read_in_the_other_language(
    client: Client, marketplace: LiveSandbox, fault: str, in_english: str, in_chinese: str
) -> None:
    token = marketplace.buy(fault=fault)["token"]
    page = client.post(LANDING, {TOKEN: token}, cross_site=True)
    assert page.h1 == in_english
    told = client.get(page.link("简体中文"))
    assert (told.status, told.h1) == (200, in_chinese)
    assert client.get(told.link("English")).h1 == in_english
    assert token not in told.url
    assert client.get(f"{LANDING}?about=throttled").h1 == "Start at AWS Marketplace"
