"""A person with a browser and only the printed doors goes from the marketplace's product page to the workspace."""

import pytest
from playwright.sync_api import expect

from tests.support.browser import Visitors, fits
from tests.support.customer import Customer
from tests.support.server import Server


@pytest.mark.parametrize(
    ("language", "phone", "javascript"),
    [
        pytest.param("en", False, True, id="in English on a desk"),
        pytest.param("zh", True, True, id="in Chinese on a phone"),
        pytest.param("en", False, False, id="in English without script"),
        pytest.param("zh", True, False, id="in Chinese on a phone without script"),
    ],
)
def test_from_the_product_page_to_the_workspace(
    visitor: Visitors, server: Server, language: str, phone: bool, javascript: bool
) -> None:
    page = visitor(language, phone=phone, javascript=javascript)
    customer = Customer(page, server, language)
    number = "\u00a0".join(customer.account[i : i + 4] for i in (0, 4, 8))

    def arrived(heading: str) -> None:
        customer.reads(heading)
        fits(page)

    customer.open_product()
    customer.buy()
    assert page.url.startswith("http://localhost:"), "the marketplace is another site than the wizard"
    customer.set_up()
    assert page.url.startswith("http://127.0.0.1:")
    arrived("Do you have a Billing Center account?")
    customer.say_new()
    arrived("Basic information")
    customer.give_basics()
    arrived("Enter the code from your email")
    customer.enter_code(customer.read_code())
    arrived("Company information")
    customer.give_company()
    arrived("Activation method")
    expect(page.get_by_text(number).filter(visible=True).first).to_be_visible()
    customer.activate()
    customer.look_until_made()
    fits(page)
    customer.follow("Sign in")
    arrived("Sign in")
    customer.sign_in()
    arrived("Harbour")
    expect(page.get_by_role("main").get_by_text(number)).to_be_visible()
    expect(page.get_by_role("link", name=customer.word("Start by installing the agent"))).to_be_visible()
