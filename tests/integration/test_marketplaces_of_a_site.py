"""A site may take the cloud accounts of some marketplaces only: asked wherever something is settled there."""

from dataclasses import replace

import pytest
from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person
from tests.support.possessions import Owner, accounts_of, begun, purchases, sign_in, workspaces
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing import settlement
from wizard.billing import workspaces as billing
from wizard.billing.models import Subscription, Workspace
from wizard.billing.wording import cloud_account_name, refused
from wizard.extensions import db

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture
def owner(app: Flask) -> Owner:
    """… with everything on us1, where of AWS's accounts only those of AWS China may pay."""
    brand = app.extensions["brand"]
    sites = [replace(site, marketplaces=("aws-cn",)) if site.id == "us1" else site for site in brand.sites]
    app.extensions["brand"] = replace(brand, sites=tuple(sites))
    return accounts_of(app, Person())


@pytest.mark.parametrize(("bought_at", "reason"), [("aws", settlement.SITE), ("aws-cn", None)])
def test_only_a_cloud_account_of_a_marketplace_it_lists_pays_for_a_workspace_there(
    app: Flask, owner: Owner, bought_at: str, reason: str | None
) -> None:
    (bought,), (made,) = purchases(app, owner, marketplace=bought_at), workspaces(app, owner)
    with app.app_context():
        subscription, workspace = (
            db.session.get_one(Subscription, bought),
            db.session.get_one(Workspace, made),
        )
        refusal = settlement.refusal_of(workspace, subscription)
        assert (refusal.reason if refusal else None) == reason
        if refusal:
            with app.test_request_context():
                said = refused(refusal, workspace, subscription)
            assert (
                said
                == f"{cloud_account_name(subscription.cloud_account)} cannot pay for workspaces on us1 Oregon"
            )
        account = db.session.get_one(ConsoleAccount, owner.console_id)
        payer = db.session.get_one(BillingAccount, owner.billing_id)
        wanted = billing.Order("us1", "Harbour", "en")
        if reason:
            with pytest.raises(billing.MethodNotAllowed):
                billing.order(wanted, account, payer, subscription, origin="a", by="a test")
        else:
            assert billing.order(wanted, account, payer, subscription, origin="a", by="a test").id


def test_its_card_says_whose_accounts_do_not_pay_there(app: Flask, client: Client, owner: Owner) -> None:
    bought, from_china = purchases(app, owner), purchases(app, owner, marketplace="aws-cn")
    sign_in(client, owner)
    for subscription, told in ((bought[0], 1), (from_china[0], 0)):
        page = client.get(f"/journeys/{begun(app, owner, subscription)}/workspaces", follow=True)
        assert page.h1 == "Bind workspace"
        assert page.text.count("This AWS account cannot pay here") == told
