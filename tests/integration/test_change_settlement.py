"""Changing what settles a workspace: each way, each refusal with its reason on the page, in both languages."""

import pytest
from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person
from tests.support.page import Page
from tests.support.possessions import Owner, accounts_of, purchases, sign_in, workspaces
from wizard.billing.models import Workspace
from wizard.extensions import db

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture
def owner(app: Flask) -> Owner:
    return accounts_of(app, Person())


def public_id(app: Flask, workspace: int) -> str:
    with app.app_context():
        return db.session.get_one(Workspace, workspace).public_id


def settled(app: Flask, workspace: int) -> tuple[str, int | None]:
    with app.app_context():
        row = db.session.get_one(Workspace, workspace)
        return row.settlement_method, row.subscription_id


def opened(app: Flask, client: Client, workspace: int) -> Page:
    return client.get(f"/billing/workspaces/{public_id(app, workspace)}/settlement")


def test_a_registered_cloud_account_settles_at_once(app: Flask, client: Client, owner: Owner) -> None:
    [harbour], [bought] = workspaces(app, owner), purchases(app, owner, cloud_account="782858285006")
    sign_in(client, owner)
    page = opened(app, client, harbour)
    assert page.h1 == "Change settlement method"
    assert "Registered cloud account settlement" in page.text
    assert "Settles this workspace now." in page.text
    page = client.submit(page, "Confirm", method=str(bought))
    assert settled(app, harbour) == ("aws", bought)
