"""Cloud accounts in the Billing Center: what each pays for, binding more, and nobody else's."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person, rows_of
from tests.support.page import Page
from tests.support.possessions import (
    DOOR,
    Owner,
    accounts_of,
    begun,
    change_all,
    journeys_in,
    purchases,
    sign_in,
    workspaces,
)
from tests.support.races import race, results
from tests.support.walk import Walk
from wizard import clock
from wizard.accounts.models import Session
from wizard.billing.models import BEING_MADE, DISSOLVED, ENDED, Subscription
from wizard.extensions import db
from wizard.flows.models import Journey, JourneyEvent

pytestmark = pytest.mark.engines("sqlite")

PAGE = "/billing/cloud-accounts"
HERE = f"{DOOR}?next={PAGE}"


@pytest.fixture
def owner(app: Flask) -> Owner:
    return accounts_of(app, Person())


@pytest.fixture
def neighbour(app: Flask) -> Owner:
    return accounts_of(app, Person())


# Cloud accounts ----------------------------------------------------------------------------------------------


def _rows(page: Page) -> list[str]:
    return [" ".join(row.get_text(" ").split()) for row in page.soup.select(".tree li")]


@pytest.mark.engines("sqlite", "postgresql")
def test_somebody_who_activated_sees_what_pays_for_what(walk: Walk) -> None:
    walk.to_end()
    opened = walk.client.click(walk.page, "Open the Billing Center")
    front = walk.client.submit(opened, "Sign in", username=walk.person.email, password=walk.person.password)
    page = walk.client.click(front, "Cloud accounts")
    number = walk.bought["customerAWSAccountId"]
    assert f"AWS account {number[:4]} {number[4:8]} {number[8:]}" in page.text
    assert walk.bought["agreementId"] in page.text
    assert "Subscribed" in page.text
    (row,) = _rows(page)
    assert row.startswith("Harbour us1 Oregon wksp_")
    assert row.endswith("Active")


def test_an_account_without_a_purchase_is_told_where_to_buy(client: Client, owner: Owner) -> None:
    page = sign_in(client, owner, HERE)
    assert "Subscribe at your cloud’s marketplace" in page.text
    assert page.link("Subscribe to AWS").startswith("http")
    assert not page.soup.select("[role=search]")


@pytest.mark.engines("sqlite", "postgresql")
def test_purchases_stand_with_their_cloud_account_newest_first(
    app: Flask, client: Client, owner: Owner, neighbour: Owner
) -> None:
    first = purchases(app, owner, cloud_account="111122223333")
    purchases(app, owner, cloud_account="444455556666")
    with app.app_context():
        account = db.session.get_one(Subscription, first[0]).cloud_account_id
    again = purchases(app, owner, cloud_account="777788889999")
    change_all(app, Subscription, again, cloud_account_id=account)
    purchases(app, neighbour, cloud_account="000011112222")
    page = sign_in(client, owner, HERE)
    titles = [" ".join(title.get_text().split()) for title in page.soup.select("h2")]
    assert titles == ["AWS account 1111 2222 3333", "AWS account 4444 5555 6666"]
    links = [str(link["href"]) for link in page.soup.select(".bought a")]
    assert links[:2] == [f"{PAGE}/{again[0]}", f"{PAGE}/{first[0]}"]


def test_each_purchase_is_told_by_the_strongest_identifier_it_has(
    app: Flask, client: Client, owner: Owner
) -> None:
    arn = "arn:aws:license-manager::1:license:l-1"
    purchases(app, owner, agreement_id=None, license_arn=arn, customer_identifier="cust-1")
    purchases(app, owner, agreement_id=None, customer_identifier="cust-2")
    purchases(app, owner, agreement_id="agmt-9", license_arn=arn)
    text = sign_in(client, owner, HERE).text
    for said in (f"Licence {arn}", "Customer cust-2", "Agreement agmt-9", "subscribed 3 March 2026"):
        assert said in text
    assert "cust-1" not in text
    assert "2026年3月3日订阅" in sign_in(client.other("zh"), owner, HERE).text


def test_a_workspace_says_in_what_state_it_is(app: Flask, client: Client, owner: Owner) -> None:
    (active,) = purchases(app, owner)
    (ended,) = purchases(
        app, owner, state=ENDED, ended_at=datetime.fromisoformat("2026-03-24T10:00:00+00:00")
    )
    workspaces(app, owner, 1, active, name="Made")
    workspaces(app, owner, 1, active, name="Coming", state=BEING_MADE)
    workspaces(app, owner, 1, ended, name="Locked up")
    workspaces(app, owner, 1, active, name="Gone", state=DISSOLVED)
    workspaces(app, owner, 1, ended, name="Unpaid")
    page = sign_in(client, owner, HERE)
    states = {row.split(" us1")[0]: row.split()[-1] for row in _rows(page)}
    assert states == {"Made": "Active", "Coming": "made", "Locked up": "Locked", "Unpaid": "Locked"}
    assert "Ended 24 March 2026" in page.text
    assert [tag.get_text() for tag in page.soup.select(".bought .state")] == ["Ended", "Subscribed"]
    # What has ended pays for nothing more.
    assert len(page.soup.select("form[action$='/bind']")) == 1


def test_what_pays_for_nothing_yet_says_so_and_leads_on(app: Flask, client: Client, owner: Owner) -> None:
    (bought,) = purchases(app, owner)
    page = sign_in(client, owner, HERE)
    assert "It pays for no workspace yet." in page.text
    assert page.form("Bind a workspace").action == f"{PAGE}/{bought}/bind"
    reference = begun(app, owner, bought)
    for again in (client.get(PAGE), client.get(f"{PAGE}/{bought}")):
        assert "It pays for no workspace yet." in again.text
        assert again.link("Go on binding workspaces") == f"/journeys/{reference}"
    change_all(app, Subscription, [bought], state=ENDED)
    for over in (client.get(PAGE), client.get(f"{PAGE}/{bought}")):
        assert "It pays for nothing any more." in over.text
        assert "Bind" not in over.text.replace("Billing", "")
        assert "Go on binding workspaces" not in over.links


# Binding more ------------------------------------------------------------------------------------------------


def press_bind(client: Client, subscription_id: int, button: str = "Bind a workspace") -> Page:
    return client.submit(client.get(f"{PAGE}/{subscription_id}"), button, follow=False)


@pytest.mark.engines("sqlite", "postgresql")
def test_binding_another_workspace_begins_a_journey_that_knows_who_and_what(
    app: Flask, client: Client, owner: Owner
) -> None:
    (bought,) = purchases(app, owner)
    workspaces(app, owner, 1, bought)
    sign_in(client, owner, HERE)
    answer = press_bind(client, bought, "Bind another workspace")
    with app.app_context():
        journey = db.session.scalars(sa.select(Journey)).one()
        assert answer.location == f"/journeys/{journey.reference}"
        assert (journey.flow, journey.subscription_id, journey.billing_account_id) == (
            "existing_account",
            bought,
            owner.billing_id,
        )
        assert (journey.answers, journey.console_account_id, journey.finished_at) == ({}, None, None)
        assert journey.expires_at > clock.now() + timedelta(days=29)
        opened = db.session.scalars(sa.select(Session).where(Session.kind == "journey")).one()
        assert opened.subject == journey.id
        told = db.session.scalars(sa.select(JourneyEvent)).one()
        assert (told.journey_id, told.step, told.what) == (journey.id, "workspaces", "begun")
    # The same one is gone on with, from another browser too, until it is finished.
    other = client.other()
    sign_in(other, owner, HERE)
    assert press_bind(other, bought, "Bind another workspace").location == answer.location
    change_all(app, Journey, journeys_in(app), finished_at=clock.now())
    assert press_bind(client, bought, "Bind another workspace").location != answer.location


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_clicks_on_bind_begin_one_journey(app: Flask, client: Client, owner: Owner) -> None:
    (bought,) = purchases(app, owner)
    browsers = [client.other() for _ in range(16)]
    cookie = ""
    for number, browser in enumerate(browsers):
        if number == 0:
            sign_in(browser, owner, HERE)
            cookie = browser.cookie("billing") or ""
        else:
            browser.http.set_cookie("billing", cookie, domain="127.0.0.1")
    pages = [browser.get(f"{PAGE}/{bought}") for browser in browsers]
    answers = results(
        race(16, lambda n: browsers[n].submit(pages[n], "Bind a workspace", follow=False).location)
    )
    assert len(set(answers)) == 1
    assert len(journeys_in(app)) == 1


@pytest.mark.engines("sqlite", "postgresql")
def test_a_purchase_that_has_ended_meanwhile_is_bound_to_no_more(
    app: Flask, client: Client, owner: Owner
) -> None:
    (bought,) = purchases(app, owner)
    sign_in(client, owner, HERE)
    page = client.get(f"{PAGE}/{bought}")
    change_all(app, Subscription, [bought], state=ENDED)
    told = client.submit(page, "Bind a workspace")
    assert (told.path, told.status) == (f"{PAGE}/{bought}", 200)
    assert "This subscription has ended" in told.text
    assert not journeys_in(app)


@pytest.mark.engines("sqlite", "postgresql")
def test_nobody_sees_or_binds_what_belongs_to_somebody_else(
    app: Flask, client: Client, owner: Owner, neighbour: Owner
) -> None:
    (mine,) = purchases(app, owner, cloud_account="111122223333")
    (theirs,) = purchases(app, neighbour, cloud_account="444455556666")
    (nobodys,) = purchases(app, neighbour, cloud_account="777788889999", billing_account_id=None)
    workspaces(app, neighbour, 1, theirs, name="Secret harbour")
    home = sign_in(client, owner, HERE)
    assert "4444" not in home.text
    token = home.form("Sign out").fields["csrf_token"]
    before = rows_of(app)
    for number in (theirs, nobodys, 0, 10**6, 2**31, 10**30):
        for answer in (
            client.get(f"{PAGE}/{number}"),
            client.get(f"{PAGE}/{number}/bind"),
            client.post(f"{PAGE}/{number}/bind", {"csrf_token": token}),
        ):
            assert answer.status == 404, answer
            assert "Secret harbour" not in answer.html
            assert DOOR in answer.links.values() or number > 2**31 - 1
    assert client.get(f"{PAGE}/{mine}").status == 200
    assert rows_of(app) == before


def test_the_address_of_the_button_opened_by_hand_leads_to_its_page(
    app: Flask, client: Client, owner: Owner
) -> None:
    (bought,) = purchases(app, owner)
    asked = client.get(f"{PAGE}/{bought}/bind").location or ""
    assert asked == f"{DOOR}?next={PAGE}/{bought}/bind"
    assert sign_in(client, owner, asked).path == f"{PAGE}/{bought}"
    assert client.post(f"{PAGE}/{bought}/bind").location == f"{PAGE}/{bought}"
    assert not journeys_in(app)
