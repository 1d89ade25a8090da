"""How Alembic runs here: on the app's own engine, in one transaction, on SQLite by rebuilding tables."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import sqlalchemy as sa
from alembic import context
from flask import current_app

from wizard.extensions import UtcDateTime, db


def render_item(kind: str, value: Any, _context: object) -> str | Literal[False]:
    """Write our own column types as what they are to a database, so that a migration imports nothing of ours."""
    if kind == "type" and isinstance(value, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


@contextmanager
def _tables_may_be_rebuilt(connection: sa.Connection) -> Iterator[None]:
    """SQLite drops the table it rebuilds, which foreign keys from other tables' rows forbid. So they are checked at
    the end instead (sqlite.org/lang_altertable.html, "making other kinds of table schema changes")."""
    driver = connection.connection.dbapi_connection
    if not isinstance(driver, sqlite3.Connection):
        yield
        return
    driver.execute("PRAGMA foreign_keys=OFF")
    try:
        yield
    finally:
        connection.rollback()  # Of whatever only read since: within a transaction the next line would do nothing.
        driver.execute("PRAGMA foreign_keys=ON")


def _check_foreign_keys(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        assert not broken, f"a migration leaves rows that point at nothing: {broken[:5]}"


def run() -> None:
    with db.engine.connect() as connection, _tables_may_be_rebuilt(connection):
        context.configure(
            connection=connection,
            target_metadata=db.metadatas[None],
            render_as_batch=True,
            render_item=render_item,
            compare_type=True,
            compare_server_default=True,
        )
        with context.begin_transaction():
            context.run_migrations()
            _check_foreign_keys(connection)


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database, not into a file: set DATABASE_URL.")
assert current_app
run()
