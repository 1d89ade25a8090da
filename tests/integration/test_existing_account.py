"""Who has a Billing Center account binds a purchase to it and to their workspaces: every way, and what stands in it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import possessions
from tests.support.binding import Binding
from tests.support.factories import Person
from tests.support.owner import change, settled, workspaces
from tests.support.possessions import Owner, accounts_of
from tests.support.walk import Walk
from wizard import clock
from wizard.billing.models import (
    AWS,
    BEING_MADE,
    DISSOLVED,
    ENDED,
    Settlement,
    Subscription,
)
from wizard.extensions import db
from wizard.flows.models import Journey, JourneyEvent
from wizard.wording import date_and_time

DAY = timedelta(days=1)

pytestmark = pytest.mark.engines("sqlite")


# The ways through -------------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite", "postgresql")
def test_a_workspace_somebody_has_is_bound_and_paid_by_aws(
    app: Flask, binding: Binding, harbour: str
) -> None:
    binding.land()
    assert binding.say_have().page.h1 == "Bind Billing Center account"
    assert binding.name_account().page.h1 == "Enter the code from your email"
    assert binding.enter_code().h1 == "Bind workspace"
    assert "Billing Center account" in binding.row("Harbour")
    page = binding.open_bind("Harbour")
    number = binding.bought["customerAWSAccountId"]
    assert page.h1 == f"Bind Harbour to AWS account {number[:4]} {number[4:8]} {number[8:]}?"
    assert settled(app, "Harbour") == ("billing_center", None), "looking changes nothing"
    binding.page = binding.client.submit(page, "Confirm")
    assert binding.row("Harbour").endswith("Bound")
    assert settled(app, "Harbour") == (AWS, number)
    assert binding.confirm().h1 == "Activation successful"
    assert "pays for 1 workspace" in binding.page.text
    assert binding.page.link("Sign in") == "/sign-in?site=us1"
    home = binding.sign_in()
    assert (home.h1, number[:4] in home.text) == ("Harbour", True)


def test_all_three_in_one_journey_in_chinese(app: Flask, walk: Walk, owner: Owner, harbour: str) -> None:
    binding = Binding.of(walk, owner.person, language="zh")
    assert binding.land().page.h1 == "您有费用中心账号吗？"
    binding.say_have().name_account().enter_code()
    binding.bind("Harbour")
    binding.open_create()
    binding.create(owner.person, "Lantern")
    binding.open_create(registers=True, site="eu1")
    binding.register_and_create(Person(), "Beacon")
    for name in ("Harbour", "Lantern", "Beacon"):
        assert binding.row(name).endswith("已绑定")
    assert binding.confirm().h1 == "开通成功"
    assert {settled(app, name)[0] for name in ("Harbour", "Lantern", "Beacon")} == {AWS}


@pytest.mark.engines("sqlite", "postgresql")
def test_every_effect_has_its_event_and_its_line_of_history(
    app: Flask, binding: Binding, owner: Owner, harbour: str
) -> None:
    binding.to_workspaces()
    binding.bind("Harbour")
    binding.open_create()
    binding.create(owner.person, "Lantern")
    binding.confirm()
    with app.app_context():
        told = [
            (e.step, e.what) for e in db.session.scalars(sa.select(JourneyEvent).order_by(JourneyEvent.id))
        ]
        assert told == [
            ("account", "submitted"),
            ("account", "bound"),
            ("bind", "bound"),
            ("create", "sent"),
            ("create", "proven"),
            ("create", "ordered"),
            ("workspaces", "confirmed"),
        ]
        journey = db.session.scalars(sa.select(Journey)).one()
        by = [s.by for s in db.session.scalars(sa.select(Settlement).order_by(Settlement.at))]
        doer = f"journey {journey.reference} of billing account {journey.billing_account_id}"
        assert by == ["test", doer, doer]


def test_a_username_nobody_has_is_told_to_support_as_nobodys(app: Flask, binding: Binding) -> None:
    binding.land().say_have().name_account("nobody.here")
    with app.app_context():
        told = db.session.scalars(sa.select(JourneyEvent.detail)).all()
    assert told == [{"which": "other", "code_to": "nobody"}]


def test_what_is_on_a_site_that_is_no_longer_configured_is_named_and_cannot_be_bound(
    app: Flask, binding: Binding, owner: Owner, harbour: str
) -> None:
    binding.to_workspaces()
    link = binding.bind_url("Harbour")
    change(app, "Harbour", site_id="gone9")
    binding.page = binding.client.get(binding.page.path)
    assert "gone9, settled by Billing Center account" in binding.row("Harbour")
    assert "AWS cannot pay for workspaces on gone9" in binding.row("Harbour")
    page = binding.client.get(link)
    assert (page.status, "AWS cannot pay for workspaces on gone9" in page.text) == (200, True)
    assert "Confirm" not in page.buttons
    change(app, "Harbour", subscription_id=bought_id(app), settlement_method=AWS)
    for path in (binding.page.path, f"/journeys/{binding.reference}/successful"):
        assert "gone9" in binding.client.get(path, follow=True).text
    binding.page = binding.client.get(binding.page.path)
    done = binding.confirm()
    assert (done.status, done.path.endswith("/successful"), "Harbour" in done.text) == (200, True, True)


def bought_id(app: Flask) -> int:
    with app.app_context():
        return db.session.scalars(sa.select(Subscription.id)).one()


# Whose account it is ----------------------------------------------------------------------------------------


def test_the_owner_of_the_account_is_told_once_by_mail(binding: Binding) -> None:
    binding.to_workspaces()
    binding.work()
    first = binding.mailbox.to(binding.person.email)[0]
    assert binding.bought["customerAWSAccountId"][-4:] in first.text
    assert "/go-on/" in first.text


def test_the_mail_about_a_binding_says_when_it_was_bound_however_late_it_goes_out(
    app: Flask, binding: Binding, monkeypatch: pytest.MonkeyPatch
) -> None:
    binding.to_workspaces()
    with app.app_context():
        bound = db.session.scalars(
            sa.select(JourneyEvent.at).where(JourneyEvent.step == "account", JourneyEvent.what == "bound")
        ).one()
    now = clock.now
    monkeypatch.setattr(clock, "now", lambda: now() + timedelta(hours=3))
    binding.work()
    told = next(m for m in binding.mailbox.to(binding.person.email) if "/go-on/" in m.text)
    assert date_and_time(bound) in told.text


def test_somebody_signed_in_to_the_billing_center_a_moment_ago_needs_no_code(
    app: Flask, binding: Binding, harbour: str
) -> None:
    client = binding.client
    typed = {"username": binding.person.username, "password": binding.person.password}
    client.submit(client.get("/billing/sign-in"), "Sign in", typed)
    page = binding.land().say_have().page
    assert f"{binding.person.username}, signed in here" in page.text
    binding.page = client.submit(page, "Next", which="here")
    assert binding.page.h1 == "Bind workspace"
    assert "Harbour" in binding.page.text


def test_half_an_hour_after_signing_in_a_code_is_asked_for_again(binding: Binding) -> None:
    client, start = binding.client, clock.now()
    typed = {"username": binding.person.username, "password": binding.person.password}
    client.submit(client.get("/billing/sign-in"), "Sign in", typed)
    page = binding.land().say_have().page
    with clock.at(start + timedelta(minutes=31)):
        assert "signed in here" not in client.get(page.url).text
        page = client.submit(page, "Next", which="here")
        assert page.status == 422, "what an older page offered is not there any more"
        assert page.path.endswith("/account")


def test_another_purchase_of_a_cloud_account_offers_its_billing_center_account_and_names_it_to_nobody(
    app: Flask, binding: Binding, another: Callable[..., Walk]
) -> None:
    binding.to_workspaces()
    number = binding.bought["customerAWSAccountId"]
    again = Binding.of(binding, binding.person)
    page = again.land(customerAWSAccountId=number).say_have().page
    assert again.bought["agreementId"] != binding.bought["agreementId"]
    assert "is bound to already" in page.text
    assert binding.person.username not in page.text
    again.page = again.client.submit(page, "Next", which="same")
    assert again.page.h1 == "Enter the code from your email"
    assert binding.person.username not in again.page.text
    assert binding.person.email not in again.page.html
    assert again.enter_code().h1 == "Bind workspace"


@pytest.mark.engines("sqlite", "postgresql")
def test_a_purchase_is_bound_to_whoever_is_first_and_the_other_is_told_so(
    app: Flask, binding: Binding, walk: Walk
) -> None:
    rival = Binding.of(walk, accounts_of(app, Person()).person)
    binding.land().say_have().name_account()
    rival.bought = {"token": walk.marketplace.buy(agreementId=binding.bought["agreementId"])["token"]}
    rival.land().say_have().name_account()
    binding.enter_code()
    late = rival.client.submit(rival.page, "Confirm", code=rival.code())
    assert (late.status, late.h1) == (409, "This purchase is set up already")
    assert binding.person.username not in late.html
    with app.app_context():
        assert db.session.scalars(sa.select(Subscription)).one().billing_account_id is not None


def test_a_proven_address_with_a_billing_center_account_is_offered_to_bind_it(
    app: Flask, walk: Walk, owner: Owner, harbour: str
) -> None:
    newcomer = Binding.of(walk, owner.person, site="eu1")
    newcomer.land().say_new().give_basics()
    page = newcomer.enter_code()
    assert (page.h1, owner.person.username in page.text) == ("You have a Billing Center account", True)
    newcomer.page = newcomer.client.submit(page, "Next", offer="bind")
    assert newcomer.page.h1 == "Bind workspace"
    newcomer.bind("Harbour")
    assert newcomer.confirm().h1 == "Activation successful"


# Refusals ---------------------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite", "postgresql")
def test_each_refusal_stands_on_its_row_with_its_reason_and_on_its_page(
    app: Flask, binding: Binding, owner: Owner
) -> None:
    ids = workspaces(app, owner, ["Paid", "Soon", "Shut", "Made", "Locked"])
    (pays,) = possessions.purchases(app, owner)
    (ended,) = possessions.purchases(app, owner, state=ENDED)
    change(app, "Paid", settlement_method=AWS, subscription_id=pays)
    change(app, "Soon", settlement_changed_at=clock.now() - DAY)
    change(app, "Shut", site_id="cn4")
    change(app, "Made", state=BEING_MADE)
    change(app, "Locked", settlement_method=AWS, subscription_id=ended)
    binding.land()
    binding.say_have().name_account().enter_code()
    said = {
        "Paid": "pays for it and is still subscribed. Cancel that subscription at AWS first",
        "Soon": "It can change again after",
        "Shut": "AWS cannot pay for workspaces on cn4 Guangzhou",
        "Made": "It is still being made",
    }
    for name, reason in said.items():
        assert reason in binding.row(name)
        assert "Cannot be bound" in binding.row(name)
    for name in said:
        page = binding.client.get(f"/journeys/{binding.reference}/bind?workspace={ids[name]}")
        assert said[name] in page.text
    assert "locked" in binding.row("Locked")
    binding.bind("Locked")
    assert binding.row("Locked").endswith("Bound")


def test_nothing_is_confirmed_before_something_is_bound(binding: Binding, harbour: str) -> None:
    binding.to_workspaces()
    page = binding.confirm()
    assert page.status == 422
    assert "Bind a workspace or create one first" in page.text
    assert binding.client.get(f"/journeys/{binding.reference}/successful").location


@pytest.mark.engines("sqlite", "postgresql")
def test_what_was_looked_for_and_the_page_of_the_list_are_kept_through_binding(
    app: Flask, binding: Binding, owner: Owner
) -> None:
    workspaces(app, owner, [f"Harbour {number}" for number in range(45)])
    binding.to_workspaces()
    binding.page = binding.client.get(f"/journeys/{binding.reference}/workspaces?q=Harbour+1&page=1")
    binding.bind("Harbour 17")
    assert binding.page.url.endswith("workspaces?q=Harbour+1&page=1")
    assert binding.row("Harbour 17").endswith("Bound")


def test_a_dissolved_workspace_is_no_reason_to_confirm(app: Flask, binding: Binding, harbour: str) -> None:
    binding.to_workspaces()
    binding.bind("Harbour")
    change(app, "Harbour", state=DISSOLVED)
    assert binding.confirm().status == 422
