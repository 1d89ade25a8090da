"""People at a browser: Chromium on the running product, watched for everything a person would never report.

    def test_…(visitor, server):
        page = visitor()                               # English, a desk
        page = visitor(language="zh", phone=True)      # a second person: cookies of their own
        page = visitor(javascript=False)
        page.goto(server.url + "/register")

``page`` is Playwright's own. A test fails at its end when a page logged an error, threw one, broke its content
security policy, or asked any machine but this one. What a test provokes on purpose it says beforehand:
``visitor.allow("status of 503")``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Page,
    Route,
    sync_playwright,
)

from tests.support import chromium
from tests.support.sockets import is_here

WAIT_MS = 10_000
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
ARTIFACTS = Path(__file__).resolve().parent.parent.parent / "test-artifacts"

# Violations are events of the page, not all of which Chromium writes to the console.
_REPORT_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`content security policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""


class Visitors:
    """Opens pages for the people of one test, and remembers what went wrong on them."""

    def __init__(self, browser: Browser, hosts: tuple[str, ...] = ()) -> None:
        self._browser = browser
        self._hosts = hosts
        self._contexts: list[BrowserContext] = []
        self._allowed: list[re.Pattern[str]] = []
        self.trouble: list[str] = []

    def __call__(
        self,
        language: str = "en",
        *,
        phone: bool = False,
        javascript: bool = True,
        size: tuple[int, int] | None = None,
        dark: bool = False,
        still: bool = True,
        **options: Any,
    ) -> Page:
        """A page of a new person, who has no cookies. ``size`` in CSS pixels; ``still`` asks for reduced motion;
        further options are those of Playwright's ``new_context``."""
        view = {"width": size[0], "height": size[1]} if size else PHONE if phone else DESK
        context = self._browser.new_context(
            locale=LANGUAGES[language],
            viewport=view,  # type: ignore[arg-type]
            has_touch=phone,
            is_mobile=phone,
            java_script_enabled=javascript,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce" if still else "no-preference",
            **options,
        )
        context.set_default_timeout(WAIT_MS)
        context.add_init_script(_REPORT_VIOLATIONS)
        context.route("**/*", self._let_through)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.trouble.append(f"an error was thrown: {error.error}"))
        self._contexts.append(context)
        return context.new_page()

    def allow(self, pattern: str) -> None:
        """Say that trouble matching this regular expression is what the test is about."""
        self._allowed.append(re.compile(pattern))

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def check(self) -> None:
        """Raise AssertionError with everything that went wrong and was not announced."""
        wrong = [said for said in self.trouble if not any(pattern.search(said) for pattern in self._allowed)]
        assert not wrong, "the browser saw trouble:\n  - " + "\n  - ".join(wrong)

    def photograph(self, directory: Path, name: str) -> None:
        """Keep what every open page shows, for whoever reads why a test failed."""
        directory.mkdir(parents=True, exist_ok=True)
        pages = [page for context in self._contexts for page in context.pages]
        for number, page in enumerate(pages):
            try:
                page.screenshot(path=directory / f"{name}-{number}.png", full_page=True, timeout=5_000)
                (directory / f"{name}-{number}.html").write_text(page.content())
            except Error as trouble:
                # A page that hangs must not end the run; why it has no picture stands where the picture would.
                (directory / f"{name}-{number}.txt").write_text(str(trouble))

    def _let_through(self, route: Route) -> None:
        address = route.request.url
        host = urlsplit(address).hostname
        if is_here(host) or host in self._hosts:
            route.continue_()
        else:
            self.trouble.append(f"asked another machine: {address}")
            route.abort()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            where = message.location.get("url", "")
            # The favicon is asked for by Chromium itself, not by a page.
            if not where.endswith("/favicon.ico"):
                self.trouble.append(f"the console said: {message.text} ({where})")


def is_accessible(page: Page) -> None:
    """axe finds nothing on the page as it is now. Raises AssertionError with its report."""
    page.wait_for_load_state("load")  # Before the stylesheet is there a page has the browser's colours.
    found = Axe().run(page)
    assert not found.violations_count, f"axe, at {page.url}:\n{found.generate_report()}"


def fits(page: Page) -> None:
    """Nothing makes the page scroll sideways."""
    needs, has = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert needs <= has, f"{page.url} is {needs} px wide in a window of {has}"


@pytest.fixture(scope="session")
def chromium_browser() -> Iterator[Browser]:
    """One Chromium for the run. It starts with the first browser test, and those run last."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.find_or_install(), args=chromium.launch_arguments(), headless=True
        )
        yield browser
        browser.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Photograph the pages of a browser test that failed, before its fixtures are taken down."""
    report: Any = yield
    visitors = getattr(item, "visitors", None)
    if visitors is not None and report.when == "call" and report.failed:
        visitors.photograph(ARTIFACTS, re.sub(r"\W+", "-", item.name).strip("-"))
        report.sections.append(("Pages", f"as they were, in {ARTIFACTS}"))
    return report


@pytest.fixture
def visitor(chromium_browser: Browser, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    """``visitor(language="en", phone=False, javascript=True, …)`` → a page of a new person."""
    marker = request.node.get_closest_marker("visits")
    visitors = Visitors(chromium_browser, hosts=marker.args if marker else ())
    request.node.visitors = visitors
    yield visitors
    visitors.close()
    visitors.check()
