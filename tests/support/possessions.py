"""What a customer has, made at once in the database: accounts, purchases and workspaces, as many as a test wants.

owner = accounts_of(app, Person(), "us1")
bought = purchases(app, owner, 300)
workspaces(app, owner, 5_000, bought[0])
page = sign_in(client, owner)           # to the Billing Center
"""

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person
from tests.support.page import Page
from tests.support.walk import CHINESE
from wizard import clock
from wizard.accounts import directory, passwords, usernames
from wizard.billing.models import ACTIVE, BILLING_CENTER, CloudAccount, Subscription, Workspace
from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.models import Journey

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Owner:
    """A person with a console account on one site and a Billing Center account, by their ids."""

    person: Person
    site: str
    console_id: int
    billing_id: int


def accounts_of(app: Flask, person: Person, site: str = "us1") -> Owner:
    """The two accounts somebody has who activated there."""
    origin = f"SK-0000-{person.username}"
    with app.app_context():
        usernames.reserve(site, person.username, origin, clock.now())
        account = directory.create_console_account(
            directory.Person(
                site_id=site,
                username=person.username,
                email=person.email,
                password_hash=passwords.hash_password(person.password),
                locale="en",
                company_name=person.company,
            ),
            origin,
        )
        billing = directory.create_billing_account(account, origin)
        usernames.keep(person.username, origin, f"console:{account.id}")
        db.session.commit()
        return Owner(person, site, account.id, billing.id)


def purchases(
    app: Flask,
    owner: Owner,
    count: int = 1,
    *,
    cloud_account: str = "",
    marketplace: str = "aws",
    **values: Any,
) -> list[int]:
    """The ids of so many subscriptions, oldest first: each of a cloud account of its own, or all of one number."""
    now = datetime.fromisoformat("2026-03-03T10:00:00+00:00")
    numbers = [next(_numbers) for _ in range(count)]
    accounts = [cloud_account] if cloud_account else [f"{number:012}" for number in numbers]
    with app.app_context():
        made = [
            {"provider": "aws", "partition": marketplace, "account_id": account, "created_at": now}
            for account in accounts
        ]
        ids = _insert(CloudAccount, made)
        rows = [
            {
                "cloud_account_id": ids[place % len(ids)],
                "provider": "aws",
                "identity": f"agreement:{number}",
                "agreement_id": f"agmt-{number:06}",
                "product_code": "product",
                "state": ACTIVE,
                "billing_account_id": owner.billing_id,
                "created_at": now,
                **values,
            }
            for place, number in enumerate(numbers)
        ]
        return _insert(Subscription, rows)


def workspaces(
    app: Flask, owner: Owner, count: int = 1, subscription_id: int | None = None, **values: Any
) -> list[int]:
    """The ids of so many workspaces called "Harbour 1", "Harbour 2" …, oldest first; ``values`` of every one."""
    with app.app_context():
        rows = [
            {
                "public_id": f"wksp_{next(_numbers):016x}",
                "origin": f"SK-0000-{next(_numbers)}",
                "site_id": owner.site,
                "name": f"Harbour {number}",
                "language": "en",
                "state": ACTIVE,
                "owner_id": owner.console_id,
                "billing_account_id": owner.billing_id,
                "settlement_method": "aws" if subscription_id else BILLING_CENTER,
                "subscription_id": subscription_id,
                "created_at": clock.now(),
                **values,
            }
            for number in range(1, count + 1)
        ]
        return _insert(Workspace, rows)


DOOR = "/billing/sign-in"


def sign_in(client: Client, owner: Owner, door: str = DOOR, follow: bool = True, **typed: object) -> Page:
    """Sign in to the Billing Center; ``typed`` instead of what is right."""
    answers = {"username": owner.person.username, "password": owner.person.password, **typed}
    button = CHINESE["Sign in"] if client.language == "zh" else "Sign in"
    return client.submit(client.get(door), button, answers, follow=follow)


def begun(app: Flask, owner: Owner, subscription_id: int) -> str:
    """The reference of a journey that binds workspaces to a purchase of this owner."""
    reference = f"SK-0000-{subscription_id:04}"
    with app.app_context():
        db.session.add(
            Journey(
                reference=reference,
                flow="existing_account",
                locale="en",
                created_at=clock.now(),
                expires_at=clock.now() + journeys.PROVEN_LIFE,
                subscription_id=subscription_id,
                billing_account_id=owner.billing_id,
                answers={},
            )
        )
        db.session.commit()
    return reference


def journeys_in(app: Flask) -> list[int]:
    """The ids of all journeys there are."""
    with app.app_context():
        return list(db.session.scalars(sa.select(Journey.id)))


def change_all(app: Flask, model: type[Any], ids: list[int], **values: Any) -> None:
    """Change these rows behind everybody's back."""
    with app.app_context():
        db.session.execute(sa.update(model).where(model.id.in_(ids)).values(**values))
        db.session.commit()


def _insert(model: type[Any], rows: list[dict[str, Any]]) -> list[int]:
    ids = db.session.scalars(sa.insert(model).returning(model.id, sort_by_parameter_order=True), rows).all()
    db.session.commit()
    return list(ids)
