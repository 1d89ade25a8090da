"""Side effects that must happen: written with the change, done after it, retried until they are.

No library enqueues inside our own SQLAlchemy transaction on both SQLite and PostgreSQL, so this is one
table and two verbs (see docs/decisions/0003-outbox.md). A handler is a function of ``(payload, entry_id)``
that runs outside any transaction, may be called more than once for one entry, and raises to be called
again later.
"""

import logging
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import Flask, current_app

from wizard import clock, logs, metrics
from wizard.extensions import change, db, insert
from wizard.outbox.models import OutboxEntry, WorkerBeat

Handler = Callable[[dict[str, Any], int], None]

LADDER = tuple(timedelta(seconds=s) for s in (5, 15, 30, 60, 120, 300, 900, 1800, 3600, 7200))
"""Waits between attempts; after the last one the entry is dead."""

PATIENCE = timedelta(minutes=1)
"""Between looks at an entry that waits for the configuration."""

LEASE = timedelta(seconds=60)
"""How long a worker may hold an entry before another takes it for dead."""

BEAT_EVERY = timedelta(seconds=5)
BEAT_LOST = timedelta(seconds=90)  # Longer than any one entry may take.

log = logging.getLogger("wizard.outbox")


class NoLongerNeeded(Exception):
    """Raised by a handler whose work has become pointless (the code it would mail has expired)."""


class NotNow(Exception):
    """Raised by a handler that cannot work as this installation is configured; the entry waits, however long."""


def register(app: Flask, handlers: dict[str, Handler]) -> None:
    """Tell an app who does what. Called by ``create_app`` only."""
    app.extensions.setdefault("outbox", {}).update(handlers)


@dataclass(frozen=True)
class Due:
    """A side effect that is to happen. The same ``key`` twice is one."""

    kind: str
    payload: dict[str, Any]
    key: str | None = None


def enqueue(kind: str, payload: dict[str, Any], key: str | None = None) -> None:
    """Write a side effect into the present transaction."""
    enqueue_all([Due(kind, payload, key)])


def enqueue_all(wanted: Iterable[Due]) -> None:
    """Write side effects into the present transaction, in one statement."""
    now = clock.now()
    common = {"created_at": now, "run_after": now, "attempts": 0, **logs.origin()}
    rows = [{"kind": due.kind, "payload": due.payload, "dedupe_key": due.key, **common} for due in wanted]
    if rows:
        db.session.execute(insert(OutboxEntry).values(rows).on_conflict_do_nothing())


def run_due(owner: str, go_on: Callable[[], bool] = lambda: True, most: int = 50) -> int:
    """Do what is due, oldest first, at most ``most`` entries, while ``go_on()``. Returns how many were attempted."""
    now = clock.now()
    due = (
        sa.select(OutboxEntry.id)
        .where(*_waiting(now))
        .order_by(OutboxEntry.run_after, OutboxEntry.id)
        .limit(most)
    )
    ids = list(db.session.scalars(due))
    db.session.commit()
    attempted = 0
    for entry_id in ids:
        if not go_on():
            break
        attempted += _attempt(entry_id, owner)
    return attempted


def _waiting(now: Any) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        OutboxEntry.done_at.is_(None),
        OutboxEntry.dead_at.is_(None),
        OutboxEntry.run_after <= now,
        sa.or_(OutboxEntry.lease_until.is_(None), OutboxEntry.lease_until < now),
    )


def _attempt(entry_id: int, owner: str) -> int:
    """Claim one entry, do it outside the transaction, write down how it went."""
    entry = _claim(entry_id, owner)
    if entry is None:
        return 0
    with logs.about(
        entry=entry.id,
        kind=entry.kind,
        journey=entry.journey,
        request_id=entry.request_id,
        attempt=entry.attempts,
    ):
        outcome = _do(entry)
    metrics.OUTBOX.labels(entry.kind, outcome).inc()
    return 1


def _do(entry: OutboxEntry) -> str:
    """Call the entry's handler. Returns the outcome in a word; every line written meanwhile names entry and journey."""
    try:
        handler = current_app.extensions["outbox"][entry.kind]
        handler(entry.payload, entry.id)
    except NoLongerNeeded as reason:
        db.session.rollback()
        _finish(entry, done_at=clock.now(), last_error=f"no longer needed: {reason}")
        log.info("outbox entry no longer needed")
        return "not_needed"
    except NotNow as reason:
        db.session.rollback()
        _finish(
            entry, run_after=clock.now() + PATIENCE, attempts=OutboxEntry.attempts - 1, last_error=str(reason)
        )
        return "waits"
    except Exception as error:
        db.session.rollback()
        # The error's own words may hold an address: they go to the row that support sees, not into the log.
        log.warning("outbox entry failed", extra={"why": type(error).__name__})
        return _retry_or_give_up(entry, f"{type(error).__name__}: {error}"[:500])
    # What the handler wrote after its network call becomes true together with "done".
    if _finish(entry, done_at=clock.now(), last_error=None):
        log.info(
            "outbox entry done", extra={"age": round((clock.now() - entry.created_at).total_seconds(), 1)}
        )
        return "done"
    return "lost"


def _claim(entry_id: int, owner: str) -> OutboxEntry | None:
    now = clock.now()
    token = f"{owner}:{uuid.uuid4().hex[:8]}"
    claimed = change(
        sa.update(OutboxEntry)
        .where(OutboxEntry.id == entry_id, *_waiting(now))
        .values(lease_owner=token, lease_until=now + LEASE, attempts=OutboxEntry.attempts + 1)
    )
    entry = None
    if claimed:
        entry = db.session.get(OutboxEntry, entry_id, populate_existing=True)
        db.session.expunge_all()
    db.session.commit()
    return entry


def _finish(entry: OutboxEntry, **values: Any) -> bool:
    """Write the outcome, unless the lease was lost to another worker meanwhile: then nothing of ours counts."""
    ours = change(
        sa.update(OutboxEntry)
        .where(OutboxEntry.id == entry.id, OutboxEntry.lease_owner == entry.lease_owner)
        .values(lease_owner=None, lease_until=None, **values)
    )
    if ours:
        db.session.commit()
    else:
        db.session.rollback()
        log.warning("outbox entry took longer than its lease, another worker has it")
    return bool(ours)


def _retry_or_give_up(entry: OutboxEntry, error: str) -> str:
    if entry.attempts > len(LADDER):
        log.error("outbox entry given up", extra={"alert": "dead_letter"})
        _finish(entry, dead_at=clock.now(), last_error=error)
        return "dead"
    _finish(entry, run_after=clock.now() + LADDER[entry.attempts - 1], last_error=error)
    return "failed"


def give_back(owner: str) -> None:
    """A worker ends before what it was doing: whoever is next need not wait until its lease runs out."""
    change(
        sa.update(OutboxEntry)
        .where(
            OutboxEntry.done_at.is_(None), OutboxEntry.lease_owner.startswith(f"{owner}:", autoescape=True)
        )
        .values(lease_owner=None, lease_until=None)
    )
    db.session.commit()


def beat(name: str) -> None:
    """Say that the worker of this name lives."""
    statement = insert(WorkerBeat).values(name=name, at=clock.now())
    db.session.execute(
        statement.on_conflict_do_update(index_elements=["name"], set_={"at": statement.excluded.at})
    )
    db.session.execute(sa.delete(WorkerBeat).where(WorkerBeat.at < clock.now() - timedelta(hours=1)))
    db.session.commit()


def beats() -> list[datetime]:
    """When each worker of the last hour showed itself last."""
    return list(db.session.scalars(sa.select(WorkerBeat.at)))


@dataclass(frozen=True)
class Backlog:
    """What is not done of one kind: how many wait and how many are dead, and since when the oldest one is due
    (in the future where all of them wait for another try)."""

    kind: str
    waiting: int
    dead: int
    oldest: datetime | None


@dataclass(frozen=True)
class Work:
    """All that is to be done, and the signs of life of those who do it."""

    backlog: list[Backlog]
    beats: list[datetime]


def backlog() -> list[Backlog]:
    """What is not done, by kind."""
    waits = OutboxEntry.dead_at.is_(None)
    rows = db.session.execute(
        sa.select(
            OutboxEntry.kind,
            sa.func.count().filter(waits),
            sa.func.count(OutboxEntry.dead_at),
            sa.func.min(OutboxEntry.run_after).filter(waits),
        )
        .where(OutboxEntry.done_at.is_(None))
        .group_by(OutboxEntry.kind)
    )
    return [Backlog(*row) for row in rows]


def sweep() -> None:
    """Remove what was done a month ago; what is dead stays until somebody looks."""
    change(sa.delete(OutboxEntry).where(OutboxEntry.done_at < clock.now() - timedelta(days=30)))
