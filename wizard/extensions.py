"""The extensions, unbound, and how this product talks to its database.

Times are stored in UTC and come back aware. SQLite runs in WAL mode with foreign keys on and a busy
timeout; whatever may write begins with ``BEGIN IMMEDIATE``, so two writers wait for each other instead of
failing half-way, and a GET begins plainly, so readers never wait.
"""

import smtplib
import sqlite3
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
import sqlalchemy.orm
from flask import current_app, has_request_context, request
from flask_login import LoginManager
from flask_mail import Connection, Mail
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Engine
from sqlalchemy.orm import DeclarativeBase

from wizard.i18n import PoBabel

SQLITE_BUSY_SECONDS = 30
SMTP_SECONDS = 20
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime on every engine; SQLite itself keeps no zone."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone reached the database")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


_NAMES = {
    "ix": "ix_%(column_0_N_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Every table of the product; constraints are named so that migrations and conflicts can speak of them."""

    registry = sa.orm.registry(
        metadata=sa.MetaData(naming_convention=_NAMES),
        type_annotation_map={datetime: UtcDateTime, dict[str, Any]: sa.JSON},
    )


class PatientConnection(Connection):
    """Flask-Mail's connection with an end to its patience: its own waits for a silent server for ever."""

    def configure_host(self) -> smtplib.SMTP | smtplib.SMTP_SSL:
        state = self.mail
        kind = smtplib.SMTP_SSL if state.use_ssl else smtplib.SMTP
        host = kind(state.server, state.port, timeout=SMTP_SECONDS)
        if state.use_tls:
            host.starttls()
        if state.username and state.password:
            host.login(state.username, state.password)
        return host


class PatientMail(Mail):
    def connect(self) -> Connection:
        return PatientConnection(current_app.extensions["mail"])


db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False, "autoflush": False})
migrate = Migrate(db=db, directory="migrations", render_as_batch=True)
login = LoginManager()
mail = PatientMail()
babel = PoBabel()


def insert(model: type[DeclarativeBase]) -> Any:
    """An INSERT of the present engine's dialect, which has ``on_conflict_do_nothing`` and ``…_do_update``."""
    return (postgresql if db.engine.dialect.name == "postgresql" else sqlite).insert(model)


def change(statement: Any) -> int:
    """Run one INSERT, UPDATE or DELETE and say how many rows it changed: the answer that decides a race."""
    result: Any = db.session.execute(statement, execution_options={"synchronize_session": False})
    return int(result.rowcount)


@event.listens_for(Engine, "connect")
def _prepare_sqlite(connection: Any, _record: object) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    connection.isolation_level = None  # SQLAlchemy begins; the driver must not begin behind its back.
    for pragma in (
        f"busy_timeout={SQLITE_BUSY_SECONDS * 1000}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


@event.listens_for(Engine, "begin")
def _begin_sqlite(connection: sa.Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN" if _only_reads() else "BEGIN IMMEDIATE")


def _only_reads() -> bool:
    return has_request_context() and request.method in SAFE_METHODS
