"""Somebody with a keyboard and no pointer goes from the marketplace to the workspace, and sees where they are."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitors
from tests.support.customer import Customer
from tests.support.server import Server

MOST_STOPS = 40

_FOCUSED = """
() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const box = (e.closest("label") ?? e).getBoundingClientRect();
  const x = Math.min(Math.max(box.x + Math.min(box.width / 2, 40), 1), innerWidth - 1);
  const y = box.y + box.height / 2;
  const top = document.elementFromPoint(x, y);
  const drawn = (style) => style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  const ring = (n) => n && drawn(getComputedStyle(n));
  const there = top && (e.contains(top) || top.contains(e) || e.closest("label")?.contains(top));
  return {
    in_sight: y > 0 && y < innerHeight && Boolean(there),
    ring: e.matches(":focus-visible") && (ring(e) || ring(e.closest("label")) || ring(e.parentElement)),
    html: e.outerHTML.slice(0, 160),
  };
}
"""


class Typist(Customer):
    """A customer who only has keys. Every stop on the way to a thing is looked at: it is in sight and has a ring."""

    def tab_to(self, selector: str) -> None:
        """Press Tab until one of these has the focus."""
        self.page.wait_for_load_state("load")  # A ring comes with the stylesheet.
        for _stop in range(MOST_STOPS):
            if self.page.evaluate("(s) => document.activeElement?.matches(s) ?? false", selector):
                return
            self.page.keyboard.press("Tab")
            at = self.page.evaluate(_FOCUSED)
            assert at is None or (at["in_sight"] and at["ring"]), f"{self.page.url}: {at}"
        raise AssertionError(f"no {selector} within {MOST_STOPS} stops of {self.page.url}")

    def type_into(self, name: str, text: str) -> None:
        self.tab_to(f'[name="{name}"]')
        self.page.keyboard.type(text)

    def choose(self, name: str, value: str) -> None:
        """Tab goes into a group of radio buttons, arrows go on in it."""
        self.tab_to(f'[name="{name}"]')
        self.page.keyboard.press("Space")
        for _choice in range(MOST_STOPS):
            if self.page.evaluate("() => document.activeElement.value") == value:
                break
            self.page.keyboard.press("ArrowDown")
        expect(self.page.locator(f'[name="{name}"][value="{value}"]')).to_be_checked()

    def tick(self) -> None:
        self.tab_to('[name="agree"]')
        self.page.keyboard.press("Space")

    def send(self) -> None:
        self.tab_to(".deed .button")
        self.page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("language", "phone"),
    [pytest.param("en", False, id="in English"), pytest.param("zh", True, id="in Chinese, narrow")],
)
def test_from_the_marketplace_to_the_workspace_without_a_pointer(
    visitor: Visitors, server: Server, language: str, phone: bool
) -> None:
    visitor.allow(r"status of 422")
    page: Page = visitor(language, size=(360, 640) if phone else (1280, 900))
    typist = Typist(page, server, language)
    bought = server.buy()
    page.goto(f"{server.sandbox_url}/aws/software/{bought['agreementId']}/set-up")
    typist.send()
    typist.reads("Do you have a Billing Center account?")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # The first stop leads past the header.
    expect(page.locator("#main:target")).to_be_attached()
    typist.choose("has_account", "no")
    typist.send()

    typist.reads("Basic information")
    typist.send()
    expect(page.get_by_role("alert")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # The first problem leads to its field.
    expect(page.locator("#site-0")).to_be_focused()
    typist.choose("site", "us1")
    typist.type_into("username", typist.person.username)
    typist.type_into("email", typist.person.email)
    typist.type_into("password", typist.person.password)
    page.keyboard.press("Enter")

    typist.reads("Enter the code from your email")
    typist.type_into("code", typist.read_code())
    page.keyboard.press("Enter")
    typist.reads("Company information")
    typist.type_into("company_name", typist.person.company)
    typist.tab_to("summary")
    page.keyboard.press("Enter")
    typist.tick()
    typist.send()
    typist.reads("Activation method")
    typist.type_into("workspace_name", "Harbour")
    typist.choose("language", "en")
    typist.tick()
    typist.send()
    typist.reads("Activation successful", within=30)
    typist.send()
    typist.reads("Sign in")
