"""The sandbox's pages as a buyer walks them, without script, in both languages."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from flask import Flask

from tests.support.page import Page
from tests.support.sandbox import LANDING, PRODUCT, ROOT, SECOND_PRODUCT, WIZARD, Clock, settings
from tests.support.sandbox_buyer import Buyer
from wizard.sandbox import SandboxSettings, create_sandbox
from wizard.sandbox.forms import OTHER_PRODUCT

ACCOUNT = "782858285006"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def its_settings(tmp_path: Path, clock: Clock) -> SandboxSettings:
    return settings(tmp_path, clock)


@pytest.fixture
def app(its_settings: SandboxSettings) -> Iterator[Flask]:
    return create_sandbox(its_settings)


@pytest.fixture
def buyer(app: Flask) -> Buyer:
    return Buyer(app)


def bought(buyer: Buyer, account: str = ACCOUNT, **choices: object) -> Page:
    """The page with Set Up Your Account, after a whole purchase."""
    page = buyer.press(buyer.get("/aws/"), "Continue Subscription", account=account, **choices)
    return buyer.press(page, "Subscribe")


def token_of(page: Page) -> str:
    return page.form("Set Up Your Account").fields["x-amzn-marketplace-token"][0]


def resolved(app: Flask, token: str) -> tuple[int, dict]:
    response = app.test_client().post(
        "/aws/api",
        json={"RegistrationToken": token},
        headers={"X-Amz-Target": "AWSMPMeteringService.ResolveCustomer"},
    )
    return response.status_code, response.get_json(force=True)


# The walk -------------------------------------------------------------------------------------------------


def test_a_buyer_walks_from_the_index_to_the_form_that_leaves(buyer: Buyer, app: Flask) -> None:
    index = buyer.get("/")
    assert "A stand-in for AWS Marketplace. Nothing is bought and nobody is charged." in index.text
    product = buyer.follow(index, "The product at AWS Marketplace")
    assert product.h1 == "Skylark pay-as-you-go"

    subscribe = buyer.press(product, "Continue Subscription", account="7828-5828 5006")
    assert "7828 5828 5006" in subscribe.text
    ready = buyer.press(subscribe, "Subscribe")

    form = ready.form("Set Up Your Account")
    assert (form.method, form.action) == ("POST", LANDING)
    sent = {name: values[0] for name, values in form.fields.items()}
    status, answer = resolved(app, sent["x-amzn-marketplace-token"])
    assert (status, answer["CustomerAWSAccountId"], answer["ProductCode"]) == (200, ACCOUNT, PRODUCT)
    assert sent["x-amzn-marketplace-agreement-id"] == answer["Metadata"]["AgreementId"]
    assert re.fullmatch(r"prod-[a-z0-9]{13}", sent["x-amzn-marketplace-product-id"])
    assert set(sent) == {
        "x-amzn-marketplace-token",
        "x-amzn-marketplace-agreement-id",
        "x-amzn-marketplace-product-id",
    }


def test_only_the_set_up_page_may_post_to_the_wizard_and_says_where_from(buyer: Buyer) -> None:
    ready = bought(buyer)
    assert ready.headers["Content-Security-Policy"] == POLICY.replace(
        "form-action 'self'", f"form-action 'self' {WIZARD}"
    )
    assert ready.headers["Referrer-Policy"] == "strict-origin-when-cross-origin"
    product = buyer.get("/aws/")
    assert product.headers["Content-Security-Policy"] == POLICY
    assert product.headers["Referrer-Policy"] == "same-origin"


def test_a_registration_url_elsewhere_is_allowed_beside_the_wizard(its_settings: SandboxSettings) -> None:
    from dataclasses import replace

    elsewhere = replace(
        its_settings,
        registration_urls=its_settings.registration_urls | {"aws": "https://join.example.com/aws?x=1"},
    )
    assert elsewhere.form_origins("aws") == ("https://join.example.com", WIZARD)


def test_the_token_is_in_no_address_and_no_cookie(buyer: Buyer) -> None:
    ready = bought(buyer)
    token = token_of(ready)
    assert token not in ready.url
    assert all(token not in str(cookie) for cookie in buyer.client._cookies.values())


def test_pressing_subscribe_twice_buys_once(buyer: Buyer) -> None:
    subscribe = buyer.press(buyer.get("/aws/"), "Continue Subscription", account=ACCOUNT)
    first, second = buyer.press(subscribe, "Subscribe"), buyer.press(subscribe, "Subscribe")
    assert first.url == second.url
    assert token_of(first) == token_of(second)
    again = bought(buyer)
    assert again.url != first.url


def test_reading_pages_buys_and_mints_nothing(buyer: Buyer) -> None:
    ready = bought(buyer)
    assert token_of(buyer.get(ready.path.removeprefix("/sandbox"))) == token_of(ready)


@pytest.mark.parametrize(
    "typed", ["", "12", "7828 5828 500", "7828 5828 50066", "abcdefghijkl", "１２３４５６７８９０１２"]
)
def test_an_account_that_is_none_is_said_and_the_answers_are_kept(buyer: Buyer, typed: str) -> None:
    page = buyer.press(
        buyer.get("/aws/"), "Continue Subscription", account=typed, style="legacy", fault="disabled"
    )
    assert page.status == 400
    assert page.errors == {"account": "Enter the 12 digits of an AWS account, such as 7828 5828 5006"}
    assert page.title.startswith("Error: ")
    kept = page.form("Continue Subscription").fields
    assert (kept["account"], kept["style"], kept["fault"]) == ([typed], ["legacy"], ["disabled"])
    assert page.soup.select_one("details").has_attr("open"), "the chosen trouble is to be seen"


@pytest.mark.parametrize(
    "typed", ["x" * 10_000, "7828\x00", "😀", "‮582", "<script>alert(1)</script>", "' OR 1=1 --"]
)
def test_odd_input_is_an_error_and_never_a_defect(buyer: Buyer, typed: str) -> None:
    for field in ("account", "style", "fault"):
        answers = {"account": ACCOUNT, "style": "licence", "fault": "none"} | {field: typed}
        page = buyer.post("/aws/", data=answers)
        assert (page.status, list(page.errors)) == (400, [f"{field}-0" if field == "fault" else field])
    assert buyer.get("/aws/software", query_string={"account": typed}).status == 400
    assert buyer.get("/mailbox", query_string={"to": typed}).status == 200
    assert buyer.get("/aws/subscribe", query_string={"account": typed}).h1 == "Skylark pay-as-you-go"
    assert buyer.post("/aws/subscribe", data={"account": typed}).h1 == "Skylark pay-as-you-go"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("The token has expired", "ExpiredTokenException"),
        ("AWS answers “slow down”", "ThrottlingException"),
        ("AWS does not know the token", "InvalidTokenException"),
        ("AWS answers “internal error”", "InternalServiceErrorException"),
        ("AWS does not let the seller ask", "AccessDeniedException"),
        ("The API is switched off", "DisabledApiException"),
    ],
)
def test_what_is_chosen_to_go_wrong_does(buyer: Buyer, app: Flask, fault: str, kind: str) -> None:
    ready = bought(buyer, **{"What goes wrong": fault})
    assert resolved(app, token_of(ready))[1]["__type"] == kind
    # Set up product heals it, as a fresh token does at AWS.
    fresh = buyer.press(buyer.follow(ready, "Back"), "Set up product")
    assert fresh.url == ready.url
    assert resolved(app, token_of(fresh))[0] == 200


def test_a_purchase_of_another_product_can_be_played(buyer: Buyer, app: Flask) -> None:
    ready = bought(buyer, **{"What goes wrong": "The token is for another product"})
    assert resolved(app, token_of(ready))[1]["ProductCode"] == OTHER_PRODUCT != PRODUCT


def test_a_legacy_purchase_posts_no_agreement(buyer: Buyer, app: Flask) -> None:
    ready = bought(buyer, **{"Kind of purchase": "Customer identifier"})
    assert "x-amzn-marketplace-agreement-id" not in ready.form("Set Up Your Account").fields
    assert "LicenseArn" not in resolved(app, token_of(ready))[1]


def test_several_listings_are_a_choice_and_one_is_none(tmp_path: Path, buyer: Buyer) -> None:
    assert "product_code" not in buyer.get("/aws/").form("Continue Subscription").fields
    app = create_sandbox(settings(tmp_path, product_codes={"aws": [PRODUCT, SECOND_PRODUCT]}))
    ready = bought(Buyer(app), product_code=SECOND_PRODUCT)
    assert resolved(app, token_of(ready))[1]["ProductCode"] == SECOND_PRODUCT


def test_an_old_set_up_page_offers_a_fresh_token(buyer: Buyer, app: Flask, clock: Clock) -> None:
    ready = bought(buyer)
    clock.at += 4 * 3600
    old = buyer.get(ready.path.removeprefix("/sandbox"))
    assert old.buttons == ["Set up product"]
    fresh = buyer.press(old, "Set up product")
    assert resolved(app, token_of(fresh))[0] == 200


# Your Marketplace Software --------------------------------------------------------------------------------


def test_the_account_is_remembered_in_a_cookie_of_the_sandbox_only(buyer: Buyer) -> None:
    bought(buyer)
    cookie = buyer.client.get_cookie("sandbox_account", path="/sandbox")
    assert cookie is not None
    assert (cookie.value, cookie.path, cookie.http_only, cookie.same_site) == (
        ACCOUNT,
        "/sandbox",
        True,
        "Lax",
    )
    product = buyer.get("/aws/")
    assert product.form("Continue Subscription").fields["account"] == ["7828 5828 5006"]
    assert buyer.follow(product, "Your Marketplace Software").text.count("Active") == 1


def test_a_purchase_is_managed_and_cancelled(buyer: Buyer, app: Flask) -> None:
    ready = bought(buyer)
    bought(buyer)
    software = buyer.get("/aws/software")
    assert software.h1 == "Your Marketplace Software"
    assert software.text.count("Active") == 2
    agreement = ready.path.split("/")[-2]
    manage = buyer.get(f"/aws/software/{agreement}")
    assert manage.soup.select_one("details summary").get_text(strip=True) == "Actions"
    confirm = buyer.follow(manage, "Cancel Subscription")
    assert confirm.buttons == ["Yes, Cancel Subscription"]
    assert buyer.get("/aws/software").text.count("Active") == 2, "nothing happens before Yes"

    after = buyer.press(confirm, "Yes, Cancel Subscription")
    assert (after.h1, after.text.count("Active"), after.text.count("Cancelled")) == (software.h1, 1, 1)
    gone = buyer.get(f"/aws/software/{agreement}")
    assert "Cancelled on 7 April 2026, 18:40 (UTC)" in gone.text
    assert gone.buttons == []
    # Pages that stood open while it was cancelled lead to what is true now.
    for stale in (
        buyer.press(confirm, "Yes, Cancel Subscription"),
        buyer.press(manage, "Set up product"),
        buyer.get(f"/aws/software/{agreement}/set-up"),
        buyer.get(f"/aws/software/{agreement}/cancel"),
    ):
        assert stale.status == 200
        assert "Cancelled" in stale.text
    entitled = app.test_client().post(
        "/aws/api",
        json={"ProductCode": PRODUCT},
        headers={"X-Amz-Target": "AWSMPEntitlementService.GetEntitlements"},
    )
    assert len(entitled.get_json(force=True)["Entitlements"]) == 3


def test_the_list_of_another_account_can_be_asked_for(buyer: Buyer) -> None:
    bought(buyer)
    page = buyer.press(buyer.get("/aws/software"), "Show", account="1111 2222 3333")
    assert "AWS account 1111 2222 3333 has bought nothing here." in page.text
    wrong = buyer.press(page, "Show", account="111")
    assert (wrong.status, wrong.form("Show").fields["account"]) == (400, ["111"])
    assert list(wrong.errors) == ["account"]


# Everything else ------------------------------------------------------------------------------------------


def test_addresses_that_are_not_there_are_pages_for_people(buyer: Buyer) -> None:
    for path in ("/nothing", "/aws/software/agmt-none", "/aws/software/agmt-none/set-up", "/mailbox/7"):
        page = buyer.get(path)
        assert page.status == 404
        assert buyer.follow(page, "All doors of the sandbox").h1 == "Sandbox"
    assert buyer.post("/aws/software/agmt-none/cancel").status == 404
    assert buyer.post("/mailbox").status == 405
    assert buyer.get("/aws").h1 == "Skylark pay-as-you-go"
    assert buyer.get("/aws/api").status == 405


def test_another_site_cannot_press_buttons_here(buyer: Buyer) -> None:
    page = buyer.post("/aws/", data={"account": ACCOUNT}, headers={"Sec-Fetch-Site": "cross-site"})
    assert page.status == 403
    assert buyer.post("/aws/purchases", headers={"Sec-Fetch-Site": "cross-site"}).status == 403


def test_a_huge_body_is_refused(buyer: Buyer) -> None:
    assert buyer.post("/aws/", data={"account": "1" * 2_000_000}).status == 413
    assert buyer.post("/aws/purchases", data=b"1" * 2_000_000).status == 413
    target = {"X-Amz-Target": "AWSMPMeteringService.ResolveCustomer"}
    assert buyer.post("/aws/api", data=b"1" * 2_000_000, headers=target).status == 413


def test_the_whole_walk_is_there_in_chinese(app: Flask) -> None:
    buyer = Buyer(app, "zh")
    page = buyer.follow(buyer.get("/"), "商品页：AWS Marketplace")
    wrong = buyer.press(page, "Continue Subscription", account="1")
    assert wrong.errors == {"account": "填写 12 位数字的 AWS 账号，例如 7828 5828 5006"}
    assert "有内容需要修改" in wrong.text
    ready = buyer.press(buyer.press(wrong, "Continue Subscription", account=ACCOUNT), "Subscribe")
    assert ready.buttons == ["Set Up Your Account"]
    manage = buyer.follow(buyer.follow(buyer.get("/aws/"), "Your Marketplace Software"), "Manage")
    assert manage.buttons == ["设置商品", "立即续订"]
    after = buyer.press(buyer.follow(manage, "Cancel Subscription"), "Yes, Cancel Subscription")
    assert "已取消" in after.text
    assert "2026年4月7日 18:40（UTC）" in buyer.follow(after, "Manage").text
    for path in ("/mailbox", "/nothing"):
        buyer.get(path)
    # The layout is shared with the wizard, whose catalogue the sandbox does not read.
    shared = [ROOT / "templates/layout.html", *(ROOT / "templates/macros").glob("*.html")]
    for sentence in sentences(shared):
        for seen in buyer.seen:
            assert not re.search(rf"\b{re.escape(sentence)}", seen.text), (sentence, str(seen))


def test_the_language_is_changed_by_a_link_and_remembered(buyer: Buyer) -> None:
    page = buyer.get("/aws/")
    buyer.language = "zh"
    there = buyer.follow(page, "简体中文")
    assert there.path == page.path
    buyer.get("/mailbox", headers={"Accept-Language": "en"})


def sentences(places: Iterable[Path]) -> Iterator[str]:
    """Every msgid in Python files and templates."""
    for place in places:
        method = "python" if place.suffix == ".py" else "jinja2.ext:babel_extract"
        options = {} if place.suffix == ".py" else {"silent": "false"}
        with place.open("rb") as source:
            for _, message, _, _ in extract(method, source, {"_": None, "_l": None}, options=options):
                yield str(message)


def test_every_sentence_of_the_sandbox_has_a_translation() -> None:
    with (ROOT / "translations/zh/LC_MESSAGES/sandbox.po").open("rb") as po:
        catalogue = read_po(po, locale="zh")
    own = [*(ROOT / "wizard/sandbox").glob("*.py"), *(ROOT / "templates/sandbox").rglob("*.html")]
    for sentence in sentences(own):
        assert sentence in catalogue, sentence
        assert catalogue[sentence].string, sentence


def test_settings_that_cannot_work_are_refused_in_words(tmp_path: Path) -> None:
    for change in (
        {"product_codes": {}},
        {"product_codes": {"aws": ()}},
        {"product_codes": {"aws-moon": ("p",)}},
        {"registration_urls": {"aws": "join.example.com"}},
        {"registration_urls": {"aws": LANDING}},
    ):
        with pytest.raises(ValueError, match=next(iter(change))):
            settings(tmp_path, **change)
    with pytest.raises(ValueError, match="database file"):
        create_sandbox(settings(tmp_path, database=":memory:"))
