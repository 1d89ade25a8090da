"""Somebody who has a Billing Center account binds a purchase to it and to workspaces, at a browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitors, fits
from tests.support.customer import Customer
from tests.support.factories import Person
from tests.support.over_http import HttpWalk, database, walk_over_http
from tests.support.server import Server

ALSO = """
INSERT INTO billing_accounts
  (origin, username, username_key, email, email_key, password_hash, company_name, locale, created_at)
SELECT origin, username, username_key, email, email_key, password_hash, company_name, locale, created_at
FROM console_accounts WHERE email = ?
"""
DONE = """
UPDATE journeys SET finished_at = created_at
WHERE console_account_id = (SELECT id FROM console_accounts WHERE email = ?)
"""


def settled(server: Server) -> Person:
    """Somebody with both accounts and a workspace, which the Billing Center account settles."""
    walk = registered(server)
    walk.activate(method="billing_center")
    walk.wait_until_made()
    return walk.person


def without_workspace(server: Server) -> Person:
    """Somebody with both accounts, who has no workspace yet."""
    person = registered(server).person
    database(server, ALSO, person.email)
    database(server, DONE, person.email)
    return person


def registered(server: Server) -> HttpWalk:
    walk = walk_over_http(server)
    walk.register().give_basics().enter_code()
    walk.give_company()
    return walk


class Binder(Customer):
    """A customer on this way, who looks at each page they come to."""

    def arrives(self, heading: str) -> None:
        self.reads(heading)
        fits(self.page)

    def is_bound(self, workspace: str) -> None:
        expect(self.row(workspace)).to_contain_text(self.word("Bound"))
        fits(self.page)

    def binds(self, workspace: str) -> None:
        self.open_bind(workspace)
        expect(self.page.get_by_role("heading", level=1)).to_contain_text(workspace)
        fits(self.page)
        self.press("Confirm")
        self.is_bound(workspace)

    def creates(self, workspace: str, owner: Person) -> None:
        self.create(workspace, owner)
        self.is_bound(workspace)

    def registers_and_creates(self, workspace: str, owner: Person) -> None:
        self.register_and_create(workspace, owner)
        self.is_bound(workspace)

    def ends_in(self, workspace: str, owner: Person) -> None:
        """Confirm, sign in where it leads, and be in the workspace that this purchase pays for."""
        self.press("Confirm")
        self.arrives("Activation successful")
        self.server.mail(owner.email, subject=workspace)
        self.follow("Sign in")
        self.person = owner
        self.sign_in()
        self.arrives(workspace)
        number = "\u00a0".join(self.account[i : i + 4] for i in (0, 4, 8))
        expect(self.page.get_by_role("main").get_by_text(number)).to_be_visible()


@pytest.fixture
def binder(visitor: Visitors, server: Server) -> Callable[..., Binder]:
    def of(person: Person, language: str = "en", phone: bool = False, javascript: bool = True) -> Binder:
        page = visitor(language, phone=phone, javascript=javascript)
        return Binder(page, server, language, person=person)

    return of


EVERYWHERE = pytest.mark.parametrize(
    ("language", "phone", "javascript"),
    [
        pytest.param("en", False, True, id="in English on a desk"),
        pytest.param("en", True, False, id="in English on a phone without script"),
        pytest.param("zh", True, True, id="in Chinese on a phone"),
        pytest.param("zh", False, False, id="in Chinese on a desk without script"),
    ],
)
"""Each two of language, window and script together."""


@EVERYWHERE
def test_all_three_ways_to_a_workspace_in_one_journey(
    binder: Callable[..., Binder], server: Server, language: str, phone: bool, javascript: bool
) -> None:
    owner, new = settled(server), Person()
    customer = binder(owner, language, phone, javascript)
    customer.land()
    customer.say_have()
    customer.arrives("Bind Billing Center account")
    code = customer.code_after(customer.name_account, owner.email)
    customer.arrives("Enter the code from your email")
    customer.enter_code(code)
    customer.arrives("Bind workspace")
    customer.binds("Harbour")
    customer.creates("Lantern", owner)
    customer.registers_and_creates("Beacon", new)
    customer.is_bound("Lantern")
    customer.is_bound("Harbour")
    customer.ends_in("Beacon", new)


def test_a_workspace_that_is_there(binder: Callable[..., Binder], server: Server) -> None:
    customer = binder(settled(server), "zh", javascript=False)
    customer.to_workspaces()
    customer.binds("Harbour")
    customer.ends_in("Harbour", customer.person)


def test_the_first_workspace_of_an_account_with_a_console_account(
    binder: Callable[..., Binder], server: Server
) -> None:
    customer = binder(without_workspace(server), "zh", phone=True)
    customer.to_workspaces()
    customer.choose_site(customer.site)
    customer.creates("Lantern", customer.person)
    customer.ends_in("Lantern", customer.person)


def test_the_first_workspace_of_an_account_without_a_console_account(
    binder: Callable[..., Binder], server: Server
) -> None:
    """The site is asked for on the page where the workspace is created, when nobody has chosen it at the top."""
    customer, new = binder(without_workspace(server), "en", javascript=False), Person()
    customer.to_workspaces()
    customer.registers_and_creates("Beacon", new)
    customer.ends_in("Beacon", new)


def test_the_site_is_chosen_with_the_keyboard_alone(binder: Callable[..., Binder], server: Server) -> None:
    """Without script too: what opens is the browser's own."""
    customer = binder(without_workspace(server), javascript=False)
    customer.to_workspaces()
    chooser = customer.page.get_by_role("button", name="Choose a site")
    press = customer.page.keyboard.press
    chooser.focus()
    press("Enter")
    sites = customer.page.get_by_role("radiogroup", name="Site for new workspaces", exact=True)
    expect(sites).to_be_visible()
    press("Escape")
    expect(sites).to_be_hidden()
    expect(chooser).to_be_focused()
    press("Enter")
    press("Tab")
    press("ArrowDown")
    chosen = sites.get_by_role("radio", checked=True)
    expect(chosen).to_be_focused()
    press("Tab")
    expect(customer.page.get_by_role("button", name="Use this site")).to_be_focused()
    press("Enter")
    expect(customer.page.get_by_role("button", name="New workspaces live on")).to_be_visible()
    customer.arrives("Bind workspace")


def test_enter_in_the_code_creates_the_workspace(binder: Callable[..., Binder], server: Server) -> None:
    """Of the two buttons of the form Enter presses the one that is the deed, and in the address field too."""
    customer = binder(settled(server))
    customer.to_workspaces()
    customer.follow("Create workspace")
    customer.fill_in_workspace("Lantern")
    customer.field("Email").fill(customer.person.email)
    code = customer.code_after(lambda: customer.press("Send code"), customer.person.email)
    customer.agree()
    customer.field("Verification code").fill(code)
    customer.field("Verification code").press("Enter")
    customer.is_bound("Lantern")


def test_back_and_a_second_tab_lead_to_what_is_so(binder: Callable[..., Binder], server: Server) -> None:
    """The browser's Back shows a page that may be left again; a page that was left open is caught up with."""
    customer = binder(settled(server))
    page = customer.page
    customer.land()
    customer.say_have()
    customer.reads("Bind Billing Center account")
    code = customer.code_after(customer.name_account, customer.person.email)
    customer.reads("Enter the code from your email")
    page.go_back()
    customer.reads("Bind Billing Center account")
    page.go_forward()
    customer.enter_code(code)
    customer.reads("Bind workspace")
    page.go_back()  # The code's page: it is spent, and says where this journey is now.
    page.reload()
    customer.reads("Bind workspace")
    customer.open_bind("Harbour")
    left_open = page.context.new_page()
    left_open.goto(page.url)
    customer.press("Confirm")
    customer.is_bound("Harbour")
    left_open.get_by_role("button", name="Confirm", exact=True).click()
    expect(left_open.get_by_role("main").get_by_text("Bound", exact=True)).to_be_visible()
    page.go_back()
    customer.reads("Harbour is bound")
    customer.follow("Back to the workspaces")
    customer.press("Confirm")
    customer.reads("Activation successful")
    page.go_back()
    customer.reads("Bind workspace")
    customer.press("Confirm")
    customer.reads("Activation successful")
