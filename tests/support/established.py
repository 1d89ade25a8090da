"""Customers who are there already, as rows: accounts to sign in with, workspaces, purchases. No walk is walked."""

import itertools
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person
from tests.support.page import Page
from wizard import clock
from wizard.accounts import directory, passwords, usernames
from wizard.billing import settlement
from wizard.billing.models import ACTIVE, AWS, BILLING_CENTER, Workspace
from wizard.extensions import db
from wizard.marketplaces import arrivals
from wizard.marketplaces.models import Arrival

_numbers = itertools.count(1)


@dataclass
class Customer:
    """Somebody with a console account on ``site``, a Billing Center account and workspaces (name → public id).

    ``payer`` is who the Billing Center account is: it has an address of its own, as a company's has.
    """

    person: Person
    payer: Person
    site: str
    console_id: int
    billing_id: int
    workspaces: dict[str, str] = field(default_factory=dict)

    def sign_in(self, client: Client) -> Page:
        """… to the console."""
        return self._sign_in(client, f"/sign-in?site={self.site}", self.person, site=self.site)

    def sign_in_to_billing(self, client: Client) -> Page:
        return self._sign_in(client, "/billing/sign-in", self.payer)

    @staticmethod
    def _sign_in(client: Client, door: str, person: Person, **more: Any) -> Page:
        answers = {"username": person.username, "password": person.password, **more}
        page = client.submit(client.get(door), "Sign in", answers)
        assert page.status == 200, page
        return page


def established(
    app: Flask,
    name: str = "",
    site: str = "us1",
    workspaces: Sequence[str] = ("Harbour",),
    subscription: int | None = None,
) -> Customer:
    """Make one; ``subscription`` pays for the workspaces, their Billing Center account where there is none."""
    name = name or f"nora{next(_numbers)}"
    person, payer = Person(called=name), Person(called=f"{name}-pays", company=f"{name} company")
    with app.app_context():
        ids = []
        for who, where in ((person, usernames.site_scope(site)), (payer, usernames.BILLING)):
            account = directory.create_console_account(
                directory.Person(
                    site_id=site if who is person else "za1",
                    username=who.username,
                    email=who.email,
                    password_hash=passwords.hash_password(who.password),
                    locale="en",
                    company_name=who.company,
                ),
                f"established {who.username}",
            )
            ids.append(account)
            claims = {
                "scope": where,
                "key": who.username,
                "holder": f"console:{account.id}",
                "expires_at": None,
            }
            db.session.execute(sa.insert(usernames.UsernameClaim).values(**claims))
        billing = directory.create_billing_account(ids[1], f"established {payer.username}")
        made = {
            each: _workspace(each, site, ids[0].id, billing.id, subscription).public_id for each in workspaces
        }
        db.session.commit()
        return Customer(person, payer, site, ids[0].id, billing.id, made)


def _workspace(name: str, site: str, owner: int, payer: int, subscription: int | None) -> Workspace:
    public_id = f"wksp_{secrets.token_hex(8)}"
    workspace = Workspace(
        public_id=public_id,
        origin=f"established {public_id}",
        site_id=site,
        name=name,
        language="en",
        state=ACTIVE,
        owner_id=owner,
        billing_account_id=payer,
        settlement_method=AWS if subscription else BILLING_CENTER,
        subscription_id=subscription,
        created_at=clock.now(),
        made_at=clock.now(),
    )
    db.session.add(workspace)
    db.session.flush()
    settlement.write_down(workspace.id, 1, workspace.settlement_method, subscription, by="established")
    return workspace


def landed_before(app: Flask, subscription: int, token: str) -> str:
    """A token by which somebody has landed with a purchase: whoever brings it again needs no marketplace."""
    with app.app_context():
        db.session.add(
            Arrival(
                id=secrets.token_urlsafe(12),
                marketplace="aws",
                token_hash=arrivals.hash_of(token),
                claim_hash=arrivals.hash_of(secrets.token_urlsafe(24)),
                subscription_id=subscription,
                # However far a test moves the clock, this answer is still fresh.
                created_at=clock.now() + 400 * arrivals.LIFE,
                expires_at=clock.now() + 401 * arrivals.LIFE,
            )
        )
        db.session.commit()
    return token
