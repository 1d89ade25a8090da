"""A subscription is cancelled at AWS: its workspaces lock, and each of them is unlocked in another way."""

import re

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitors, fits
from tests.support.customer import Customer
from tests.support.factories import Person
from tests.support.over_http import HttpWalk, database, walk_over_http
from tests.support.server import Server

LONG_AGO = "2026-01-01 00:00:00.000000"
OF = "(SELECT id FROM console_accounts WHERE email = ?)"
ANOTHER_WORKSPACE = f"""
INSERT INTO workspaces (public_id, origin, site_id, name, language, state, owner_id, billing_account_id,
  settlement_method, subscription_id, created_at, made_at)
SELECT 'wksp_' || lower(hex(randomblob(8))), hex(randomblob(8)), site_id, ?, language, state, owner_id,
  billing_account_id, settlement_method, subscription_id, created_at, made_at
FROM workspaces WHERE name = 'Harbour' AND owner_id = {OF}
"""
ANOTHER_PURCHASE = f"""
INSERT INTO subscriptions (cloud_account_id, provider, identity, product_code, agreement_id, state,
  billing_account_id, created_at, claimed_at)
SELECT (SELECT id FROM cloud_accounts WHERE account_id = ?), provider, hex(randomblob(8)), product_code,
  'agmt-' || lower(hex(randomblob(8))), 'active', billing_account_id, created_at, claimed_at
FROM subscriptions WHERE agreement_id = ? AND EXISTS {OF}
"""
NAMES = ("Harbour", "Pier", "Quay")
WORDS = {
    "Harbour is locked": "Harbour 已锁定",
    "Pier is locked": "Pier 已锁定",
    "Quay is locked": "Quay 已锁定",
    "Unlock now": "立即解锁",
    "Unlock": "解锁",
    "Unlock Harbour": "解锁 Harbour",
    "Unlock Pier": "解锁 Pier",
    "Unlock Quay": "解锁 Quay",
    "Billing Center account": "费用中心账号",
    "AWS account settlement": "AWS 账号结算",
    "Confirm submission": "确认提交",
    "Active": "正常",
}


class Owner(Customer):
    """Somebody whose only purchase is cancelled. They have a Billing Center account of the same name and password."""

    def word(self, english: str) -> str:
        return WORDS.get(english, super().word(english)) if self.language == "zh" else english

    def cancels(self, agreement: str) -> None:
        self.page.goto(f"{self.server.sandbox_url}/aws/software/{agreement}")
        self.page.locator("summary").click()
        self.follow("Cancel Subscription")
        self.press("Yes, Cancel Subscription")

    def goes_to(self, workspace: str) -> None:
        """… in the console, signing in where that is asked."""
        (row,) = database(
            self.server, f"SELECT public_id FROM workspaces WHERE name = ? AND owner_id = {OF}", workspace,
            self.person.email,
        )  # fmt: skip
        self.page.goto(f"{self.server.url}/console/workspaces/{row[0]}")
        if "/sign-in" in self.page.url:
            self.sign_in()

    def unlocks(self, workspace: str, how: str) -> None:
        """From the lock page to what is chosen instead."""
        self.goes_to(workspace)
        self.reads(f"{workspace} is locked")
        fits(self.page)
        self.press("Unlock now")
        if "/billing/sign-in" in self.page.url:
            self.field("Username").fill(self.person.username)
            self.field("Password").fill(self.person.password)
            self.press("Sign in")
        self.reads(f"Unlock {workspace}")
        fits(self.page)
        self.page.get_by_role("radio", name=re.compile(f"^{self.word(how)}")).check()
        self.press("Unlock")

    def is_unlocked(self, workspace: str) -> None:
        """The console has the workspace again, as if nothing had been."""
        self.goes_to(workspace)
        self.reads(workspace)
        expect(self.page.get_by_role("link", name=self.word("Start by installing the agent"))).to_be_visible()


def bought_and_settled(server: Server) -> HttpWalk:
    """Somebody with three workspaces, all paid for by one purchase."""
    walk = walk_over_http(server)
    walk.to_end()
    for name in NAMES[1:]:
        database(server, ANOTHER_WORKSPACE, name, walk.person.email)
    return walk


def registered(server: Server, walk: HttpWalk, number: str) -> None:
    """They have another cloud account, which pays for nothing yet."""
    account = (
        "INSERT INTO cloud_accounts (provider, partition, account_id, created_at) VALUES ('aws', 'aws', ?, ?)"
    )
    database(server, account, number, LONG_AGO)
    database(server, ANOTHER_PURCHASE, number, walk.bought["agreementId"], walk.person.email)


@pytest.mark.parametrize(
    ("language", "phone", "javascript"),
    [
        pytest.param("en", False, True, id="in English on a desk"),
        pytest.param("zh", True, False, id="in Chinese on a phone without script"),
    ],
)
def test_cancelling_at_aws_locks_every_workspace_and_each_is_unlocked_in_another_way(
    visitor: Visitors, server: Server, language: str, phone: bool, javascript: bool
) -> None:
    walk = bought_and_settled(server)
    number = f"9000{Person().number:08d}"
    registered(server, walk, number)
    page = visitor(language, phone=phone, javascript=javascript)
    owner = Owner(page, server, language, person=walk.person)
    owner.account = walk.bought["customerAWSAccountId"]
    owner.cancels(walk.bought["agreementId"])
    mail = server.mail(walk.person.email, subject="3 of your Skylark workspaces are locked")
    assert "Harbour, Pier, Quay" in mail["text"]

    owner.unlocks("Harbour", "Billing Center account")
    owner.is_unlocked("Harbour")

    digits = r"\s".join(number[i : i + 4] for i in (0, 4, 8))
    owner.unlocks("Pier", f".*{digits}")
    owner.is_unlocked("Pier")

    owner.unlocks("Quay", "AWS account settlement")
    owner.follow("Subscribe to AWS")
    owner.account = f"9001{Person().number:08d}"
    owner.buy()
    owner.set_up()
    expect(page.get_by_role("checkbox", name="Quay")).to_be_checked()
    fits(page)
    owner.press("Confirm submission")
    owner.is_unlocked("Quay")
