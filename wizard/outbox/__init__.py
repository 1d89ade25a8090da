"""Room: side effects that must happen."""

from wizard.outbox.entries import (
    BEAT_LOST,
    Backlog,
    Due,
    NoLongerNeeded,
    NotNow,
    Work,
    backlog,
    beat,
    beats,
    enqueue,
    enqueue_all,
    give_back,
    register,
    run_due,
)

__all__ = [
    "BEAT_LOST",
    "Backlog",
    "Due",
    "NoLongerNeeded",
    "NotNow",
    "Work",
    "backlog",
    "beat",
    "beats",
    "enqueue",
    "enqueue_all",
    "give_back",
    "register",
    "run_due",
]
