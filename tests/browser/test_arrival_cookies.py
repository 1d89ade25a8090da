"""Cookies as a browser really sends them: the landing is a POST from another site, so none of ours comes with it."""

from playwright.sync_api import Page, Request, expect

from tests.support.browser import Visitors
from tests.support.customer import Customer
from tests.support.over_http import walk_over_http
from tests.support.server import Server


def set_up_page(server: Server, bought: dict[str, str]) -> str:
    """The marketplace's page whose button posts the purchase's present token: the same until a new one is asked for."""
    return f"{server.sandbox_url}/aws/software/{bought['agreementId']}/set-up"


def land(customer: Customer, bought: dict[str, str]) -> None:
    customer.page.goto(set_up_page(customer.server, bought))
    customer.set_up()


def cookies_of(page: Page, server: Server) -> dict[str, str]:
    return {cookie["name"]: cookie["value"] for cookie in page.context.cookies(server.url)}


def test_somebody_signed_in_who_arrives_from_the_marketplace_is_still_signed_in(
    visitor: Visitors, server: Server
) -> None:
    walk = walk_over_http(server)
    walk.to_end()
    walk.page = walk.sign_in()
    customer = Customer(visitor(), server)
    customer.take_over(walk)
    customer.reads("Harbour")
    before, home = cookies_of(customer.page, server), customer.page.url

    asked: list[Request] = []
    customer.page.on("request", lambda request: asked.append(request))
    land(customer, server.buy())
    customer.reads("Do you have a Billing Center account?")
    brought = {request.url.split("/")[3]: request.all_headers().get("cookie", "") for request in asked}
    assert brought["marketplaces"] == "", "this test is about a POST that brings no cookies"
    assert "console" in brought["arrive"]

    after = cookies_of(customer.page, server)
    assert {name: after.get(name) for name in before} == before
    customer.page.goto(home)
    customer.reads("Harbour")


def test_the_landing_gives_the_browser_a_claim_of_its_own_and_the_claim_leads_on(
    visitor: Visitors, server: Server
) -> None:
    customer = Customer(visitor(), server)
    land(customer, server.buy())
    cookies = customer.page.context.cookies(server.url)
    [claim] = [cookie for cookie in cookies if cookie["name"].startswith("claim")]
    assert (claim["httpOnly"], claim["sameSite"]) == (True, "Lax")
    arrived = customer.page.url
    customer.say_new()
    customer.reads("Basic information")

    stranger = visitor()
    visitor.allow("status of 404")
    stranger.goto(arrived)
    expect(stranger.get_by_role("heading", level=1)).to_have_text("Your purchase is in another browser")


def test_the_same_token_in_another_browser_shows_none_of_the_answers(
    visitor: Visitors, server: Server
) -> None:
    bought = server.buy()
    first = Customer(visitor(), server)
    land(first, bought)
    first.say_new()
    first.give_basics()
    first.reads("Enter the code from your email")
    journey = first.page.url

    second = Customer(visitor(), server)
    land(second, bought)
    second.reads("Do you have a Billing Center account?")
    second.say_new()
    second.reads("Basic information")
    assert second.page.url.rpartition("/")[0] != journey.rpartition("/")[0]
    for label in ("Username", "Email", "Password"):
        expect(second.field(label)).to_have_value("")
    assert second.page.get_by_role("radio", checked=True).count() == 0
    assert first.person.username not in second.page.content()

    visitor.allow("status of 404")
    second.page.goto(journey)
    second.reads("This page is not open in this browser")


def test_landing_again_in_the_same_browser_goes_on_where_it_was(visitor: Visitors, server: Server) -> None:
    bought = server.buy()
    customer = Customer(visitor(), server)
    land(customer, bought)
    arrived = customer.page.url
    land(customer, bought)
    customer.reads("Do you have a Billing Center account?")
    assert customer.page.url == arrived, "before anything was answered: the first arrival"

    customer.say_new()
    customer.give_basics()
    customer.reads("Enter the code from your email")
    journey = customer.page.url
    land(customer, bought)
    customer.reads("Enter the code from your email")
    assert customer.page.url == journey, "after: the journey it began"
