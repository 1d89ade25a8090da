"""The one reminder: who bought, gave an address and stopped is written to once; nobody else is written to at all."""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.support import rows
from tests.support.factories import Person
from tests.support.mailbox import Mailbox
from tests.support.races import race, results
from tests.support.walk import Walk
from wizard import clock, worker
from wizard.billing.models import ENDED, Subscription
from wizard.extensions import db
from wizard.flows import mails, reminders
from wizard.flows.models import Journey, JourneyEvent
from wizard.outbox.models import OutboxEntry

START = datetime(2026, 4, 7, 14, 2, 30, tzinfo=UTC)
DAY = timedelta(hours=24)
TICK = timedelta(microseconds=1)
MANY = 16
SUBJECT = "Your Skylark purchase is waiting"


@pytest.fixture
def at_start() -> Iterator[None]:
    with clock.at(START):
        yield


class Stopped:
    """Somebody who bound their Billing Center account at START and then stopped, changed by a test."""

    def __init__(self, app: Flask, **facts: Any) -> None:
        self.app = app
        self.person = Person()
        with clock.at(START):
            self.payer = rows.billing_account(app, self.person)
            self.bought = rows.purchase(app, billing_account_id=self.payer)
            own = {"billing_account_id": self.payer, "subscription_id": self.bought}
            self.journey = rows.journey(app, **{**own, **facts})

    def also(self, **facts: Any) -> Journey:
        """Another journey for the same purchase."""
        with clock.at(START):
            return rows.journey(self.app, **{"subscription_id": self.bought, **facts})

    def set(self, model: type[Any], key: int, **facts: Any) -> None:
        with self.app.app_context():
            db.session.execute(sa.update(model).where(model.id == key).values(**facts))
            db.session.commit()

    @property
    def reminded_at(self) -> datetime | None:
        moment: datetime | None = rows.read(self.app, Journey, self.journey.id, "reminded_at")[0]
        return moment


def asked_for(app: Flask) -> int:
    """How many reminders the outbox has or had."""
    with app.app_context():
        wanted = sa.select(sa.func.count()).select_from(OutboxEntry).where(OutboxEntry.kind == "flows.remind")
        return db.session.scalar(wanted) or 0


def remind(app: Flask, moment: datetime = START + DAY) -> int:
    """What a worker's calendar does at this moment; how many reminders there are then."""
    with clock.at(moment):
        worker.keep_calendar(app)
    return asked_for(app)


# ── who is written to ───────────────────────────────────────────────────────────────────────────────────────


def test_who_stopped_is_written_to_and_goes_on_with_the_link(walk: Walk) -> None:
    """From the purchase to the workspace, by way of the reminder, on another device."""
    with clock.at(START):
        walk.to_company()
    with clock.at(START + DAY + timedelta(minutes=1)):
        worker.keep_calendar(walk.client.app)
        assert walk.subjects()[0] == SUBJECT
        mail = walk.mailbox.to(walk.person.email)[0]
        assert "Company information and Activation method" in mail.text
        digits = " ".join(re.findall("....", walk.bought["customerAWSAccountId"]))
        assert f"AWS account {digits}" in mail.text.replace("\N{NO-BREAK SPACE}", " ")
        found = re.search(r"http://127\.0\.0\.1:5000(/go-on/\S+)", mail.text)
        assert found
        walk.client = walk.client.other()
        walk.page = walk.client.submit(walk.client.get(found[1]), "Send code")
        assert walk.enter_code().h1 == "Company information"
        walk.give_company()
        walk.activate()
        assert walk.wait_until_made().h1 == "Activation successful"


@pytest.mark.engines("sqlite")
def test_the_mail_is_in_the_language_of_the_journey(app: Flask, another: Callable[..., Walk]) -> None:
    with clock.at(START):
        walk = another("zh").to_activation()
    remind(app, START + DAY + timedelta(minutes=1))
    assert walk.subjects()[0] == "您订阅的 Skylark 尚未开通"
    text = walk.mailbox.to(walk.person.email)[0].text
    assert "剩余步骤：选择开通方式" in text
    assert "/go-on/" in text


def test_a_bound_account_is_written_to_at_its_own_address(
    app: Flask, work: Callable[[], int], mailbox: Mailbox
) -> None:
    stopped = Stopped(app, verified_email=Person().email)
    assert remind(app) == 1
    with clock.at(START + DAY):
        work()
    (mail,) = mailbox.to(stopped.person.email)
    assert mail.subject == SUBJECT
    assert "Left to do: Bind workspace\n" in mail.text
    with app.app_context():
        event = db.session.scalars(sa.select(JourneyEvent)).one()
        assert (event.journey_id, event.step, event.what) == (stopped.journey.id, "reminder", "sent")


def test_it_comes_once_after_the_time_that_is_set(app: Flask) -> None:
    stopped = Stopped(app)
    assert remind(app, START + DAY - TICK) == 0
    assert remind(app, START + DAY) == 1
    assert stopped.reminded_at == START + DAY
    for later in (timedelta(minutes=10), timedelta(days=2), timedelta(days=29)):
        assert remind(app, START + DAY + later) == 1
    assert stopped.reminded_at == START + DAY


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize(("hours", "reminders"), [(0, 0), (1, 1), (48, 0)])
def test_when_is_a_setting_and_nought_is_never(
    make_app: Callable[[Settings], Flask], settings: Settings, hours: int, reminders: int
) -> None:
    app = make_app(replace(settings, reminder_after_hours=hours))
    Stopped(app)
    assert remind(app, START + timedelta(hours=2)) == reminders


def test_who_is_still_at_it_is_left_alone(app: Flask) -> None:
    """… also when it is on another journey for the same purchase."""
    stopped = Stopped(app)
    other = stopped.also(flow="no_billing_account")
    busy = START + timedelta(hours=20)
    with app.app_context():
        db.session.add(JourneyEvent(journey_id=other.id, at=busy, step="basic", what="submitted", detail={}))
        db.session.commit()
    assert remind(app, START + DAY) == 0
    assert remind(app, busy + DAY) == 1


def test_who_left_a_month_ago_is_left_alone(app: Flask) -> None:
    """… and a version that is new here does not write to everybody of all years."""
    Stopped(app, flow="no_billing_account", expires_at=START + timedelta(days=90))
    assert remind(app, START + timedelta(days=30) + TICK) == 0
    assert remind(app, START + timedelta(days=30)) == 1


def test_nobody_is_written_to_whose_purchase_does_not_wait_for_them(app: Flask) -> None:
    def finish(it: Stopped) -> None:
        it.set(Journey, it.journey.id, finished_at=START)

    def finish_elsewhere(it: Stopped) -> None:
        it.also(flow="no_billing_account", finished_at=START)

    def be_claimed_by_another(it: Stopped) -> None:
        other = rows.billing_account(app, Person())
        it.set(Subscription, it.bought, billing_account_id=other)

    def be_claimed_while_registering(it: Stopped) -> None:
        facts = {"flow": "no_billing_account", "billing_account_id": None}
        it.set(Journey, it.journey.id, verified_email=it.person.email, **facts)

    def end(it: Stopped) -> None:
        it.set(Subscription, it.bought, state=ENDED)

    def prove_nothing(it: Stopped) -> None:
        it.set(Journey, it.journey.id, billing_account_id=None)
        it.set(Subscription, it.bought, billing_account_id=None)

    def be_over(it: Stopped) -> None:
        it.set(Journey, it.journey.id, expires_at=START + DAY)

    def have_no_purchase(it: Stopped) -> None:
        it.set(Journey, it.journey.id, subscription_id=None)

    reasons = (
        finish,
        finish_elsewhere,
        be_claimed_by_another,
        be_claimed_while_registering,
        end,
        prove_nothing,
        be_over,
        have_no_purchase,
    )
    for reason in reasons:
        reason(Stopped(app))
    assert remind(app) == 0
    for reason in reasons:
        # What was decided is looked at once more before the mail leaves.
        late = Stopped(app)
        before = asked_for(app)
        with clock.at(START + DAY):
            worker.keep_calendar(app)
            assert asked_for(app) == before + 1, reason.__name__
            reason(late)
            with app.app_context():
                entry = db.session.scalars(sa.select(OutboxEntry).order_by(OutboxEntry.id.desc())).first()
            assert entry
            worker.run_once(app)
            (error,) = rows.read(app, OutboxEntry, entry.id, "last_error")
            assert error == "no longer needed: the purchase waits no longer", reason.__name__


def test_an_unclaimed_purchase_waits_for_whoever_registers_with_it(app: Flask) -> None:
    stopped = Stopped(app, flow="no_billing_account", billing_account_id=None, verified_email=Person().email)
    stopped.set(Subscription, stopped.bought, billing_account_id=None)
    assert remind(app) == 1


def test_one_purchase_is_one_reminder_to_who_was_at_it_last(app: Flask) -> None:
    """… at one moment, and when the second journey is left alone for a day later than the first."""
    first = Stopped(app)
    second = first.also(billing_account_id=first.payer)
    assert remind(app) == 1
    assert first.reminded_at is None
    assert rows.read(app, Journey, second.id, "reminded_at") == [START + DAY]
    third = first.also(billing_account_id=first.payer, created_at=START + DAY)
    assert remind(app, START + 3 * DAY) == 1
    assert rows.read(app, Journey, third.id, "reminded_at") == [None]
    # Two workers that each took one of its journeys, neither seeing the other's: the outbox has one all the same.
    first.set(Journey, second.id, reminded_at=None)
    assert remind(app, START + 3 * DAY) == 1
    assert rows.read(app, Journey, third.id, "reminded_at") == [START + 3 * DAY]


# ── how it is done ──────────────────────────────────────────────────────────────────────────────────────────


def test_many_are_written_to_in_batches(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reminders, "BATCH", 3)
    everybody = [Stopped(app) for _person in range(7)]
    asked: list[int] = []
    whole = reminders.remind
    monkeypatch.setattr(reminders, "remind", lambda: asked.append(whole()) or asked[-1])
    assert remind(app) == 7
    assert asked == [3, 3, 1, 0]
    assert all(each.reminded_at for each in everybody)


def test_a_worker_that_is_asked_to_stop_stops_between_two_batches(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reminders, "BATCH", 2)
    for _person in range(5):
        Stopped(app)
    turns = itertools.chain((True, True), itertools.repeat(False))
    with clock.at(START + DAY):
        worker.keep_calendar(app, lambda: next(turns))
    assert asked_for(app) == 4
    assert remind(app) == 5


def test_the_calendar_reminds(app: Flask) -> None:
    Stopped(app)
    with clock.at(START + DAY):
        worker.Worker(app)._turn()
    assert asked_for(app) == 1


def test_racing_workers_remind_once(app: Flask, at_start: None) -> None:
    for _person in range(10):
        stopped = Stopped(app)
        stopped.also(billing_account_id=stopped.payer)
    with clock.at(START + DAY):
        results(race(MANY, lambda _number: worker.keep_calendar(app)))
        assert asked_for(app) == 10
        while worker.run_once(app):
            pass
    with app.app_context():
        sent = db.session.scalar(sa.select(sa.func.count()).select_from(JourneyEvent))
        assert sent == 10


def test_a_reminder_does_not_make_a_customer_look_again(app: Flask) -> None:
    """Whoever sends a form while it is decided has read a journey that is still as it was."""
    stopped = Stopped(app)
    with app.app_context():
        read = db.session.get_one(Journey, stopped.journey.id)
        version = read.version
        db.session.rollback()
        db.session.refresh(read)
        db.session.commit()
        with clock.at(START + DAY):
            assert reminders.remind() == 1
            db.session.commit()
        read.answers = {"workspace_name": "Harbour"}
        db.session.commit()
    assert rows.read(app, Journey, stopped.journey.id, "version", "answers", "reminded_at") == [
        version + 1,
        {"workspace_name": "Harbour"},
        START + DAY,
    ]


# ── the mail about a binding ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite")
def test_the_mail_about_a_binding_is_to_the_accounts_owner_and_in_their_language(app: Flask) -> None:
    bound = Stopped(app, locale="zh", verified_email=Person().email)
    with app.app_context(), clock.at(START):
        told = mails.bound_mail(db.session.get_one(Journey, bound.journey.id), START - DAY)
        link = told["context"]["go_on_url"]
    assert (told["to"], told["name"], told["locale"]) == (bound.person.email, "account_bound", "en")
    assert told["context"]["username"] == bound.person.username
    assert told["context"]["when"] == "6 April 2026, 14:02 (UTC)"
    assert told["context"]["cloud_account"].startswith("AWS account 7828")
    assert told["context"]["reference"] == bound.journey.reference
    assert link.startswith("http://127.0.0.1:5000/go-on/")
