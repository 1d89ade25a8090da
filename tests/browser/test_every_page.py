"""Every page, in both languages, light and dark, wide and narrow: readable, reachable by keyboard, and light."""

from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitors
from tests.support.over_http import database
from tests.support.sandbox import aws_client
from tests.support.server import Server
from tests.support.tour import Tour

LANDING = "/marketplaces/aws/landing"
LONG_AGO = "2026-01-01 00:00:00.000000"

both_languages = pytest.mark.parametrize("language", ["en", "zh"])


@pytest.fixture
def tour(visitor: Visitors, server: Server, language: str) -> Tour:
    return Tour(visitor, server, language)


@both_languages
def test_the_pages_of_arriving(tour: Tour) -> None:
    tour.open("/", "home")
    tour.open("/bind", "bind")
    tour.open("/nowhere", "no such page")
    tour.open(LANDING, "the landing, opened by hand")
    tour.open("/arrive/elsewhere", "an arrival of another browser")
    for fault in ("expired", "invalid", "throttled", "access_denied"):
        tour.land(f"landing, {fault}", fault=fault)
    tour.land("landing, another product", productCode="another-product-0a1b2c3d4e")
    tour.land("choice")
    tour.press("Next", "choice, nothing chosen")
    tour.page.locator("summary").click()
    tour.look("choice, help open")
    tour.page.get_by_role("radio", name=tour.customer.word("I have a Billing Center account")).check()
    tour.customer.press("Next")
    tour.look("bind, with a purchase")
    arrival = tour.page.url.partition("arrival=")[2]
    database(tour.server, "UPDATE arrivals SET expires_at = ? WHERE id = ?", LONG_AGO, arrival)
    tour.open(f"/arrive/{arrival}", "an arrival that is over")
    used = tour.walk()
    used.to_end()
    tour.page.context.clear_cookies()
    tour.page.goto(f"{tour.server.sandbox_url}/aws/software/{used.bought['agreementId']}/set-up")
    tour.customer.set_up()
    tour.look("landing, set up already")
    tour.looks.check(at_least=16)


@both_languages
def test_the_pages_of_registering(tour: Tour) -> None:
    tour.take_over(tour.walk().land().say_new(), "basic")
    tour.press("Next", "basic, with errors")
    tour.customer.person = tour.walk().person
    tour.customer.give_basics()
    tour.customer.reads("Enter the code from your email")
    tour.look("code")
    wrong = f"{(int(tour.customer.read_code()) + 1) % 10**6:06d}"
    tour.customer.enter_code(wrong)
    tour.look_at_errors("code, wrong")
    for _again in range(4):
        tour.customer.enter_code(wrong)
        expect(tour.page.get_by_role("alert")).to_be_focused()
    tour.look("code, dead")

    expired = tour.walk().register().give_basics()
    of_expired = ("WHERE address = ?", expired.person.email)
    database(tour.server, f"UPDATE challenges SET sent_at = ?, expires_at = ? {of_expired[0]}",
             LONG_AGO, LONG_AGO, of_expired[1])  # fmt: skip
    tour.take_over(expired, "code, expired")

    holder = tour.walk().register().give_basics()
    holder.enter_code()
    unlucky = tour.walk().register().give_basics(username=holder.person.username)
    unlucky.enter_code()
    tour.take_over(unlucky, "username, taken")
    tour.press("Next", "username, with errors")

    tour.take_over(holder, "company")
    tour.page.locator("summary").filter(visible=True).click()
    tour.look("company, more information open")
    tour.press("Register", "company, with errors")
    tour.spoil("csrf_token", 40)
    tour.press("Register", "company, open too long")
    tour.spoil("csrf_token", 300_000)
    tour.customer.press("Register")
    tour.look("company, more than anybody types")
    holder.give_company()
    tour.take_over(holder, "activation, to choose")
    tour.press("Activate", "activation, with errors")
    tour.customer.activate("AWS Marketplace")
    tour.customer.reads("Subscribe at AWS")
    tour.look("subscribe")
    tour.customer.follow("Subscribe to AWS")
    tour.customer.buy()
    tour.customer.set_up()
    tour.customer.reads("Confirm that AWS pays")
    tour.look("subscribe, back with a purchase")

    database(
        tour.server, "UPDATE journeys SET expires_at = ? WHERE reference = ?", LONG_AGO, holder.reference
    )
    tour.page.reload()
    tour.look("a journey that is over")
    tour.looks.check(at_least=18)


@both_languages
def test_the_pages_after_activating(tour: Tour) -> None:
    walk = tour.walk()
    walk.to_activation()
    tour.take_over(walk, "activation, arrived from the marketplace")
    walk.activate()
    walk.wait_until_made()
    of_walk = "WHERE owner_id = (SELECT id FROM console_accounts WHERE email = ?)"
    still = f"UPDATE workspaces SET state = 'being_made' {of_walk}"
    slow = f"UPDATE workspaces SET created_at = '{LONG_AGO}' {of_walk}"
    made = f"UPDATE workspaces SET state = 'active' {of_walk}"
    for statement, name in ((still, "making"), (slow, "making, slowly"), (made, "success")):
        database(tour.server, statement, walk.person.email)
        tour.take_over(walk, name)
    tour.customer.follow("Sign in")
    tour.look("sign in")
    tour.press("Sign in", "sign in, with errors")
    tour.customer.field("Username").fill("nobody")
    tour.customer.field("Password").fill("nothing that fits")
    tour.press("Sign in", "sign in, refused")
    tour.customer.sign_in()
    tour.customer.reads("Harbour")
    tour.look("workspace")

    other = tour.walk()
    other.to_end()
    give = "UPDATE workspaces SET owner_id = (SELECT id FROM console_accounts WHERE email = ?)"
    of_other = "WHERE owner_id = (SELECT id FROM console_accounts WHERE email = ?)"
    database(tour.server, f"{give} {of_other}", walk.person.email, other.person.email)
    tour.open("/console/", "several workspaces")
    other.page = other.sign_in()
    tour.take_over(other, "no workspace")
    half = tour.walk()
    half.to_activation()
    half.sign_in()
    half.page = half.client.get("/console/")
    tour.take_over(half, "no workspace yet")
    tour.looks.check(at_least=11)


@both_languages
def test_the_pages_of_an_account_and_its_password(tour: Tour) -> None:
    customer = tour.customer
    walk = tour.walk()
    walk.to_end()
    customer.person = walk.person
    tour.open("/sign-in?site=us1", "sign in")
    customer.follow("Forgot your password?")
    tour.look("forgotten")
    tour.press("Send code", "forgotten, with errors")
    customer.field("Email").fill(walk.person.email)
    newest = int(tour.server.mails(walk.person.email)[0]["id"])
    customer.press("Send code")
    customer.reads("Enter the code from your email")
    tour.look("its code")
    tour.server.mail(walk.person.email, newer_than=newest)
    customer.enter_code(customer.read_code())
    customer.reads("Choose a new password")
    tour.look("new password")
    tour.press("Save and sign in", "new password, with errors")
    customer.field("New password").fill("eleven brass lanterns swing")
    customer.press("Save and sign in")
    customer.reads("Harbour")
    tour.look("workspace, with what was done")
    tour.open("/forgot-password/new", "a reset that was used")
    tour.open("/console/account", "account")
    tour.press("Change password", "account, with errors")
    customer.field("Current password").fill("eleven brass lanterns swing")
    customer.field("New password").fill("twelve brass lanterns swing")
    customer.press("Change password")
    expect(tour.page.get_by_role("status")).to_be_visible()
    tour.look("account, changed")
    customer.press("Sign out everywhere")
    customer.reads("Sign in")
    tour.page.context.clear_cookies()
    tour.open("/forgot-password/code", "a reset of another browser")
    tour.looks.check(at_least=12)


@both_languages
def test_the_pages_of_the_sandbox(tour: Tour) -> None:
    customer = tour.customer
    tour.open("/sandbox/", "sandbox")
    tour.open("/sandbox/nowhere", "sandbox, no such page")
    tour.open("/sandbox/aws/", "product")
    customer.field("Buyer’s AWS account").fill("12")
    customer.press("Continue Subscription")
    tour.look_at_errors("product, with errors")
    customer.field("Buyer’s AWS account").fill(customer.account)
    customer.press("Continue Subscription")
    tour.look("sandbox, subscribe")
    customer.press("Subscribe")
    tour.look("sandbox, set up")
    tour.open("/sandbox/aws/", "product, again")
    customer.follow("Your Marketplace Software")
    tour.look("sandbox, software")
    customer.follow("Manage")
    tour.page.locator("summary").click()
    tour.look("sandbox, manage")
    customer.follow("Cancel Subscription")
    tour.look("sandbox, cancel")
    customer.press("Yes, Cancel Subscription")
    tour.look("sandbox, cancelled")
    for partition in ("aws-cn", "aws-eusc"):
        tour.open(f"/sandbox/{partition}/", f"product, {partition}")
        abroad = tour.server.buy(partition=partition)["agreementId"]
        tour.open(f"/sandbox/{partition}/software/{abroad}/metering", f"nothing metered, {partition}")
        tour.open(f"/sandbox/{partition}/software/{abroad}/set-up", f"sandbox, set up, {partition}")
    metered = tour.server.buy(entitlements={"gb_ingested": 1}, contact=None)
    meter(tour.server, metered)
    tour.open(f"/sandbox/aws/software/{metered['agreementId']}/metering", "metered")
    tour.open(f"/sandbox/aws/software/{metered['agreementId']}", "sandbox, manage, a buyer without a name")

    tour.open("/sandbox/messages", "messages")
    tour.page.locator("summary").click()
    tour.page.locator("#delay").fill("soon")
    tour.page.locator(".travel .button").click()
    tour.look_at_errors("messages, with errors")
    tour.open(f"/sandbox/messages?agreement={metered['agreementId']}", "messages of a purchase")

    walk = tour.walk().register().give_basics()
    mail = tour.server.mail(walk.person.email)
    tour.open(f"/sandbox/mailbox?to={walk.person.email}", "mailbox")
    tour.page.goto(f"{tour.server.url}/sandbox/mailbox/{mail['id']}")
    tour.look("mail", most_requests=4)  # The mail's own HTML is shown in a frame that can do nothing.
    tour.looks.check(at_least=23)


def meter(server: Server, bought: dict[str, Any]) -> None:
    """An hour with all there can be to see: tags, a dimension without a name, and what is billed twice."""
    client = aws_client(server.sandbox_url, "meteringmarketplace")
    tags = [{"Key": "workspace", "Value": "a-workspace-with-a-rather-long-name-in-frankfurt"}]
    usage = {
        "Timestamp": datetime.now(UTC),
        "CustomerAWSAccountId": bought["customerAWSAccountId"],
        "Dimension": "logs",
        "QuantityAsDecimal": "1234567.000001",
    }
    shared = [
        {"AllocatedUsageQuantityAsDecimal": "1234567", "Tags": tags},
        {"AllocatedUsageQuantityAsDecimal": "0.000001"},
    ]
    licence = {"LicenseArn": bought["licenseArn"]}
    client.batch_meter_usage(
        UsageRecords=[
            usage | licence | {"UsageAllocations": shared},
            usage | licence | {"Dimension": "gb_ingested"},
        ]
    )
    client.batch_meter_usage(UsageRecords=[usage], ProductCode=bought["productCode"])
