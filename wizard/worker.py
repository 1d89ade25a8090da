"""What happens beside the requests: the outbox is done, signs of life are given, what is over is swept away."""

import logging
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import click
from flask import Flask, current_app

from wizard import limits, logs, outbox
from wizard.accounts import resets, sessions, usernames
from wizard.billing import locks
from wizard.extensions import db
from wizard.flows import journeys, reminders
from wizard.marketplaces import inbox, queues, reconciliation
from wizard.outbox import entries
from wizard.outbox.entries import BEAT_EVERY
from wizard.transactions import after_commit
from wizard.verification import codes

IDLE = 1.0
"""Seconds between looks at the outbox when nobody wakes the worker."""

SWEEP_EVERY = timedelta(minutes=10)

log = logging.getLogger("wizard.worker")


def run_once(app: Flask, owner: str = "once", go_on: Callable[[], bool] = lambda: True) -> int:
    """Do everything that is due now, while ``go_on()``. Returns how many outbox entries were attempted."""
    done = 0
    with app.app_context():
        while count := outbox.run_due(owner, go_on):
            done += count
    return done


def sweep(app: Flask) -> None:
    """Let each room remove what is over, in transactions of their own: they are many rows, not one change."""
    for room in (limits, sessions, resets, usernames, codes, journeys, entries):
        with _alone(app, room.__name__):
            room.sweep()
            db.session.commit()


def keep_calendar(app: Flask, go_on: Callable[[], bool] = lambda: True) -> None:
    """Do what is due because time has passed, a batch a transaction, while ``go_on()``. Safe twice, and late."""
    for due in (
        reminders.remind,
        inbox.replay_waiting,
        reconciliation.unanswered,
        reconciliation.begin,
        locks.warn,
        locks.close,
    ):
        with _alone(app, f"{due.__module__}.{due.__name__}"):
            while go_on() and due():
                db.session.commit()
                db.session.expunge_all()


@contextmanager
def _alone(app: Flask, part: str) -> Iterator[None]:
    """A part that fails must not keep the others from being done; it is tried again when all of them are."""
    try:
        with app.app_context():
            yield
    except Exception:
        log.exception("a part of the calendar failed", extra={"alert": "worker", "part": part})


@click.command("worker")
def command() -> None:
    """Do the outbox and the calendar until stopped."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    worker = Worker(app)

    def end(*_: object) -> None:
        if worker.is_stopping:
            raise SystemExit(1)  # Asked twice: whatever it was doing is given back.
        worker.stop()

    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, end)
    worker.run()


class Worker:
    """A worker that runs until it is stopped; any number may run over one database."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._woken = threading.Event()
        self.is_stopping = False
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._last_beat = self._last_sweep = 0.0
        after_commit(app, self.wake)

    def wake(self) -> None:
        """Something was committed: look at once."""
        self._woken.set()

    def stop(self) -> None:
        """Finish what is being done, then end. Only a flag: it may be a signal's handler that says so."""
        self.is_stopping = True

    def give_back(self) -> None:
        """What this worker holds is free for the others. For whoever ends it before it is done."""
        with self._app.app_context():
            outbox.give_back(self.name)

    def run(self) -> None:
        """Work until stopped. A database that is gone for a while is waited for."""
        with logs.about(worker=self.name):
            log.info("the worker works")
            listeners = queues.listen(self._app, self.wake)
            try:
                while not self.is_stopping:
                    self._woken.clear()
                    try:
                        self._turn()
                    except Exception:
                        log.exception("the worker could not work; it tries again", extra={"alert": "worker"})
                    self._woken.wait(IDLE)
            except SystemExit:
                self.give_back()
                raise
            finally:
                for listener in listeners:
                    listener.stop()
                log.info("the worker ends")

    def _go_on(self) -> bool:
        """Asked before each entry: show a sign of life, however slow the work is, and say whether to do more."""
        moment = time.monotonic()
        if moment - self._last_beat >= BEAT_EVERY.total_seconds() or not self._last_beat:
            outbox.beat(self.name)
            self._last_beat = moment
        return not self.is_stopping

    def _turn(self) -> None:
        with self._app.app_context():
            self._go_on()
        run_once(self._app, self.name, self._go_on)
        moment = time.monotonic()
        if moment - self._last_sweep >= SWEEP_EVERY.total_seconds() or not self._last_sweep:
            sweep(self._app)
            keep_calendar(self._app, self._go_on)
            self._last_sweep = moment
