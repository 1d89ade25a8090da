"""One commit per request, in one place; and no network call inside an open transaction.

Verbs flush and never commit. When the view has answered, whatever the status, what it did is committed
here: a refused code must still be counted. Only an exception that escapes rolls back. A GET is always
rolled back, since it changes nothing.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import Flask, Response, g, got_request_exception, request

from wizard.extensions import SAFE_METHODS, db

F = TypeVar("F", bound=Callable[..., Any])


class OpenTransaction(RuntimeError):
    """A network call was about to happen while the database waited. A programming error."""


def init_transactions(app: Flask) -> None:
    """Settle the session once per request, after the view and before the answer leaves."""
    got_request_exception.connect(_remember_failure, app)

    app.extensions["after_commit"] = []

    @app.after_request
    def settle(response: Response) -> Response:
        if request.method in SAFE_METHODS and not g.get("failed"):
            release()
        elif g.get("failed") or not _genuine(response):
            db.session.rollback()
        else:
            db.session.commit()
            for call in app.extensions["after_commit"]:
                call()
        return response


def _remember_failure(_app: Flask, **_extra: object) -> None:
    g.failed = True


def _genuine(response: Response) -> bool:
    """Whether the request was shown to be meant. A view that forgot to ask fails instead of being believed."""
    checked = g.get("request_is_genuine")
    if checked is None and response.status_code < 400:
        raise RuntimeError(
            f"{request.endpoint} answered a {request.method} without checking that it is genuine"
        )
    return bool(checked)


def genuine(proven: bool = True) -> None:
    """Say whether this request was proven to be meant: its CSRF token, its signature or its token was checked."""
    g.request_is_genuine = proven


def after_commit(app: Flask, call: Callable[[], None]) -> None:
    """Call this, without arguments, after every request of ``app`` that committed (to wake a worker)."""
    app.extensions["after_commit"].append(call)


def release() -> None:
    """End a transaction that only read, so that the network may be used; what was read stays usable.

    Raises ``RuntimeError`` if something was changed and not flushed.
    """
    if db.session.new or db.session.dirty or db.session.deleted:
        raise RuntimeError("a change was left in a session that should only have read")
    db.session.expunge_all()
    db.session.rollback()


def outside_transaction(call: F) -> F:
    """Decorate whatever uses the network: it refuses to run while a transaction is open."""

    @wraps(call)
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if db.session().in_transaction():
            raise OpenTransaction(f"{call.__qualname__} would keep a transaction open over the network")
        return call(*args, **kwargs)

    return guarded  # type: ignore[return-value]
