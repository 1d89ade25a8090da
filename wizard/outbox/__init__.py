"""Room: side effects that must happen."""

from wizard.outbox.entries import (
    BEAT_LOST,
    Backlog,
    NoLongerNeeded,
    NotNow,
    Work,
    backlog,
    beat,
    beats,
    enqueue,
    give_back,
    register,
    run_due,
)

__all__ = [
    "BEAT_LOST",
    "Backlog",
    "NoLongerNeeded",
    "NotNow",
    "Work",
    "backlog",
    "beat",
    "beats",
    "enqueue",
    "give_back",
    "register",
    "run_due",
]
