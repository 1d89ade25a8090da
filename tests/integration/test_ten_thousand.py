"""A cancellation that touches ten thousand workspaces: at once for everybody who looks, in batches for their rows."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person, count
from tests.support.installation import Program
from tests.support.over_http import until
from tests.support.possessions import accounts_of, purchases, sign_in, workspaces
from tests.support.statements import watch
from wizard import clock
from wizard.billing import endings, settlement, subscriptions
from wizard.billing.models import CANCELLED, LOCKED, Settlement, Subscription, Workspace
from wizard.extensions import db
from wizard.outbox.models import OutboxEntry

MANY = 10_000
LEFT_OVER_KIB = 60 * 1024
"""What a worker may grow by. Ten thousand workspaces in memory with their histories would be more."""


@pytest.fixture
def start_worker(app: Flask, engine_url: str, tmp_path: Path) -> Iterator[Any]:
    started: list[Program] = []

    def start() -> Program:
        settings = {"SANDBOX": "1", "DATABASE_URL": engine_url, "INSTANCE_PATH": str(tmp_path / "instance")}
        number = len(started) + 1
        command = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
        started.append(Program(f"worker {number}", tmp_path / f"worker{number}.log", command, settings))
        return started[-1]

    yield start
    for program in started:
        if program.lives:
            program.process.kill()
        program.process.wait()


def grown_to(program: Program) -> int:
    """The most memory a process has had, in KiB."""
    told = Path(f"/proc/{program.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in told.splitlines() if line.startswith("VmHWM"))


def test_a_cancellation_of_ten_thousand_workspaces_answers_at_once_and_survives_a_kill(
    app: Flask, client: Client, start_worker: Any
) -> None:
    owner = accounts_of(app, Person())
    (bought,) = purchases(app, owner)
    workspaces(app, owner, MANY, bought)
    with app.app_context():
        subscription = db.session.get_one(Subscription, bought)
        with watch() as sql:
            subscriptions.hold(subscription)
            endings.live(subscription, endings.Life(clock.now(), CANCELLED))
            db.session.commit()
        assert len(sql.statements) <= 4
        locked = sa.select(sa.func.count()).select_from(Workspace).where(settlement.locked())
        assert db.session.scalar(locked) == MANY, "whoever looks sees it now"

    def followed() -> int:
        return count(app, Workspace, Workspace.locked_at.is_not(None))

    first = start_worker()
    until(lambda: followed() > 0, "the worker does nothing")
    at_start = grown_to(first)
    first.process.send_signal(signal.SIGKILL)
    first.process.wait()
    assert 0 < followed() < MANY, "it was killed in the middle"
    page = sign_in(client, owner)  # Whose pages stay inside their budgets, which the client counts.
    assert page.status == 200
    with (
        app.app_context()
    ):  # What a worker held when it died is free a minute later; that minute passes here.
        db.session.execute(sa.update(OutboxEntry).values(lease_until=None))
        db.session.commit()
    second = start_worker()
    until(lambda: followed() == MANY, "the second worker does not go on")
    assert client.get("/billing/cloud-accounts").status == 200
    assert grown_to(second) < at_start + LEFT_OVER_KIB
    assert count(app, Settlement, Settlement.what == LOCKED) == MANY, "each history has its line, once"
    told = "billing.tell_site"
    with app.app_context():
        payloads = db.session.scalars(sa.select(OutboxEntry.payload).where(OutboxEntry.kind == told)).all()
        ids = [workspace for payload in payloads for workspace in payload["workspaces"]]
    assert len(ids) == len(set(ids)) == MANY
    assert max(len(payload["workspaces"]) for payload in payloads) == endings.BATCH
