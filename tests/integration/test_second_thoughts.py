"""Somebody changes their mind, or sends a page older than the truth: nothing is bound or made that they did not mean.

What happens at once is in ``test_binding_races.py``, what comes in any order in ``test_binding_properties.py``.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import rows
from tests.support.binding import Binding
from tests.support.factories import Person, rows_of
from tests.support.page import Page
from tests.support.walk import Walk
from wizard import clock
from wizard.accounts.models import ConsoleAccount
from wizard.billing.models import ACTIVE, ENDED, Subscription, Workspace
from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.models import Journey
from wizard.worker import sweep

pytestmark = pytest.mark.engines("sqlite")

START = datetime(2026, 4, 7, 14, 2, 30, tzinfo=UTC)
HAVE = "I have a Billing Center account"
DEED = "Register and create workspace"


@pytest.fixture
def owner(app: Flask) -> Person:
    """Somebody who has a Billing Center account and nothing else."""
    person = Person()
    rows.billing_account(app, person)
    return person


@pytest.fixture
def bind(walk: Walk, owner: Person) -> Binding:
    """Its owner, with a purchase of theirs."""
    return Binding.of(walk, owner)


def journey_of(app: Flask, reference: str) -> Journey:
    with app.app_context():
        return db.session.scalars(sa.select(Journey).where(Journey.reference == reference)).one()


def sites_of_workspaces(app: Flask) -> list[str]:
    with app.app_context():
        return list(db.session.scalars(sa.select(Workspace.site_id)))


def without_hints(person: Person) -> dict[str, object]:
    """The passwords, which no page holds ready."""
    return {name: answer for name, answer in person.answers.items() if "password" in name}


# ── from one flow to the other ──────────────────────────────────────────────────────────────────────────────


def test_a_proven_address_alone_binds_nothing_when_its_owner_changes_over(
    app: Flask, bind: Binding, owner: Person
) -> None:
    bind.land().say_new().give_basics(username="somebody-new")
    assert bind.enter_code().h1 == "You have a Billing Center account"
    bind.page = bind.client.submit(bind.client.get("/bind"), HAVE)
    assert bind.page.h1 == "Bind Billing Center account"
    assert journey_of(app, bind.reference).billing_account_id is None
    bind.name_account().enter_code()
    assert bind.page.h1 == "Bind workspace"
    assert any("was bound" in subject for subject in bind.subjects()), bind.subjects()


def test_a_second_click_changes_nothing_back(app: Flask, bind: Binding) -> None:
    bind.land().say_new()
    page, reference = bind.page, bind.reference
    for _click in range(2):
        bind.page = bind.client.submit(page, "Bind the purchase to it")
        assert journey_of(app, reference).flow == "existing_account"
    assert bind.page.h1 == "Bind Billing Center account"


def test_a_page_of_the_other_flow_leads_to_where_the_journey_is(bind: Binding) -> None:
    bind.land().say_new()
    basics = bind.page
    bind.give_basics()
    bind.client.submit(bind.client.get("/bind"), HAVE)
    before = rows_of(bind.client.app)
    late = bind.client.submit(basics, "Next", {"site": "us1", **bind.person.answers})
    assert (late.status, late.h1) == (200, "Bind Billing Center account")
    assert bind.client.get(f"/journeys/{bind.reference}/nowhere").status == 404
    assert rows_of(bind.client.app) == before


def test_the_chooser_of_sites_is_no_way_to_change_a_registration(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    token = walk.page.form("Confirm").fields["csrf_token"]
    walk.client.post(f"/journeys/{walk.reference}/site", {"csrf_token": token, "site": "eu1"})
    assert journey_of(app, walk.reference).answers["site"] == "us1"


@pytest.mark.engines("sqlite", "postgresql")
def test_who_lost_the_purchase_can_begin_something_else(bind: Binding) -> None:
    """… at every front door: none of them leads back to a journey on which nothing can be done any more."""
    loser = Binding.of(bind)
    loser.bought = bind.land().bought
    loser.land()
    loser.say_have()
    lost = loser.page.path
    bind.say_have().name_account().enter_code()
    assert loser.client.get(lost).status == 409
    assert "Go on where you stopped" not in loser.client.get("/").links
    assert loser.client.get("/register", follow=True).h1 == "Basic information"
    assert loser.client.get("/bind", follow=True).status == 200
    loser.bought = {}
    assert loser.land().page.status == 200
    loser.say_have().name_account().enter_code()
    assert loser.page.h1 == "Bind workspace"


@pytest.mark.engines("sqlite", "postgresql")
def test_who_chooses_after_somebody_else_has_bound_the_purchase_is_told_so(bind: Binding) -> None:
    second = Binding.of(bind)
    second.bought = bind.land().bought
    second.land()
    bind.say_have().name_account().enter_code()
    told = second.client.submit(second.page, "Next", has_account="no")
    assert told.status == 200
    assert told.h1 == second.client.get(second.page.path).h1


# ── which account ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_is_entered_where_the_account_it_was_mailed_for_is_named(
    app: Flask, bind: Binding, owner: Person
) -> None:
    """Another name that a limit refused is not what the page speaks of: the code that works is not that one's."""
    second = Person()
    rows.billing_account(app, second)
    for _time in range(5):
        somebody = Binding.of(bind)
        somebody.land()
        somebody.say_have().name_account(second.username)
    bind.land()
    bind.say_have()
    form = bind.page
    bind.name_account()
    refused = bind.client.submit(form, "Next", username=second.username)
    assert "has had all the codes" in refused.errors["username"]
    code = bind.client.get(f"/journeys/{bind.reference}/code")
    assert f"If “{owner.username}” is a Billing Center account" in code.text
    fresh = Binding.of(bind)
    fresh.land()
    fresh.say_have().name_account(second.username)
    assert fresh.page.status == 422
    assert (
        fresh.client.get(f"/journeys/{fresh.reference}/code", follow=True).h1 == "Bind Billing Center account"
    )


def test_an_account_named_again_is_mailed_again_after_a_minute(bind: Binding) -> None:
    with clock.at(START):
        bind.land()
        bind.say_have()
        form = bind.page
        bind.name_account()
        old = bind.code()
    with clock.at(START + timedelta(minutes=1)):
        bind.page = bind.client.submit(form, "Next", username=bind.person.username)
        assert bind.code() != old
        assert bind.enter_code(old).status == 422
        assert bind.enter_code().h1 == "Bind workspace"


def test_an_account_signed_in_here_that_could_not_be_bound_leaves_nothing_to_enter_a_code_for(
    app: Flask, bind: Binding
) -> None:
    bind.land()
    bind.say_have()
    reference = bind.reference
    with app.app_context():
        journey = db.session.scalars(sa.select(Journey).where(Journey.reference == reference)).one()
        journey.answers = {"which": "here", "billing_username": ""}
        db.session.commit()
    assert bind.client.get(f"/journeys/{reference}", follow=True).h1 == "Bind Billing Center account"


# ── a new workspace ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_for_one_site_makes_nothing_on_another(app: Flask, bind: Binding) -> None:
    """… where a page in one tab shows a site that another tab has changed."""
    bind.to_workspaces()
    bind.open_create(registers=True, site="us1")
    person = Person()
    page = bind.send_code(workspace_name="Beacon", language="en", **person.answers)
    code = bind.code_of(person)
    bind.client.submit(page, "Use this site", new_site="eu1")
    given = {"code": code, "agree": "y", **without_hints(person)}
    refused = bind.client.submit(page, DEED, given)
    assert "This workspace goes to eu1 Frankfurt" in refused.text
    refused = bind.client.submit(refused, DEED, given)
    assert refused.errors["email"] == "Send a new code first"
    assert sites_of_workspaces(app) == []
    bind.page = bind.client.submit(refused, "Send code")
    made = bind.client.submit(bind.page, DEED, {"code": bind.code_of(person), "agree": "y"})
    assert made.h1 == "Bind workspace"
    assert sites_of_workspaces(app) == ["eu1"]


def test_a_proven_address_makes_nothing_on_a_site_another_tab_has_chosen(
    app: Flask, bind: Binding, another: Callable[..., Walk]
) -> None:
    """… neither on the page of the workspace nor on the one that asks for another username."""
    taken = another().to_end().person  # type: ignore[attr-defined]
    bind.to_workspaces()
    bind.open_create(registers=True, site="us1")
    person = Person()
    bind.register_and_create(person, username=taken.username)
    names = bind.page
    form = bind.client.click(names, "Back")
    bind.client.submit(form, "Use this site", new_site="eu1")
    refused = bind.client.submit(form, DEED, {"agree": "y", "username": person.username})
    assert (refused.status, "This workspace goes to eu1 Frankfurt" in refused.text) == (422, True)
    before = len(sites_of_workspaces(app))
    # The page that asks for another name was of the site before: it leads back to the whole question.
    for button, answers in (("Next", {"username": person.username}), (picks(names)[0], {})):
        assert bind.client.submit(names, button, answers).h1 == "Create workspace"
    assert len(sites_of_workspaces(app)) == before
    # What came back was made for the site that is chosen now.
    made = bind.client.submit(refused, DEED, {"agree": "y", "username": person.username})
    assert (made.status, made.h1) == (200, "Bind workspace")
    assert sites_of_workspaces(app)[before:] == ["eu1"]


@pytest.mark.engines("sqlite", "postgresql")
def test_what_a_code_has_proven_stays_proven_where_the_workspace_is_refused(
    app: Flask, bind: Binding, another: Callable[..., Walk]
) -> None:
    owner = another().to_end().person  # type: ignore[attr-defined]
    bind.to_workspaces()
    bind.open_create(site="us1")
    bind.send_code(workspace_name="Beacon", language="en", email=owner.email)
    code = bind.code_of(owner)
    with app.app_context():
        bought = sa.select(Journey.subscription_id).where(Journey.reference == bind.reference)
        ended = sa.update(Subscription).where(Subscription.id == bought.scalar_subquery())
        db.session.execute(ended.values(state=ENDED, ended_at=clock.now()))
        db.session.commit()
    refused = bind.client.submit(bind.page, "Create", {"code": code, "agree": "y"})
    assert refused.h1 == "This subscription has ended"
    with app.app_context():
        db.session.execute(ended.values(state=ACTIVE, ended_at=None))
        db.session.commit()
    again = bind.client.get(bind.page.path)
    assert "Proven. If you change it" in again.text
    made = bind.client.submit(again, "Create", {"agree": "y"})
    assert (made.status, made.h1) == (200, "Bind workspace")


def picks(page: Page) -> list[str]:
    """The usernames that are offered."""
    return [button.get_text() for button in page.soup.select(".picks button")]


def test_an_address_that_is_proven_asks_for_no_code(bind: Binding, another: Callable[..., Walk]) -> None:
    """… when somebody goes back from the choice of another username."""
    taken = another().to_end().person  # type: ignore[attr-defined]
    bind.to_workspaces()
    bind.open_create(registers=True, site="us1")
    person = Person()
    bind.register_and_create(person, username=taken.username)
    assert bind.page.h1 == "Choose another username"
    back = bind.client.click(bind.page, "Back")
    assert "Proven. If you change it" in back.text
    made = bind.client.submit(back, DEED, {"agree": "y", "username": person.username})
    assert (made.status, made.h1) == (200, "Bind workspace")
    assert bind.code_of(person)


@pytest.mark.engines("sqlite", "postgresql")
def test_no_account_is_left_where_its_workspace_could_not_be_ordered(app: Flask, bind: Binding) -> None:
    bind.to_workspaces()
    bind.open_create(registers=True, site="us1")
    person = Person()
    bind.send_code(workspace_name="Beacon", language="en", **person.answers)
    code = bind.code_of(person)
    with app.app_context():
        db.session.execute(sa.update(Subscription).values(state=ENDED, ended_at=clock.now()))
        db.session.commit()
    answers = {"code": code, "agree": "y", **without_hints(person)}
    refused = bind.client.submit(bind.page, DEED, answers)
    assert refused.h1 == "This subscription has ended"
    bind.work()
    assert len(bind.mailbox.to(person.email)) == 1
    with app.app_context():
        assert db.session.scalar(sa.select(ConsoleAccount.id)) is None


@pytest.mark.engines("sqlite", "postgresql")
def test_what_is_no_workspaces_id_is_no_page(bind: Binding) -> None:
    bind.to_workspaces()
    for name in ("%00", "wksp_%00", "%F0%9F%9A%A2", "wksp_0", "wksp_" + "0" * 16, ""):
        page = bind.client.get(f"/journeys/{bind.reference}/bind?workspace={name}")
        assert page.status == 404, name


# ── afterwards ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite", "postgresql")
def test_a_registration_left_undone_is_forgotten_also_where_its_address_has_a_billing_center_account(
    app: Flask, bind: Binding
) -> None:
    bind.land().say_new().give_basics(username="somebody-new")
    bind.enter_code()
    reference: Any = bind.reference
    with clock.later(journeys.PROVEN_LIFE + journeys.AFTERLIFE + timedelta(minutes=1)):
        sweep(app)
    with app.app_context():
        assert db.session.scalar(sa.select(Journey.id).where(Journey.reference == reference)) is None
