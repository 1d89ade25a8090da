"""Every page, in both languages, light and dark, wide and narrow: readable, reachable by keyboard, and light."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import Visitors
from tests.support.customer import Customer
from tests.support.looks import Looks
from tests.support.over_http import HttpWalk, walk_over_http
from tests.support.server import Server

TOO_MANY = 5
both_languages = pytest.mark.parametrize("language", ["en", "zh"])


@pytest.fixture
def looks(visitor: Visitors) -> Looks:
    visitor.allow(
        r"status of (400|404|410|422|503)"
    )  # Chromium reports the status of pages that say what is wrong.
    return Looks()


def walk_here(server: Server, page: Page, language: str) -> tuple[HttpWalk, Customer]:
    return walk_over_http(server, language), Customer(page, server, language)


@both_languages
def test_the_pages_of_registering(visitor: Visitors, server: Server, looks: Looks, language: str) -> None:
    page = visitor(language)
    walk, customer = walk_here(server, page, language)

    def again_with_errors(button: str, name: str) -> None:
        customer.press(button)
        expect(page.get_by_role("alert")).to_be_focused()
        looks.at(page, name)

    page.goto(f"{server.url}/")
    looks.at(page, "home")
    customer.take_over(walk.land())
    page.locator("summary").click()
    looks.at(page, "choice, help open")
    again_with_errors("Next", "choice, nothing chosen")
    customer.say_new()
    customer.reads("Basic information")
    looks.at(page, "basic")
    again_with_errors("Next", "basic, with errors")
    customer.give_basics()
    customer.reads("Enter the code from your email")
    looks.at(page, "code")
    code = customer.read_code()
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    customer.enter_code(wrong)
    expect(page.get_by_role("alert")).to_be_focused()
    looks.at(page, "code, wrong")
    looks.check(at_least=7)
