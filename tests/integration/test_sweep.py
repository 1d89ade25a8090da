"""The calendar: what is over goes, what is needed stays."""

from collections.abc import Callable
from datetime import timedelta

import sqlalchemy as sa
from flask import Flask

from tests.support.walk import Walk
from wizard import clock
from wizard.accounts.models import ConsoleAccount, PasswordReset, Session, UsernameClaim
from wizard.extensions import db
from wizard.flows.models import Journey, JourneyEvent
from wizard.limits import RateLimit
from wizard.marketplaces.models import Arrival
from wizard.outbox.models import OutboxEntry
from wizard.verification.models import Challenge
from wizard.worker import sweep


def counts(app: Flask) -> dict[str, int]:
    tables = (
        Journey,
        JourneyEvent,
        Arrival,
        Challenge,
        Session,
        UsernameClaim,
        PasswordReset,
        RateLimit,
        OutboxEntry,
        ConsoleAccount,
    )
    with app.app_context():
        return {
            t.__tablename__: db.session.scalar(sa.select(sa.func.count()).select_from(t)) or 0 for t in tables
        }


def test_who_never_registered_is_forgotten_and_who_did_is_kept(
    app: Flask, walk: Walk, another: Callable[..., Walk]
) -> None:
    walk.to_end()
    another().to_company()
    another().land()
    browser = walk.client.other()
    browser.submit(browser.get("/forgot-password"), "Send code", site="us1", email=walk.person.email)
    walk.work()
    assert counts(app)["password_resets"] == 1
    with clock.later(timedelta(days=45)):
        sweep(app)
    left = counts(app)
    assert left["journeys"] == left["console_accounts"] == 1
    assert left["journey_events"] > 0
    assert left["arrivals"] == 1
    assert left["username_claims"] == 2, "the name of an account is its own for good"
    assert left["challenges"] == left["sessions"] == left["rate_limits"] == left["outbox"] == 0
    assert left["password_resets"] == 0


def test_nothing_that_is_needed_goes_early(app: Flask, walk: Walk) -> None:
    walk.to_company()
    before = counts(app)
    with clock.later(timedelta(hours=23)):
        sweep(app)
    after = counts(app)
    assert after.pop("rate_limits") <= before.pop("rate_limits")
    assert after == before
