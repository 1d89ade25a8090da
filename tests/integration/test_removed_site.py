"""A site that is taken out of ``brand.toml`` takes no page with it: what lives there is named by the site's id."""

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import rows
from tests.support.client import Client
from tests.support.established import established
from wizard.accounts.models import ConsoleAccount
from wizard.billing.models import Subscription, Workspace
from wizard.extensions import db

pytestmark = pytest.mark.engines("sqlite")

GONE = "gone9"


def take_out(app: Flask) -> None:
    """Everything lives on a site that is not configured any more."""
    with app.app_context():
        for model in (ConsoleAccount, Workspace):
            db.session.execute(sa.update(model).values(site_id=GONE))
        db.session.commit()


def test_the_console_goes_on(app: Flask, client: Client) -> None:
    one = established(app)
    several = established(app, workspaces=("Pier", "Quay"))
    for customer in (one, several):
        browser = client.other()
        customer.sign_in(browser)
        take_out(app)
        for path in (
            "/console/",
            "/console/account",
            *(f"/console/workspaces/{w}" for w in customer.workspaces.values()),
        ):
            page = browser.get(path, follow=True)
            assert page.status == 200, page
        assert GONE in page.text
        with app.app_context():
            for model in (ConsoleAccount, Workspace):
                db.session.execute(sa.update(model).values(site_id="us1"))
            db.session.commit()


def test_the_billing_center_names_what_lives_there(app: Flask, client: Client) -> None:
    bought = rows.purchase(app)
    customer = established(app, workspaces=("Harbour", "Pier"), subscription=bought)
    with app.app_context():
        db.session.execute(sa.update(Subscription).values(billing_account_id=customer.billing_id))
        db.session.commit()
    customer.sign_in_to_billing(client)
    take_out(app)
    for path in ("/billing/cloud-accounts", f"/billing/cloud-accounts/{bought}"):
        page = client.get(path)
        assert page.status == 200
        assert page.text.count(GONE) >= 2, page
