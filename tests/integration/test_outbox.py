"""Side effects that must happen: written with the change, done after it, tried again until they are."""

import smtplib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from socket import socket
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.support.mailbox import Mailbox
from tests.support.races import race, results
from tests.support.server import free_port
from tests.support.walk import Walk
from wizard import clock, outbox
from wizard.extensions import db
from wizard.flows.models import Journey
from wizard.outbox.entries import LADDER, LEASE
from wizard.outbox.models import OutboxEntry
from wizard.transactions import genuine
from wizard.verification import codes
from wizard.worker import run_once

pytestmark = pytest.mark.engines("sqlite")

START = datetime(2026, 4, 7, 14, 2, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)
KIND = "test"

Do = Callable[[dict[str, Any], int], None]


def after(wait: timedelta) -> AbstractContextManager[None]:
    return clock.at(START + wait)


def write(app: Flask, do: Do | None = None, key: str | None = None, **payload: Any) -> None:
    """Commit one entry at ``START``, to be done by this handler."""
    if do is not None:
        outbox.register(app, {KIND: do})
    with app.app_context(), after(timedelta(0)):
        outbox.enqueue(KIND, payload, key=key)
        db.session.commit()


def entries(app: Flask) -> list[OutboxEntry]:
    with app.app_context():
        return list(db.session.scalars(sa.select(OutboxEntry).order_by(OutboxEntry.id)))


def one(app: Flask) -> OutboxEntry:
    (entry,) = entries(app)
    return entry


def fail(_payload: dict[str, Any], _entry_id: int) -> None:
    raise ConnectionError("nobody there")


# ── with the change, or not at all ──────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite", "postgresql")
def test_a_change_that_is_rolled_back_sends_nothing(app: Flask, walk: Walk) -> None:
    """A request that has done its work, mail and all, meets an exception at the very end."""

    def begins_and_breaks() -> str:
        genuine()
        codes.begin("register", "ada@harbour.test", "SK-0000-0000", "en", {})
        db.session.flush()
        raise ZeroDivisionError

    app.add_url_rule("/breaks", "breaks", begins_and_breaks, methods=["POST"])
    app.testing = False
    assert walk.client.post("/breaks", without=("session",)).status == 500
    assert not entries(app)
    assert walk.work() == 0
    assert not walk.mailbox.all()


@pytest.mark.engines("sqlite", "postgresql")
def test_what_was_committed_before_a_crash_is_done_by_the_next_process(
    make_app: Callable[[Settings], Flask], settings: Settings, walk: Walk
) -> None:
    walk.register().give_basics()
    assert not walk.mailbox.all()
    # No worker ever ran in the first process; this is another one, on the same database.
    assert run_once(make_app(settings)) == 1
    assert walk.enter_code().h1 == "Company information"


@pytest.mark.engines("sqlite", "postgresql")
def test_the_same_key_is_one_entry_in_one_change_and_in_many(app: Flask) -> None:
    done: list[int] = []

    def enqueue(*numbers: int, key: str) -> None:
        with app.app_context():
            for number in numbers:
                outbox.enqueue(KIND, {"number": number}, key=key)
            db.session.commit()

    outbox.register(app, {KIND: lambda payload, _entry_id: done.append(payload["number"])})
    enqueue(1, 1001, key="the same")
    enqueue(1002, key="the same")
    results(race(8, lambda number: enqueue(number, key="many at once")))
    assert [entry.dedupe_key for entry in entries(app)] == ["the same", "many at once"]
    assert run_once(app) == 2
    assert done[0] == 1
    enqueue(1003, key="the same")
    assert run_once(app) == 0, "what was done is done again"


def test_without_a_key_each_is_an_entry_of_its_own(app: Flask) -> None:
    done: list[Any] = []
    for number in range(3):
        write(app, lambda payload, _entry_id: done.append(payload["number"]), number=number)
    run_once(app)
    assert done == [0, 1, 2]


# ── tried again ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_fails_is_tried_again_after_each_wait_of_the_ladder_and_then_is_dead(app: Flask) -> None:
    write(app, fail)
    due = timedelta(0)
    for attempt, wait in enumerate(LADDER, start=1):
        with after(due):
            assert run_once(app) == 1
        entry = one(app)
        assert (entry.attempts, entry.done_at, entry.dead_at) == (attempt, None, None)
        assert entry.last_error == "ConnectionError: nobody there"
        assert (entry.lease_owner, entry.lease_until) == (None, None)
        due += wait
        assert entry.run_after == START + due
        with after(due - TICK):
            assert run_once(app) == 0, "it was tried before its time"
    with after(due):
        assert run_once(app) == 1
    entry = one(app)
    assert (entry.attempts, entry.done_at, entry.dead_at) == (len(LADDER) + 1, None, START + due)
    with after(due + timedelta(days=365)):
        assert run_once(app) == 0, "what is dead was tried again"


def test_what_succeeds_at_last_is_done_once(app: Flask) -> None:
    tries: list[int] = []

    def third_time(_payload: dict[str, Any], entry_id: int) -> None:
        tries.append(entry_id)
        if len(tries) < 3:
            raise ConnectionError

    write(app, third_time)
    for wait in (timedelta(0), LADDER[0], LADDER[0] + LADDER[1], timedelta(days=1)):
        with after(wait):
            run_once(app)
    assert len(tries) == 3
    entry = one(app)
    assert (entry.attempts, entry.dead_at, entry.last_error) == (3, None, None)
    assert entry.done_at == START + LADDER[0] + LADDER[1]


@pytest.mark.engines("sqlite", "postgresql")
def test_what_fails_takes_back_what_it_wrote(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    walk.work()

    def writes_and_fails(_payload: dict[str, Any], _entry_id: int) -> None:
        db.session.execute(sa.update(Journey).values(locale="zh"))
        outbox.enqueue(KIND, {}, key="written by what failed")
        raise ConnectionError

    write(app, writes_and_fails)
    with after(timedelta(0)):
        run_once(app)
    with app.app_context():
        assert db.session.scalars(sa.select(Journey.locale)).all() == ["en"]
    assert "written by what failed" not in {entry.dedupe_key for entry in entries(app)}


@pytest.mark.engines("sqlite", "postgresql")
def test_what_fails_holds_up_nothing_else(app: Flask) -> None:
    done: list[int] = []
    write(app, fail)
    with app.app_context(), after(timedelta(0)):
        outbox.enqueue("other", {})
        outbox.enqueue("nobody does this", {})
        db.session.commit()
    outbox.register(app, {"other": lambda _payload, entry_id: done.append(entry_id)})
    with after(timedelta(0)):
        assert run_once(app) == 3
    assert len(done) == 1
    assert [entry.attempts for entry in entries(app)] == [1, 1, 1]
    assert [entry.done_at is None for entry in entries(app)] == [True, False, True]


def test_what_is_no_longer_needed_is_done(app: Flask) -> None:
    def too_late(_payload: dict[str, Any], _entry_id: int) -> None:
        raise outbox.NoLongerNeeded("too late")

    write(app, too_late)
    with after(timedelta(0)):
        assert run_once(app) == 1
    entry = one(app)
    assert (entry.done_at, entry.dead_at, entry.attempts) == (START, None, 1)
    assert entry.last_error == "no longer needed: too late"


# ── one worker at a time ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite", "postgresql")
def test_what_a_worker_holds_is_left_alone_until_its_lease_ends(app: Flask) -> None:
    seen: list[int] = []

    def slow(_payload: dict[str, Any], _entry_id: int) -> None:
        seen.append(_in_thread(app, LEASE - TICK))

    write(app, slow)
    with after(timedelta(0)):
        run_once(app, "first")
    assert seen == [0]
    assert (one(app).attempts, one(app).done_at) == (1, START)


@pytest.mark.engines("sqlite", "postgresql")
def test_a_worker_that_ends_gives_back_what_is_its_own_and_no_more(app: Flask) -> None:
    taken: list[int] = []

    def slow(_payload: dict[str, Any], _entry_id: int) -> None:
        if len(taken) == 2:
            return
        for ends in ("fir", "first"):
            with app.app_context():
                outbox.give_back(ends)
            taken.append(0)
            taken[-1] = _in_thread(app, TICK)

    write(app, slow)
    with after(timedelta(0)):
        run_once(app, "first")
    assert taken == [0, 1]


@pytest.mark.engines("sqlite", "postgresql")
@pytest.mark.parametrize("first_ends", ["well", "badly", "with nothing to do"])
@pytest.mark.parametrize("second_ends", ["well", "badly"])
def test_a_late_outcome_does_not_overwrite_that_of_who_took_over(
    app: Flask, first_ends: str, second_ends: str
) -> None:
    taken_over_at = LEASE + TICK
    calls: list[int] = []

    def do(_payload: dict[str, Any], entry_id: int) -> None:
        calls.append(entry_id)
        ends = second_ends
        if len(calls) == 1:
            assert _in_thread(app, taken_over_at) == 1
            ends = first_ends
        if ends == "badly":
            raise ConnectionError(f"call {len(calls)}")
        if ends == "with nothing to do":
            raise outbox.NoLongerNeeded

    write(app, do)
    with after(timedelta(0)):
        run_once(app, "first")
    assert len(calls) == 2
    entry = one(app)
    assert entry.attempts == 2
    assert (entry.dead_at, entry.lease_owner, entry.lease_until) == (None, None, None)
    if second_ends == "well":
        assert (entry.done_at, entry.last_error) == (START + taken_over_at, None)
    else:
        assert entry.done_at is None, "the first worker said it was done, after it had lost it"
        assert entry.run_after == START + taken_over_at + LADDER[1]
        assert entry.last_error == "ConnectionError: call 2"


def _in_thread(app: Flask, wait: timedelta) -> int:
    """How many entries another worker attempts, so long after ``START``."""
    attempted: list[int] = []

    def work() -> None:
        with after(wait):
            attempted.append(run_once(app, "second"))

    thread = Thread(target=work, daemon=True)
    thread.start()
    thread.join(60)
    return attempted[0]


# ── the mail server ─────────────────────────────────────────────────────────────────────────────────────────


def test_without_a_mail_server_mail_waits_however_long(
    make_app: Callable[[Settings], Flask], settings: Settings, mailbox: Mailbox
) -> None:
    """``Mail is off: … messages wait in the outbox``, and go out when there is one: a day later, say."""
    off = make_app(replace(settings, mail_server=""))
    _write_mail(off)
    for hour in range(25):
        with after(timedelta(hours=hour)):
            run_once(off)
    entry = one(off)
    assert (entry.done_at, entry.dead_at) == (None, None), f"given up: {entry.last_error}"
    with after(timedelta(hours=28)):
        run_once(make_app(settings))
    assert [mail.to for mail in mailbox.to("ada@harbour.test")] == ["ada@harbour.test"]


def test_a_mail_server_that_refuses_is_tried_again(
    make_app: Callable[[Settings], Flask], settings: Settings, mailbox: Mailbox
) -> None:
    nobody_listens = make_app(replace(settings, mail_port=free_port()))
    _write_mail(nobody_listens)
    with after(timedelta(0)):
        assert run_once(nobody_listens) == 1
    entry = one(nobody_listens)
    assert (entry.attempts, entry.done_at, entry.run_after) == (1, None, START + LADDER[0])
    assert "refused" in (entry.last_error or "")
    with after(LADDER[0]):
        assert run_once(make_app(settings)) == 1
    (mail,) = mailbox.all()
    assert mail.message_id.startswith(f"<outbox-{entry.id}@"), "a mail sent twice could not be told from two"
    assert one(nobody_listens).done_at == START + LADDER[0]


def test_a_mail_server_that_says_nothing_holds_no_worker_beyond_its_lease(
    app: Flask, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits here for one that hangs; what is looked at is how long the product would wait for it."""
    patience: list[float | None] = []
    connect = smtplib.SMTP._get_socket  # type: ignore[attr-defined]

    def noted(self: smtplib.SMTP, *where: Any) -> socket:
        made: socket = connect(self, *where)
        patience.append(made.gettimeout())
        return made

    monkeypatch.setattr(smtplib.SMTP, "_get_socket", noted)
    _write_mail(app)
    with after(timedelta(0)):
        assert run_once(app) == 1
    assert len(mailbox.all()) == len(patience) == 1
    assert patience[0] is not None, "it would wait for ever"
    assert patience[0] < LEASE.total_seconds()


def _write_mail(app: Flask) -> None:
    context = {
        "username": "ada",
        "site": "Oregon",
        "next_url": "http://127.0.0.1:5000/sign-in",
        "reference": None,
    }
    mail = {"to": "ada@harbour.test", "name": "account_created", "locale": "en", "context": context}
    with app.app_context(), after(timedelta(0)):
        outbox.enqueue("mail", mail)
        db.session.commit()
