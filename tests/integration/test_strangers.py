"""What is another's is not there: whatever names it, in an address or in a form, whoever asks, nothing is told or done.

Every route is here, with the ids of somebody else that it could be given. ``test_access.py`` asks for ids that nobody
has, ``test_resume.py`` for what a mailed link tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import rows
from tests.support.binding import Binding
from tests.support.client import Client
from tests.support.established import Customer, established, landed_before
from tests.support.factories import Person, rows_of
from tests.support.page import Page
from tests.support.walk import Walk
from wizard import access
from wizard.billing.models import Subscription, Workspace
from wizard.extensions import db
from wizard.flows import views
from wizard.flows.models import Journey
from wizard.marketplaces.models import Arrival

STEPS = tuple(dict.fromkeys(step.key for flow in views.FLOWS.values() for step in flow.all_steps()))

EVERYTHING: dict[str, object] = {
    **Person(called="intruder").answers,
    "site": "eu1",
    "code": "123456",
    "which": "other",
    "company_name": "Intruders",
    "method": "billing_center",
    "offer": "bind",
    "has_account": "yes",
    "workspace_name": "Intruders",
    "language": "zh",
    "agree": "y",
}
"""What any form would accept."""

NAMES_NOTHING = {
    "asset": "what it names is everybody's",
    "health.healthz": "",
    "health.readyz": "",
    "health.metrics": "",
    "marketplaces.landing_help": "",
    "marketplaces.landing": "the token itself is the proof",
    "marketplaces.notifications": "the signature is the proof",
    "doors.home": "",
    "doors.register": "",
    "doors.register_again": "",
    "doors.bind": "",
    "console.sign_in": "",
    "console.sign_out": "",
    "console.account": "",
    "console.sign_out_everywhere": "",
    "console.front": "",
    "reset.begin": "",
    "reset.code": "",
    "reset.resend": "",
    "reset.new_password": "",
    "billing_reset.begin": "",
    "billing_reset.code": "",
    "billing_reset.resend": "",
    "billing_reset.new_password": "",
    "billing_center.account": "",
    "billing_center.sign_out_everywhere": "",
    "billing_center.sign_in": "",
    "billing_center.unlock": "the ticket is the proof; what it tells is in test_locks.py",
    "billing_center.sign_out": "",
    "billing_center.front": "",
    "billing_center.cloud_accounts": "",
    "billing_center.workspaces": "",
    "resume.begin": "the link is the proof; what it tells is in test_resume.py",
    "resume.code": "",
    "resume.resend": "",
}
"""Routes that name nothing of anybody's: they know whose cookie came, and no id."""


@dataclass
class Owner:
    """Somebody who has one of everything, and the ids of it."""

    customer: Customer
    reference: str
    arrival: str
    workspace: str
    subscription: int

    def ids(self) -> dict[str, object]:
        """Every id of theirs, under every name that a form of ours has or could have."""
        return {
            "reference": self.reference,
            "journey": self.reference,
            "arrival": self.arrival,
            "arrival_id": self.arrival,
            "workspace": self.workspace,
            "public_id": self.workspace,
            "subscription": self.subscription,
            "subscription_id": self.subscription,
            "billing_account": self.customer.billing_id,
            "billing_account_id": self.customer.billing_id,
            "console_account_id": self.customer.console_id,
            "owner_id": self.customer.console_id,
        }


@pytest.fixture
def owner(app: Flask, walk: Walk) -> Owner:
    customer = established(app, "owner", workspaces=("Owned harbour",))
    bind = _at_workspaces(app, walk, customer)
    with app.app_context():
        journey = db.session.scalars(sa.select(Journey).where(Journey.reference == bind.reference)).one()
        assert journey.arrival_id
        assert journey.subscription_id
        ids = (journey.arrival_id, customer.workspaces["Owned harbour"], journey.subscription_id)
    return Owner(customer, bind.reference, *ids)


def _at_workspaces(app: Flask, walk: Walk, customer: Customer, client: Client | None = None) -> Binding:
    bind = Binding.of(walk, customer.payer, client=client or walk.client.other())
    bind.bought = {"token": landed_before(app, rows.purchase(app), f"a token of {customer.payer.username}")}
    bind.land()
    bind.say_have().name_account().enter_code()
    assert bind.page.h1 == "Bind workspace"
    return bind


@pytest.fixture
def nobody(client: Client) -> Client:
    """A browser that has been nowhere."""
    return client


@pytest.fixture
def somebody(app: Flask, walk: Walk, client: Client) -> Binding:
    """… and one that is signed in everywhere as somebody else, and on a journey of its own."""
    customer = established(app, "somebody", workspaces=("Own pier",))
    bind = _at_workspaces(app, walk, customer, client.other())
    customer.sign_in(bind.client)
    customer.sign_in_to_billing(bind.client)
    bind.page = bind.client.get(f"/journeys/{bind.reference}", follow=True)
    return bind


def csrf(client: Client) -> dict[str, object]:
    form = client.get("/forgot-password").form("Send code")
    return {"csrf_token": form.fields["csrf_token"][0]}


def addresses_of(owner: Owner) -> dict[str, list[str]]:
    """Endpoint → every address at which it is asked for something of this owner's."""
    console, billing = (f"/{area}/workspaces/{owner.workspace}" for area in ("console", "billing"))
    journey, account = f"/journeys/{owner.reference}", f"/billing/cloud-accounts/{owner.subscription}"
    steps = [f"{journey}/{key}" for key in STEPS]
    steps += [f"{journey}/bind?workspace={owner.workspace}", f"{journey}/subscribe?arrival={owner.arrival}"]
    buttons = [
        f"{journey}/{step.key}/{name}"
        for flow in views.FLOWS.values()
        for step in flow.all_steps()
        for name in step.page.actions
    ]
    return {
        "doors.arrive": [f"/arrive/{owner.arrival}"],
        "flows.resume": [journey],
        "flows.site": [f"{journey}/site"],
        "flows.other": [f"{journey}/other"],
        "flows.without": [f"{journey}/without"],
        "flows.step": steps,
        "flows.action": buttons,
        "console.home": [console],
        "console.data": [f"{console}/data"],
        "console.billing": [f"{console}/billing"],
        "console.dissolve": [f"{console}/dissolve"],
        "billing_center.workspace": [billing],
        "billing_center.unlocking": [f"{billing}/unlock"],
        "billing_center.dissolve": [f"{billing}/dissolve"],
        "billing_center.settlement": [f"{billing}/settlement"],
        "billing_center.arrived": [f"/billing/arrived/{owner.arrival}"],
        "billing_center.create_for": [f"/billing/arrived/{owner.arrival}/create"],
        "billing_center.cloud_account": [account],
        "billing_center.cloud_account_history": [f"{account}/history"],
        "billing_center.bind": [f"{account}/bind"],
    }


def asked(app: Flask, client: Client, owner: Owner) -> Iterator[tuple[str, Page]]:
    """What this browser is answered wherever a route can be asked for what is the owner's: (endpoint, answer)."""
    form = EVERYTHING | csrf(client)
    methods = {rule.endpoint: rule.methods or set() for rule in app.url_map.iter_rules()}
    for endpoint, paths in addresses_of(owner).items():
        for path in paths:
            if "GET" in methods[endpoint]:
                yield endpoint, client.get(path)
            if "POST" in methods[endpoint]:
                yield endpoint, client.post(path, form)


def shows_nothing_of(owner: Owner, page: Page) -> None:
    customer = owner.customer
    for secret in (*customer.workspaces, customer.payer.company, customer.payer.email, customer.person.email):
        assert secret not in page.html, f"{page} shows {secret}"


def test_every_route_is_here(app: Flask, owner: Owner) -> None:
    routes = {rule.endpoint for rule in app.url_map.iter_rules()}
    assert routes == set(addresses_of(owner)) | set(NAMES_NOTHING)
    assert not set(addresses_of(owner)) & set(NAMES_NOTHING)
    with_ids = {
        rule.endpoint for rule in app.url_map.iter_rules() if rule.arguments - {"name", "marketplace"}
    }
    assert with_ids - {"resume.begin", "resume.code", "resume.resend"} == set(addresses_of(owner))


def test_who_is_not_signed_in_finds_nothing_of_anybodys(app: Flask, owner: Owner, nobody: Client) -> None:
    before, wrong = rows_of(app), []
    for endpoint, page in asked(app, nobody, owner):
        shows_nothing_of(owner, page)
        door = {access.CONSOLE: "/sign-in?next=", access.BILLING: "/billing/sign-in?next="}
        if kind := door.get(access.ACCESS[endpoint]):
            if page.status != 303 or not (page.location or "").startswith(kind):
                wrong.append(f"{page}, {page.location}")
        elif page.status != 404:
            wrong.append(str(page))
    assert not wrong
    assert rows_of(app) == before


def test_who_is_signed_in_as_somebody_else_finds_nothing_either(
    app: Flask, owner: Owner, somebody: Binding
) -> None:
    before = rows_of(app)
    answers = list(asked(app, somebody.client, owner))
    for _endpoint, page in answers:
        shows_nothing_of(owner, page)
    assert [str(page) for _endpoint, page in answers if page.status != 404] == []
    assert rows_of(app) == before


def test_on_a_journey_of_ones_own_anothers_workspace_is_not_there(
    app: Flask, owner: Owner, somebody: Binding
) -> None:
    before, form = rows_of(app), EVERYTHING | csrf(somebody.client)
    path = f"/journeys/{somebody.reference}/bind?workspace={owner.workspace}"
    assert somebody.client.get(path).status == somebody.client.post(path, form).status == 404
    assert rows_of(app) == before


def test_ids_of_somebody_else_in_a_form_or_an_address_are_not_read(
    app: Flask, owner: Owner, somebody: Binding
) -> None:
    """… on every page that a journey of one's own opens: what happens, happens to what is one's own."""
    theirs, client, reference = owner.ids(), somebody.client, somebody.reference
    query = "&".join(f"{name}={value}" for name, value in theirs.items() if name != "workspace")
    before = _of_owner(app, owner)
    own = f"/journeys/{reference}"
    form = EVERYTHING | theirs | csrf(client) | {"username": "another-name"}
    (workspace,) = _workspaces_of(app, somebody)
    for path in (
        f"{own}/account",
        f"{own}/site?back=/journeys/{owner.reference}/workspaces&{query}",
        f"{own}/create/code?{query}",
        f"{own}/create?{query}",
        f"{own}/create-account/code?{query}",
        f"{own}/create-account?{query}",
        f"{own}/bind?workspace={workspace}&{query}",
        f"{own}/other?{query}",
        f"{own}/workspaces?{query}",
        f"/register?{query}",
    ):
        page = client.post(path, form, without=("statements",))  # They are counted where each page is tested.
        assert page.status in (200, 303, 422), page
        assert owner.reference not in (page.location or "")
        shows_nothing_of(owner, page)
    door = client.get(f"/bind?{query}")  # Which takes nothing that is sent.
    assert owner.reference not in (door.location or "")
    shows_nothing_of(owner, door)
    assert _of_owner(app, owner) == before
    assert rows.read(app, Subscription, owner.subscription, "billing_account_id") == [
        owner.customer.billing_id
    ]
    client.get(f"{own}/successful", follow=True)
    shows_nothing_of(owner, client.get(f"{own}/workspaces?q=Owned"))
    shows_nothing_of(owner, client.get("/billing/cloud-accounts?q=agmt"))
    shows_nothing_of(owner, client.get("/console/?q=Owned"))


def test_a_cookie_of_ones_own_under_anothers_name_opens_nothing(
    app: Flask, owner: Owner, somebody: Binding
) -> None:
    with app.app_context():
        mine = sa.select(Journey.arrival_id).where(Journey.reference == somebody.reference)
        arrival = db.session.scalars(mine).one()
    cookies = {name: somebody.client.cookie(name) or "" for name in ("console", "billing")}
    journey = somebody.client.cookie(f"journey-{somebody.reference}") or ""
    claim = somebody.client.cookie(f"claim-{arrival}") or ""
    assert all((*cookies.values(), journey, claim))
    for value in (journey, claim, *cookies.values(), "anything"):
        forger = somebody.client.other()
        for name in (f"journey-{owner.reference}", f"claim-{owner.arrival}"):
            forger.http.set_cookie(name, value, domain="127.0.0.1")
        for path in (f"/journeys/{owner.reference}/workspaces", f"/arrive/{owner.arrival}"):
            assert forger.get(path).status == 404
        for name, own in cookies.items():
            if value != own:
                forger.http.set_cookie(name, value, domain="127.0.0.1")
        assert (forger.get("/billing/cloud-accounts").location or "").startswith("/billing/sign-in")
        assert (forger.get("/console/").location or "").startswith("/sign-in")


def test_a_way_back_leads_to_nothing_of_anothers(app: Flask, owner: Owner, somebody: Binding) -> None:
    before = rows_of(app, "sessions")
    page = f"/billing/cloud-accounts/{owner.subscription}"
    client = somebody.client.other()
    customer = somebody.person
    form = {"username": customer.username, "password": customer.password, **csrf(client)}
    answer = client.post(f"/billing/sign-in?next={page}", form)
    assert client.get(answer.location or "").status == 404
    assert client.get(f"/arrive/{owner.arrival}").status == 404
    assert rows_of(app, "sessions") == before


def _workspaces_of(app: Flask, somebody: Binding) -> list[str]:
    with app.app_context():
        found = db.session.scalars(sa.select(Journey).where(Journey.reference == somebody.reference)).one()
        assert found.billing_account_id
        return list(
            db.session.scalars(
                sa.select(Workspace.public_id).where(Workspace.billing_account_id == found.billing_account_id)
            )
        )


def _of_owner(app: Flask, owner: Owner) -> list[str]:
    """The rows that are the owner's."""
    with app.app_context():
        journey = db.session.scalars(sa.select(Journey).where(Journey.reference == owner.reference)).one()
        arrival = db.session.get_one(Arrival, owner.arrival)
        kept = (journey.version, journey.answers, journey.flow, arrival.contact)
    lines = [line for lines in rows_of(app).values() for line in lines if owner.workspace in line]
    return [*map(str, kept), *lines]
