"""A customer on foot: each stretch of *no Billing Center account* as one call, so that a test starts where it matters.

walk = Walk(client, work, mailbox, marketplace)
walk.land().say_new().give_basics()
page = walk.enter_code()
assert page.h1 == "Company information"
"""

import re
from collections.abc import Callable
from typing import Any

from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.sandbox import LiveSandbox
from wizard.worker import run_once

LANDING = "/marketplaces/aws/landing"
LANDINGS = {name: f"/marketplaces/{name}/landing" for name in ("aws", "aws-cn", "aws-eusc")}
TOKEN = "x-amzn-marketplace-token"


class Walk:
    """One customer in one browser. ``page`` is where they are; ``person`` who they are; ``site`` where they go."""

    def __init__(
        self,
        client: Client,
        work: Callable[[], int],
        mailbox: Mailbox,
        marketplace: LiveSandbox,
        person: Person | None = None,
        site: str = "us1",
    ) -> None:
        self.client = client
        self.work = work
        self.mailbox = mailbox
        self.marketplace = marketplace
        self.person = person or Person()
        self.site = site
        self.bought: dict[str, Any] = {}
        self.page: Page

    # ── stretches ───────────────────────────────────────────────────────────────────────────────────────────

    def land(self, **wish: Any) -> "Walk":
        """Buy at the marketplace and land with the token, as a browser does: cross-site, then redirected."""
        self.bought = self.bought or self.marketplace.buy(**wish)
        landing = LANDINGS[self.bought.get("partition", "aws")]
        answer = self.client.post(landing, {TOKEN: self.bought["token"]}, cross_site=True)
        self.page = self.client.get(answer.location, follow=True) if answer.location else answer
        return self

    def say_new(self) -> "Walk":
        self.page = self.client.submit(self.page, self.word("Next"), has_account="no")
        return self

    def register(self) -> "Walk":
        self.page = self.client.get("/register", follow=True)
        return self

    def give_basics(self, **answers: object) -> "Walk":
        self.page = self.client.submit(
            self.page, self.word("Next"), {"site": self.site, **self.person.answers, **answers}
        )
        return self

    def enter_code(self, code: str | None = None) -> Page:
        self.page = self.client.submit(self.page, self.word("Confirm"), code=code or self.code())
        return self.page

    def register_anyway(self) -> "Walk":
        """The address has a Billing Center account: register a console account all the same."""
        self.page = self.client.submit(self.page, self.word("Next"), offer="register")
        return self

    def give_company(self, **answers: object) -> Page:
        given = {"company_name": self.person.company, "agree": "y", **answers}
        self.page = self.client.submit(self.page, self.word("Register"), given)
        return self.page

    def activate(self, **answers: object) -> Page:
        given = {"workspace_name": "Harbour", "language": "en", "agree": "y", **answers}
        self.page = self.client.submit(self.page, self.word("Activate"), given)
        return self.page

    def wait_until_made(self) -> Page:
        self.work()
        self.page = self.client.get(self.page.url, follow=True)
        return self.page

    def sign_in(self, client: Client | None = None, password: str | None = None) -> Page:
        client = client or self.client
        page = client.get(f"/sign-in?site={self.site}")
        answers = {
            "site": self.site,
            "username": self.person.username,
            "password": password or self.person.password,
        }
        return client.submit(page, self.word("Sign in", client), answers)

    # ── to a point on the way ───────────────────────────────────────────────────────────────────────────────

    def to_code(self) -> "Walk":
        return self.land().say_new().give_basics()

    def to_company(self) -> "Walk":
        self.to_code().enter_code()
        return self

    def to_activation(self) -> "Walk":
        self.to_company().give_company()
        return self

    def to_end(self) -> "Walk":
        self.to_activation().activate()
        self.wait_until_made()
        return self

    # ── what is read off ────────────────────────────────────────────────────────────────────────────────────

    def code(self) -> str:
        """The newest code mailed to this person."""
        self.work()
        for mail in self.mailbox.to(self.person.email):
            if found := re.search(r"\b\d{6}\b", mail.text):
                return found[0]
        raise AssertionError(f"no code was mailed to {self.person.email}")

    def subjects(self) -> list[str]:
        """Subjects of this person's mails, newest first."""
        self.work()
        return [mail.subject for mail in self.mailbox.to(self.person.email)]

    @property
    def reference(self) -> str:
        found = re.search(r"\b[A-Z]{2}-[0-9A-Z]{4}-[0-9A-Z]{4}\b", self.page.text)
        assert found, f"no reference on {self.page}"
        return found[0]

    def wrong_code(self) -> str:
        return f"{(int(self.code()) + 1) % 10**6:06d}"

    def word(self, english: str, client: Client | None = None) -> str:
        return CHINESE[english] if (client or self.client).language == "zh" else english


def walk_in(app: Flask, mailbox: Mailbox, marketplace: LiveSandbox, **options: Any) -> Walk:
    """A customer of an app with settings of its own, at the address it says it has."""
    client = Client(app, origin=app.config["PUBLIC_URL"])
    return Walk(client, lambda: run_once(app), mailbox, marketplace, **options)


CHINESE = {
    "Next": "下一步",
    "Confirm": "确认",
    "Register": "注册",
    "Activate": "开通",
    "Sign in": "登录",
}
"""The contract's words for the buttons, in Chinese."""
