"""The site at the top of *Create workspace*: choosing another one keeps what was typed, and nothing goes elsewhere."""

import pytest
from flask import Flask

from tests.support.binding import Binding
from tests.support.factories import Person, rows_of
from tests.support.page import Page
from tests.support.possessions import accounts_of
from tests.support.walk import Walk
from wizard.accounts.models import ConsoleAccount
from wizard.billing.models import Workspace
from wizard.extensions import db

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture
def binding(app: Flask, walk: Walk) -> Binding:
    """Somebody with both accounts and no workspace."""
    return Binding.of(walk, accounts_of(app, Person()).person)


def in_the_form(page: Page) -> dict[str, list[str]]:
    return page.form("Use this site").filled({})


@pytest.mark.parametrize("registers", [False, True], ids=["with a console account", "without one"])
def test_choosing_another_site_keeps_what_was_typed(binding: Binding, registers: bool) -> None:
    """Right or wrong, asked for or not: nothing but the site is judged."""
    binding.to_workspaces()
    binding.open_create(registers=registers, site="us1")
    typed = {"workspace_name": "L" * 90, "language": "zh", "email": "lena", "agree": "y"}
    if registers:
        typed |= {"username": "x", "phone": "call me"}
    page = binding.client.submit(binding.page, "Use this site", {**typed, "new_site": "eu1"})
    assert (page.h1, page.errors) == ("Create workspace", {})
    assert "On eu1 Frankfurt, which cannot be changed later" in page.text
    kept = in_the_form(page)
    assert kept["new_site"] == ["eu1"]
    assert {name: kept[name] for name in typed} == {name: [value] for name, value in typed.items()}


@pytest.mark.engines("sqlite", "postgresql")
def test_the_site_can_be_chosen_there_first(binding: Binding) -> None:
    """Where none is chosen the page asks for it among the other fields too."""
    binding.to_workspaces()
    binding.open_create()
    page = binding.client.submit(binding.page, "Use this site", workspace_name="Lantern")
    assert page.status == 422
    assert "Choose the site where your workspace will live" in page.text
    page = binding.client.submit(page, "Use this site", new_site="ap1")
    assert "On ap1" in page.text
    assert in_the_form(page)["workspace_name"] == ["Lantern"]


def test_a_password_typed_before_is_kept_as_its_hash_or_asked_for_again(app: Flask, binding: Binding) -> None:
    person = Person()
    binding.to_workspaces()
    binding.open_create(registers=True, site="us1")
    for password, again in (("short", "short"), (person.password, "another one")):
        typed = {**person.answers, "password": password, "confirm_password": again, "new_site": "eu1"}
        page = binding.client.submit(binding.page, "Use this site", typed)
        assert "Enter the password again" in page.text
        assert "Leave it empty to keep the password you chose" not in page.text
    page = binding.client.submit(page, "Use this site", {**person.answers, "new_site": "ap1"})
    assert "Enter the password again" not in page.text
    assert "Leave it empty to keep the password you chose" in page.text
    assert person.password not in page.html
    assert person.password not in "".join(row for table in rows_of(app).values() for row in table)
    binding.page = page
    empty = {"password": "", "confirm_password": ""}
    binding.register_and_create(person, workspace_name="Beacon", **empty)
    assert binding.page.h1 == "Bind workspace"
    with app.app_context():
        owner = db.session.query(ConsoleAccount).filter_by(email=person.email).one()
        assert owner.site_id == "ap1"


def test_a_site_marked_and_not_used_makes_no_workspace_elsewhere(app: Flask, binding: Binding) -> None:
    """Enter on the marked site presses the deed; a tab left open may show another site than the one in force."""
    binding.to_workspaces()
    binding.open_create(site="us1")
    owner = binding.person
    binding.send_code(workspace_name="Lantern", language="en", email=owner.email)
    given = {"code": binding.code_of(owner), "agree": "y"}
    page = binding.client.submit(binding.page, "Create", {**given, "new_site": "eu1"})
    assert page.status == 422
    assert "This workspace goes to us1 Oregon. If you want another site, choose it at the top" in page.text
    with app.app_context():
        assert db.session.query(Workspace).filter_by(name="Lantern").count() == 0
    page = binding.client.submit(page, "Create")
    assert page.h1 == "Bind workspace"
    with app.app_context():
        assert db.session.query(Workspace).filter_by(name="Lantern").one().site_id == "us1"
