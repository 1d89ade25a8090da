"""Rows as a customer's walk leaves them, for tests about what comes after: a purchase, an account, a journey."""

import itertools
from typing import Any

from flask import Flask

from tests.support.factories import Person
from wizard import clock
from wizard.accounts import addresses
from wizard.accounts.models import BillingAccount
from wizard.billing import subscriptions
from wizard.billing.models import AWS
from wizard.extensions import db
from wizard.flows import journeys
from wizard.flows.models import Journey

_numbers = itertools.count(1)


def purchase(app: Flask, **facts: Any) -> int:
    """The id of a new subscription at AWS, by an account nobody else has; ``facts`` are its columns."""
    number = next(_numbers)
    with app.app_context():
        bought = subscriptions.record(
            subscriptions.Purchase(
                provider=AWS,
                partition="aws",
                identity=f"aws:aws:agreement:agmt-{number}",
                product_code="payg-7f3k2m9q4x",
                account_id=f"7828{number:08d}",
                agreement_id=f"agmt-{number}",
            )
        )
        for name, value in facts.items():
            setattr(bought, name, value)
        db.session.commit()
        return bought.id


def billing_account(app: Flask, person: Person) -> int:
    """The id of a new Billing Center account. Nobody signs in to it: its password is none."""
    with app.app_context():
        account = BillingAccount(
            origin=f"a test {person.number}",
            username=person.username,
            username_key=person.username.casefold(),
            email=person.email,
            email_key=addresses.key_of(person.email),
            password_hash="none",
            company_name=person.company,
            locale="en",
            created_at=clock.now(),
        )
        db.session.add(account)
        db.session.commit()
        return account.id


def journey(app: Flask, flow: str = "existing_account", **facts: Any) -> Journey:
    """A new journey that nobody's browser is on, begun now and alive for thirty days; ``facts`` are its columns."""
    with app.app_context():
        now = clock.now()
        made = Journey(
            **{
                "reference": journeys.new_reference(),
                "flow": flow,
                "locale": "en",
                "created_at": now,
                "expires_at": now + journeys.PROVEN_LIFE,
                "answers": {},
                **facts,
            }
        )
        db.session.add(made)
        db.session.commit()
        return made


def read(app: Flask, model: type[Any], key: int, *names: str) -> list[Any]:
    """These columns of one row as they are now."""
    with app.app_context():
        row = db.session.get_one(model, key)
        return [getattr(row, name) for name in names]
