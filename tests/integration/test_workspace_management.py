"""Workspace management: every workspace an account settles, what settles it now, what can be done, what was done."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person
from tests.support.page import Page
from tests.support.possessions import DOOR, Owner, accounts_of, purchases, sign_in, workspaces
from wizard import clock
from wizard.billing import settlement
from wizard.billing import workspaces as lists
from wizard.billing.models import (
    ACTIVE,
    AWS,
    BEING_MADE,
    BILLING_CENTER,
    CANCELLED,
    CLOSED,
    DISSOLVED,
    ENDED,
    LOCK,
    LOCKED,
    NONE,
    SETTLED,
    STAY,
    SWITCH,
    UNLOCKED,
    Subscription,
    Workspace,
)
from wizard.extensions import db

PAGE = "/billing/workspaces"
NOON = datetime.fromisoformat("2026-04-07T12:00:30+00:00")
DAY = timedelta(days=1)


@pytest.fixture
def owner(app: Flask) -> Owner:
    return accounts_of(app, Person())


def ended(app: Flask, owner: Owner, **values: object) -> int:
    """A purchase that was cancelled three days ago."""
    about = {"why": CANCELLED, "on_end": LOCK, "ended_at": NOON - 3 * DAY, "stopped_at": NOON - 3 * DAY}
    return purchases(app, owner, state=ENDED, **{**about, **values})[0]


def rows(page: Page) -> dict[str, str]:
    """Name → what its row says."""
    return {
        row.select_one("th a").get_text(): " ".join(row.get_text(" ").split())  # type: ignore[union-attr]
        for row in page.soup.select("tbody tr")
    }


@pytest.fixture
def all_sorts(app: Flask, owner: Owner) -> Owner:
    """One workspace of each state and settlement, the locked one made first."""
    (pays,) = purchases(app, owner, cloud_account="782858285006")
    lost = ended(app, owner, cloud_account="441722908813")
    closed = ended(app, owner, stopped_at=NOON - 30 * DAY)
    workspaces(app, owner, 1, lost, name="Staging")
    workspaces(app, owner, 1, closed, name="Old pier", state=CLOSED)
    workspaces(app, owner, 1, closed, name="Gone", state=DISSOLVED)
    workspaces(app, owner, 1, pays, name="Printers", state=BEING_MADE)
    workspaces(app, owner, 1, pays, name="Production", site_id="eu1")
    workspaces(app, owner, 1, None, name="Payments", settlement_changed_at=NOON - 2 * DAY)
    workspaces(app, owner, 1, None, name="Inbox")
    return owner


@pytest.mark.engines("sqlite")
def test_every_workspace_says_what_settles_it_and_what_can_be_done_the_locked_one_first(
    client: Client, all_sorts: Owner
) -> None:
    with clock.at(NOON):
        page = sign_in(client, all_sorts)
    assert (page.path, page.h1) == (PAGE, "Workspace management")
    assert "6 workspaces, 1 locked" in page.text
    found = rows(page)
    assert list(found) == ["Staging", "Printers", "Inbox", "Payments", "Production", "Old pier"]
    name = all_sorts.person.username
    for workspace, said in {
        "Staging": "None AWS account 4417 2290 8813 · Cancelled 4 April 2026 Locked, 11 days left Unlock Dissolve",
        "Printers": "AWS account 7828 5828 5006 Being made Ready in about a minute",
        "Inbox": f"us1 Oregon Billing Center account {name} Active Change settlement method",
        "Payments": "Active Can change on 5 May 2026",
        "Production": "eu1 Frankfurt AWS account 7828 5828 5006 Active Change settlement method",
        "Old pier": "Closed",
    }.items():
        assert found[workspace].replace("\N{NO-BREAK SPACE}", " ").endswith(said)
    with clock.at(NOON):
        assert client.click(page, "Inbox").h1 == "Inbox"
        assert client.click(page, "Unlock").status == 200
        assert "Staging" in client.click(page, "Dissolve").h1


def test_the_list_is_narrowed_by_name_site_method_and_state_in_its_address(
    client: Client, all_sorts: Owner
) -> None:
    with clock.at(NOON):
        page = sign_in(client, all_sorts)
        for asked, found in (
            ({"q": "pRi"}, ["Printers"]),
            ({"site": "eu1"}, ["Production"]),
            ({"method": AWS}, ["Printers", "Production"]),
            ({"method": BILLING_CENTER}, ["Inbox", "Payments"]),
            ({"method": NONE}, ["Staging", "Old pier"]),
            ({"method": NONE, "state": LOCKED}, ["Staging"]),
            ({"state": ACTIVE}, ["Inbox", "Payments", "Production"]),
            ({"state": BEING_MADE}, ["Printers"]),
            ({"state": CLOSED}, ["Old pier"]),
            ({"state": ACTIVE, "method": AWS, "site": "us1"}, []),
        ):
            assert list(rows(client.submit(page, "Filter", asked))) == found, asked
        # What no list offers narrows nothing.
        assert rows(client.get(f"{PAGE}?site=nowhere&method=gold&state=%27+--")) == rows(page)
        nothing = client.submit(page, "Filter", {"q": "nothing", "site": "us1"})
        assert list(rows(client.click(nothing, "Show all"))) == list(rows(page))
    assert "Nothing here is like that." in nothing.text
    chosen = nothing.soup.select_one("#site option[selected]")
    assert chosen is not None
    assert chosen["value"] == "us1"


@pytest.mark.engines("sqlite")
def test_pages_of_a_narrowed_list_stay_narrowed(app: Flask, client: Client, owner: Owner) -> None:
    workspaces(app, owner, 45)
    workspaces(app, owner, 45, name="Elsewhere", site_id="eu1")
    sign_in(client, owner)
    first = client.get(f"{PAGE}?site=us1")
    assert "45 workspaces" in first.text
    second = client.click(first, "Next page")
    assert "site=us1" in second.url
    assert next(iter(rows(second))) == "Harbour 25"
    beyond = client.get(f"{PAGE}?site=us1&page=9")
    assert "the list ends before this page" in beyond.text
    assert list(rows(client.click(beyond, "Go to the first page"))) == list(rows(first))


@pytest.mark.engines("sqlite")
def test_an_account_without_a_workspace_is_told_what_would_show_here(client: Client, owner: Owner) -> None:
    page = sign_in(client, owner)
    assert "None yet. A workspace that this account settles shows here" in page.text
    assert "Filter" not in page.buttons


def test_the_database_and_the_pages_agree_on_what_settles_a_workspace(app: Flask, owner: Owner) -> None:
    """… for every subscription there can be, followed by every other: on both engines."""
    kinds = [
        {"state": ACTIVE},
        *({"state": ENDED, "why": CANCELLED, "on_end": on_end} for on_end in (LOCK, SWITCH, STAY, None)),
    ]
    followers = [purchases(app, owner, **kind)[0] for kind in kinds]
    made = workspaces(app, owner)
    for kind in kinds:
        for follower in (None, *followers):
            (bought,) = purchases(app, owner, successor_id=follower, **kind)
            made += workspaces(app, owner, 1, bought)
    with app.app_context():
        everything = db.session.scalars(sa.select(Workspace).where(Workspace.id.in_(made))).all()
        assert len(everything) == 31
        for method in (AWS, BILLING_CENTER, NONE):
            read = {w.id for w in everything if settlement.method(w) == method}
            assert (
                set(db.session.scalars(sa.select(Workspace.id).where(settlement.settled_by(method)))) == read
            )
            assert read


@pytest.mark.engines("sqlite")
def test_a_list_is_one_statement_however_it_is_narrowed(app: Flask, owner: Owner) -> None:
    workspaces(app, owner, 3, ended(app, owner))
    with app.app_context():
        said = []
        sa.event.listen(db.engine, "before_cursor_execute", lambda *about: said.append(about[2]))
        wanted = lists.Filter(search="harbour", site="us1", method=NONE, state=LOCKED)
        page = lists.managed(owner.billing_id, wanted)
        assert [settlement.method(workspace) for workspace in page.items] == [NONE] * 3
        assert (page.total, page.marked) == (3, 3)
        assert len([one for one in said if one.lstrip().startswith("SELECT")]) == 1


# One workspace -----------------------------------------------------------------------------------------------


def tell(app: Flask, workspace: int, *lines: tuple[str, str, int | None, str]) -> None:
    """Write a history: (what, method, subscription, by)."""
    with app.app_context():
        for number, (what, method, subscription, by) in enumerate(lines, 1):
            with clock.at(NOON + number * DAY):
                settlement.write_down_all([(workspace, number)], what, method, subscription, by)
        db.session.commit()


@pytest.mark.engines("sqlite")
def test_its_page_tells_what_happened_when_and_by_whom(app: Flask, client: Client, owner: Owner) -> None:
    bought = ended(app, owner, cloud_account="441722908813")
    (made,) = workspaces(app, owner, 1, bought, name="Staging")
    tell(
        app,
        made,
        (SETTLED, BILLING_CENTER, None, f"journey SK-1234-ABCD of billing account {owner.billing_id}"),
        (SETTLED, AWS, bought, f"billing account {owner.billing_id}"),
        (LOCKED, NONE, bought, "marketplace aws"),
        (UNLOCKED, AWS, bought, f"console account {owner.console_id}"),
        (SETTLED, BILLING_CENTER, bought, "marketplace aws"),
        (CLOSED, NONE, bought, "calendar"),
        (DISSOLVED, NONE, bought, settlement.BEFORE),
    )
    with clock.at(NOON):
        page = client.click(sign_in(client, owner), "Staging")
    assert "Locked, 11 days left It will be closed on 18 April 2026, 12:00 (UTC), unless" in page.text
    told = [" ".join(line.get_text(" ").split()) for line in page.soup.select(".log li")]
    account, name = "AWS account 4417 2290 8813", owner.person.username
    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in told] == [
        "Dissolved 14 April 2026, 12:00 (UTC) · Not written down",
        "Closed: for 14 days nothing paid for it 13 April 2026, 12:00 (UTC) · Skylark",
        "Settled by the Billing Center account 12 April 2026, 12:00 (UTC) · AWS Marketplace",
        f"Unlocked: {account} pays again 11 April 2026, 12:00 (UTC) · {name} in the console",
        f"Locked: {account} no longer pays 10 April 2026, 12:00 (UTC) · AWS Marketplace",
        f"Settled by {account} 9 April 2026, 12:00 (UTC) · {name} in the Billing Center",
        f"Settled by the Billing Center account 8 April 2026, 12:00 (UTC) · {name}, Reference SK-1234-ABCD",
    ]
    with clock.at(NOON):
        assert "the list ends before this page" in client.get(f"{page.path}?page=2").text


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize(
    ("state", "said"), [(DISSOLVED, "Dissolved"), (CLOSED, "Closed"), (BEING_MADE, "Ready in about a minute")]
)
def test_a_workspace_that_cannot_be_changed_says_what_it_is(
    app: Flask, client: Client, owner: Owner, state: str, said: str
) -> None:
    bought = ended(app, owner)
    workspaces(app, owner, 1, bought, public_id="wksp_00000000000000f0", state=state)
    page = sign_in(client, owner, f"{DOOR}?next={PAGE}/wksp_00000000000000f0")
    assert said in page.text
    assert not {"Unlock", "Dissolve", "Change settlement method"} & set(page.links)


# What a purchase paid for ------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite")
def test_a_purchase_that_ended_says_what_it_locked_and_leads_to_unlocking_it(
    app: Flask, client: Client, owner: Owner
) -> None:
    one, many, nothing = (ended(app, owner) for _number in range(3))
    workspaces(app, owner, 1, one, name="Staging")
    workspaces(app, owner, 7, many)
    with clock.at(NOON):
        page = sign_in(client, owner, f"{DOOR}?next=/billing/cloud-accounts")
        assert "It paid for Staging, which is locked. It can still be unlocked for 11 days." in page.text
        assert "It paid for 7 workspaces. What is locked can still be unlocked for 11 days." in page.text
        assert "Cancelled 4 April 2026" in page.text
        assert client.click(page, "Unlock Staging").status == 200
        assert len(rows(client.click(page, "Unlock them"))) == 8
        assert "It pays for nothing any more." in client.get(f"/billing/cloud-accounts/{nothing}").text


@pytest.mark.engines("sqlite")
def test_a_purchase_has_a_history_with_its_end_and_its_workspaces(
    app: Flask, client: Client, owner: Owner
) -> None:
    (follower,) = purchases(app, owner)
    bought = ended(app, owner, claimed_at=NOON - 9 * DAY, successor_id=follower)
    (made,) = workspaces(app, owner, 1, follower, name="Staging")
    tell(app, made, (SETTLED, AWS, bought, "journey SK-1"), (SETTLED, AWS, follower, "marketplace aws"))
    sign_in(client, owner)
    one = client.get(f"/billing/cloud-accounts/{bought}")
    page = client.click(one, "History")
    for said in (
        f"Bound to {owner.person.username} 29 March 2026, 12:00 (UTC)",
        "Cancelled 4 April 2026 We learned it on 4 April 2026, 12:00 (UTC).",
        "Staging · Settled by AWS account",
    ):
        assert said in page.text
    assert len(page.soup.select(".log li")) == 1, "what it was followed by has a history of its own"
    assert page.link("Another subscription followed it") == f"/billing/cloud-accounts/{follower}"
    assert client.click(page, "Staging").h1 == "Staging"
    with app.app_context():
        assert db.session.get_one(Subscription, bought).successor_id == follower


@pytest.mark.engines("sqlite")
def test_what_an_ended_purchase_pays_for_no_more_does_not_hang_on_it(
    app: Flask, client: Client, owner: Owner
) -> None:
    switched = ended(app, owner, on_end=SWITCH)
    workspaces(app, owner, 1, switched, name="Switched")
    closed = ended(app, owner)
    workspaces(app, owner, 1, closed, name="Shut", state=CLOSED)
    sign_in(client, owner)
    page = client.get("/billing/cloud-accounts")
    assert "Switched" not in page.text
    assert "Shut" not in page.text
    assert page.text.count("It pays for nothing any more.") == 2


@pytest.mark.engines("sqlite")
def test_a_renewal_is_told_as_one(app: Flask, client: Client, owner: Owner) -> None:
    (follower,) = purchases(app, owner)
    renewed = ended(app, owner, why="renewed", on_end=STAY, successor_id=follower)
    (made,) = workspaces(app, owner, 1, follower, name="Staging")
    tell(app, made, (SETTLED, AWS, renewed, "journey SK-1"), (SETTLED, AWS, follower, "marketplace aws"))
    sign_in(client, owner)
    assert "Renewed 4 April 2026" in client.get(f"/billing/cloud-accounts/{renewed}").text
    page = client.click(client.get("/billing/workspaces"), "Staging")
    assert "Settled by a new subscription of AWS account" in page.text
