"""Many at once, where a purchase is bound: sixteen requests bind, make and say one thing, and shut nobody out."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import rows
from tests.support.binding import Binding
from tests.support.client import Client
from tests.support.established import Customer, established, landed_before
from tests.support.factories import Person, count
from tests.support.page import Page
from tests.support.races import RACING, held_before, in_background, press, race, results, tab
from tests.support.walk import Walk
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing.models import Settlement, Subscription, Workspace
from wizard.extensions import db
from wizard.flows.models import Journey, JourneyEvent
from wizard.verification import codes
from wizard.verification.models import Challenge

MANY = 16
BOUND = "A cloud account was bound to your Skylark Billing Center account"


@pytest.fixture
def customer(app: Flask) -> Customer:
    return established(app)


def buyer(app: Flask, walk: Walk, who: Customer, token: str = "") -> Binding:
    """Somebody in a browser of their own who has landed with a purchase and says that they have an account."""
    token = token or landed_before(app, rows.purchase(app), f"a token of {who.payer.username}")
    bind = Binding.of(walk, who.payer)
    bind.bought = {"token": token}
    bind.land()
    return bind.say_have()


def at_workspaces(app: Flask, walk: Walk, who: Customer, token: str = "") -> Binding:
    bind = buyer(app, walk, who, token)
    bind.name_account().enter_code(code_on(app, bind.reference))
    assert bind.page.h1 == "Bind workspace"
    return bind


def code_on(app: Flask, reference: str, *purposes: str) -> str:
    """The code that is open on a journey, for one of these purposes where several are."""
    with app.app_context():
        open_ = [Challenge.bound_to == reference, Challenge.closed_at.is_(None)]
        if purposes:
            open_.append(Challenge.purpose.in_(purposes))
        return codes.code_of(db.session.scalars(sa.select(Challenge).where(*open_)).one())


def events(app: Flask, step: str, what: str) -> int:
    return count(app, JourneyEvent, JourneyEvent.step == step, JourneyEvent.what == what)


def tabs(bind: Binding, how_many: int = MANY) -> list[Client]:
    return [tab(bind.client) for _ in range(how_many)]


def all_at_once(pressed: list[tuple[Client, Page, str, dict[str, Any]]]) -> list[Page]:
    """Different forms sent at the same moment: (browser, page, button, answers) each."""
    forms = [(client, page.form(button), answers) for client, page, button, answers in pressed]
    sent = [(client, form.action, form.filled(answers)) for client, form, answers in forms]

    def send(number: int) -> Page:
        client, action, data = sent[number]
        return client.post(action, data, without=RACING)

    answered = results(race(len(sent), send))
    assert all(answer.status < 500 for answer in answered), sorted(map(str, answered))
    return answered


def is_consistent(app: Flask) -> None:
    """Each workspace is settled as its history says, by a purchase that is its own Billing Center account's."""
    with app.app_context():
        for workspace in db.session.scalars(sa.select(Workspace)):
            lines = db.session.scalars(
                sa.select(Settlement)
                .where(Settlement.workspace_id == workspace.id)
                .order_by(Settlement.number)
            ).all()
            assert [line.number for line in lines] == list(range(1, workspace.settlement_number + 1))
            assert lines[-1].subscription_id == workspace.subscription_id
            if workspace.subscription is not None:
                assert workspace.subscription.billing_account_id == workspace.billing_account_id
        for journey in db.session.scalars(sa.select(Journey).where(Journey.flow == "existing_account")):
            if journey.billing_account_id is not None:
                assert journey.subscription is not None
                assert journey.subscription.billing_account_id == journey.billing_account_id


# ── the purchase ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_purchase_goes_to_one_of_sixteen_accounts(app: Flask, walk: Walk) -> None:
    token = landed_before(app, rows.purchase(app), "a link that was passed on")
    people = [established(app, workspaces=()) for _ in range(MANY)]
    binds = [buyer(app, walk, who, token).name_account() for who in people]
    references = [bind.reference for bind in binds]
    answers = [{"code": code_on(app, reference)} for reference in references]
    answered = all_at_once(
        [(bind.client, bind.page, "Confirm", given) for bind, given in zip(binds, answers, strict=True)]
    )
    # Whoever comes in after it is bound is told at once; who was in by then, on the page they are led to.
    statuses = [answer.status for answer in answered]
    assert set(statuses) <= {303, 409}
    assert events(app, "account", "bound") == 1
    assert events(app, "account", "taken") == statuses.count(303) - 1
    with app.app_context():
        winner = db.session.scalars(sa.select(Subscription.billing_account_id)).one()
        bound = db.session.scalars(sa.select(Journey).where(Journey.billing_account_id.is_not(None))).one()
        assert bound.billing_account_id == winner
    walk.work()
    told = [who for who in people if BOUND in [mail.subject for mail in walk.mailbox.to(who.payer.email)]]
    assert [who.billing_id for who in told] == [winner]
    for bind, who in zip(binds, people, strict=True):
        leads_to = bind.client.get(f"/journeys/{bind.reference}", follow=True)
        assert leads_to.status == (200 if who.billing_id == winner else 409)


def test_one_code_spent_sixteen_times_binds_once_and_shuts_nobody_out(
    app: Flask, walk: Walk, customer: Customer
) -> None:
    bind = buyer(app, walk, customer).name_account()
    code = code_on(app, bind.reference)
    browsers = tabs(bind)
    answered = press(bind.page, "Confirm", browsers, lambda _: {"code": code})
    assert {answer.location for answer in answered} == {f"/journeys/{bind.reference}/workspaces"}
    assert events(app, "account", "bound") == 1
    bind.work()
    assert [mail.subject for mail in bind.mailbox.to(customer.payer.email)].count(BOUND) == 1
    assert all(each.get(answered[0].location or "").status == 200 for each in browsers)


def test_activating_and_binding_give_a_purchase_to_one_account(
    app: Flask, walk: Walk, another: Callable[..., Walk], customer: Customer
) -> None:
    token = landed_before(app, rows.purchase(app), "a link that was passed on")
    new = another()
    new.bought = {"token": token}
    new.to_activation()
    bind = buyer(app, walk, customer, token).name_account()
    workspace = {"workspace_name": "Harbour", "language": "en", "agree": "y"}
    code = code_on(app, bind.reference)
    half = MANY // 2
    activating = [(each, new.page, "Activate", workspace) for each in [tab(new.client) for _ in range(half)]]
    binding = [(each, bind.page, "Confirm", {"code": code}) for each in tabs(bind, half)]
    all_at_once([*activating, *binding])
    is_consistent(app)
    with app.app_context():
        owner = db.session.scalars(sa.select(Subscription.billing_account_id)).one()
    bound = owner == customer.billing_id
    assert events(app, "account", "bound") == int(bound)
    assert events(app, "activation", "ordered") == int(not bound)
    assert count(app, BillingAccount) == 2 - int(bound)
    assert count(app, Workspace, Workspace.subscription_id.is_not(None)) == int(not bound)


@pytest.mark.parametrize("has", ["yes", "no"])
def test_who_changes_over_while_the_code_is_on_its_way_is_in_one_flow_and_not_in_both(
    app: Flask, walk: Walk, customer: Customer, has: str
) -> None:
    """Both flows have a page for a code, and neither acts on a journey that is in the other."""
    token = landed_before(app, rows.purchase(app), "its token")
    bind = Binding.of(walk, customer.payer)
    bind.bought = {"token": token}
    bind.land().say_new().give_basics(username="another-name")
    bind.page = bind.client.submit(bind.client.get("/bind"), "I have a Billing Center account")
    bind.name_account()  # In either flow it is at the code now.
    reference = bind.reference
    if has == "no":
        bind.client.post(
            f"/journeys/{reference}/other", {"csrf_token": bind.page.form("Confirm").fields["csrf_token"]}
        )
        bind.page = bind.client.get(f"/journeys/{reference}/code")
    code = code_on(app, reference, "bind" if has == "yes" else "register")
    csrf = bind.page.form("Confirm").fields["csrf_token"]
    browsers = tabs(bind)

    def send(number: int) -> Page:
        step = "other" if number % 2 else "code"
        form = {"csrf_token": csrf, **({} if number % 2 else {"code": code})}
        return browsers[number].post(f"/journeys/{reference}/{step}", form, without=RACING)

    answered = results(race(MANY, send))
    assert all(answer.status in (303, 422) for answer in answered), sorted(map(str, answered))
    is_consistent(app)
    assert events(app, "account", "bound") <= 1
    with app.app_context():
        journey = db.session.scalars(sa.select(Journey)).one()
        claimed = db.session.scalars(sa.select(Subscription.billing_account_id)).one()
        assert claimed == (journey.billing_account_id if journey.flow == "existing_account" else None)
    assert bind.client.get(f"/journeys/{reference}", follow=True).status == 200


@pytest.mark.engines("postgresql")  # On SQLite whatever writes waits for its turn.
def test_a_code_that_another_tab_overtakes_by_changing_over_binds_nothing(
    app: Flask, walk: Walk, customer: Customer
) -> None:
    bind = Binding.of(walk, customer.payer)
    bind.bought = {"token": landed_before(app, rows.purchase(app), "its token")}
    bind.land().say_new().give_basics(username="another-name")
    bind.page = bind.client.submit(bind.client.get("/bind"), "I have a Billing Center account")
    bind.name_account()
    reference, second, code = bind.reference, tab(bind.client), code_on(app, bind.reference, "bind")
    csrf = bind.page.form("Confirm").fields["csrf_token"]
    with held_before(r"UPDATE journeys") as (there, go_on):
        entering = {"code": code}
        slow = in_background(
            lambda: second.submit(bind.page, "Confirm", entering, follow=False, without=RACING)
        )
        assert there.wait(60)
        over = bind.client.post(f"/journeys/{reference}/other?to=no_billing_account", {"csrf_token": csrf})
        go_on.set()
        answer = slow()
    assert {over.location, answer.location} == {f"/journeys/{reference}/code"}
    with app.app_context():
        assert db.session.scalars(sa.select(Journey.flow)).one() == "no_billing_account"
        assert db.session.scalars(sa.select(Subscription.billing_account_id)).one() is None
    assert events(app, "account", "bound") == 0


# ── workspaces ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_workspace_bound_sixteen_times_is_bound_once(app: Flask, walk: Walk, customer: Customer) -> None:
    bind = at_workspaces(app, walk, customer)
    bind.open_bind("Harbour")
    answered = press(bind.page, "Confirm", tabs(bind), lambda _: {})
    assert {answer.location for answer in answered} == {f"/journeys/{bind.reference}/workspaces"}
    assert count(app, Settlement) == 2
    assert events(app, "bind", "bound") == 1
    is_consistent(app)


def test_of_two_purchases_one_pays_for_a_workspace(app: Flask, walk: Walk, customer: Customer) -> None:
    both = [at_workspaces(app, walk, customer, landed_before(app, rows.purchase(app), f"t{n}")) for n in "12"]
    for bind in both:
        bind.open_bind("Harbour")
    answered = all_at_once(
        [(each, bind.page, "Confirm", {}) for bind in both for each in tabs(bind, MANY // 2)]
    )
    assert sorted(answer.status for answer in answered) == [303] * (MANY // 2) + [422] * (MANY // 2)
    assert count(app, Settlement) == 2
    assert events(app, "bind", "bound") == 1
    is_consistent(app)


def test_confirm_finishes_once(app: Flask, walk: Walk, customer: Customer) -> None:
    bind = at_workspaces(app, walk, customer)
    bind.bind("Harbour")
    answered = press(bind.page, "Confirm", tabs(bind), lambda _: {})
    assert {answer.location for answer in answered} == {f"/journeys/{bind.reference}/successful"}
    assert events(app, "workspaces", "confirmed") == 1


@pytest.mark.parametrize("registers", [False, True], ids=["have an account", "have none"])
def test_one_code_spent_sixteen_times_makes_one_workspace(
    app: Flask, walk: Walk, customer: Customer, registers: bool
) -> None:
    bind = at_workspaces(app, walk, customer)
    bind.open_create(registers, site="us1")
    person = Person() if registers else customer.person
    secrets = {name: answer for name, answer in person.answers.items() if "password" in name}
    bind.send_code(
        workspace_name="Lantern", language="en", **(person.answers if registers else {"email": person.email})
    )
    given = {"code": code_on(app, bind.reference), "agree": "y", **(secrets if registers else {})}
    before = count(app, ConsoleAccount)
    deed = "Register and create workspace" if registers else "Create"
    answered = press(bind.page, deed, tabs(bind), lambda _: given)
    assert {answer.location for answer in answered} == {f"/journeys/{bind.reference}/workspaces"}, answered
    assert count(app, Workspace, Workspace.name == "Lantern") == 1
    assert count(app, ConsoleAccount) == before + int(registers)
    bind.work()
    subjects = [mail.subject for mail in bind.mailbox.to(person.email)]
    assert sum("account is made" in subject for subject in subjects) == int(registers)
    assert subjects.count("Lantern is ready") == 1
    is_consistent(app)


def test_a_site_chosen_while_a_workspace_is_created_does_not_move_it(
    app: Flask, walk: Walk, customer: Customer
) -> None:
    bind = at_workspaces(app, walk, customer)
    bind.open_create(registers=True, site="us1")
    person = Person()
    secrets = {name: answer for name, answer in person.answers.items() if "password" in name}
    bind.send_code(workspace_name="Lantern", language="en", **person.answers)
    given = {"code": code_on(app, bind.reference), "agree": "y", **secrets}
    half = MANY // 2
    creating = [(each, bind.page, "Register and create workspace", given) for each in tabs(bind, half)]
    choosing = [(each, bind.page, "Use this site", {"new_site": "eu1"}) for each in tabs(bind, half)]
    all_at_once([*creating, *choosing])
    with app.app_context():
        made = db.session.scalars(sa.select(Workspace.site_id).where(Workspace.name == "Lantern")).all()
        accounts = db.session.scalars(
            sa.select(ConsoleAccount.site_id).where(ConsoleAccount.email == person.email)
        ).all()
    assert made in ([], ["us1"])
    assert made == accounts
    is_consistent(app)
