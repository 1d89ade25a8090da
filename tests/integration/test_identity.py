"""Who somebody is: claims, journeys and sign-ins, each in a cookie of its own, each a row on the server."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.support.checks import DOCUMENT
from tests.support.client import Client
from tests.support.factories import rows_of
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.sandbox import LiveSandbox
from tests.support.walk import LANDING, TOKEN, Walk, walk_in
from wizard import clock
from wizard.accounts.models import Session
from wizard.accounts.sessions import GRACE, MOST_JOURNEYS
from wizard.extensions import db

pytestmark = pytest.mark.engines("sqlite")

HALF_A_MINUTE_PAST_NOON = datetime(2026, 4, 7, 12, 0, 30, tzinfo=UTC)
SIGNED = "wizard"
"""The signed cookie a visitor has before any POST."""


def cookies_set(*pages: Page) -> "list[tuple[str, Morsel[str]]]":
    """The cookies that answers set, with their attributes."""
    headers = [header for page in pages for header in page.headers.getlist("Set-Cookie")]
    return [pair for header in headers for pair in SimpleCookie(header).items()]


def jar(client: Client) -> dict[str, str]:
    """The cookies a browser has."""
    return {cookie.decoded_key: cookie.decoded_value for cookie in client.http._cookies.values()}  # type: ignore[union-attr]


def thief(client: Client, name: str, value: str | None) -> Client:
    """Another browser, into which somebody put one cookie by hand."""
    assert value
    other = client.other()
    other.http.set_cookie(name, value, domain="127.0.0.1")
    return other


def is_signed_in(client: Client) -> bool:
    answer = client.get("/console/")
    assert answer.status in (200, 303)
    return answer.location != "/sign-in?next=/console/"


def journey_cookie(walk: Walk) -> str:
    return f"journey-{walk.reference}"


# Arriving ----------------------------------------------------------------------------------------------------


def test_arriving_sets_a_claim_cookie_and_nothing_else(walk: Walk) -> None:
    answer = walk.client.post(LANDING, {TOKEN: walk.marketplace.buy()["token"]}, cross_site=True)
    ((name, cookie),) = cookies_set(answer)
    assert name == f"claim-{(answer.location or '').rpartition('/')[2]}"
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (
        True,
        "Lax",
        "/",
        "",
    )
    assert 0 < int(cookie["max-age"]) <= 4 * 3600


def test_arriving_leaves_somebody_signed_in_as_they_were(walk: Walk) -> None:
    walk.to_activation()
    walk.sign_in()
    before = jar(walk.client)
    token = walk.marketplace.buy()["token"]
    # As a browser sends it, without our cookies; and as one would that knows no SameSite, with all of them.
    answers = [
        walk.client.post(LANDING, {TOKEN: token}, cross_site=True),
        walk.client.post(LANDING, {TOKEN: token}),
    ]
    assert all(name.startswith("claim-") for name, _cookie in cookies_set(*answers))
    walk.client.get(answers[0].location or "", follow=True)
    assert {name: value for name, value in jar(walk.client).items() if not name.startswith("claim-")} == {
        name: value for name, value in before.items() if not name.startswith("claim-")
    }
    assert is_signed_in(walk.client)


def test_without_the_claim_an_arrival_is_not_there(walk: Walk) -> None:
    walk.land()
    name, claim = next((name, value) for name, value in jar(walk.client).items() if name.startswith("claim-"))
    strangers = [
        walk.client.other(),
        thief(walk.client, name, claim[:-1] + ("a" if claim[-1] != "a" else "b")),
        thief(walk.client, "claim-another", claim),
    ]
    before = rows_of(walk.client.app)
    for stranger in strangers:
        pages = [stranger.get(walk.page.path), stranger.post(walk.page.path, {"has_account": "no"})]
        for page in pages:
            assert (page.status, page.h1) == (404, "Your purchase is in another browser")
            assert page.link("Open AWS Marketplace")
            assert page.link("Sign in") == "/sign-in"
            assert walk.bought["customerAWSAccountId"][-4:] not in page.text
    assert rows_of(walk.client.app) == before
    assert thief(walk.client, name, claim).get(walk.page.path).status == 200


# Cookies -----------------------------------------------------------------------------------------------------


def test_before_the_first_post_a_visitor_has_a_signed_cookie_and_no_row(walk: Walk, app: Flask) -> None:
    client = walk.client
    before = rows_of(app)
    for door in ("/", "/register", "/sign-in", "/bind", "/register"):
        assert client.get(door).status == 200
    assert set(jar(client)) == {SIGNED}
    held = app.session_interface.get_signing_serializer(app).loads(jar(client)[SIGNED])  # type: ignore[attr-defined]
    assert set(held) == {"csrf_token", "coming"}
    assert rows_of(app) == before


def test_over_https_every_cookie_is_secure_and_bound_to_the_host(
    make_app: Callable[[Settings], Flask], settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox
) -> None:
    app = make_app(replace(settings, public_url="https://join.skylark.test"))
    walk = walk_in(app, mailbox, marketplace)
    pages: list[Page] = []
    once = walk.client._once

    def watched(*args: Any, **options: Any) -> Page:
        pages.append(once(*args, **options))
        return pages[-1]

    walk.client._once = watched  # type: ignore[method-assign]
    walk.to_end()
    walk.sign_in()
    walk.client.get("/?lang=zh")
    found = cookies_set(*pages)
    assert {re.split(r"-(?!Host)", name.removeprefix("__Host-"))[0] for name, _cookie in found} == {
        "claim",
        "console",
        "journey",
        "lang",
        SIGNED,
    }
    for name, cookie in found:
        assert cookie["secure"], name
        assert name.startswith("__Host-") or name == "lang"
        assert (cookie["path"], cookie["domain"]) == ("/", ""), name


def test_a_session_cookie_is_an_opaque_id_of_which_only_the_hash_is_kept(walk: Walk, app: Flask) -> None:
    walk.to_activation()
    walk.sign_in()
    kept = "".join("".join(rows) for rows in rows_of(app).values())
    names = [name for name in jar(walk.client) if name != SIGNED]
    assert {name.partition("-")[0] for name in names} == {"claim", "console", "journey"}
    for name in names:
        value = jar(walk.client)[name]
        assert re.fullmatch(r"[\w-]{32,}", value)
        assert value not in kept
        assert hashlib.sha256(value.encode()).hexdigest() in kept


# Sessions ----------------------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite", "postgresql")
def test_proving_the_address_gives_a_new_id_and_the_old_one_dies_after_a_moment(walk: Walk) -> None:
    walk.to_code()
    name = journey_cookie(walk)
    old = walk.client.cookie(name)
    page = walk.enter_code()
    new = walk.client.cookie(name)
    assert new != old
    # The second submit of a double click comes with the old id, and goes on with the new one.
    late = thief(walk.client, name, old)
    assert late.get(page.path).h1 == "Company information"
    assert late.cookie(name) == new
    with clock.later(GRACE + timedelta(seconds=1)):
        assert thief(walk.client, name, old).get(page.path).status == 404
        assert walk.client.get(page.path).h1 == "Company information"


@pytest.mark.engines("sqlite", "postgresql")
def test_signing_in_gives_a_new_id_and_ends_the_one_before(walk: Walk) -> None:
    walk.to_activation()
    client = thief(walk.client, "console", "an id that somebody chose for me")
    ids = []
    for _time in range(2):
        walk.sign_in(client)
        ids.append(client.cookie("console"))
        assert is_signed_in(client)
    assert len({*ids, "an id that somebody chose for me"}) == 3
    assert not is_signed_in(thief(client, "console", ids[0]))
    assert not is_signed_in(thief(client, "console", "an id that somebody chose for me"))
    assert is_signed_in(thief(client, "console", ids[1]))


def test_a_form_from_before_the_sign_in_is_not_believed_after_it(walk: Walk) -> None:
    walk.to_activation()
    old = walk.client.get("/sign-in")
    walk.sign_in()
    home = walk.client.get("/console/", follow=True)
    walk.client.post("/sign-out", {"csrf_token": old.form("Sign in").fields["csrf_token"]})
    assert is_signed_in(walk.client)
    walk.client.submit(home, "Sign out")
    assert not is_signed_in(walk.client)


@pytest.mark.engines("sqlite", "postgresql")
def test_signing_out_ends_the_session_on_the_server(walk: Walk) -> None:
    walk.to_activation()
    walk.sign_in()
    home = walk.client.get("/console/")
    kept = thief(walk.client, "console", walk.client.cookie("console"))
    elsewhere = walk.client.other()
    walk.sign_in(elsewhere)
    assert is_signed_in(kept)
    assert walk.client.submit(home, "Sign out").h1 == "Sign in"
    assert walk.client.cookie("console") is None
    assert not is_signed_in(kept)
    assert is_signed_in(elsewhere)


# Whose pages -------------------------------------------------------------------------------------------------


def test_nobody_opens_what_belongs_to_somebody_else(walk: Walk, another: Callable[..., Walk]) -> None:
    neighbour = another()
    walk.to_activation()
    neighbour.to_end()
    workspace = neighbour.sign_in()
    signed_in = walk.client.other()
    assert walk.sign_in(signed_in).status == 200
    not_theirs = signed_in.get(workspace.path)
    assert not_theirs.status == 404
    assert neighbour.person.username not in not_theirs.html

    reference = neighbour.page.path.split("/")[2]
    before = rows_of(walk.client.app)
    for client in (signed_in, walk.client, walk.client.other()):
        for path in ("", "/successful", "/nowhere"):
            page = client.get(f"/journeys/{reference}{path}")
            assert (page.status, page.h1) == (404, "This page is not open in this browser")
            assert {"/sign-in", "/"} <= set(page.links.values())
        assert client.post(f"/journeys/{reference}/code/resend").status == 404
        assert client.post(f"/journeys/{reference}/basic", {"email": "x@harbour.test"}).status == 404
    assert rows_of(walk.client.app) == before
    # What is theirs is open to them, on any browser they sign in on.
    assert signed_in.get(f"/journeys/{walk.page.path.split('/')[2]}", follow=True).h1 == "Activation method"


# Signing in --------------------------------------------------------------------------------------------------


@pytest.fixture
def customer(walk: Walk) -> Walk:
    return walk.to_activation()


def fail(customer: Walk, times: int, **answers: object) -> Page:
    """Sign in with a wrong password so many times, and look at the last answer as at any other."""
    client = customer.client.other()
    page = client.get("/sign-in?site=us1")
    wrong = {"username": customer.person.username, "password": "wrong", **answers}
    for _time in range(times - 1):
        client.submit(page, "Sign in", wrong, without=(*DOCUMENT, "weight"))
    return client.submit(page, "Sign in", wrong)


@pytest.mark.engines("sqlite", "postgresql")
def test_ten_wrong_passwords_stop_a_name_and_the_page_says_until_when(customer: Walk) -> None:
    with clock.at(HALF_A_MINUTE_PAST_NOON):
        refused = fail(customer, 10)
        assert refused.status == 422
        assert "do not belong together" in refused.text
        stopped = customer.sign_in(customer.client.other())
        assert stopped.status == 422
        assert "Try again at 12:06 (UTC)" in stopped.text
        # Nobody else is stopped, and a name nobody has is stopped in the same words.
        assert "do not belong together" in fail(customer, 1, username="somebody-else").text
        assert "Try again at 12:06 (UTC)" in fail(customer, 11, username="nobody-at-all").text
    with clock.at(HALF_A_MINUTE_PAST_NOON.replace(minute=5, second=0)):
        assert customer.sign_in(customer.client.other()).status == 422
    with clock.at(HALF_A_MINUTE_PAST_NOON.replace(minute=6, second=0)):
        assert customer.sign_in(customer.client.other()).h1 == "Activation method"


def test_a_right_password_forgets_the_wrong_ones_before_it(customer: Walk) -> None:
    for _round in range(2):
        fail(customer, 9)
        assert customer.sign_in(customer.client.other()).h1 == "Activation method"


ELSEWHERE = (
    "https://evil.test/",
    "//evil.test/console/",
    "/\\evil.test",
    "/console/\\..\\evil.test",
    "/console/../../evil",
    "/console/%0d%0aSet-Cookie:%20console=x",
    "/console/%00",
    "javascript:alert(1)",
    "/sign-out",
    "console/",
)


def test_next_leads_to_a_page_of_the_console_or_to_its_front(walk: Walk) -> None:
    home = walk.to_end().sign_in()

    def sign_in_by(link: str) -> Page:
        client = walk.client.other()
        answers = {"site": "us1", "username": walk.person.username, "password": walk.person.password}
        return client.submit(client.get(link), "Sign in", answers, follow=False)

    asked = walk.client.other().get(home.path)
    assert asked.location == f"/sign-in?next={home.path}"
    assert sign_in_by(asked.location).location == home.path
    for wanted in ELSEWHERE:
        assert (wanted, sign_in_by(f"/sign-in?next={wanted}").location) == (wanted, "/console/")


def test_who_had_this_browsers_cookie_before_the_proof_has_no_part_in_the_registration(walk: Walk) -> None:
    walk.register()
    copied = walk.client.other()
    copied.http._cookies = dict(walk.client.http._cookies or {})
    begun = copied.get("/register", follow=True)
    walk.give_basics()
    journey = copied.submit(begun, "Next", {"site": walk.site, **walk.person.answers}).path
    assert copied.get(journey).status == 200
    assert walk.enter_code().h1 == "Company information"
    assert copied.get(walk.page.path).status == 404
    assert copied.get(journey).status == 404


def test_signing_out_ends_the_journey_of_a_browser_that_was_closed_since(walk: Walk) -> None:
    journey = walk.to_activation().page.path
    walk.client.http.delete_cookie("wizard")  # It lived as long as the browser's window.
    walk.sign_in()
    walk.client.submit(walk.client.get("/console/account"), "Sign out")
    assert walk.client.get(journey).status == 404


@pytest.mark.engines("sqlite", "postgresql")
def test_a_browser_keeps_its_newest_ten_journeys_so_that_its_cookies_stay_small(
    app: Flask, walk: Walk
) -> None:
    begun = []
    for _ in range(MOST_JOURNEYS + 2):
        walk.bought = {}
        walk.land().say_new()
        begun.append(walk.page.path)
    kept = [name for name in jar(walk.client) if name.startswith("journey-")]
    assert len(begun) == len(set(begun)) == MOST_JOURNEYS + 2
    assert sorted(kept) == sorted(f"journey-{path.split('/')[2]}" for path in begun[2:])
    assert [walk.client.get(path).status for path in begun] == [404, 404] + [200] * MOST_JOURNEYS
    with app.app_context():
        going_on = sa.select(sa.func.count()).select_from(Session).where(Session.expires_at > clock.now())
        assert db.session.scalar(going_on) == MOST_JOURNEYS, "what the browser lost is open still"
