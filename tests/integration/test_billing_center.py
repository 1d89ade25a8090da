"""The Billing Center: its door, who is let in and where they are led, and what a cloud account pays for."""

from datetime import datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.checks import DOCUMENT
from tests.support.client import Client
from tests.support.factories import Person, rows_of
from tests.support.page import Page
from tests.support.possessions import Owner, accounts_of, change_all, purchases, workspaces
from tests.support.races import race, results
from tests.support.walk import Walk
from wizard import clock
from wizard.accounts import identity
from wizard.accounts.models import Session
from wizard.billing.models import BEING_MADE, DISSOLVED, ENDED, Subscription
from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.models import Journey

DOOR = "/billing/sign-in"
PAGE = "/billing/cloud-accounts"
NOON = datetime.fromisoformat("2026-04-07T12:00:30+00:00")


@pytest.fixture
def owner(app: Flask) -> Owner:
    return accounts_of(app, Person())


@pytest.fixture
def neighbour(app: Flask) -> Owner:
    return accounts_of(app, Person())


def sign_in(client: Client, owner: Owner, door: str = DOOR, follow: bool = True, **typed: object) -> Page:
    answers = {"username": owner.person.username, "password": owner.person.password, **typed}
    return client.submit(client.get(door), "Sign in", answers, follow=follow)


def is_signed_in(client: Client) -> bool:
    return client.get(PAGE).status == 200


def thief(client: Client, name: str) -> Client:
    """Another browser with one cookie of this one."""
    value = client.cookie(name)
    assert value
    other = client.other()
    other.http.set_cookie(name, value, domain="127.0.0.1")
    return other


# The door ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["username", "email"])
def test_a_username_or_an_address_with_its_password_opens_the_billing_center(
    client: Client, owner: Owner, name: str
) -> None:
    page = sign_in(client, owner, username=f" {getattr(owner.person, name).upper()} ")
    assert (page.path, page.h1) == (PAGE, "Cloud accounts")
    assert owner.person.username in page.text
    assert client.get("/billing/").location == PAGE


@pytest.mark.parametrize("typed", [{"password": "not this one"}, {"username": "nobody-here"}])
def test_what_does_not_belong_together_opens_nothing(
    client: Client, owner: Owner, typed: dict[str, object]
) -> None:
    page = sign_in(client, owner, **typed)
    assert page.status == 422
    assert "do not belong together" in page.text
    assert client.cookie("billing") is None
    assert client.get(PAGE).location == f"{DOOR}?next={PAGE}"


def test_an_empty_form_says_what_to_enter(client: Client) -> None:
    page = client.submit(client.get(DOOR), "Sign in")
    assert page.status == 422
    assert set(page.errors) == {"username", "password"}


def test_an_account_of_one_area_opens_nothing_of_the_other(client: Client, app: Flask, owner: Owner) -> None:
    sign_in(client, owner)
    assert client.get("/console/").location == "/sign-in?next=/console/"
    other = client.other()
    other.submit(other.get("/sign-in?site=us1"), "Sign in", {"site": "us1", **_typed(owner)})
    assert not is_signed_in(other)


def _typed(owner: Owner) -> dict[str, object]:
    return {"username": owner.person.username, "password": owner.person.password}


def test_ten_wrong_passwords_stop_a_name_here_and_not_at_the_console(client: Client, owner: Owner) -> None:
    with clock.at(NOON):
        door = client.get(DOOR)
        wrong = {"username": owner.person.username, "password": "wrong"}
        for _time in range(10):
            refused = client.submit(door, "Sign in", wrong, without=(*DOCUMENT, "weight"))
            assert "do not belong together" in refused.text
        stopped = sign_in(client, owner)
        assert stopped.status == 422
        assert "Try again at 12:06 (UTC)" in stopped.text
        console = client.submit(client.get("/sign-in?site=us1"), "Sign in", {"site": "us1", **_typed(owner)})
        assert console.h1 == "You have no workspace yet"
    with clock.at(NOON.replace(minute=6, second=0)):
        assert sign_in(client, owner).h1 == "Cloud accounts"


def test_a_password_that_was_hashed_more_weakly_is_hashed_anew(
    app: Flask, client: Client, owner: Owner
) -> None:
    def kept() -> list[str]:
        return rows_of(app)["billing_accounts"]

    before = kept()
    sign_in(client, owner)
    assert kept() == before
    app.config["ARGON2_TIME_COST"] += 1
    sign_in(client.other(), owner)
    assert kept() != before
    assert sign_in(client.other(), owner).h1 == "Cloud accounts"


# Sessions ----------------------------------------------------------------------------------------------------


def test_signing_in_gives_a_new_id_and_ends_the_one_before(client: Client, owner: Owner) -> None:
    sign_in(client, owner)
    before = thief(client, "billing")
    assert is_signed_in(before)
    sign_in(client, owner)
    assert not is_signed_in(before)
    assert is_signed_in(thief(client, "billing"))


def test_a_form_from_before_the_sign_in_is_not_believed_after_it(client: Client, owner: Owner) -> None:
    old = client.get(DOOR).form("Sign in").fields["csrf_token"]
    sign_in(client, owner)
    client.post("/billing/sign-out", {"csrf_token": old})
    assert is_signed_in(client)


def test_the_two_identities_live_side_by_side(client: Client, owner: Owner) -> None:
    for ended, door, other in (
        ("/billing/cloud-accounts", DOOR, "/console/"),
        ("/console/account", "/sign-in", PAGE),
    ):
        sign_in(client, owner)
        client.submit(client.get("/sign-in?site=us1"), "Sign in", {"site": "us1", **_typed(owner)})
        left = client.submit(client.get(ended), "Sign out")
        assert left.path == door
        assert client.get(ended).status == 303
        assert client.get(other).status == 200


def test_signing_out_ends_the_session_on_the_server_and_the_journeys_of_this_browser(
    walk: Walk, owner: Owner
) -> None:
    journey = walk.to_code().page.path
    client = walk.client
    home = sign_in(client, owner, f"{DOOR}?next={PAGE}")
    kept, elsewhere = thief(client, "billing"), client.other()
    sign_in(elsewhere, owner)
    assert client.submit(home, "Sign out").path == DOOR
    assert not is_signed_in(client)
    assert not is_signed_in(kept)
    assert is_signed_in(elsewhere)
    assert client.get(journey).status == 404


def test_an_account_signed_in_here_is_fresh_for_half_an_hour(
    app: Flask, client: Client, owner: Owner
) -> None:
    sign_in(client, owner)

    def fresh(**cookies: str) -> int | None:
        jar = "; ".join(f"{name}={value}" for name, value in cookies.items())
        with app.test_request_context(headers={"Cookie": jar}):
            account = identity.fresh_billing_account()
            return account.id if account else None

    mine = client.cookie("billing") or ""
    assert fresh(billing=mine) == owner.billing_id
    assert fresh(billing="another") is fresh(console=mine) is fresh() is None
    with clock.later(timedelta(minutes=29)):
        assert fresh(billing=mine) == owner.billing_id
    with clock.later(timedelta(minutes=31)):
        assert fresh(billing=mine) is None
        assert is_signed_in(client)


# Where it leads ----------------------------------------------------------------------------------------------

ELSEWHERE = (
    "https://evil.test/billing/",
    "//evil.test/billing/",
    "/\\evil.test",
    "/billing/\\..\\evil.test",
    "/billing/../../evil",
    "/billing/%0d%0aSet-Cookie:%20billing=x",
    "/billing/%00",
    "/billing/sign-in",
    "/billing/sign-out",
    "/console/",
    "/arrive/",
    "/arrive/a/b",
    "javascript:alert(1)",
    "billing/",
)


@pytest.mark.engines("sqlite")
def test_next_leads_to_a_page_of_the_billing_center_or_to_an_arrival(client: Client, owner: Owner) -> None:
    def led_by(wanted: str) -> str | None:
        return sign_in(client.other(), owner, f"{DOOR}?next={wanted}", follow=False).location

    for here in ("/billing/", f"{PAGE}/7", f"{PAGE}/7/bind", "/arrive/4-aB_x"):
        assert led_by(here) == here
    for wanted in ELSEWHERE:
        assert (wanted, led_by(wanted)) == (wanted, PAGE)


def test_who_stopped_half_way_goes_on_there_unless_they_asked_for_another_page(
    app: Flask, client: Client, owner: Owner, neighbour: Owner
) -> None:
    (bought,) = purchases(app, owner)
    reference = begun(app, owner, bought)
    assert sign_in(client, owner, follow=False).location == f"/journeys/{reference}"
    assert sign_in(client, owner, f"{DOOR}?next={PAGE}", follow=False).location == PAGE
    assert sign_in(client.other(), neighbour, follow=False).location == PAGE
    change_all(app, Journey, _journeys(app), finished_at=clock.now())
    assert sign_in(client, owner, follow=False).location == PAGE


def test_a_purchase_that_waits_in_this_browser_is_gone_on_with(walk: Walk, owner: Owner) -> None:
    arrival = walk.land().page.path
    for _again in range(2):  # The second time there is a session to end, too: it must not cost too much.
        assert sign_in(walk.client, owner, follow=False).location == arrival
    assert sign_in(walk.client.other(), owner, follow=False).location == PAGE


def test_a_journey_opens_for_the_account_that_was_bound_on_it_and_for_no_other(
    app: Flask, owner: Owner, neighbour: Owner
) -> None:
    (bought,) = purchases(app, owner)
    reference = begun(app, owner, bought)

    def found(*accounts: int | None) -> bool:
        with app.app_context():
            return journeys.of_accounts(reference, *accounts) is not None

    assert found(None, owner.billing_id)
    assert found(neighbour.console_id, owner.billing_id)
    assert not found(None, neighbour.billing_id)
    # Ids of the two areas are not mixed up, and nobody is nobody.
    assert not found(owner.billing_id, None)
    assert not found(None, None)
    # Who registered may have given the Billing Center account away since: its journey stays with the console account.
    change_all(app, Journey, _journeys(app), flow="no_billing_account", console_account_id=owner.console_id)
    assert not found(None, owner.billing_id)
    assert found(owner.console_id, None)


# Cloud accounts ----------------------------------------------------------------------------------------------


def begun(app: Flask, owner: Owner, subscription_id: int) -> str:
    """The reference of a journey that binds workspaces to a purchase of this owner."""
    reference = f"SK-0000-{subscription_id:04}"
    with app.app_context():
        db.session.add(
            Journey(
                reference=reference,
                flow="existing_account",
                locale="en",
                created_at=clock.now(),
                expires_at=clock.now() + journeys.PROVEN_LIFE,
                subscription_id=subscription_id,
                billing_account_id=owner.billing_id,
                answers={},
            )
        )
        db.session.commit()
    return reference


def _journeys(app: Flask) -> list[int]:
    with app.app_context():
        return list(db.session.scalars(sa.select(Journey.id)))


def _rows(page: Page) -> list[str]:
    return [" ".join(row.get_text(" ").split()) for row in page.soup.select(".tree li")]


def test_somebody_who_activated_sees_what_pays_for_what(walk: Walk) -> None:
    walk.to_end()
    opened = walk.client.click(walk.page, "Open the Billing Center")
    page = walk.client.submit(opened, "Sign in", username=walk.person.email, password=walk.person.password)
    number = walk.bought["customerAWSAccountId"]
    assert f"AWS account {number[:4]} {number[4:8]} {number[8:]}" in page.text
    assert walk.bought["agreementId"] in page.text
    assert "Subscribed" in page.text
    (row,) = _rows(page)
    assert row.startswith("Harbour us1 Oregon wksp_")
    assert row.endswith("Active")


def test_an_account_without_a_purchase_is_told_where_to_buy(client: Client, owner: Owner) -> None:
    page = sign_in(client, owner)
    assert "Subscribe at your cloud’s marketplace" in page.text
    assert page.link("Subscribe to AWS").startswith("http")
    assert not page.soup.select("[role=search]")


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
    page = sign_in(client, owner)
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
    text = sign_in(client, owner).text
    for said in (f"Licence {arn}", "Customer cust-2", "Agreement agmt-9", "subscribed 3 March 2026"):
        assert said in text
    assert "cust-1" not in text
    assert "2026年3月3日订阅" in sign_in_zh(client, owner)


def sign_in_zh(client: Client, owner: Owner) -> str:
    chinese = client.other("zh")
    answers = {"username": owner.person.username, "password": owner.person.password}
    return chinese.submit(chinese.get(DOOR), "登录", answers).text


def test_a_workspace_says_in_what_state_it_is(app: Flask, client: Client, owner: Owner) -> None:
    (active,) = purchases(app, owner)
    (ended,) = purchases(
        app, owner, state=ENDED, ended_at=datetime.fromisoformat("2026-03-24T10:00:00+00:00")
    )
    workspaces(app, owner, 1, active, name="Made")
    workspaces(app, owner, 1, active, name="Coming", state=BEING_MADE)
    workspaces(app, owner, 1, active, name="Locked up", locked_at=clock.now())
    workspaces(app, owner, 1, active, name="Gone", state=DISSOLVED)
    workspaces(app, owner, 1, ended, name="Unpaid")
    page = sign_in(client, owner)
    states = {row.split(" us1")[0]: row.split()[-1] for row in _rows(page)}
    assert states == {"Made": "Active", "Coming": "made", "Locked up": "Locked", "Unpaid": "Locked"}
    assert "ended 24 March 2026" in page.text
    assert [tag.get_text() for tag in page.soup.select(".bought .state")] == ["Ended", "Subscribed"]
    # What has ended pays for nothing more.
    assert len(page.soup.select("form[action$='/bind']")) == 1


def test_what_pays_for_nothing_yet_says_so_and_leads_on(app: Flask, client: Client, owner: Owner) -> None:
    (bought,) = purchases(app, owner)
    page = sign_in(client, owner)
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


def test_binding_another_workspace_begins_a_journey_that_knows_who_and_what(
    app: Flask, client: Client, owner: Owner
) -> None:
    (bought,) = purchases(app, owner)
    workspaces(app, owner, 1, bought)
    sign_in(client, owner)
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
    # The same one is gone on with, from another browser too, until it is finished.
    other = client.other()
    sign_in(other, owner, f"{DOOR}?next={PAGE}")
    assert press_bind(other, bought, "Bind another workspace").location == answer.location
    change_all(app, Journey, _journeys(app), finished_at=clock.now())
    assert press_bind(client, bought, "Bind another workspace").location != answer.location


def test_sixteen_clicks_on_bind_begin_one_journey(app: Flask, client: Client, owner: Owner) -> None:
    (bought,) = purchases(app, owner)
    browsers = [client.other() for _ in range(16)]
    cookie = ""
    for number, browser in enumerate(browsers):
        if number == 0:
            sign_in(browser, owner)
            cookie = browser.cookie("billing") or ""
        else:
            browser.http.set_cookie("billing", cookie, domain="127.0.0.1")
    pages = [browser.get(f"{PAGE}/{bought}") for browser in browsers]
    answers = results(
        race(16, lambda n: browsers[n].submit(pages[n], "Bind a workspace", follow=False).location)
    )
    assert len(set(answers)) == 1
    assert len(_journeys(app)) == 1


def test_a_purchase_that_has_ended_meanwhile_is_bound_to_no_more(
    app: Flask, client: Client, owner: Owner
) -> None:
    (bought,) = purchases(app, owner)
    sign_in(client, owner)
    page = client.get(f"{PAGE}/{bought}")
    change_all(app, Subscription, [bought], state=ENDED)
    told = client.submit(page, "Bind a workspace")
    assert (told.path, told.status) == (f"{PAGE}/{bought}", 200)
    assert "This subscription has ended" in told.text
    assert not _journeys(app)


def test_nobody_sees_or_binds_what_belongs_to_somebody_else(
    app: Flask, client: Client, owner: Owner, neighbour: Owner
) -> None:
    (mine,) = purchases(app, owner, cloud_account="111122223333")
    (theirs,) = purchases(app, neighbour, cloud_account="444455556666")
    (nobodys,) = purchases(app, neighbour, cloud_account="777788889999", billing_account_id=None)
    workspaces(app, neighbour, 1, theirs, name="Secret harbour")
    home = sign_in(client, owner)
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
    assert not _journeys(app)
