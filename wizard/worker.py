"""What happens beside the requests: the outbox is done, signs of life are given, what is over is swept away."""

import logging
import os
import signal
import socket
import threading
import time
import uuid
from datetime import timedelta

import click
import sqlalchemy as sa
from flask import Flask, current_app

from wizard import clock, outbox
from wizard.accounts.models import Session, UsernameClaim
from wizard.extensions import change, db
from wizard.limits import RateLimit
from wizard.outbox.entries import BEAT_EVERY
from wizard.transactions import after_commit

IDLE = 1.0
"""Seconds between looks at the outbox when nobody wakes the worker."""

SWEEP_EVERY = timedelta(minutes=10)

log = logging.getLogger("wizard.worker")


def run_once(app: Flask, owner: str = "once") -> int:
    """Do everything that is due now. Returns how many outbox entries were attempted."""
    done = 0
    with app.app_context():
        while count := outbox.run_due(owner):
            done += count
    return done


def sweep(app: Flask) -> None:
    """Remove what is over: sessions, rate-limit windows, names held by journeys that never ended."""
    now = clock.now()
    with app.app_context():
        for model in (Session, RateLimit, UsernameClaim):
            change(sa.delete(model).where(model.expires_at < now))
        db.session.commit()


@click.command("worker")
def command() -> None:
    """Do the outbox and the calendar until stopped."""
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    worker = Worker(app)
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, lambda *_: worker.stop())
    worker.run()


class Worker:
    """A worker that runs until it is stopped; any number may run over one database."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._woken = threading.Event()
        self._stopping = False
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._last_beat = self._last_sweep = 0.0
        after_commit(app, self.wake)

    def wake(self) -> None:
        """Something was committed: look at once."""
        self._woken.set()

    def stop(self) -> None:
        """Finish what is being done, then end."""
        self._stopping = True
        self._woken.set()

    def run(self) -> None:
        """Work until stopped. A database that is gone for a while is waited for."""
        while not self._stopping:
            self._woken.clear()
            try:
                self._turn()
            except Exception:
                log.exception("the worker could not work; it tries again", extra={"alert": "worker"})
                self._woken.wait(IDLE)
            else:
                self._woken.wait(IDLE)

    def _turn(self) -> None:
        moment = time.monotonic()
        if moment - self._last_beat >= BEAT_EVERY.total_seconds() or not self._last_beat:
            with self._app.app_context():
                outbox.beat(self.name)
            self._last_beat = moment
        run_once(self._app, self.name)
        if moment - self._last_sweep >= SWEEP_EVERY.total_seconds() or not self._last_sweep:
            sweep(self._app)
            self._last_sweep = moment
