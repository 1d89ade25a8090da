"""What settles a workspace is changed in the Billing Center, at a browser: with a new subscription at AWS, with a cloud
account that is registered, and in the older order, where somebody bought first and signed in then."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.test_binding import settled
from tests.browser.test_every_page_of_binding import add
from tests.support.browser import Visitors, fits
from tests.support.customer import Customer
from tests.support.factories import Person
from tests.support.server import Server

CHOOSE = {"en": re.compile("^Choose workspaces for AWS account"), "zh": re.compile("选择工作空间$")}


class Payer(Customer):
    """Somebody at the Billing Center, who looks at each page they come to."""

    def arrives(self, heading: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(
            self.word(heading) if isinstance(heading, str) else heading
        )
        fits(self.page)

    def sign_in_to_billing(self) -> None:
        self.page.goto(f"{self.server.url}/billing/sign-in")
        self.field("Username").fill(self.person.username)
        self.field("Password").fill(self.person.password)
        self.press("Sign in")

    def open_change(self, workspace: str) -> None:
        """From the list of all workspaces to the page of this one, and on."""
        self.page.goto(f"{self.server.url}/billing/")
        self.arrives("Workspace management")
        self.page.get_by_role("link", name=workspace, exact=True).click()
        self.follow("Change settlement method")
        self.arrives("Change settlement method")

    def chooses(self, *workspaces: str) -> None:
        """On the page where a purchase is given its workspaces: these, whatever was ticked."""
        self.arrives(CHOOSE[self.language])
        for box in self.page.get_by_role("checkbox").all():
            box.set_checked(False)
        for workspace in workspaces:
            self.page.get_by_role("checkbox", name=workspace).check()

    def is_paid_for(self, workspace: str) -> None:
        """The page of a workspace names this customer's cloud account."""
        self.page.goto(f"{self.server.url}/billing/")
        self.page.get_by_role("link", name=workspace, exact=True).click()
        number = "\u00a0".join(self.account[i : i + 4] for i in (0, 4, 8))
        expect(self.page.get_by_role("main").get_by_text(number).first).to_be_visible()
        fits(self.page)


@pytest.fixture
def payer(visitor: Visitors, server: Server) -> Callable[..., Payer]:
    def of(person: Person, language: str = "en", phone: bool = False, javascript: bool = True) -> Payer:
        page = visitor(language, phone=phone, javascript=javascript)
        return Payer(page, server, language, person=person)

    return of


@pytest.mark.parametrize(
    ("language", "phone", "javascript"),
    [
        pytest.param("en", False, True, id="in English on a desk"),
        pytest.param("zh", True, False, id="in Chinese on a phone without script"),
    ],
)
def test_the_first_workspace_by_subscribing_and_the_second_by_the_registered_cloud_account(
    payer: Callable[..., Payer], server: Server, language: str, phone: bool, javascript: bool
) -> None:
    owner = settled(server)
    add(server, owner, "Lantern")
    customer = payer(owner, language, phone, javascript)
    customer.sign_in_to_billing()
    customer.open_change("Harbour")
    customer.page.get_by_role("radio", name=customer.word("AWS account settlement")).check()
    customer.press("Confirm")
    customer.arrives("AWS account settlement")
    customer.follow("Subscribe to AWS")
    customer.buy()
    customer.set_up()
    customer.arrives(CHOOSE[language])
    expect(customer.page.get_by_role("checkbox", name="Harbour")).to_be_checked()
    customer.chooses("Harbour")
    customer.press("Confirm submission")
    customer.is_paid_for("Harbour")
    customer.open_change("Lantern")
    number = "\u00a0".join(customer.account[i : i + 4] for i in (0, 4, 8))
    group = customer.page.get_by_role(
        "radiogroup", name=customer.word("Registered cloud account settlement"), exact=True
    )
    group.get_by_role("radio", name=number).check()
    if javascript:
        shown = customer.page.get_by_role("complementary").get_by_text(number)
        expect(shown).to_be_visible()
    customer.press("Confirm")
    expect(customer.page.get_by_role("status")).to_contain_text("Lantern")
    customer.is_paid_for("Lantern")


@pytest.mark.parametrize(
    ("language", "phone", "javascript"),
    [
        pytest.param("zh", False, True, id="in Chinese on a desk"),
        pytest.param("en", True, False, id="in English on a phone without script"),
    ],
)
def test_who_bought_first_and_signs_in_then_chooses_workspaces(
    payer: Callable[..., Payer], server: Server, language: str, phone: bool, javascript: bool
) -> None:
    owner = settled(server)
    add(server, owner, "Lantern")
    customer = payer(owner, language, phone, javascript)
    customer.land()
    customer.reads("Do you have a Billing Center account?")
    customer.sign_in_to_billing()
    customer.chooses("Harbour", "Lantern")
    customer.press("Confirm")
    customer.is_paid_for("Harbour")
    customer.is_paid_for("Lantern")
