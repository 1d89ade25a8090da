"""Room: side effects that must happen."""

from wizard.outbox.entries import NoLongerNeeded, beat, enqueue, register, run_due, worker_lives

__all__ = ["NoLongerNeeded", "beat", "enqueue", "register", "run_due", "worker_lives"]
