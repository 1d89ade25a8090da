"""What an operator's machines ask: does the process live, can it serve a customer, how many of which answers."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import make_url

from config import Settings
from tests.support.client import Client
from tests.support.walk import Walk
from wizard import clock, outbox
from wizard.extensions import db
from wizard.outbox.entries import BEAT_LOST

MakeApp = Callable[[Settings], Flask]


def readiness(app: Flask) -> tuple[int, dict[str, Any]]:
    page = Client(app).get("/readyz")
    with app.test_client() as http:
        found: dict[str, Any] = http.get("/readyz").get_json()
    return page.status, found


def beat(app: Flask) -> None:
    with app.app_context():
        outbox.beat("a worker")


def test_it_is_ready_once_a_worker_lives_and_until_it_is_silent_too_long(app: Flask) -> None:
    silent = {"status": "not ready", "database": True, "migrations": True, "worker": False}
    assert readiness(app) == (503, silent)
    beat(app)
    assert readiness(app) == (200, {"status": "ready", "database": True, "migrations": True, "worker": True})
    with clock.later(BEAT_LOST - timedelta(seconds=2)):
        assert readiness(app)[0] == 200
    with clock.later(BEAT_LOST + timedelta(seconds=1)):
        assert readiness(app) == (503, silent)


def test_a_database_at_another_revision_is_not_ready(app: Flask) -> None:
    beat(app)
    with app.app_context():
        db.session.execute(sa.text("UPDATE alembic_version SET version_num = 'the one before'"))
        db.session.commit()
    assert readiness(app) == (
        503,
        {"status": "not ready", "database": True, "migrations": False, "worker": False},
    )


def test_a_database_without_tables_is_not_ready(
    make_app: MakeApp, settings: Settings, empty_url: str
) -> None:
    app = make_app(replace(settings, database_url=empty_url))
    assert readiness(app) == (
        503,
        {"status": "not ready", "database": True, "migrations": False, "worker": False},
    )


def test_without_a_database_the_process_lives_and_is_not_ready(
    make_app: MakeApp, settings: Settings, tmp_path: Path
) -> None:
    url = make_url(settings.database_url)
    nowhere = url.set(
        database=str(tmp_path / "nowhere" / "gone.db") if url.drivername == "sqlite" else "gone"
    )
    app = make_app(replace(settings, database_url=nowhere.render_as_string(hide_password=False)))
    assert readiness(app) == (
        503,
        {"status": "not ready", "database": False, "migrations": False, "worker": False},
    )
    page = Client(app).get("/healthz")
    assert (page.status, page.html.strip()) == (200, '{"status":"ok"}')


def test_the_metrics_count_answers_by_door_and_name_nobody(walk: Walk) -> None:
    def count(endpoint: str, status: int) -> float:
        page = walk.client.get("/metrics")
        assert page.headers["Content-Type"].startswith("text/plain")
        line = rf'^wizard_requests_total{{endpoint="{endpoint}",status="{status}"}} (\S+)$'
        found = re.search(line, page.html, re.MULTILINE)
        return float(found[1]) if found else 0

    before = count("flows.step", 200), count("none", 404)
    walk.to_code()
    walk.client.get("/nowhere/of/note")
    walk.client.get(walk.page.path)
    assert (count("flows.step", 200), count("none", 404)) == (before[0] + 3, before[1] + 1)
    text = walk.client.get("/metrics").html
    for known in (walk.reference, walk.person.username, "nowhere", walk.bought["customerAWSAccountId"]):
        assert known not in text
