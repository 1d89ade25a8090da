"""A customer who has a Billing Center account: each stretch of binding a purchase to it as one call.

owner = walk.to_end().person                      # Somebody with both accounts and a workspace.
bind = Binding.of(walk, owner).land().say_have()
bind.name_account().enter_code()
bind.bind("Harbour")
"""

import re
from typing import Any

from bs4 import Tag

from tests.support.factories import Person
from tests.support.page import Page, visible_text
from tests.support.walk import Walk


class Binding(Walk):
    """``person`` is the owner of the Billing Center account."""

    @classmethod
    def of(cls, walk: Walk, owner: Person | None = None, **options: Any) -> "Binding":
        """Somebody in a browser of their own, in the same installation as ``walk``."""
        client = options.pop("client", None) or walk.client.other(options.pop("language", None))
        person = owner or walk.person
        return cls(
            client, walk.work, walk.mailbox, walk.marketplace, person=person, **{"site": walk.site, **options}
        )

    def say_have(self) -> "Binding":
        self.page = self.client.submit(self.page, self.word("Next"), has_account="yes")
        return self

    def name_account(self, username: str | None = None, **answers: object) -> "Binding":
        self.page = self.client.submit(
            self.page, self.word("Next"), {"username": username or self.person.username, **answers}
        )
        return self

    def to_workspaces(self, **wish: Any) -> "Binding":
        self.land(**wish)
        self.say_have().name_account().enter_code()
        return self

    def row(self, name: str) -> str:
        """What the list says of a workspace."""
        return " ".join(self._row(name).get_text(" ").split())

    def bind_url(self, name: str) -> str:
        """Where *Bind* in a row leads."""
        links = [link for link in self._row(name).find_all("a") if visible_text(link) == self.word("Bind")]
        assert links, f"{name!r} cannot be bound on {self.page}"
        return self.page.resolve(str(links[0]["href"]))

    def _row(self, name: str) -> Tag:
        for item in self.page.soup.select(".workspaces > li"):
            if item.b and item.b.get_text() == name:
                return item
        raise AssertionError(f"no workspace {name!r} on {self.page}")

    def open_bind(self, name: str) -> Page:
        """Press *Bind* in a row: the page that says what will change."""
        self.page = self.client.get(self.bind_url(name), follow=True)
        return self.page

    def bind(self, name: str) -> Page:
        self.open_bind(name)
        self.page = self.client.submit(self.page, self.word("Confirm"))
        return self.page

    def confirm(self) -> Page:
        self.page = self.client.submit(self.page, self.word("Confirm"))
        return self.page

    def open_create(self, registers: bool = False, site: str | None = None) -> Page:
        if site:
            self.page = self.client.submit(self.page, self.word("Use this site"), site=site)
        self.page = self.client.click(self.page, self.word("Create workspace"))
        if registers:
            self.page = self.client.click(self.page, self.word("I don't have a console account"))
        return self.page

    def send_code(self, **answers: object) -> Page:
        self.page = self.client.submit(self.page, self.word("Send code"), answers)
        return self.page

    def create(self, owner: Person, name: str = "Lantern", **answers: object) -> Page:
        """Create a workspace for somebody who has a console account: code, then *Create*."""
        self.send_code(workspace_name=name, language="en", email=owner.email)
        given = {"code": self.code_of(owner), "agree": "y", **answers}
        self.page = self.client.submit(self.page, self.word("Create"), given)
        return self.page

    def register_and_create(self, owner: Person, name: str = "Beacon", **answers: object) -> Page:
        """… for somebody who has none: the account is made too."""
        self.send_code(workspace_name=name, language="en", **owner.answers)
        given = {"code": self.code_of(owner), "agree": "y", **answers}
        self.page = self.client.submit(self.page, self.word("Register and create workspace"), given)
        return self.page

    def code_of(self, person: Person) -> str:
        """The newest code mailed to somebody."""
        self.work()
        for mail in self.mailbox.to(person.email):
            if found := re.search(r"\b\d{6}\b", mail.text):
                return found[0]
        raise AssertionError(f"no code was mailed to {person.email}")

    def word(self, english: str, client: Any = None) -> str:
        return CHINESE.get(english) or super().word(english) if self.client.language == "zh" else english


CHINESE = {
    "Bind": "绑定",
    "Use this site": "使用该站点",
    "Create workspace": "创建工作空间",
    "I don't have a console account": "没有账号",
    "Send code": "发送验证码",
    "Create": "创建",
    "Register and create workspace": "注册并创建工作空间",
}
