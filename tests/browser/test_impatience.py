"""What impatient people do to the wizard: double clicks, two tabs, Back, reload, leaving, coming back elsewhere."""

import re
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import Visitors
from tests.support.customer import Customer
from tests.support.factories import Person
from tests.support.over_http import code_in, database, walk_over_http
from tests.support.server import Server


def made_for(server: Server, person: Person) -> dict[str, int]:
    """How many of each thing there are for a person."""
    counts = {
        "journeys": "SELECT count(*) FROM journeys WHERE json_extract(answers, '$.email') = ?",
        "console accounts": "SELECT count(*) FROM console_accounts WHERE email = ?",
        "billing accounts": "SELECT count(*) FROM billing_accounts WHERE email = ?",
        "workspaces": """SELECT count(*) FROM workspaces JOIN console_accounts ON owner_id = console_accounts.id
                         WHERE email = ?""",
    }
    made = {what: database(server, count, person.email)[0][0] for what, count in counts.items()}
    return made | {"mails": len(server.mails(person.email))}


ONE_OF_EACH = {"journeys": 1, "console accounts": 1, "billing accounts": 1, "workspaces": 1, "mails": 3}


# ── pressing twice ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("bought", [True, False], ids=["from the marketplace", "from the front door"])
def test_everything_sent_twice_makes_one_of_everything(
    visitor: Visitors, server: Server, bought: bool
) -> None:
    customer = Customer(visitor(javascript=False), server)
    echoes = send_twice(customer.page)
    walk_with_every_button(customer, bought)
    assert made_for(server, customer.person) == ONE_OF_EACH
    assert [echo.result() for echo in echoes] == [303] * (5 if bought else 4)


def test_script_keeps_the_second_press_of_a_button_back(visitor: Visitors, server: Server) -> None:
    visitor.allow("status of 422")
    customer = Customer(visitor(), server)
    customer.page.goto(f"{server.url}/register")
    button = customer.page.get_by_role("button", name="Next")
    held_back = button.evaluate(
        """(button) => {
          const held = [];
          addEventListener("submit", (event) => held.push(event.defaultPrevented));
          button.click();
          button.click();
          return held;
        }"""
    )
    assert held_back == [False, True]


def send_twice(page: Page) -> list[Future[int]]:
    """From now on each POST of the page goes out twice at once, as a double click does. The page shows one answer;
    the status of the other, which the browser threw away with its cookies, is in what this returns."""
    pool, echoes = ThreadPoolExecutor(), []

    def echo(path: str, body: bytes | None, headers: dict[str, str], netloc: str) -> int:
        with closing(HTTPConnection(netloc, timeout=30)) as connection:
            connection.request("POST", path, body, headers)
            return connection.getresponse().status

    def twice(route: Route) -> None:
        request = route.request
        if request.method == "POST":
            brought = page.context.cookies(request.url)
            headers = request.headers | {"cookie": "; ".join(f"{c['name']}={c['value']}" for c in brought)}
            parts = urlsplit(request.url)
            echoes.append(pool.submit(echo, parts.path, request.post_data_buffer, headers, parts.netloc))
        route.fallback()

    page.route("**/*", twice)
    return echoes


def walk_with_every_button(customer: Customer, bought: bool) -> None:
    """The whole way, from the choice or from the front door."""
    if bought:
        customer.take_over(walk_over_http(customer.server).land(), keep_person=True)
        customer.say_new()
    else:
        customer.page.goto(f"{customer.server.url}/register")
    customer.reads("Basic information")
    customer.give_basics()
    customer.reads("Enter the code from your email")
    customer.enter_code(customer.read_code())
    customer.reads("Company information")
    customer.give_company()
    customer.reads("Activation method")
    customer.activate(None if bought else "Billing Center account")
    customer.look_until_made()


def test_two_tabs_of_one_journey_make_one_of_everything(visitor: Visitors, server: Server) -> None:
    walk = walk_over_http(server).to_company()
    one = Customer(visitor(), server)
    one.take_over(walk)
    two = Customer(one.page.context.new_page(), server, person=one.person)
    two.page.goto(one.page.url)
    one.page.bring_to_front()
    one.give_company()
    one.reads("Activation method")
    two.page.bring_to_front()
    two.give_company()
    two.reads("Activation method")
    two.activate()
    two.look_until_made()
    one.page.bring_to_front()
    one.activate()
    one.reads("Activation successful")
    assert made_for(server, one.person) == ONE_OF_EACH


# ── back, forward, reload, another language ─────────────────────────────────────────────────────────────────


def test_back_forward_and_reload_never_lead_astray(visitor: Visitors, server: Server) -> None:
    customer = Customer(visitor(), server)
    page = customer.page

    def to_and_fro(here: str, back: str) -> None:
        customer.reads(here)
        for go, heading in ((page.go_back, back), (page.go_forward, here), (page.reload, here)):
            answer = go()
            assert answer is None or answer.ok, f"{answer} where {heading} was expected"
            customer.reads(heading)

    customer.take_over(walk_over_http(server).land(), keep_person=True)
    customer.say_new()
    to_and_fro("Basic information", back="Basic information")
    customer.give_basics()
    to_and_fro("Enter the code from your email", back="Basic information")
    customer.follow("Back")
    expect(customer.field("Username")).to_have_value(customer.person.username)
    expect(customer.field("Email")).to_have_value(customer.person.email)
    customer.press("Next")
    to_and_fro("Enter the code from your email", back="Basic information")
    customer.enter_code(customer.read_code())
    to_and_fro("Company information", back="Company information")
    customer.give_company()
    to_and_fro("Activation method", back="Activation method")
    customer.activate()
    customer.look_until_made()
    to_and_fro("Activation successful", back="Activation successful")
    customer.follow("Sign in")
    customer.sign_in()
    to_and_fro("Harbour", back="Sign in")
    assert made_for(server, customer.person) == ONE_OF_EACH


def test_the_other_language_shows_the_same_page(visitor: Visitors, server: Server) -> None:
    customer = Customer(visitor(), server)
    customer.take_over(walk_over_http(server).register().give_basics())
    here = urlsplit(customer.page.url).path
    customer.follow("简体中文")
    expect(customer.page.get_by_role("heading", level=1)).to_have_text("输入邮件中的验证码")
    assert urlsplit(customer.page.url).path == here
    customer.page.goto(f"{server.url}/sign-in?site=us1")
    expect(customer.page.get_by_role("heading", level=1)).to_have_text("登录")
    customer.follow("English")
    customer.reads("Sign in")
    assert urlsplit(customer.page.url).query.startswith("site=us1"), "what the address says stays"
    assert customer.choice("Site", "Oregon").is_checked()


# ── leaving and coming back ─────────────────────────────────────────────────────────────────────────────────


def test_who_left_at_activation_method_goes_on_there_on_another_device(
    visitor: Visitors, server: Server
) -> None:
    walk = walk_over_http(server)
    walk.to_activation()
    phone = Customer(visitor(phone=True), server, person=walk.person)
    phone.page.goto(f"{server.url}/sign-in")
    phone.sign_in()
    phone.reads("Activation method")
    phone.activate()
    phone.look_until_made()
    assert made_for(server, walk.person) == ONE_OF_EACH


@pytest.mark.parametrize("javascript", [True, False], ids=["with script", "without script"])
def test_who_chose_aws_subscribes_there_and_confirms_in_this_very_journey(
    visitor: Visitors, server: Server, javascript: bool
) -> None:
    walk = walk_over_http(server).register().give_basics()
    walk.enter_code()
    walk.give_company()
    customer = Customer(visitor(javascript=javascript), server)
    customer.take_over(walk)
    journey = urlsplit(customer.page.url).path.rpartition("/")[0]
    customer.activate("AWS Marketplace")
    customer.reads("Subscribe at AWS")
    customer.follow("Subscribe to AWS")
    assert customer.page.url == f"{server.sandbox_url}/aws/", "a link the person follows"
    customer.buy()
    customer.set_up()
    customer.reads("Confirm that AWS pays")
    assert urlsplit(customer.page.url).path.rpartition("/")[0] == journey
    if not javascript:
        send_twice(customer.page)
    customer.press("Confirm")
    customer.look_until_made()
    paying = customer.page.get_by_text("\u00a0".join(customer.account[i : i + 4] for i in (0, 4, 8)))
    expect(paying.first).to_be_visible()
    assert made_for(server, walk.person) == ONE_OF_EACH


def test_an_expired_link_says_how_to_get_another_and_that_one_works(
    visitor: Visitors, server: Server
) -> None:
    visitor.allow("status of 400")
    customer = Customer(visitor(), server)
    customer.open_product()
    customer.choice("What goes wrong", "The token has expired").check()
    customer.buy()
    customer.set_up()
    customer.reads("This link from AWS has expired")
    customer.follow("Open AWS Marketplace")
    customer.follow("Manage")
    customer.press("Set up product")
    customer.set_up()
    customer.reads("Do you have a Billing Center account?")


def test_back_after_a_mistake_shows_a_page_and_no_question(visitor: Visitors, server: Server) -> None:
    visitor.allow("status of 422")
    customer = Customer(visitor(), server)
    customer.take_over(walk_over_http(server).land(), keep_person=True)
    customer.say_new()
    customer.press("Next")
    expect(customer.page.locator(".summary")).to_be_visible()
    customer.give_basics()
    customer.reads("Enter the code from your email")
    answer = customer.page.go_back()
    assert answer is None or answer.ok
    customer.reads("Basic information")
    expect(customer.field("Username")).to_have_value(customer.person.username)


# ── what script adds, and what is there without ─────────────────────────────────────────────────────────────


def test_a_password_that_can_be_shown_is_typed_once(visitor: Visitors, server: Server) -> None:
    customer = Customer(visitor(), server)
    customer.page.goto(f"{server.url}/register")
    expect(customer.field("Confirm password")).to_have_count(0)
    customer.page.get_by_role("button", name="Show password").click()
    expect(customer.field("Password")).to_have_attribute("type", "text")
    customer.page.get_by_role("button", name="Hide password").click()
    expect(customer.field("Password")).to_have_attribute("type", "password")
    customer.page.get_by_role("button", name="Show password").click()
    customer.give_basics()
    customer.reads("Enter the code from your email")


def test_without_script_the_password_is_typed_twice(visitor: Visitors, server: Server) -> None:
    visitor.allow("status of 422")
    customer = Customer(visitor(javascript=False), server)
    customer.page.goto(f"{server.url}/register")
    expect(customer.page.get_by_role("button")).to_have_count(1)
    customer.field("Password").fill(customer.person.password)
    customer.field("Confirm password").fill(customer.person.password + "?")
    customer.press("Next")
    expect(customer.page.get_by_role("alert")).to_contain_text("Type the same password twice")


def test_the_wait_for_another_code_counts_down_to_its_button(visitor: Visitors, server: Server) -> None:
    page = visitor()
    page.clock.install()
    customer = Customer(page, server)
    customer.take_over(walk_over_http(server).register().give_basics())
    again = page.get_by_role("button", name="Send code again")
    expect(page.get_by_text(re.compile(r"You can send a new code in [45]\d seconds"))).to_be_visible()
    expect(again).to_be_hidden()
    page.clock.fast_forward(40_000)
    expect(page.get_by_text(re.compile(r"You can send a new code in 1?\d seconds"))).to_be_visible()
    page.clock.fast_forward(21_000)
    expect(page.get_by_role("status")).to_have_text("You can send a new code now")
    expect(again).to_be_visible()


def test_another_code_comes_after_a_minute_and_only_the_newest_works(
    visitor: Visitors, server: Server
) -> None:
    visitor.allow("status of 422")
    customer = Customer(visitor(javascript=False), server)
    customer.take_over(walk_over_http(server).register().give_basics())
    first = server.mail(customer.person.email)
    customer.press("Send code again")
    expect(customer.page.get_by_role("alert")).to_contain_text("You can send a new code in")
    assert len(server.mails(customer.person.email)) == 1
    database(
        server,
        "UPDATE challenges SET sent_at = datetime(sent_at, '-61 seconds') || '.000000' WHERE address = ?",
        customer.person.email,
    )
    customer.press("Send code again")
    customer.reads("Enter the code from your email")
    newest = server.mail(customer.person.email, newer_than=int(first["id"]))
    customer.enter_code(code_in(first["text"]))
    expect(customer.page.get_by_role("alert")).to_contain_text("That is not the code in the newest email")
    customer.enter_code(code_in(newest["text"]))
    customer.reads("Company information")


@pytest.mark.parametrize("javascript", [True, False], ids=["by script", "by pressing Look now"])
def test_the_page_of_a_workspace_being_made_leads_on_when_it_is_made(
    visitor: Visitors, server: Server, javascript: bool
) -> None:
    page = visitor(javascript=javascript)
    page.clock.install()
    walk = walk_over_http(server)
    walk.to_end()
    made = (
        "UPDATE workspaces SET state = ? WHERE owner_id = (SELECT id FROM console_accounts WHERE email = ?)"
    )
    database(server, made, "being_made", walk.person.email)
    customer = Customer(page, server)
    customer.take_over(walk)

    def look() -> None:
        if javascript:
            page.clock.fast_forward(5_000)
        else:
            customer.follow("Look now")

    customer.reads("Your workspace is being made")
    with page.expect_navigation():
        look()
    customer.reads("Your workspace is being made")
    database(server, made, "active", walk.person.email)
    look()
    customer.reads("Activation successful")
