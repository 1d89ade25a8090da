"""Room: side effects that must happen."""

from wizard.outbox.entries import NoLongerNeeded, NotNow, beat, enqueue, register, run_due, worker_lives

__all__ = ["NoLongerNeeded", "NotNow", "beat", "enqueue", "register", "run_due", "worker_lives"]
