"""Who has a Billing Center account binds a purchase to it and to workspaces: every way, and what stands in it."""

from collections.abc import Callable
from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import possessions
from tests.support.binding import Binding
from tests.support.factories import Person, rows_of
from tests.support.page import Page
from tests.support.possessions import Owner, accounts_of
from tests.support.walk import Walk
from wizard import clock
from wizard.billing import settlement
from wizard.billing.models import (
    AWS,
    BEING_MADE,
    BILLING_CENTER,
    DISSOLVED,
    ENDED,
    Settlement,
    Subscription,
    Workspace,
)
from wizard.extensions import db
from wizard.flows.models import Journey, JourneyEvent
from wizard.wording import date_and_time

pytestmark = pytest.mark.engines("sqlite")

DAY = timedelta(days=1)


@pytest.fixture
def owner(app: Flask) -> Owner:
    """Somebody with a console account on us1 and a Billing Center account."""
    return accounts_of(app, Person())


def workspaces(app: Flask, owner: Owner, names: list[str]) -> dict[str, str]:
    """Workspaces that the Billing Center account settles: name → public id."""
    ids = possessions.workspaces(app, owner, len(names))
    with app.app_context():
        made = db.session.scalars(
            sa.select(Workspace).where(Workspace.id.in_(ids)).order_by(Workspace.id)
        ).all()
        for workspace, name in zip(made, names, strict=True):
            workspace.name = name
            settlement.write_down(workspace.id, 1, BILLING_CENTER, None, by="test")
        db.session.commit()
        return {workspace.name: workspace.public_id for workspace in made}


def change(app: Flask, name: str, **values: object) -> None:
    """Change a workspace behind everybody's back."""
    with app.app_context():
        db.session.execute(sa.update(Workspace).where(Workspace.name == name).values(**values))
        db.session.commit()


@pytest.fixture
def harbour(app: Flask, owner: Owner) -> str:
    """… and a workspace that the Billing Center account settles."""
    return workspaces(app, owner, ["Harbour"])["Harbour"]


@pytest.fixture
def binding(walk: Walk, owner: Owner) -> Binding:
    return Binding.of(walk, owner.person)


def settled(app: Flask, name: str) -> tuple[str, str | None]:
    """What settles a workspace: the method, and the cloud account's number."""
    with app.app_context():
        workspace = db.session.scalars(sa.select(Workspace).filter_by(name=name)).one()
        paying = workspace.subscription
        return workspace.settlement_method, paying.cloud_account.account_id if paying else None


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


@pytest.mark.engines("sqlite", "postgresql")
def test_a_workspace_is_created_for_somebody_who_has_a_console_account(
    app: Flask, binding: Binding, owner: Owner
) -> None:
    binding.to_workspaces()
    assert "has no workspace yet" in binding.page.text
    binding.open_create(site="us1")
    binding.create(owner.person, "Lantern")
    assert (binding.page.h1, binding.row("Lantern")[-5:]) == ("Bind workspace", "Bound")
    assert "Lantern" in binding.page.line[-1]
    assert binding.confirm().h1 == "Activation successful"
    binding.work()
    assert binding.sign_in().h1 == "Lantern"
    assert settled(app, "Lantern")[0] == AWS


@pytest.mark.engines("sqlite", "postgresql")
def test_a_workspace_is_created_together_with_its_console_account(app: Flask, binding: Binding) -> None:
    newcomer = Person()
    binding.to_workspaces()
    binding.open_create(registers=True, site="eu1")
    binding.register_and_create(newcomer, "Beacon")
    assert binding.row("Beacon").endswith("Bound")
    binding.confirm()
    binding.work()
    theirs = Binding.of(binding, newcomer, site="eu1")
    assert theirs.sign_in().h1 == "Beacon"
    subjects = theirs.subjects()
    assert len(subjects) == 3, subjects  # The code, the account, the workspace: each once.
    assert settled(app, "Beacon")[0] == AWS


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
        assert by == ["test", f"journey {journey.reference}", f"journey {journey.reference}"]


def test_support_sees_each_code_and_each_name_by_its_event_and_no_whole_address(
    app: Flask, binding: Binding, owner: Owner, harbour: str
) -> None:
    binding.to_workspaces()
    binding.open_create(registers=True, site="us1")
    person = Person()
    binding.register_and_create(person)
    with app.app_context():
        events = db.session.scalars(sa.select(JourneyEvent).order_by(JourneyEvent.id)).all()
        told = {(e.step, e.what): e.detail for e in events}
        named = [(e.step, e.what) for e in events if e.step == "create-account"]
    assert named == [("create-account", "sent")]
    domain = person.email.partition("@")[2]
    assert told["create-account", "sent"] == {"code_to": f"{person.email[0]}…@{domain}"}
    assert told["account", "submitted"]["code_to"].startswith(f"{owner.person.email[0]}…@")
    assert told["create", "registered and ordered"]["proven_by"] == "code"
    assert person.email not in str(told)
    assert owner.person.email not in str(told)


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
    assert "pays through already" in page.text
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


@pytest.mark.engines("sqlite", "postgresql")
def test_a_landing_of_what_is_bound_already_leads_its_owner_to_the_billing_center(binding: Binding) -> None:
    binding.to_workspaces()
    elsewhere = Binding.of(binding)
    elsewhere.bought = {"token": binding.marketplace.buy(agreementId=binding.bought["agreementId"])["token"]}
    page = elsewhere.land().page
    assert page.h1 == "This subscription is already set up"
    assert binding.person.username not in page.html
    door = elsewhere.client.click(page, "Sign in to the Billing Center")
    typed = {"username": binding.person.username, "password": binding.person.password}
    its_page = elsewhere.client.submit(door, "Sign in", typed)
    assert binding.bought["agreementId"] in its_page.text
    # Signed in, the next landing leads there at once.
    elsewhere.bought = {"token": binding.marketplace.buy(agreementId=binding.bought["agreementId"])["token"]}
    assert elsewhere.land().page.path == its_page.path


# Over to registering and back, and the offer ------------------------------------------------------------------


def test_who_has_no_account_after_all_goes_over_to_registering_and_back_with_the_purchase(
    binding: Binding,
) -> None:
    page = binding.land().say_have().page
    reference = binding.reference
    page = binding.client.submit(page, "Register one")
    assert (page.h1, binding.bought["customerAWSAccountId"][:4] in page.text) == ("Basic information", True)
    page = binding.client.submit(page, "Bind the purchase to it")
    assert page.path == f"/journeys/{reference}/account"


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


def test_the_front_door_says_where_to_buy_and_leads_on_with_what_was_bought(binding: Binding) -> None:
    page = binding.client.get("/bind")
    assert "Set Up Your Account" in page.text
    assert any("/sandbox/aws/" in link for link in page.links.values())
    binding.land()
    assert binding.client.get("/bind", follow=True).h1 == "Do you have a Billing Center account?"
    binding.say_have()
    assert binding.client.get("/bind", follow=True).path == f"/journeys/{binding.reference}/account"


def test_signing_in_to_the_billing_center_on_another_device_goes_on_where_one_stopped(
    binding: Binding, harbour: str
) -> None:
    binding.to_workspaces()
    elsewhere = binding.client.other()
    typed = {"username": binding.person.username, "password": binding.person.password}
    page = elsewhere.submit(elsewhere.get("/billing/sign-in"), "Sign in", typed)
    assert (page.h1, page.path) == ("Bind workspace", f"/journeys/{binding.reference}/workspaces")


# Creating -----------------------------------------------------------------------------------------------------


def test_send_code_keeps_what_was_typed_and_shows_no_password(app: Flask, binding: Binding) -> None:
    newcomer = Person()
    binding.to_workspaces()
    binding.open_create(registers=True, site="us1")
    page = binding.send_code(workspace_name="Beacon", language="zh", **newcomer.answers)
    assert "Email sent at" in page.text
    assert page.form("Send code").filled({})["workspace_name"] == ["Beacon"]
    assert page.form("Send code").filled({})["language"] == ["zh"]
    assert newcomer.password not in page.html
    kept = "".join(row for table in rows_of(app).values() for row in table)
    assert newcomer.password not in kept


def test_send_code_asks_for_the_address_only_but_lets_nothing_wrong_pass(binding: Binding) -> None:
    binding.to_workspaces()
    binding.open_create(registers=True, site="us1")
    assert set(binding.send_code().errors) == {"email"}
    page = binding.send_code(email="a@harbour.test", username="x", password="short", confirm_password="short")
    assert set(page.errors) == {"username", "password"}
    assert binding.mailbox.to("a@harbour.test") == []


def test_an_address_without_an_account_there_is_answered_like_any_other_and_told_by_mail(
    binding: Binding,
) -> None:
    stranger = Person()
    binding.to_workspaces()
    binding.open_create(site="eu1")
    page = binding.send_code(workspace_name="Lantern", language="en", email=stranger.email)
    assert "Email sent at" in page.text
    binding.work()
    mail = binding.mailbox.to(stranger.email)[0]
    assert "eu1 Frankfurt" in mail.text
    assert "code" not in mail.subject


def test_registering_an_address_that_has_an_account_there_is_told_by_mail_only(
    binding: Binding, owner: Owner
) -> None:
    binding.to_workspaces()
    binding.open_create(registers=True, site="us1")
    answers = {**Person().answers, "email": owner.person.email}
    page = binding.send_code(workspace_name="Beacon", language="en", **answers)
    assert "Email sent at" in page.text
    assert "already have" in binding.subjects()[0]


@pytest.mark.engines("sqlite", "postgresql")
def test_a_taken_username_is_asked_for_again_and_nothing_else(app: Flask, binding: Binding) -> None:
    taken, newcomer = accounts_of(app, Person(), site="eu1"), Person()
    binding.to_workspaces()
    binding.open_create(registers=True, site="eu1")
    binding.send_code(
        workspace_name="Beacon", language="en", **{**newcomer.answers, "username": taken.person.username}
    )
    given = {"code": binding.code_of(newcomer), "agree": "y"}
    page = binding.client.submit(binding.page, "Register and create workspace", given)
    assert page.h1 == "Choose another username"
    binding.page = binding.client.submit(page, "Next", username=newcomer.username)
    assert binding.row("Beacon").endswith("Bound")


def test_the_name_of_the_billing_center_account_is_free_to_its_owner(app: Flask, binding: Binding) -> None:
    newcomer = Person(called=binding.person.username, at="elsewhere.test")
    binding.to_workspaces()
    binding.open_create(registers=True, site="eu1")
    binding.register_and_create(newcomer, "Beacon")
    assert binding.row("Beacon").endswith("Bound")


def test_a_second_workspace_begins_with_an_empty_form_and_a_code_of_its_own(
    binding: Binding, owner: Owner
) -> None:
    binding.to_workspaces()
    binding.open_create(site="us1")
    binding.create(owner.person, "Lantern")
    page = binding.open_create()
    assert page.form("Create").filled({})["workspace_name"] == [""]
    given = {
        "workspace_name": "Second",
        "language": "en",
        "email": owner.person.email,
        "agree": "y",
        "code": "123456",
    }
    assert "Send a new code first" in binding.client.submit(page, "Create", given).text


def test_a_site_must_be_chosen_and_must_take_the_method(binding: Binding, owner: Owner) -> None:
    binding.to_workspaces()
    page = binding.open_create()
    assert set(binding.client.submit(page, "Send code", email=owner.person.email).errors) == {"site-0"}
    shut = binding.client.post(
        page.form("Send code").action,
        {**page.form("Send code").filled({}), "email": owner.person.email, "site": "cn4"},
    )
    assert shut.status in (303, 422)
    assert binding.mailbox.to(owner.person.email)[1:] == []


# Refusals -----------------------------------------------------------------------------------------------------


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


# Who is led where ---------------------------------------------------------------------------------------------


def sign_in_to_billing(binding: Binding) -> Page:
    typed = {"username": binding.person.username, "password": binding.person.password}
    return binding.client.submit(binding.client.get("/billing/sign-in"), "Sign in", typed)


def test_signing_in_to_the_billing_center_goes_on_with_the_purchase_this_browser_brought(
    binding: Binding, harbour: str
) -> None:
    binding.to_workspaces()  # … and stops there; then buys anew in another browser.
    anew = Binding.of(binding)
    anew.land().say_have()
    page = sign_in_to_billing(anew)
    assert page.path == f"/journeys/{anew.reference}/account"
    assert "signed in here" in page.text
    assert anew.bought["customerAWSAccountId"][:4] in page.text


def test_the_console_password_of_who_registered_does_not_open_what_another_account_was_bound_to(
    app: Flask, walk: Walk, owner: Owner, harbour: str
) -> None:
    """Two people: one registers with the purchase, the other's Billing Center account is then bound to it."""
    newcomer = Binding.of(walk, Person())
    newcomer.land().say_new().give_basics().enter_code()
    newcomer.give_company()
    reference = newcomer.reference
    newcomer.page = newcomer.client.submit(newcomer.page, "Bind the purchase to it")
    newcomer.name_account(owner.person.username)
    newcomer.page = newcomer.client.submit(newcomer.page, "Confirm", code=newcomer.code_of(owner.person))
    assert "Harbour" in newcomer.page.text
    elsewhere = newcomer.client.other()
    front = newcomer.sign_in(elsewhere)
    assert front.path.startswith("/console/")
    assert "Harbour" not in front.text
    assert elsewhere.get(f"/journeys/{reference}/workspaces").status == 404


@pytest.mark.engines("sqlite", "postgresql")
def test_who_registered_and_lost_the_purchase_goes_on_registering_and_pays_another_way(
    app: Flask, walk: Walk, binding: Binding
) -> None:
    newcomer = Binding.of(walk, Person())
    newcomer.land().say_new().give_basics().enter_code()
    newcomer.give_company()
    newcomer.page = newcomer.client.submit(newcomer.page, "Bind the purchase to it")
    binding.bought = {"token": walk.marketplace.buy(agreementId=newcomer.bought["agreementId"])["token"]}
    binding.land().say_have().name_account().enter_code()
    there = newcomer.client.other()
    back = newcomer.sign_in(there)
    assert back.h1 == "Activation method"
    told = there.submit(back, "Activate", {"workspace_name": "Beacon", "language": "en", "agree": "y"})
    assert (told.status, "Choose another way to pay" in told.text) == (422, True)
    newcomer.client, newcomer.page = there, told
    newcomer.activate(workspace_name="Beacon", method="billing_center")
    assert newcomer.wait_until_made().h1 == "Activation successful"


def test_who_registered_and_changed_over_without_binding_may_always_go_on(walk: Walk) -> None:
    newcomer = Binding.of(walk, Person())
    newcomer.land().say_new().give_basics().enter_code()
    newcomer.give_company()
    newcomer.client.submit(newcomer.page, "Bind the purchase to it")
    with clock.later(40 * DAY):
        assert newcomer.sign_in(newcomer.client.other()).h1 == "Bind Billing Center account"


def test_the_other_device_of_who_bound_it_is_led_to_what_it_pays_for(binding: Binding) -> None:
    late = Binding.of(binding)
    late.land().say_have()
    binding.bought = {"token": binding.marketplace.buy(agreementId=late.bought["agreementId"])["token"]}
    binding.land().say_have().name_account().enter_code()
    journey = late.page.path
    assert late.client.get(journey).status == 409
    sign_in_to_billing(late)
    assert late.bought["agreementId"] in late.client.get(journey, follow=True).text


def test_a_purchase_that_has_ended_leads_nobody_back_to_it(
    app: Flask, binding: Binding, harbour: str
) -> None:
    binding.to_workspaces()
    with app.app_context():
        db.session.execute(sa.update(Subscription).values(state=ENDED))
        db.session.commit()
    assert sign_in_to_billing(Binding.of(binding)).h1 == "Workspace management"


def test_what_was_typed_and_not_sent_is_not_kept_after_the_end(
    app: Flask, binding: Binding, harbour: str
) -> None:
    binding.to_workspaces()
    binding.bind("Harbour")
    binding.open_create(registers=True)
    binding.send_code(workspace_name="Beacon", language="en", **Person().answers)
    binding.page = binding.client.get(f"/journeys/{binding.reference}/workspaces")
    binding.confirm()
    with app.app_context():
        journey = db.session.scalars(sa.select(Journey)).one()
        assert journey.password_hash is None
        assert not {"email", "username", "phone", "workspace_name"} & set(journey.answers)


def test_binding_makes_the_journey_live_on_and_gives_this_browser_a_new_id(
    app: Flask, binding: Binding
) -> None:
    binding.land().say_have().name_account()
    cookie = f"journey-{binding.reference}"
    before = binding.client.cookie(cookie)
    stolen = binding.client.other()
    assert before is not None
    stolen.http.set_cookie(cookie, before, domain="127.0.0.1")
    binding.enter_code()
    assert binding.client.cookie(cookie) not in (None, before)
    with clock.later(timedelta(minutes=1)):
        assert stolen.get(f"/journeys/{binding.reference}/workspaces").status == 404
    with clock.later(29 * DAY):
        assert binding.client.get(f"/journeys/{binding.reference}/workspaces").h1 == "Bind workspace"
    with clock.later(31 * DAY):
        page = binding.client.get(f"/journeys/{binding.reference}/workspaces")
        assert page.status in (404, 410), "the journey and its session are over"
        assert sign_in_to_billing(Binding.of(binding)).h1 == "Workspace management", (
            "nobody is led to what is over"
        )


def test_a_journey_nobody_proved_anything_on_ends_after_a_day_and_says_how_to_start_again(
    binding: Binding,
) -> None:
    page = binding.land().say_have().page
    with clock.later(timedelta(hours=25)):
        gone = binding.client.get(page.url)
        assert gone.status == 410
        assert "open Set Up Your Account there once more" in gone.text


def test_what_is_bound_is_not_carried_over_to_registering(binding: Binding) -> None:
    page = binding.land().say_have().page
    switch = page.form("Register one")
    binding.name_account().enter_code()
    sent = binding.client.post(switch.action, switch.filled({}), follow=True)
    assert sent.h1 == "Bind workspace"
    assert "Register one" not in sent.text


def test_the_code_that_is_entered_must_be_for_the_address_that_is_in_the_form(
    binding: Binding, owner: Owner
) -> None:
    binding.to_workspaces()
    binding.open_create(site="us1")
    binding.send_code(workspace_name="Lantern", language="en", email=owner.person.email)
    code = binding.code_of(owner.person)
    given = {"code": code, "agree": "y", "email": "somebody.else@harbour.test"}
    page = binding.client.submit(binding.page, "Create", given)
    assert "Send a code to this address first" in page.text
    # It was not spent: for its own address it still works.
    binding.page = binding.client.submit(page, "Create", {**given, "email": owner.person.email})
    assert binding.row("Lantern").endswith("Bound")


def test_a_dissolved_workspace_is_no_reason_to_confirm(app: Flask, binding: Binding, harbour: str) -> None:
    binding.to_workspaces()
    binding.bind("Harbour")
    change(app, "Harbour", state=DISSOLVED)
    assert binding.confirm().status == 422


def test_registering_begins_with_the_purchase_that_waits_in_this_browser(binding: Binding) -> None:
    binding.land()
    page = binding.client.get("/register", follow=True)
    assert page.h1 == "Do you have a Billing Center account?"
    front = binding.client.get("/billing/", follow=True)
    typed = {"username": binding.person.username, "password": binding.person.password}
    assert binding.client.submit(front, "Sign in", typed).h1 == "Do you have a Billing Center account?"
