"""How Alembic runs here: on the app's own engine, in one transaction, on SQLite by rebuilding tables."""

from typing import Any, Literal

from alembic import context
from flask import current_app

from wizard.extensions import UtcDateTime, db


def render_item(kind: str, value: Any, _context: object) -> str | Literal[False]:
    """Write our own column types as what they are to a database, so that a migration imports nothing of ours."""
    if kind == "type" and isinstance(value, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    return False


def run() -> None:
    with db.engine.connect() as connection:
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


if context.is_offline_mode():
    raise SystemExit("Migrations run against a database, not into a file: set DATABASE_URL.")
assert current_app
run()
