"""Somebody who has a Billing Center account and binds: the fixtures ``owner``, ``harbour`` and ``binding``, and what
tests of binding ask of the workspaces.
"""

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import possessions
from tests.support.binding import Binding
from tests.support.factories import Person
from tests.support.page import Page
from tests.support.possessions import Owner, accounts_of
from tests.support.walk import Walk
from wizard.billing import settlement
from wizard.billing.models import BILLING_CENTER, Workspace
from wizard.extensions import db


@pytest.fixture
def owner(app: Flask) -> Owner:
    """Somebody with a console account on us1 and a Billing Center account."""
    return accounts_of(app, Person())


@pytest.fixture
def harbour(app: Flask, owner: Owner) -> str:
    """… and a workspace that the Billing Center account settles."""
    return workspaces(app, owner, ["Harbour"])["Harbour"]


@pytest.fixture
def binding(walk: Walk, owner: Owner) -> Binding:
    """… who has not set out yet."""
    return Binding.of(walk, owner.person)


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


def settled(app: Flask, name: str) -> tuple[str, str | None]:
    """What settles a workspace: the method, and the cloud account's number."""
    with app.app_context():
        workspace = db.session.scalars(sa.select(Workspace).filter_by(name=name)).one()
        paying = workspace.subscription
        return workspace.settlement_method, paying.cloud_account.account_id if paying else None


def sign_in_to_billing(binding: Binding) -> Page:
    """Sign in at the Billing Center's own door; the page that leads to."""
    typed = {"username": binding.person.username, "password": binding.person.password}
    return binding.client.submit(binding.client.get("/billing/sign-in"), "Sign in", typed)
