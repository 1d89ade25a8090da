"""What was looked at a moment ago may be old: the condition in the UPDATE decides, not the look before it."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.walk import Walk
from wizard import clock
from wizard.accounts import usernames
from wizard.billing import workspaces
from wizard.billing.models import ACTIVE, Subscription, Workspace
from wizard.extensions import db
from wizard.verification import codes
from wizard.verification.models import Challenge


def seen(app: Flask) -> Challenge:
    """The one open challenge as it is now; nobody tells this object what happens to the row afterwards."""
    with app.app_context():
        challenge = db.session.scalars(sa.select(Challenge)).one()
        db.session.expunge(challenge)
    return challenge


def spend(app: Flask, challenge: Challenge, code: str) -> None:
    with app.app_context():
        db.session.add(challenge)
        try:
            codes.spend(challenge, code)
        finally:
            db.session.commit()


def test_a_code_replaced_since_the_look_is_not_accepted(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    challenge, code = seen(app), walk.code()
    with clock.at(clock.now() + codes.BETWEEN_MAILS):
        walk.client.submit(walk.page, "Send code again")
        with pytest.raises(codes.WrongCode):
            spend(app, challenge, code)
        assert walk.code() != code
        assert walk.enter_code().h1 == "Company information"


def test_a_challenge_closed_since_the_look_is_not_spent_again(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    challenge, code = seen(app), walk.code()
    first = clock.now() + timedelta(seconds=10)
    with clock.at(first):
        walk.enter_code(code)
    with clock.at(first + timedelta(seconds=10)), pytest.raises(codes.AlreadySpent):
        spend(app, challenge, code)
    with app.app_context():
        assert db.session.scalars(sa.select(Challenge.closed_at)).one() == first


def test_a_workspace_that_is_there_is_not_made_and_told_again(app: Flask, walk: Walk) -> None:
    walk.to_end()
    told = walk.subjects()
    with app.app_context(), clock.at(clock.now() + timedelta(hours=1)):
        before = db.session.execute(sa.select(Workspace.id, Workspace.state, Workspace.made_at)).one()
        assert before.state == ACTIVE
        workspaces.make({"workspace": before.id}, entry_id=0)
        db.session.commit()
        assert db.session.scalars(sa.select(Workspace.made_at)).one() == before.made_at
    assert walk.subjects() == told


def test_a_name_whose_time_is_over_goes_to_whoever_asks_next(app: Flask) -> None:
    now = clock.now()
    with app.app_context():
        usernames.reserve(
            "us1", "Wei.Chen", "SK-0000-0001", now + timedelta(hours=1), "first@harbour.example"
        )
        with pytest.raises(usernames.UsernameTaken):
            usernames.reserve(
                "us1", "wei.chen", "SK-0000-0002", now + timedelta(hours=9), "second@harbour.example"
            )
        with clock.at(now + timedelta(hours=1)):
            usernames.reserve(
                "us1", "wei.chen", "SK-0000-0002", now + timedelta(hours=9), "second@harbour.example"
            )
            with pytest.raises(usernames.UsernameTaken):
                usernames.reserve(
                    "us1", "wei.chen", "SK-0000-0001", now + timedelta(hours=9), "first@harbour.example"
                )
        db.session.rollback()


def test_a_purchase_that_has_ended_is_claimed_by_nobody(app: Flask, walk: Walk) -> None:
    walk.to_activation()
    with app.app_context():
        db.session.execute(sa.update(Subscription).values(state="ended"))
        db.session.commit()
    assert "choose another way to pay" in walk.activate().text
    with app.app_context():
        assert db.session.scalars(sa.select(Subscription.billing_account_id)).one() is None
        assert db.session.scalars(sa.select(Workspace)).all() == []


def test_what_the_database_was_told_is_not_in_its_errors(app: Flask) -> None:
    with app.app_context():
        with pytest.raises(sa.exc.SQLAlchemyError) as refused:
            db.session.execute(sa.text("SELECT :secret FROM nowhere"), {"secret": "wei.chen@harbour.example"})
        assert "wei.chen" not in str(refused.value)
        db.session.rollback()
