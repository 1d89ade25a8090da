"""Many at once: whatever sixteen impatient requests do, one of everything is made, and nobody is left outside."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.client import Client
from tests.support.factories import count
from tests.support.page import Page
from tests.support.races import RACING, READ_ALREADY, held_before, in_background, press, race, results, tab
from tests.support.sandbox import LiveSandbox
from tests.support.walk import LANDING, TOKEN, Walk
from wizard import clock
from wizard.accounts.models import BillingAccount, ConsoleAccount, UsernameClaim
from wizard.accounts.sessions import GRACE
from wizard.billing.models import Subscription, Workspace
from wizard.extensions import db
from wizard.flows.models import Journey, JourneyEvent
from wizard.limits import RateLimit
from wizard.outbox.models import OutboxEntry
from wizard.sites.gateway import LocalConsole, NewWorkspace
from wizard.verification import codes
from wizard.verification.models import Challenge
from wizard.worker import run_once

MANY = 16
BUYERS = 64


def press_in_tabs(walk: Walk, button: str, **answers: Any) -> tuple[list[Client], list[Page]]:
    """One person's form sent sixteen times at once, as a nervous finger or a bad network does."""
    tabs = [tab(walk.client) for _ in range(MANY)]
    return tabs, press(walk.page, button, tabs, lambda _: answers)


def opens(client: Client, path: str) -> bool:
    return client.http.get(path, base_url=client.origin).status_code == 200


# ── one person, too fast ────────────────────────────────────────────────────────────────────────────────────


def test_the_choice_on_an_arrival_begins_one_journey(app: Flask, walk: Walk) -> None:
    walk.land()
    tabs, answered = press_in_tabs(walk, "Next", has_account="no")
    assert count(app, Journey) == 1
    assert {answer.status for answer in answered} == {303}
    assert len({answer.location for answer in answered}) == 1
    assert all(opens(each, answered[0].location or "") for each in tabs)


def test_the_first_page_without_a_marketplace_begins_one_journey(
    app: Flask, walk: Walk, another: Callable[..., Walk]
) -> None:
    another().register().give_basics()  # Somebody else is on a journey without an arrival too.
    walk.register()
    tabs, answered = press_in_tabs(walk, "Next", site="us1", **walk.person.answers)
    assert count(app, Journey) == 2
    assert {answer.status for answer in answered} == {303}
    assert len({answer.location for answer in answered}) == 1
    assert all(opens(each, answered[0].location or "") for each in tabs)
    assert len(walk.subjects()) == 1


def test_one_right_code_proves_once_and_shuts_nobody_out(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    tabs, answered = press_in_tabs(walk, "Confirm", code=walk.code())
    assert count(app, JourneyEvent, JourneyEvent.what == "proven") == 1
    assert count(app, Challenge, Challenge.outcome == "proven", Challenge.attempts == 0) == 1
    assert {answer.status for answer in answered} == {303}
    (leads_to,) = {answer.location or "" for answer in answered}
    assert leads_to.endswith("/company")
    assert all(opens(each, leads_to) for each in tabs), "a double click was shut out"
    with clock.later(2 * GRACE):
        assert all(opens(each, leads_to) for each in tabs), "what a double click was given did not last"


def test_wrong_codes_count_five_and_then_the_right_one_fails(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    right = walk.code()
    wrong = [f"{(int(right) + n) % 10**6:06d}" for n in range(1, MANY + 1)]
    tabs = [tab(walk.client) for _ in range(MANY)]
    answered = press(walk.page, "Confirm", tabs, lambda number: {"code": wrong[number]})
    assert {answer.status for answer in answered} == {422}
    told = [re.search(r"you have (\d) tr(?:y|ies) left", answer.text) for answer in answered]
    assert sorted(found[1] for found in told if found) == ["1", "2", "3", "4"], (
        "each try is told its own count"
    )
    assert count(app, Challenge, Challenge.attempts == 5) == 1
    late = walk.client.submit(walk.page, "Confirm", code=right)
    assert late.status == 422
    assert "Five codes were wrong" in late.text
    assert count(app, JourneyEvent, JourneyEvent.what == "proven") == 0


def test_send_code_again_sends_one_and_uses_up_one_of_the_hour(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    walk.work()
    with clock.later(codes.BETWEEN_MAILS):
        _tabs, answered = press_in_tabs(walk, "Send code again")
        walk.work()
    assert count(app, Challenge, Challenge.generation == 2) == 1
    assert len(walk.mailbox.all()) == 2
    assert sorted(answer.status for answer in answered) == [303] + [422] * (MANY - 1)
    said = [answer.soup.select(".summary")[0].text for answer in answered if answer.status == 422]
    assert all("You can send a new code in" in problem for problem in said)
    with app.app_context():
        used = db.session.scalars(sa.select(RateLimit.count).where(RateLimit.key.contains("/mail/"))).all()
    assert used == [2, 2], "what was not sent was counted, for the hour or for the day"


def test_register_makes_one_account_and_one_mail(app: Flask, walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    _tabs, answered = press_in_tabs(walk, "Register", company_name="Harbour Lamps", agree=True)
    assert count(app, ConsoleAccount) == 1
    assert count(app, JourneyEvent, JourneyEvent.what == "registered") == 1
    assert {answer.status for answer in answered} == {303}
    assert {(answer.location or "").rpartition("/")[2] for answer in answered} == {"activation"}
    assert sum("account is made" in subject for subject in walk.subjects()) == 1


def test_activate_makes_one_of_everything(app: Flask, walk: Walk) -> None:
    ordered: list[NewWorkspace] = []

    class Site(LocalConsole):
        def create_workspace(self, site_id: str, workspace: NewWorkspace) -> None:
            super().create_workspace(site_id, workspace)
            ordered.append(workspace)

    app.extensions["console_gateway"] = Site()
    walk.to_activation()
    _tabs, answered = press_in_tabs(walk, "Activate", workspace_name="Harbour", language="en", agree=True)
    assert {answer.status for answer in answered} == {303}
    assert count(app, Workspace) == 1
    assert count(app, BillingAccount) == 1
    assert count(app, OutboxEntry, OutboxEntry.kind == "billing.make_workspace") == 1
    assert walk.subjects().count("Harbour is ready") == 1
    assert len(ordered) == 1


# ── several, for the same thing ─────────────────────────────────────────────────────────────────────────────


def test_a_username_goes_to_one_of_sixteen_journeys(app: Flask, another: Callable[..., Walk]) -> None:
    walks, csrf = [another() for _ in range(MANY)], []
    for walk in walks:
        page = walk.client.get("/register", without=READ_ALREADY)
        form = page.form("Next").filled({"site": "us1", **walk.person.answers, "username": "Harbour.Master"})
        walk.page = walk.client.post("/register", form)
        csrf += form["csrf_token"]
    references = [(walk.page.location or "").split("/")[2] for walk in walks]
    with app.app_context():
        sent = db.session.scalars(sa.select(Challenge)).all()
        right = {challenge.bound_to: codes.code_of(challenge) for challenge in sent}

    def enter(number: int) -> Page:
        form = {"csrf_token": csrf[number], "code": right[references[number]]}
        return walks[number].client.post(f"/journeys/{references[number]}/code", form, without=RACING)

    answered = results(race(MANY, enter))
    assert {answer.status for answer in answered} == {303}
    led_to = [(answer.location or "").rpartition("/")[2] for answer in answered]
    assert (led_to.count("company"), led_to.count("username")) == (1, MANY - 1)
    winner = references[led_to.index("company")]
    with app.app_context():
        holders = db.session.execute(sa.select(UsernameClaim.scope, UsernameClaim.holder)).all()
    assert {(scope, holder) for scope, holder in holders} == {
        ("billing", winner),
        ("site:us1", winner),
    }


def test_a_purchase_goes_to_one_of_two_billing_center_accounts(
    app: Flask, another: Callable[..., Walk]
) -> None:
    first, second = another(), another()
    second.bought = first.land().bought  # The link was passed on: two browsers, two people, one purchase.
    second.land()
    for walk in (first, second):
        walk.say_new().give_basics().enter_code()
        walk.give_company()

    def activate(number: int) -> Page:
        form = {"workspace_name": f"Harbour {number}", "language": "en", "agree": True}
        walk = (first, second)[number]
        return walk.client.submit(walk.page, "Activate", form, follow=False, without=RACING)

    answered = results(race(2, activate))
    assert sorted(answer.status for answer in answered) == [303, 422], list(map(str, answered))
    winner, loser = (first, second) if answered[0].status == 303 else (second, first)
    refused = next(answer for answer in answered if answer.status == 422)
    assert "This purchase pays for another Billing Center account already" in refused.text
    assert winner.person.email not in refused.text
    assert winner.person.username not in refused.text

    with app.app_context():
        payer = db.session.scalars(sa.select(BillingAccount)).one()
        workspace = db.session.scalars(sa.select(Workspace)).one()
        subscription = db.session.scalars(sa.select(Subscription)).one()
        assert payer.email == winner.person.email
        assert subscription.billing_account_id == payer.id == workspace.billing_account_id
        left = db.session.scalars(sa.select(Journey).where(Journey.reference == loser.reference)).one()
        assert (left.workspace_id, left.billing_account_id) == (None, None)
    assert not any("is ready" in subject for subject in loser.subjects())
    # Who lost is not stuck: something else may pay.
    loser.page = loser.client.get(f"/journeys/{loser.reference}", follow=True)
    loser.activate(method="billing_center")
    assert loser.wait_until_made().h1 == "Activation successful"


def test_a_purchase_given_sixteen_times_to_the_registration_going_on_is_given_once(
    app: Flask, walk: Walk
) -> None:
    walk.register().give_basics().enter_code()
    reference = walk.reference
    walk.land()
    _, answered = press_in_tabs(walk, "Next", has_account="no")
    assert {answer.status for answer in answered} == {303}
    assert count(app, Journey) == 1
    assert count(app, Journey, Journey.reference == reference, Journey.subscription_id.is_not(None)) == 1


def test_sixteen_workers_send_a_mail_once(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    attempted = results(race(MANY, lambda number: run_once(app, f"worker {number}")))
    assert sum(attempted) == 1
    assert len(walk.mailbox.to(walk.person.email)) == 1
    assert count(app, OutboxEntry, OutboxEntry.attempts == 1, OutboxEntry.done_at.is_not(None)) == 1


def test_sixty_four_buyers_landing_at_once_all_land(
    app: Flask, client: Client, marketplace: LiveSandbox
) -> None:
    bought = [marketplace.buy(customerAWSAccountId=f"{310_000_000_000 + n}") for n in range(BUYERS)]

    def land(number: int) -> tuple[Page, str]:
        browser = client.other()
        landed = browser.post(LANDING, {TOKEN: bought[number]["token"]}, cross_site=True)
        shown = browser.http.get(landed.location or "", base_url=browser.origin)
        return landed, shown.text

    for number, (landed, shown) in enumerate(results(race(BUYERS, land))):
        assert landed.status == 303, landed
        assert f"3100\N{NO-BREAK SPACE}0000\N{NO-BREAK SPACE}{number:04d}" in shown
    assert count(app, Subscription) == BUYERS


# ── the narrow gaps, held open (SQLite has none: whatever writes there waits for its turn) ──────────────────


@pytest.mark.engines("postgresql")
def test_a_code_spent_between_two_looks_leads_on(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    right, second = walk.code(), tab(walk.client)
    with held_before(r"FROM challenges") as (there, go_on):
        slow = in_background(
            lambda: second.submit(walk.page, "Confirm", code=right, follow=False, without=RACING)
        )
        assert there.wait(60)
        assert walk.enter_code(right).h1 == "Company information"
        go_on.set()
        answer = slow()
    assert answer.status == 303, f"{answer}: {answer.errors}"
    assert (answer.location or "").endswith("/company")
    assert opens(second, answer.location or "")


@pytest.mark.engines("postgresql")
def test_a_code_entered_while_another_tab_changes_an_answer_shuts_nobody_out(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    right, second = walk.code(), tab(walk.client)
    basics = walk.client.click(walk.page, "Change email address")
    with held_before(r"UPDATE journeys") as (there, go_on):
        slow = in_background(
            lambda: second.submit(walk.page, "Confirm", code=right, follow=False, without=RACING)
        )
        assert there.wait(60)
        walk.client.submit(basics, "Next", phone="+86 10 6552 9988")
        go_on.set()
        answer = slow()
    assert answer.status == 303
    assert opens(second, answer.location or ""), "the tab was given a cookie that leads nowhere"
    again = second.get(answer.location or "", follow=True)
    if again.path.endswith("/code"):
        again = second.submit(again, "Confirm", code=right)
    assert again.h1 == "Company information"
