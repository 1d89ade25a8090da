"""What an operator's machines ask: does the process live, can it serve a customer, how much of what is going on."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy.engine import make_url

from config import Settings
from tests.support.client import Client
from tests.support.statements import refuse_databases
from tests.support.walk import Walk
from wizard import clock, health, outbox
from wizard.extensions import db
from wizard.health import STUCK
from wizard.outbox.entries import BEAT_LOST, LADDER

MakeApp = Callable[[Settings], Flask]

NOTHING = {"status": "not ready", "database": False, "migrations": False, "worker": False, "outbox": False}
UNMIGRATED = NOTHING | {"database": True}
READY = {"status": "ready", "database": True, "migrations": True, "worker": True, "outbox": True}


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A build machine may be slower than any database."""
    monkeypatch.setattr(health, "PATIENCE", 60.0)


def readiness(app: Flask) -> tuple[int, dict[str, Any]]:
    page = Client(app).get("/readyz")
    with app.test_client() as http:
        found: dict[str, Any] = http.get("/readyz").get_json()
    return page.status, found


def beat(app: Flask) -> None:
    with app.app_context():
        outbox.beat("a worker")


def ask(app: Flask, kind: str) -> None:
    with app.app_context():
        outbox.enqueue(kind, {})
        db.session.commit()


# ── is it ready ─────────────────────────────────────────────────────────────────────────────────────────────


def test_it_is_ready_once_a_worker_lives_and_until_it_is_silent_too_long(app: Flask) -> None:
    silent = READY | {"status": "not ready", "worker": False}
    assert readiness(app) == (503, silent)
    beat(app)
    assert readiness(app) == (200, READY)
    with clock.later(BEAT_LOST - timedelta(seconds=2)):
        assert readiness(app)[0] == 200
    with clock.later(BEAT_LOST + timedelta(seconds=1)):
        assert readiness(app) == (503, silent)


def test_it_is_not_ready_while_what_is_due_is_done_by_nobody(app: Flask) -> None:
    """The workers live and do not get to it."""
    ask(app, "mail")
    with clock.later(STUCK - timedelta(seconds=2)):
        beat(app)
        assert readiness(app) == (200, READY)
    with clock.later(STUCK + timedelta(seconds=1)):
        beat(app)
        assert readiness(app) == (503, READY | {"status": "not ready", "outbox": False})


def test_what_is_tried_again_later_or_given_up_is_not_stuck(app: Flask, work: Callable[[], int]) -> None:
    def fails(_payload: dict[str, Any], _entry: int) -> None:
        raise ConnectionError

    outbox.register(app, {"fails": fails})
    ask(app, "fails")
    for wait in (timedelta(0), *LADDER):
        with clock.later(wait * 2 + STUCK):
            work()
            beat(app)
            assert readiness(app) == (200, READY)


def test_a_database_that_is_behind_is_not_ready(app: Flask) -> None:
    beat(app)
    _at_revision(app, next(iter(_revisions(app)))[0])
    assert readiness(app) == (503, UNMIGRATED)


def test_a_database_that_a_newer_version_has_migrated_is_served_by_this_one_until_it_ends(app: Flask) -> None:
    beat(app)
    _at_revision(app, "of a newer version")
    assert readiness(app) == (200, READY)


def _revisions(app: Flask) -> list[tuple[str, ...]]:
    """The revisions below each one that has any."""
    scripts = ScriptDirectory(app.extensions["migrations_path"]).walk_revisions()
    return [script._all_down_revisions for script in scripts if script.down_revision]


def _at_revision(app: Flask, revision: str) -> None:
    with app.app_context():
        db.session.execute(sa.text("UPDATE alembic_version SET version_num = :at"), {"at": revision})
        db.session.commit()


def test_a_database_without_tables_is_not_ready(
    make_app: MakeApp, settings: Settings, empty_url: str
) -> None:
    app = make_app(replace(settings, database_url=empty_url))
    assert readiness(app) == (503, UNMIGRATED)


def test_without_a_database_the_process_lives_and_is_not_ready(
    make_app: MakeApp, settings: Settings, tmp_path: Path
) -> None:
    app = make_app(replace(settings, database_url=_nowhere(settings, tmp_path)))
    assert readiness(app) == (503, NOTHING)
    page = Client(app).get("/healthz")
    assert (page.status, page.html.strip()) == (200, '{"status":"ok"}')
    assert gauge(Client(app), "wizard_database_up") == 0


def _nowhere(settings: Settings, tmp_path: Path) -> str:
    url = make_url(settings.database_url)
    gone = str(tmp_path / "nowhere" / "gone.db") if url.drivername == "sqlite" else "gone"
    return url.set(database=gone).render_as_string(hide_password=False)


def test_a_process_says_that_it_lives_without_asking_the_database(app: Flask) -> None:
    with refuse_databases():
        assert Client(app).get("/healthz").status == 200


@pytest.mark.engines("postgresql")
def test_a_database_that_is_silent_is_not_waited_for(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody holds a lock on what is asked for: no error comes, and no answer."""
    beat(app)
    with _locked(app, "worker_beats"):
        monkeypatch.setattr(health, "PATIENCE", 0.2)
        assert readiness(app) == (503, NOTHING)
        assert gauge(Client(app), "wizard_database_up") == 0
        monkeypatch.setattr(health, "PATIENCE", 60.0)
    assert readiness(app) == (200, READY)


@contextmanager
def _locked(app: Flask, table: str) -> Iterator[None]:
    with app.app_context():
        engine = db.engine
    with engine.begin() as connection:
        connection.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield


# ── what is counted ─────────────────────────────────────────────────────────────────────────────────────────


def gauge(client: Client, name: str, **labels: str) -> float:
    """A figure of /metrics; 0 where there is none yet."""
    page = client.get("/metrics")
    assert page.headers["Content-Type"].startswith("text/plain")
    wanted = (
        "{" + ",".join(f'{key}="{value}"' for key, value in sorted(labels.items())) + "}" if labels else ""
    )
    found = re.search(rf"^{re.escape(name + wanted)} (\S+)$", page.html, re.MULTILINE)
    return float(found[1]) if found else 0


Figures = dict[str, float]


def counted(walk: Walk) -> Figures:
    def of(name: str, **labels: str) -> float:
        return gauge(walk.client, f"wizard_{name}_total", **labels)

    flow = "no_billing_account"
    return {
        "pages": of("requests", endpoint="flows.step", method="GET", status="2xx"),
        "answers": of("requests", endpoint="flows.step", method="POST", status="3xx"),
        "nowhere": of("requests", endpoint="none", method="GET", status="4xx"),
        "landed": of("landings", marketplace="aws", outcome="landed"),
        "expired": of("landings", marketplace="aws", outcome="expired"),
        "to code": of("journey_steps", flow=flow, step="code"),
        "to company": of("journey_steps", flow=flow, step="company"),
        "to making": of("journey_steps", flow=flow, step="making"),
        "sent": of("codes", purpose="register", outcome="sent"),
        "wrong": of("codes", purpose="register", outcome="WrongCode"),
        "accepted": of("codes", purpose="register", outcome="accepted"),
        "mails": of("outbox_attempts", kind="verification.mail", outcome="done"),
        "signed in": of("sign_ins", area="console", outcome="accepted"),
        "not signed in": of("sign_ins", area="console", outcome="refused"),
        "paying": of("sign_ins", area="billing", outcome="accepted"),
        "not paying": of("sign_ins", area="billing", outcome="refused"),
    }


def test_what_customers_do_is_counted_and_nobody_is_named(
    walk: Walk, another: Callable[..., Walk], settings: Settings
) -> None:
    before = counted(walk)
    expired = another()
    expired.land(fault="expired")
    walk.to_code()
    walk.enter_code(walk.wrong_code())
    walk.enter_code()
    walk.give_company()
    walk.activate()
    walk.wait_until_made()
    walk.sign_in(password="not this one")
    walk.sign_in()
    for password in ("not this one", walk.person.password):
        typed = {"username": walk.person.username, "password": password}
        walk.client.submit(walk.client.get("/billing/sign-in"), "Sign in", typed)
    walk.client.get("/nowhere/of/note")
    after = counted(walk)
    assert {name: after[name] - before[name] for name in after} == {
        "pages": 6,  # basic, code, company, activation, making, successful
        "answers": 4,  # basic, code, company, activation
        "nowhere": 1,
        "landed": 1,
        "expired": 1,
        "to code": 1,
        "to company": 1,
        "to making": 1,
        "sent": 1,
        "wrong": 1,
        "accepted": 1,
        "mails": 1,
        "signed in": 1,
        "not signed in": 1,
        "paying": 1,
        "not paying": 1,
    }
    text = walk.client.get("/metrics").html
    for known in (walk.person.username, "nowhere", "not this one", walk.bought["customerAWSAccountId"]):
        assert known not in text
    assert "SK-" not in text


def test_a_limit_that_refuses_is_counted_by_what_it_limits(make_app: MakeApp, settings: Settings) -> None:
    client = Client(make_app(replace(settings, sandbox=False)))
    before = gauge(client, "wizard_limits_reached_total", limit="sign_in")
    statuses = [client.post("/sign-in", without=("statements",)).status for _ in range(62)]
    assert statuses == [422] * 60 + [429] * 2
    assert gauge(client, "wizard_limits_reached_total", limit="sign_in") == before + 2


def test_the_outbox_and_its_workers_are_told_as_the_database_has_them(app: Flask) -> None:
    """Whichever process is asked: nothing was counted here."""
    client = Client(app)
    assert gauge(client, "wizard_database_up") == 1
    assert gauge(client, "wizard_workers") == 0
    with clock.later(-timedelta(minutes=5)):
        ask(app, "mail")
    ask(app, "mail")
    ask(app, "billing.make_workspace")
    with app.app_context():
        outbox.beat("one")
        outbox.beat("another")
        db.session.execute(
            sa.text("UPDATE outbox SET dead_at = created_at WHERE kind = 'billing.make_workspace'")
        )
        db.session.commit()
    assert gauge(client, "wizard_outbox_entries", kind="mail", state="waiting") == 2
    assert gauge(client, "wizard_outbox_entries", kind="mail", state="dead") == 0
    assert gauge(client, "wizard_outbox_entries", kind="billing.make_workspace", state="dead") == 1
    assert 299 < gauge(client, "wizard_outbox_oldest_due_seconds", kind="mail") < 360
    assert gauge(client, "wizard_workers") == 2
    assert gauge(client, "wizard_worker_beat_age_seconds") < 60
