"""The Billing Center: its door, who is let in, and where they are led."""

from datetime import datetime, timedelta

import pytest
from flask import Flask

from tests.support.checks import DOCUMENT
from tests.support.client import Client
from tests.support.factories import Person, rows_of
from tests.support.possessions import (
    DOOR,
    Owner,
    accounts_of,
    begun,
    change_all,
    journeys_in,
    purchases,
    sign_in,
)
from tests.support.walk import Walk
from wizard import clock
from wizard.accounts import identity
from wizard.flows import journeys
from wizard.flows.models import Journey

PAGE = "/billing/workspaces"
NOON = datetime.fromisoformat("2026-04-07T12:00:30+00:00")


@pytest.fixture
def owner(app: Flask) -> Owner:
    return accounts_of(app, Person())


@pytest.fixture
def neighbour(app: Flask) -> Owner:
    return accounts_of(app, Person())


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
    assert (page.path, page.h1) == (PAGE, "Workspace management")
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
        assert sign_in(client, owner).h1 == "Workspace management"


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
    assert sign_in(client.other(), owner).h1 == "Workspace management"


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
        ("/billing/workspaces", DOOR, "/console/"),
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

    for here in (f"{PAGE}/7", f"{PAGE}/7/bind", "/arrive/4-aB_x"):
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
    change_all(app, Journey, journeys_in(app), finished_at=clock.now())
    assert sign_in(client, owner, follow=False).location == PAGE


def test_a_purchase_that_waits_in_this_browser_is_gone_on_with(walk: Walk, owner: Owner) -> None:
    arrival = walk.land().page.path.replace("/arrive/", "/billing/arrived/")
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
    change_all(app, Journey, journeys_in(app), flow="no_billing_account", console_account_id=owner.console_id)
    assert not found(None, owner.billing_id)
    assert found(owner.console_id, None)
