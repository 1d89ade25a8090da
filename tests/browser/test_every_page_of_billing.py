"""Every page about what pays for what (Billing Center, change of settlement, lock, end): held to what each page is.

Who is there and what they have is written into the database of the running product by its own domain, so each test
walks nowhere but to the pages it looks at.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from playwright.sync_api import Route

from config import Settings
from tests.support import possessions
from tests.support.browser import Visitors
from tests.support.factories import Person
from tests.support.over_http import until
from tests.support.server import Server
from tests.support.tour import Tour
from wizard import clock, create_app
from wizard.accounts.models import BillingAccount
from wizard.billing import endings, settlement
from wizard.billing.models import (
    BEING_MADE,
    CANCELLED,
    CLOSED,
    DISSOLVED,
    ENDED,
    LOCK,
    RENEWED,
    CloudAccount,
    Subscription,
    Workspace,
)
from wizard.extensions import db

LONG = "港口监控-with-a-name-as-long-as-nobody-would-ever-think-of-but-somebody-did"
A_WHILE = timedelta(days=2, hours=5)


@pytest.fixture(scope="module")
def beside(server: Server) -> Iterator[Flask]:
    """The product once more, on the running one's database: for what is made there without a walk."""
    told = {"SANDBOX": "1", "PORT": str(server.port), "INSTANCE_PATH": str(server.instance)}
    cheap = {"ARGON2_TIME_COST": "1", "ARGON2_MEMORY_KIB": "8"}
    app = create_app(Settings.from_env({**told, **cheap}))
    yield app
    with app.app_context():
        db.engine.dispose()


class Company:
    """Somebody with both accounts and a workspace in every state there is: name → public id in ``ids``."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.owner = possessions.accounts_of(app, Person())
        self.ids: dict[str, str] = {}
        (self.pays,) = possessions.purchases(app, self.owner)
        self.cancelled, other, renewed = possessions.purchases(app, self.owner, 3, **self.over())
        possessions.change_all(app, Subscription, [renewed], why=RENEWED, successor_id=self.pays)
        possessions.purchases(app, self.owner)
        self.add("Harbour")
        self.add("Just changed", settlement_changed_at=clock.now())
        self.add("Label printers", state=BEING_MADE)
        self.add(LONG, self.pays)
        self.add("Quay", self.cancelled)
        self.add("Closed", self.cancelled, state=CLOSED)
        self.add("Dissolved", self.cancelled, state=DISSOLVED)
        for number in range(21):
            self.add(f"Pier {number}", other)
        with app.app_context():
            settlement.write_first_lines(list(db.session.scalars(sa.select(Workspace.id))))
            db.session.commit()

    @staticmethod
    def over(why: str = CANCELLED) -> dict[str, Any]:
        """The facts of a subscription that ended a while ago."""
        ended = clock.now() - A_WHILE
        return {"state": ENDED, "why": why, "on_end": LOCK, "ended_at": ended, "stopped_at": ended}

    def add(self, name: str, paid_by: int | None = None, **facts: Any) -> None:
        public_id = f"wksp_{len(self.ids):04}{self.owner.billing_id:012}"
        possessions.workspaces(self.app, self.owner, 1, paid_by, name=name, public_id=public_id, **facts)
        self.ids[name] = public_id

    def end(self, number: str, why: str, **facts: Any) -> None:
        """What the AWS account of this number bought ends."""
        buyer = sa.select(CloudAccount.id).where(CloudAccount.account_id == number).scalar_subquery()
        with self.app.app_context():
            change = sa.update(Subscription).where(Subscription.cloud_account_id == buyer)
            db.session.execute(change.values(**self.over(why), **facts))
            db.session.commit()


@pytest.fixture(params=["en", "zh"])
def tour(visitor: Visitors, server: Server, request: pytest.FixtureRequest) -> Tour:
    return Tour(visitor, server, request.param)


@pytest.fixture
def company(beside: Flask) -> Company:
    return Company(beside)


@pytest.fixture
def sign_in(tour: Tour, company: Company) -> Callable[[str], None]:
    """``sign_in("/billing/sign-in")``, or to the console at ``"/sign-in?site=us1"``."""

    def at(door: str) -> None:
        tour.page.goto(tour.server.url + door)
        tour.page.locator("#username").fill(company.owner.person.username)
        tour.page.locator("#password").fill(company.owner.person.password)
        do(tour)

    return at


def do(tour: Tour) -> None:
    """Press the one button of the page that is its deed, whatever it says."""
    tour.page.locator("main .deed button").first.click()


def test_the_pages_of_the_billing_center(
    tour: Tour, company: Company, sign_in: Callable[[str], None]
) -> None:
    one = f"/billing/cloud-accounts/{company.pays}"
    tour.open("/billing/forgot-password", "forgot the password")
    tour.open("/billing/sign-in", "sign in")
    do(tour)
    tour.look_at_errors("sign in, with errors")
    sign_in("/billing/sign-in")
    tour.look("workspaces")
    tour.open("/billing/workspaces?q=pier&state=locked&page=2", "workspaces, narrowed")
    tour.open("/billing/workspaces?q=nothing", "workspaces, none like that")
    for name in (LONG, "Quay", "Closed"):
        tour.open(f"/billing/workspaces/{company.ids[name]}", f"a workspace, {name}")
    tour.open("/billing/cloud-accounts", "cloud accounts, one pays and three have ended")
    tour.open(one, "a cloud account")
    tour.open(f"{one}/history", "what happened to a cloud account")
    tour.open("/billing/account", "account")
    tour.open(f"/billing/workspaces/{company.ids['Quay']}/dissolve", "dissolve")
    do(tour)
    tour.look_at_errors("dissolve, with errors")
    tour.open(f"/billing/workspaces/{company.ids['Harbour']}/dissolve", "what pays cannot be dissolved")
    tour.open("/billing/workspaces/wksp_0000000000000000/unlock", "a workspace somebody else settles")
    tour.looks.check(at_least=17)


def test_the_pages_of_changing(tour: Tour, company: Company, sign_in: Callable[[str], None]) -> None:
    def change(name: str) -> str:
        return f"/billing/workspaces/{company.ids[name]}/settlement"

    sign_in("/billing/sign-in")
    tour.open(change("Just changed"), "changed too soon")
    tour.open(change(LONG), "a subscription that is active")
    tour.open(change("Quay"), "unlock")
    tour.open(change("Harbour"), "change")
    do(tour)
    tour.look_at_errors("nothing chosen")
    tour.page.locator("[value=aws]").check()
    do(tour)
    tour.look("subscribe")
    bought = tour.land("choose workspaces")
    for box in tour.page.locator("[name=workspaces]:checked").all():
        box.uncheck()
    do(tour)
    tour.look_at_errors("no workspace chosen")
    tour.page.locator("[name=workspaces]:enabled").first.check()
    do(tour)
    tour.look("changed")
    company.end(bought["customerAWSAccountId"], CANCELLED)
    tour.page.reload()
    tour.look("cancelled since")
    tour.looks.check(at_least=10)


def test_the_pages_of_a_subscription_that_ends_on_the_way(tour: Tour, company: Company) -> None:
    tour.customer.land()
    tour.customer.say_new()
    for why in ("failed", CANCELLED):
        company.end(tour.customer.account, why)
        tour.page.reload()
        tour.look(f"registering, it {why}")
    tour.customer.land()
    company.end(tour.customer.account, RENEWED, successor_id=company.pays)
    tour.page.reload()
    tour.look("arriving, it was renewed")
    tour.looks.check(at_least=3)


def test_the_pages_of_a_lock(tour: Tour, company: Company, sign_in: Callable[[str], None]) -> None:
    home = f"/console/workspaces/{company.ids['Quay']}"
    sign_in("/sign-in?site=us1")
    tour.look("many workspaces")
    tour.open(f"{home}/data", "locked, its data")
    tour.open(f"{home}/billing", "its billing")
    for over in ("Closed", "Dissolved"):
        tour.open(f"/console/workspaces/{company.ids[over]}", over)
    tour.open(home, "locked")
    tour.page.locator("[name=ticket]").evaluate("(ticket) => { ticket.value = 'none' }")
    do(tour)
    tour.look("a ticket that is over")
    tour.looks.check(at_least=7)


def test_the_mails_about_an_end(tour: Tour, company: Company) -> None:
    with company.app.app_context():
        payer = db.session.get_one(BillingAccount, company.owner.billing_id)
        address, payer.locale = payer.email, tour.language
        gone = db.session.get_one(Subscription, company.cancelled)
        for what in ("ended", "switched", "warning", "closed"):
            endings.spread(gone, what)
        db.session.commit()
    until(lambda: len(tour.server.mails(address)) == 4, "no mails come", every=0.1)
    for mail in tour.server.mails(address):
        # By itself, as a mail reader shows it.
        at, html = f"{tour.server.url}/mail-{mail['id']}", mail["html"]
        tour.page.route(at, partial(Route.fulfill, body=html, content_type="text/html; charset=utf-8"))
        tour.page.goto(at)
        tour.looks.at(mail["subject"], is_mail=True)
    tour.looks.check(at_least=4)
