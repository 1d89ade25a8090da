"""Owners of thousands: every list comes in pages that can be searched, each as light and as cheap as a short one.

The client holds every page to its statements and its bytes.
"""

import re

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.binding import Binding
from tests.support.client import Client
from tests.support.factories import Person
from tests.support.page import Page
from tests.support.possessions import Owner, accounts_of, purchases, workspaces
from tests.support.walk import Walk
from wizard import clock
from wizard.billing import workspaces as lists
from wizard.billing.models import ENDED, LOCK, Subscription
from wizard.extensions import db

WORKSPACES = 5_000
PURCHASES = 300
CLOUD_ACCOUNTS = "/billing/cloud-accounts"
NONSENSE = ("0", "-1", "1.5", "x", "٣", "1e3", " 2", "%00", "9" * 9, "9" * 40, "251")


@pytest.fixture
def owner(app: Flask) -> Owner:
    return accounts_of(app, Person())


@pytest.fixture
def signed_in(client: Client, owner: Owner) -> Client:
    """… in both areas."""
    answers = {"username": owner.person.username, "password": owner.person.password}
    client.submit(client.get("/billing/sign-in"), "Sign in", answers)
    client.submit(client.get("/sign-in?site=us1"), "Sign in", {"site": "us1", **answers})
    return client


def names(page: Page) -> list[str]:
    return [name.get_text() for name in page.soup.select("main li b")]


def counted(page: Page) -> str:
    found = re.search(r"[\d,]+–[\d,]+ of [\d,]+", page.text)
    return found[0] if found else ""


def harbours(newest: int, oldest: int) -> list[str]:
    return [f"Harbour {number}" for number in range(newest, oldest - 1, -1)]


def test_the_console_shows_thousands_of_workspaces_page_by_page(
    app: Flask, owner: Owner, signed_in: Client
) -> None:
    workspaces(app, owner, WORKSPACES)
    first = signed_in.get("/console/")
    assert names(first) == harbours(5_000, 4_981)
    assert counted(first) == "1–20 of 5,000"
    assert "Page 1 of 250" in first.text
    assert "Previous page" not in first.links
    second = signed_in.click(first, "Next page")
    assert (names(second), counted(second)) == (harbours(4_980, 4_961), "21–40 of 5,000")
    assert names(signed_in.click(second, "Previous page")) == names(first)
    last = signed_in.get("/console/?page=250")
    assert names(last) == harbours(20, 1)
    assert "Next page" not in last.links
    assert signed_in.click(last, "Harbour 7").h1 == "Harbour 7"


def test_workspace_management_shows_thousands_with_the_locked_ones_first(
    app: Flask, owner: Owner, signed_in: Client
) -> None:
    (pays,) = purchases(app, owner)
    (lost,) = purchases(app, owner, state=ENDED, on_end=LOCK, stopped_at=clock.now())
    workspaces(app, owner, 2, lost, name="Locked")
    workspaces(app, owner, WORKSPACES, pays)
    first = signed_in.get("/billing/workspaces")
    assert "5,002 workspaces, 2 locked" in first.text
    assert [row.get_text() for row in first.soup.select("tbody th a")][:3] == ["Locked"] * 2 + [
        "Harbour 5000"
    ]
    last = signed_in.get("/billing/workspaces?method=aws&state=active&site=us1&page=250")
    assert "5,000 workspaces · Show all" in last.text
    assert last.soup.select("tbody th a")[-1].get_text() == "Harbour 1"


def test_binding_goes_through_thousands_of_workspaces_page_by_page(
    app: Flask, owner: Owner, walk: Walk
) -> None:
    """The client holds every page and every press to its statements and bytes, whatever the account has."""
    paid_by = purchases(app, owner, PURCHASES)
    workspaces(app, owner, WORKSPACES)
    binding = Binding.of(walk, owner.person).to_workspaces()
    assert counted(binding.page) == "1–20 of 5,000"
    binding.page = binding.client.click(binding.page, "Next page")
    binding.bind("Harbour 4971")
    assert binding.row("Harbour 4971").endswith("Bound")
    assert "page=2" in binding.page.url
    workspaces(app, owner, WORKSPACES, purchase_of(app, owner))
    binding.page = binding.client.submit(binding.page, "Search", q="Harbour 17")
    assert "and 4,996 more" in binding.page.line[-1]
    binding.open_create(site="us1")
    binding.create(owner.person, "Lantern")
    assert binding.row("Lantern").endswith("Bound")
    assert "pays for 5,002 workspaces" in binding.confirm().text
    assert len(paid_by) == PURCHASES


def purchase_of(app: Flask, owner: Owner) -> int:
    """The newest purchase that was bound to an account."""
    with app.app_context():
        newest = sa.select(sa.func.max(Subscription.id)).where(
            Subscription.billing_account_id == owner.billing_id
        )
        return int(db.session.scalars(newest).one())


def test_a_purchase_shows_the_thousands_it_pays_for_page_by_page(
    app: Flask, owner: Owner, signed_in: Client
) -> None:
    (bought,) = purchases(app, owner)
    workspaces(app, owner, WORKSPACES, bought)
    front = signed_in.get(CLOUD_ACCOUNTS)
    assert names(front) == harbours(5_000, 4_996)
    first = signed_in.click(front, "and 4,995 more")
    assert (names(first), counted(first)) == (harbours(5_000, 4_981), "1–20 of 5,000")
    last = signed_in.get(f"{CLOUD_ACCOUNTS}/{bought}?page=250")
    assert names(last) == harbours(20, 1)
    found = signed_in.submit(first, "Search", q="harbour 4999")
    assert names(found) == ["Harbour 4999"]
    assert names(signed_in.click(found, "Show all")) == names(first)


def test_hundreds_of_purchases_come_ten_to_a_page_each_with_what_it_pays_for(
    app: Flask, owner: Owner, signed_in: Client
) -> None:
    half = PURCHASES // 2
    bought = purchases(app, owner, half) + purchases(app, owner, half, cloud_account="777788889999")
    for number in bought[-30:]:
        workspaces(app, owner, 8, number)
    shown: list[str] = []
    page = signed_in.get(CLOUD_ACCOUNTS)
    assert counted(page) == "1–10 of 300"
    assert names(page) == harbours(8, 4) * 10
    assert page.text.count("and 3 more") == 10
    for _page in range(PURCHASES // 10):
        links = [str(link["href"]) for link in page.soup.select(".bought a")]
        assert len(links) == 10
        shown += links
        if "Next page" in page.links:
            page = signed_in.click(page, "Next page")
    assert shown == [f"{CLOUD_ACCOUNTS}/{number}" for number in reversed(bought)]


def test_a_purchase_is_found_by_any_of_its_numbers_however_they_are_spaced(
    app: Flask, owner: Owner, signed_in: Client
) -> None:
    purchases(app, owner, PURCHASES - 3)
    wanted = {
        "555566667777": purchases(app, owner, cloud_account="555566667777"),
        "agmt-Xyz": purchases(app, owner, agreement_id="agmt-Xyz"),
        "l-0f1e2d": purchases(app, owner, agreement_id=None, license_arn="arn:aws:x:license:l-0f1e2d"),
    }
    first = signed_in.get(CLOUD_ACCOUNTS)
    typed = {
        "5555 6666 7777": "555566667777",
        "66667": "555566667777",
        " AGMT-xyz ": "agmt-Xyz",
        "l-0f1e2d": "l-0f1e2d",
    }
    for text, which in typed.items():
        found = signed_in.submit(first, "Search", q=text)
        links = [str(link["href"]) for link in found.soup.select(".bought a")]
        assert links == [f"{CLOUD_ACCOUNTS}/{wanted[which][0]}"], text
        assert counted(found) == "1–1 of 1"
    for pattern in ("%", "agmt_0", "5555%7777"):
        assert "Nothing here has" in signed_in.submit(first, "Search", q=pattern).text
    missing = signed_in.submit(first, "Search", q="agmt-nobodys")
    assert "Nothing here has “agmt-nobodys” in it." in missing.text
    assert counted(signed_in.click(missing, "Show all")) == "1–10 of 300"


def test_what_is_searched_for_is_text_and_no_pattern(app: Flask, owner: Owner, signed_in: Client) -> None:
    workspaces(app, owner, 30)
    for name in ("100% harbour", "a_b", "back\\slash", "港口监控"):
        workspaces(app, owner, 1, name=name)
    first = signed_in.get("/console/")
    for text, found in (
        ("%", ["100% harbour"]),
        ("a_b", ["a_b"]),  # As a pattern it finds every “Harbour”.
        ("\\", ["back\\slash"]),
        ("0% H", ["100% harbour"]),
        ("港口", ["港口监控"]),
        ("港\x00口\u202e", ["港口监控"]),
        ("' OR 1=1 --", []),
        ("<b>", []),
        ("/", []),
        ("x" * 5_000, []),
    ):
        page = signed_in.submit(first, "Search", q=text)
        assert names(page) == found, text
    assert counted(signed_in.submit(first, "Search", q="  ")) == "1–20 of 34"


def test_a_search_goes_on_over_its_pages(app: Flask, owner: Owner, signed_in: Client) -> None:
    workspaces(app, owner, 45)
    workspaces(app, owner, 30, name="Quay & co")
    first = signed_in.submit(signed_in.get("/console/"), "Search", q="quay & CO")
    assert counted(first) == "1–20 of 30"
    second = signed_in.click(first, "Next page")
    assert (names(second), counted(second)) == (["Quay & co"] * 10, "21–30 of 30")
    assert second.form("Search").fields["q"] == ["quay & CO"]
    beyond = signed_in.get("/console/?q=quay&page=3")
    assert counted(signed_in.click(beyond, "Go to the first page")) == "1–20 of 30"


def test_a_page_that_is_not_there_says_so_and_leads_to_the_first(
    app: Flask, owner: Owner, signed_in: Client
) -> None:
    (bought,) = purchases(app, owner)
    workspaces(app, owner, 2 * lists.PER_PAGE, bought)
    for path in ("/console/", CLOUD_ACCOUNTS, f"{CLOUD_ACCOUNTS}/{bought}"):
        for number in NONSENSE:
            page = signed_in.get(f"{path}?page={number}")
            assert (page.status, names(page)) == (200, []), number
            assert "Nothing here" in page.text, (path, number)
            assert page.link("Go to the first page") == path
        assert names(signed_in.get(f"{path}?page=")) == names(signed_in.get(path))


@pytest.mark.engines("sqlite")
def test_a_short_list_has_no_search_and_no_pages(app: Flask, owner: Owner, signed_in: Client) -> None:
    workspaces(app, owner, 2, *purchases(app, owner))
    for path in ("/console/", CLOUD_ACCOUNTS):
        page = signed_in.get(path)
        assert names(page) == ["Harbour 2", "Harbour 1"]
        assert not page.soup.select("[role=search], .pager")


@pytest.mark.engines("sqlite")
def test_the_only_workspace_is_led_to_and_a_search_is_answered(
    app: Flask, owner: Owner, signed_in: Client
) -> None:
    workspaces(app, owner)
    assert signed_in.get("/console/", follow=True).h1 == "Harbour 1"
    assert names(signed_in.get("/console/?q=harbour")) == ["Harbour 1"]


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("path", ["/console/", CLOUD_ACCOUNTS])
def test_lists_are_read_in_chinese_too(app: Flask, client: Client, owner: Owner, path: str) -> None:
    chinese = client.other("zh")
    bought = purchases(app, owner, 21)
    workspaces(app, owner, WORKSPACES, bought[0])
    answers = {"site": "us1", "username": owner.person.username, "password": owner.person.password}
    for door in ("/sign-in?site=us1", "/billing/sign-in"):
        typed = answers if "site" in door else {k: v for k, v in answers.items() if k != "site"}
        chinese.submit(chinese.get(door), "登录", typed)
    page = chinese.get(f"{path}?page=2")
    assert "第 2 页，共" in page.text
    assert chinese.click(page, "下一页").status == 200
