"""``/healthz`` (the process), ``/readyz`` (database, migrations, a worker, the outbox) and ``/metrics``."""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from typing import TypeVar

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, copy_current_request_context, current_app, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy.exc import SQLAlchemyError

from wizard import clock, logs, outbox
from wizard.extensions import db

T = TypeVar("T")

PATIENCE = 3.0
"""Seconds the database has for an answer, however it is gone: refusing, silent, or out of connections."""

STUCK = timedelta(minutes=10)
"""How long something may be due before nobody can be said to do it."""

bp = Blueprint("health", __name__)
log = logging.getLogger("wizard.health")
_asking = threading.Lock()


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """200 when a customer can be seen through to the end; 503 with what is missing otherwise."""
    checks = {"database": False, "migrations": False, "worker": False, "outbox": False}
    checks |= _ask(_checks) or {}
    ready = all(checks.values())
    return jsonify(status="ready" if ready else "not ready", **checks), 200 if ready else 503


@bp.get("/metrics")
def metrics() -> Response:
    """This process's counters (with ``PROMETHEUS_MULTIPROC_DIR`` those of all that share it), and the database's."""
    registry = REGISTRY
    if directory := current_app.config["METRICS_DIRECTORY"]:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, directory)
    of_database = CollectorRegistry()
    of_database.register(_Database(_ask(_work)))
    text = generate_latest(registry) + generate_latest(of_database)
    return Response(text, content_type=CONTENT_TYPE_LATEST)


# The questions ----------------------------------------------------------------------------------------------


def _checks() -> dict[str, bool]:
    found = {"database": True, "migrations": False}
    db.session.connection()
    found["migrations"] = _is_migrated()
    if found["migrations"]:
        now, newest = clock.now(), max(outbox.beats(), default=None)
        oldest = min((line.oldest for line in outbox.backlog() if line.oldest), default=now)
        found["worker"] = newest is not None and newest > now - outbox.BEAT_LOST
        found["outbox"] = oldest > now - STUCK
    return found


def _is_migrated() -> bool:
    """Whether the database is where this version wants it, or past that: a newer version migrates before it starts,
    and until then this one goes on serving."""
    at = set(MigrationContext.configure(db.session.connection()).get_current_heads())
    heads, known = _revisions(current_app.extensions["migrations_path"])
    return at == heads or (bool(at) and not at & known)


@cache
def _revisions(path: str) -> tuple[set[str], set[str]]:
    scripts = ScriptDirectory(path)
    return set(scripts.get_heads()), {script.revision for script in scripts.walk_revisions()}


def _work() -> outbox.Work:
    return outbox.Work(outbox.backlog(), outbox.beats())


def _ask(question: Callable[[], T]) -> T | None:
    """Ask the database, but not for ever; None where it does not answer.

    One thread asks at a time: while it waits for a database that is silent, the next is told so at once instead of
    taking one more connection there.
    """
    if not _asking.acquire(timeout=PATIENCE):
        return None
    answers: list[T] = []
    asked_by = logs.origin()

    @copy_current_request_context
    def ask() -> None:
        try:
            answers.append(question())
        except SQLAlchemyError as error:
            log.error("the database did not answer", extra={"alert": "database", **asked_by}, exc_info=error)
        finally:
            _asking.release()

    asking = threading.Thread(target=ask, name="health", daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return answers[0] if answers else None


class _Database:
    """The outbox and its workers as gauges; true whichever process is asked."""

    def __init__(self, work: outbox.Work | None) -> None:
        self._work = work

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("wizard_database_up", "Whether the database answers.", bool(self._work))
        if self._work is None:
            return
        now = clock.now()
        entries = GaugeMetricFamily(
            "wizard_outbox_entries",
            "Outbox entries not done, by kind: waiting or dead.",
            labels=["kind", "state"],
        )
        oldest = GaugeMetricFamily(
            "wizard_outbox_oldest_due_seconds",
            "How long the oldest waiting entry has been due.",
            labels=["kind"],
        )
        for line in self._work.backlog:
            entries.add_metric([line.kind, "waiting"], line.waiting)
            entries.add_metric([line.kind, "dead"], line.dead)
            due = max(0.0, (now - line.oldest).total_seconds()) if line.oldest else 0.0
            oldest.add_metric([line.kind], due)
        yield from (entries, oldest)
        ages = [(now - beat).total_seconds() for beat in self._work.beats]
        alive = sum(age < outbox.BEAT_LOST.total_seconds() for age in ages)
        yield GaugeMetricFamily("wizard_workers", "Workers that showed themselves lately.", alive)
        if ages:
            yield GaugeMetricFamily(
                "wizard_worker_beat_age_seconds", "Since the newest sign of life of any worker.", min(ages)
            )
