"""The password of a Billing Center account: changed, and set anew by whoever reads the account's mail.

The process is the console's (test_password_reset.py, test_account.py); here is what is the Billing Center's own.
"""

import re
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.client import Client
from tests.support.established import Customer, established
from tests.support.factories import count, rows_of
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.rows import journey
from wizard.accounts.models import PasswordReset
from wizard.extensions import db
from wizard.outbox.models import OutboxEntry
from wizard.verification import codes
from wizard.verification.models import Challenge

pytestmark = pytest.mark.engines("sqlite")

ACCOUNT = "/billing/account"
NEW = "eleven brass lanterns swing"


@pytest.fixture
def customer(app: Flask) -> Customer:
    return established(app)


class Forgetful:
    """Somebody at the Billing Center's door in a browser that knows nothing of them."""

    def __init__(self, client: Client, work: Callable[[], int], mailbox: Mailbox) -> None:
        self.client, self.work, self.mailbox = client, work, mailbox
        self.page: Page

    def ask(self, name: str, door: str = "/billing/sign-in") -> Page:
        form = self.client.click(self.client.get(door), "Forgot your password?")
        self.page = self.client.submit(form, "Send code", username=name)
        return self.page

    def code(self, address: str) -> str:
        self.work()
        found = re.search(r"\b\d{6}\b", self.mailbox.to(address)[0].text)
        assert found
        return found[0]

    def prove(self, name: str, address: str) -> Page:
        self.ask(name)
        self.page = self.client.submit(self.page, "Confirm", code=self.code(address))
        return self.page

    def choose(self, password: str = NEW) -> Page:
        typed = {"password": password, "confirm_password": password}
        self.page = self.client.submit(self.page, "Save and sign in", typed)
        return self.page


@pytest.fixture
def forgetful(client: Client, work: Callable[[], int], mailbox: Mailbox) -> Forgetful:
    return Forgetful(client, work, mailbox)


def opens_with(client: Client, customer: Customer, password: str) -> bool:
    typed = {"username": customer.payer.username, "password": password}
    return client.submit(client.get("/billing/sign-in"), "Sign in", typed).status == 200


# Forgotten ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["username", "email"])
def test_a_username_or_an_address_and_the_code_from_its_mail_set_a_new_password(
    forgetful: Forgetful, customer: Customer, by: str
) -> None:
    elsewhere, console = forgetful.client.other(), forgetful.client.other()
    customer.sign_in_to_billing(elsewhere)
    customer.sign_in(console)
    chosen = forgetful.prove(f" {getattr(customer.payer, by).upper()} ", customer.payer.email)
    assert chosen.h1 == "Choose a new password"
    assert f"your Billing Center account {customer.payer.username}" in chosen.text
    done = forgetful.choose()
    assert "every other browser is signed out" in done.text
    assert done.path.startswith("/billing/")
    assert elsewhere.get(ACCOUNT).location == f"/billing/sign-in?next={ACCOUNT}"
    assert console.get("/console/", follow=True).status == 200, "the console's password is another"
    assert opens_with(forgetful.client.other(), customer, NEW)
    assert not opens_with(forgetful.client.other(), customer, customer.payer.password)
    forgetful.work()
    told = forgetful.mailbox.to(customer.payer.email)[0]
    assert told.subject == "Your Skylark Billing Center password was changed"
    assert "/billing/forgot-password" in told.text
    assert "Console accounts have passwords of their own" in told.text


def test_whoever_named_a_username_learns_no_address_and_no_more_than_of_one_nobody_has(
    app: Flask, forgetful: Forgetful, customer: Customer
) -> None:
    names = (customer.payer.username, "nobody-is-called")
    seen = []
    for name in names:
        browser = Forgetful(forgetful.client.other(), forgetful.work, forgetful.mailbox)
        before = count(app, OutboxEntry)
        page = browser.ask(name)
        assert f"If “{name}” is a Billing Center account, we sent an email to its address" in page.text
        assert customer.payer.email not in page.html
        with app.app_context():
            right = {codes.code_of(one) for one in db.session.scalars(sa.select(Challenge))}
        wrong = next(code for code in ("135790", "246801", "975310") if code not in right)
        refused = browser.client.submit(page, "Confirm", code=wrong)
        asked = page.history[-1]
        seen.append(
            (
                asked.status,
                [re.sub(r"\s+", " ", each) for each in asked.statements],
                re.sub(r"\d+", "", page.text.replace(name, "")),
                refused.errors,
                count(app, OutboxEntry) - before,
            )
        )
    assert seen[0] == seen[1]
    forgetful.work()
    assert len(forgetful.mailbox.to(customer.payer.email)) == len(forgetful.mailbox.all()) == 1


def test_an_address_nobody_has_is_told_so_by_mail_and_no_code_fits(
    app: Flask, forgetful: Forgetful, customer: Customer
) -> None:
    # That it is the address of a console account changes nothing: the two are independent.
    page = forgetful.ask(customer.person.email)
    assert customer.person.email in page.text
    forgetful.work()
    mail = forgetful.mailbox.to(customer.person.email)[0]
    assert mail.subject == "There is no Skylark account with this address"
    assert "No Billing Center account has this address" in mail.text
    assert "/billing/forgot-password" in mail.text
    with app.app_context():
        would_be = codes.code_of(db.session.scalars(sa.select(Challenge)).one())
    assert "you have 4 tries left" in forgetful.client.submit(page, "Confirm", code=would_be).text


def test_what_is_no_address_is_said_at_once(forgetful: Forgetful) -> None:
    for typed, said in (("", "Enter your username or email"), ("harbour@", "like name@company.com")):
        refused = forgetful.ask(typed)
        assert refused.status == 422
        assert said in refused.errors["username"]


def test_another_name_voids_the_code_of_the_one_before(app: Flask, forgetful: Forgetful) -> None:
    first, second = established(app), established(app)
    forgetful.ask(first.payer.username)
    code = forgetful.code(first.payer.email)
    form = forgetful.client.click(forgetful.page, "Change username")
    page = forgetful.client.submit(form, "Send code", username=second.payer.username)
    assert "not the code in the newest email" in forgetful.client.submit(page, "Confirm", code=code).text


def test_a_reset_of_one_area_is_nothing_in_the_other(forgetful: Forgetful, customer: Customer) -> None:
    """… and both can go on side by side in one browser."""
    forgetful.prove(customer.payer.username, customer.payer.email)
    client = forgetful.client
    assert client.get("/forgot-password/new").status == 404
    form = client.get(f"/forgot-password?site={customer.site}")
    waiting = client.submit(form, "Send code", site=customer.site, email=customer.person.email)
    assert waiting.path == "/forgot-password/code"
    assert forgetful.choose().status == 200
    typed = {"code": forgetful.code(customer.person.email)}
    assert client.submit(client.get(waiting.path), "Confirm", typed).path == "/forgot-password/new"


def test_a_changed_password_spends_proofs_however_the_account_was_named(
    forgetful: Forgetful, customer: Customer
) -> None:
    other = Forgetful(forgetful.client.other(), forgetful.work, forgetful.mailbox)
    other.prove(customer.payer.email, customer.payer.email)
    forgetful.prove(customer.payer.username, customer.payer.email)
    forgetful.choose()
    late = other.choose("twelve copper lanterns creep")
    assert (late.status, late.h1) == (410, "Your password is changed already")
    assert opens_with(forgetful.client.other(), customer, NEW)


def test_the_same_password_sent_twice_signs_in_twice(
    app: Flask, forgetful: Forgetful, customer: Customer
) -> None:
    form = forgetful.prove(customer.payer.username, customer.payer.email)
    forgetful.choose()
    forgetful.page = form
    assert forgetful.choose().path.startswith("/billing/")
    assert count(app, PasswordReset, PasswordReset.used_at.is_not(None)) == 1


def test_who_wanted_a_page_of_the_billing_center_comes_out_there(
    forgetful: Forgetful, customer: Customer
) -> None:
    forgetful.ask(customer.payer.username, door=f"/billing/sign-in?next={ACCOUNT}")
    code = forgetful.code(customer.payer.email)
    forgetful.page = forgetful.client.submit(forgetful.page, "Confirm", code=code)
    assert forgetful.choose().path == ACCOUNT


# Changed -----------------------------------------------------------------------------------------------------


def change(client: Client, current: str, new: str = NEW) -> Page:
    typed = {"current_password": current, "password": new, "confirm_password": new}
    return client.submit(client.get(ACCOUNT), "Change password", typed)


def test_the_username_at_the_top_leads_to_the_account_and_its_password_is_changed_there(
    client: Client, customer: Customer, app: Flask
) -> None:
    elsewhere = client.other()
    customer.sign_in_to_billing(elsewhere)
    page = client.click(customer.sign_in_to_billing(client), customer.payer.username)
    assert (page.path, page.h1) == (ACCOUNT, "Your account")
    assert "Here, and in 1 other browser." in page.text
    before = rows_of(app)
    refused = change(client, "not this one")
    assert "That is not your current password" in refused.errors["current_password"]
    assert rows_of(app)["billing_accounts"] == before["billing_accounts"]
    assert "does not contain your name" in change(client, customer.payer.password, customer.payer.email).text
    done = change(client, customer.payer.password)
    assert (done.path, done.status) == (ACCOUNT, 200)
    assert "Your password is changed" in done.text
    assert elsewhere.get(ACCOUNT).status == 303
    assert opens_with(client.other(), customer, NEW)
    assert rows_of(app)["console_accounts"] == before["console_accounts"]


def test_signing_out_everywhere_ends_its_sessions_and_those_of_its_journeys_and_no_others(
    app: Flask, client: Client, customer: Customer
) -> None:
    elsewhere, console, neighbour = client.other(), client.other(), client.other()
    customer.sign_in_to_billing(elsewhere)
    customer.sign_in(console)
    established(app).sign_in_to_billing(neighbour)
    customer.sign_in_to_billing(client)
    journey(app, billing_account_id=customer.billing_id)
    out = client.submit(client.get(ACCOUNT), "Sign out everywhere")
    assert (out.path, out.h1) == ("/billing/sign-in", "Sign in")
    assert "You are signed out everywhere" in out.text
    assert {each.get(ACCOUNT).status for each in (client, elsewhere)} == {303}
    assert neighbour.get(ACCOUNT).status == 200
    assert console.get("/console/", follow=True).status == 200
