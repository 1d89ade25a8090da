"""What a piece of code did to the database, whichever engine and session it used.

    with watch() as sql:
        ...
    len(sql.statements), sql.writes, sql.commits, sql.lost

Counting goes by thread (and by context), so racing threads do not see each other's statements.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, event
from sqlalchemy.engine import Engine
from sqlalchemy.pool import Pool

OPENED = "a unit test opened a database: move it to tests/integration"
_CONTROL = re.compile(r"\s*(BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|PRAGMA|SET)\b", re.IGNORECASE)
_WRITE = re.compile(r"\s*(INSERT|UPDATE|DELETE|REPLACE|MERGE|TRUNCATE|CREATE|ALTER|DROP)\b", re.IGNORECASE)
_WITH_WRITE = re.compile(r"\s*WITH\b.*\b(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\b", re.IGNORECASE | re.DOTALL)


@dataclass
class Watched:
    """The SQL of one watch. ``statements`` leaves out what only begins, ends or tunes a transaction."""

    statements: list[str] = field(default_factory=list)
    writes: list[str] = field(default_factory=list)
    commits: list[list[str]] = field(default_factory=list)
    """For each commit the writes that it settled."""
    unsettled: list[str] = field(default_factory=list)
    """Writes that are neither committed nor taken back."""
    lost: list[str] = field(default_factory=list)
    """Writes that a rollback of the whole transaction threw away (a savepoint's rollback is no loss)."""
    _savepoints: dict[str, int] = field(default_factory=dict)


_watches: ContextVar[tuple[Watched, ...]] = ContextVar("watches", default=())


@contextmanager
def watch() -> Iterator[Watched]:
    """Collect the SQL of this thread until the block ends. Watches may be nested; each sees everything."""
    watched = Watched()
    token = _watches.set((*_watches.get(), watched))
    try:
        yield watched
    finally:
        _watches.reset(token)


@contextmanager
def refuse_databases() -> Iterator[None]:
    """No database may be opened in this block; where one was, it fails at its end even if nobody noticed before."""
    opened: list[object] = []

    def refuse(_dbapi: Any, record: Any, _proxy: Any) -> None:
        opened.append(record)
        raise AssertionError(OPENED)

    event.listen(Pool, "checkout", refuse)
    try:
        yield
    finally:
        event.remove(Pool, "checkout", refuse)
    assert not opened, OPENED


@event.listens_for(Engine, "before_cursor_execute")
def _executed(_connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
    if _CONTROL.match(statement):
        return
    writes = _WRITE.match(statement) or _WITH_WRITE.match(statement)
    for watched in _watches.get():
        watched.statements.append(statement)
        if writes:
            watched.writes.append(statement)
            watched.unsettled.append(statement)


@event.listens_for(Engine, "commit")
def _committed(_connection: Connection) -> None:
    for watched in _watches.get():
        watched.commits.append(watched.unsettled.copy())
        watched.unsettled.clear()


@event.listens_for(Engine, "rollback")
def _rolled_back(_connection: Connection) -> None:
    for watched in _watches.get():
        watched.lost += watched.unsettled
        watched.unsettled.clear()


@event.listens_for(Engine, "savepoint")
def _savepoint(_connection: Connection, name: str) -> None:
    for watched in _watches.get():
        watched._savepoints[name] = len(watched.unsettled)


@event.listens_for(Engine, "rollback_savepoint")
def _rolled_back_to(_connection: Connection, name: str, _context: Any) -> None:
    for watched in _watches.get():
        del watched.unsettled[watched._savepoints.get(name, 0) :]
