"""Who binds a purchase may have a workspace made for it: for a console account that is there, or together with one."""

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.binding import Binding
from tests.support.factories import Person, rows_of
from tests.support.owner import settled
from tests.support.possessions import Owner, accounts_of
from wizard.billing.models import AWS
from wizard.extensions import db
from wizard.flows.models import Journey, JourneyEvent

pytestmark = pytest.mark.engines("sqlite")


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
