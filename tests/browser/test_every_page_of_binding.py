"""The pages of *existing Billing Center account*, in each state they have: held to what every page is held to."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitors
from tests.support.factories import Person
from tests.support.over_http import HttpBinding, HttpWalk, database
from tests.support.server import Server
from tests.support.tour import Tour

LONG_AGO = "2026-01-01 00:00:00.000000"
LONG = "港口监控-with-a-name-as-long-as-nobody-would-ever-think-of-but-somebody-did"
LATER = "2036-01-01 00:00:00.000000"

HIS = "billing_account_id = (SELECT id FROM billing_accounts WHERE email = ?)"
KEPT = "language, owner_id, billing_account_id, settlement_number, created_at"
COPY = f"""
INSERT INTO workspaces
  (public_id, origin, name, site_id, state, settlement_method, subscription_id, settlement_changed_at, locked_at,
   {KEPT})
SELECT 'wksp_' || lower(hex(randomblob(8))), origin || ?, ?, ?, ?, ?, ?, ?, ?, {KEPT}
FROM workspaces WHERE {HIS} AND name = 'Harbour'
"""


def add(
    server: Server,
    owner: Person,
    name: str,
    site: str = "us1",
    state: str = "active",
    paid_by: int | None = None,
    changed_at: str | None = None,
    locked_at: str | None = None,
) -> None:
    """Another workspace of somebody who has *Harbour*."""
    method = "aws" if paid_by else "billing_center"
    facts = (name, name, site, state, method, paid_by, changed_at, locked_at)
    database(server, COPY, *facts, owner.email)


@pytest.fixture(params=["en", "zh"])
def tour(visitor: Visitors, server: Server, request: pytest.FixtureRequest) -> Tour:
    return Tour(visitor, server, request.param)


@pytest.fixture
def owner(tour: Tour) -> HttpWalk:
    """Somebody with both accounts and the workspace *Harbour*, which the Billing Center account settles."""
    walk = tour.walk()
    walk.register().give_basics().enter_code()
    walk.give_company()
    walk.activate(method="billing_center")
    walk.wait_until_made()
    return walk


def test_the_pages_up_to_the_account(tour: Tour, owner: HttpWalk) -> None:
    begun = tour.walk().land().say_new()
    begun.page = begun.client.get("/bind")
    tour.take_over(begun, "bind, while registering")

    bind = HttpBinding.of(owner)
    tour.take_over(bind.land().say_have(), "account")
    tour.page.locator("[popovertarget=site-sheet]").click()
    tour.look("account, sites open")
    tour.page.reload()
    tour.press("Next", "account, with errors")
    tour.take_over(bind.name_account(), "code")
    for _again in range(5):
        bind.enter_code(bind.wrong_code())
    tour.take_over(bind, "code, dead")

    first, again = HttpBinding.of(owner), HttpBinding.of(owner)
    first.to_workspaces()
    again.land(customerAWSAccountId=first.bought["customerAWSAccountId"])
    tour.take_over(again.say_have(), "account, with one that suggests itself")
    tour.press("Next", "account, nothing chosen")

    rival = tour.walk()
    rival.to_end()
    late = HttpBinding.of(owner, rival.person)
    late.land().say_have().name_account()
    database(
        tour.server,
        "UPDATE subscriptions SET billing_account_id = (SELECT id FROM billing_accounts WHERE email = ?) "
        "WHERE agreement_id = ?",
        owner.person.email,
        late.bought["agreementId"],
    )
    tour.take_over(late, "taken by somebody else")

    known = HttpBinding.of(owner, Person(), site="eu1")
    known.land().say_new().give_basics(email=owner.person.email)
    known.enter_code(known.code_of(owner.person))
    tour.take_over(known, "offer")
    tour.press("Next", "offer, nothing chosen")
    tour.looks.check(at_least=11)


def test_the_pages_of_workspaces(tour: Tour, owner: HttpWalk) -> None:
    server, person = tour.server, owner.person
    other, bind = HttpBinding.of(owner), HttpBinding.of(owner)
    other.to_workspaces()
    paying = database(
        server, "SELECT id FROM subscriptions WHERE agreement_id = ?", other.bought["agreementId"]
    )
    bind.to_workspaces()
    at = bind.page.url
    tour.take_over(bind, "one workspace")
    tour.press("Confirm", "nothing bound yet")

    add(server, person, "Storefront", site="eu1")
    add(server, person, "Paid elsewhere", paid_by=paying[0][0])
    add(server, person, "Just changed", changed_at=LATER)
    add(server, person, "Where AWS cannot pay", site="cn4")
    add(server, person, "Being made", state="being_made")
    add(server, person, LONG, locked_at=LONG_AGO)
    bind.page = bind.client.get(at)
    bind.open_bind("Harbour")
    tour.take_over(bind, "to be bound")
    bind.page = bind.client.submit(bind.page, bind.word("Confirm"))
    tour.take_over(bind, "bound, and all that cannot be")
    tour.page.go_back()
    tour.look("bound already")
    tour.open(bind.bind_url(LONG), "locked")
    for number in range(20):
        add(server, person, f"{number} of many")
    tour.open(at, "many")
    tour.open(f"{at}?q=nowhere", "nothing found")
    tour.looks.check(at_least=8)


def test_the_pages_of_creating(tour: Tour, owner: HttpWalk) -> None:
    server, customer = tour.server, tour.customer
    bind = HttpBinding.of(owner)
    bind.to_workspaces()
    database(server, f"UPDATE workspaces SET state = 'dissolved' WHERE {HIS}", owner.person.email)
    no_site = "UPDATE journeys SET answers = json_remove(answers, '$.site') WHERE reference = ?"
    database(server, no_site, bind.reference)
    tour.take_over(bind, "no workspace")
    customer.follow("Create workspace")
    tour.look("create, no site chosen")
    tour.press("Create", "create, with errors")
    customer.choose_site("Oregon")
    customer.fill_in_workspace("Lantern")
    customer.field("Email").fill(owner.person.email)
    code = customer.code_after(lambda: customer.press("Send code"), owner.person.email)
    tour.look("create, code sent")
    customer.agree()
    for _again in range(5):
        customer.field("Verification code").fill(f"{(int(code) + 1) % 10**6:06d}")
        customer.press("Create")
        expect(tour.page.get_by_role("alert")).to_be_focused()
    tour.look("create, code dead")

    customer.follow("I don't have a console account")
    tour.look("register")
    tour.press("Register and create workspace", "register, with errors")
    namesake = Person(called=owner.person.username, at="elsewhere.test")
    customer.fill_in_workspace("Beacon")
    customer.field("Username").fill(namesake.username)
    customer.field("Password").fill(namesake.password)
    customer.field("Email").fill(namesake.email)
    customer.finish_creating(namesake, "Register and create workspace")
    customer.reads("Choose another username")
    tour.look("create, username taken")
    customer.field("Username").fill(Person().username)
    customer.press("Next")
    customer.reads("Bind workspace")
    server.mail(namesake.email, subject="Beacon")
    still = f"UPDATE workspaces SET state = 'being_made' WHERE {HIS} AND name = 'Beacon'"
    database(server, still, owner.person.email)
    tour.page.reload()
    tour.look("workspaces, one being made")
    his = f"{HIS} AND name = 'Beacon'"
    paying = database(server, f"SELECT subscription_id FROM workspaces WHERE {his}", owner.person.email)
    elsewhere = "UPDATE workspaces SET state = 'active', site_id = 'eu1', subscription_id = ?"
    database(server, f"{elsewhere} WHERE {HIS} AND name = 'Harbour'", paying[0][0], owner.person.email)
    customer.press("Confirm")
    customer.reads("Activation successful")
    tour.look("successful, on two sites, one being made")
    tour.looks.check(at_least=9)
