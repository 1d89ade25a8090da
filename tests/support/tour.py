"""Somebody who comes to page after page, to look at each: see ``looks.py`` for what is looked at.

tour = Tour(visitor, server, "zh")
tour.open("/", "the front door")
tour.take_over(tour.walk().land(), "where a landing leads")
tour.looks.check(at_least=2)
"""

from playwright.sync_api import Page, expect

from tests.support.browser import Visitors
from tests.support.customer import Customer
from tests.support.looks import Looks
from tests.support.over_http import HttpWalk, walk_over_http
from tests.support.server import Server


class Tour:
    """One person who looks at pages, in one language."""

    def __init__(self, visitor: Visitors, server: Server, language: str) -> None:
        visitor.allow(
            r"status of (400|404|409|410|413|422|503)"
        )  # Chromium says so of pages that say what is wrong.
        self.server = server
        self.language = language
        self.page: Page = visitor(language)
        self.looks = Looks(self.page)
        self.customer = Customer(self.page, server, language)

    def walk(self, **options: object) -> HttpWalk:
        return walk_over_http(self.server, self.language, **options)

    def look(self, name: str, most_requests: int = 3) -> None:
        self.looks.at(name, most_requests)

    def open(self, path: str, name: str) -> None:
        self.page.goto(self.server.url + path)
        self.look(name)

    def take_over(self, walk: HttpWalk, name: str) -> None:
        self.customer.take_over(walk)
        self.look(name)

    def spoil(self, field: str, length: int) -> None:
        """Put so much nonsense into a hidden field of the form that the main button sends."""
        self.page.locator(f".deed button, form:has(.deed) [name={field}]").first.evaluate(
            "(e, [name, n]) => { (e.form ?? e.closest('form')).elements[name].value = 'x'.repeat(n) }",
            [field, length],
        )

    def press(self, button: str, name: str) -> None:
        """Send what the page does not take: the focus goes to the problems."""
        self.customer.press(button)
        self.look_at_errors(name)

    def look_at_errors(self, name: str) -> None:
        """The problems have the focus, and each of them hands it to its field."""
        alert = self.page.get_by_role("alert")
        expect(alert).to_be_focused()
        for link in alert.get_by_role("link").all():
            link.click()
            expect(self.page.locator(link.get_attribute("href") or "")).to_be_focused()
        self.look(name)

    def land(self, name: str, **wish: object) -> dict[str, str]:
        bought: dict[str, str] = self.server.buy(**wish)
        self.page.goto(f"{self.server.sandbox_url}/aws/software/{bought['agreementId']}/set-up")
        self.customer.set_up()
        self.look(name)
        return bought
