"""The outbox's rows, and the workers' signs of life."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from wizard.extensions import Base


class OutboxEntry(Base):
    """One side effect that must happen.

    ``kind`` names the handler, ``payload`` is what it needs (ids and addresses, never a secret).
    ``journey`` (its reference) and ``request_id`` say what asked for it, for the log and for support.
    Exactly one of: waiting (``done_at`` and ``dead_at`` null), done, dead (given up, support sees it).
    """

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_due", "done_at", "dead_at", "run_after"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    dedupe_key: Mapped[str | None] = mapped_column(unique=True)
    journey: Mapped[str | None]
    request_id: Mapped[str | None]
    created_at: Mapped[datetime]
    run_after: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    lease_owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    done_at: Mapped[datetime | None]
    dead_at: Mapped[datetime | None]
    last_error: Mapped[str | None]


class WorkerBeat(Base):
    """When a worker last said that it lives; ``/readyz`` reads it."""

    __tablename__ = "worker_beats"

    name: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
