"""Things tests need many of, each with values of its own unless a test says otherwise."""

import itertools
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from flask import Flask

from wizard.extensions import db

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody who may register: a username and an address nobody else has, and a password that is good enough.

    ``called`` is a username of their own, ``at`` where their mail goes.
    """

    number: int = field(default_factory=lambda: next(_numbers))
    password: str = "seven quiet harbour lamps"
    company: str = "Ada's Harbour Lamps"
    called: str = ""
    at: str = "harbour.test"

    @property
    def username(self) -> str:
        return self.called or f"ada-{self.number}"

    @property
    def email(self) -> str:
        return f"{self.username}@{self.at}"

    @property
    def answers(self) -> dict[str, object]:
        """The first page of registering, by field name."""
        return {
            "username": self.username,
            "email": self.email,
            "password": self.password,
            "confirm_password": self.password,
        }


def count(app: Flask, what: Any, *where: Any) -> int:
    """How many rows of a table an app's database holds."""
    with app.app_context():
        return db.session.scalar(sa.select(sa.func.count()).select_from(what).where(*where)) or 0


def rows_of(app: Flask, *leave_out: str) -> dict[str, list[str]]:
    """Everything an app's database holds: table → its rows as text, in an order of their own.

    Without the limiter's counts, which a refused request changes too, and without the tables named.
    """
    found = {}
    with app.app_context(), db.engine.connect() as connection:
        for table in db.metadata.sorted_tables:
            if table.name not in ("rate_limits", *leave_out):
                found[table.name] = sorted(repr(tuple(row)) for row in connection.execute(sa.select(table)))
    return found


@contextmanager
def recorded() -> Iterator[list[logging.LogRecord]]:
    """What this process logs meanwhile, the product's own lines and those of the libraries it uses."""
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[assignment]
    logging.getLogger().addHandler(handler)
    try:
        yield records
    finally:
        logging.getLogger().removeHandler(handler)


def alerts_in(records: list[logging.LogRecord]) -> list[str]:
    """What somebody is called for: the ``alert`` of each error."""
    return [r.alert for r in records if r.levelno >= logging.ERROR and hasattr(r, "alert")]


def text_of(record: logging.LogRecord) -> str:
    """All that a record would show, whatever formats it."""
    formatted = logging.Formatter().format(record)
    return formatted + repr({name: value for name, value in vars(record).items() if name != "exc_info"})
