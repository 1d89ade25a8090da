"""Structured logs: one line an event, with a request id, without personal data or secrets.

What is known about the work at hand is on every line written during it, whoever writes it: the request's id and
route, the journey (``about(journey=…)``), the outbox entry and the request that asked for it.

What an exception *says* is left out unless it can only speak of machines: a constraint's complaint, a refused
recipient or a number that is none quotes what somebody typed. Where it happened is told in full.
"""

import logging
import re
import socket
import sys
import time
import traceback
import uuid
from contextlib import AbstractContextManager
from typing import Any, TextIO

import sqlalchemy as sa
import structlog
from flask import Flask, Response, g, has_request_context, request
from sqlalchemy.engine import Engine
from structlog.contextvars import (
    bind_contextvars,
    bound_contextvars,
    clear_contextvars,
    get_contextvars,
    merge_contextvars,
)

from config import Settings

HEADER = "X-Request-ID"
_GIVEN_ID = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
_REFERENCE = re.compile("[A-Z]{2}-[0-9A-Z]{4}-[0-9A-Z]{4}")

_OF_MACHINES: tuple[type[BaseException], ...] = (
    ConnectionError,
    TimeoutError,
    socket.gaierror,
    sa.exc.OperationalError,
    sa.exc.InterfaceError,
    sa.exc.TimeoutError,
)
"""Exceptions whose words name hosts, ports and SQL without its values, never a person."""

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_ADDRESS_OR_QUERY = re.compile(r"[^\s<>\"'=]+@[^\s<>\"']+|(?<=\?)[^\s\"']+")
_MOST_CAUSES = 5

access = logging.getLogger("wizard.access")


def init_logs(app: Flask, settings: Settings) -> None:
    """Log this app's requests, and say at start what is off. Called before any other hook is set."""
    configure(settings.log_format)
    log = logging.getLogger("wizard")
    for notice in settings.notices():
        log.info(notice)
    for warning in app.extensions["brand"].warnings:
        log.warning(warning)

    @app.before_request
    def begin() -> None:
        clear_contextvars()
        given = request.headers.get(HEADER, "") if settings.trusted_proxies else ""
        g.request_id = given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex[:16]
        g.began, g.statements = time.perf_counter(), 0
        # The pattern, not the address: what stands in an address may belong to somebody.
        bind_contextvars(request_id=g.request_id, route=request.url_rule.rule if request.url_rule else None)
        reference = (request.view_args or {}).get("reference", "")
        if _REFERENCE.fullmatch(reference):
            bind_contextvars(journey=reference)

    @app.after_request
    def end(response: Response) -> Response:
        """Set first, so it runs last: the line has the commit in its time."""
        if "began" in g:
            response.headers[HEADER] = g.request_id
            access.info(
                "request",
                extra={
                    "method": request.method if request.method in KNOWN_METHODS else "other",
                    "status": response.status_code,
                    "ms": round((time.perf_counter() - g.began) * 1000, 1),
                    "statements": g.statements,
                },
            )
        return response

    @app.teardown_request
    def forget(_error: BaseException | None) -> None:
        clear_contextvars()


def about(**known: Any) -> AbstractContextManager[None]:
    """Put these on every line written in this block; what is None is left out."""
    return bound_contextvars(**{name: value for name, value in known.items() if value is not None})


def concerns(journey: str) -> None:
    """From here to its end, this request is about the journey of this reference."""
    bind_contextvars(journey=journey)


def origin() -> dict[str, str | None]:
    """``{"request_id", "journey"}`` of the work at hand, for what is written down to be done later."""
    known = get_contextvars()
    return {"request_id": known.get("request_id"), "journey": known.get("journey")}


def request_id() -> str | None:
    """What a customer can quote so that the lines of this very request are found."""
    return g.get("request_id") if has_request_context() else None


def configure(log_format: str) -> None:
    """Send every record of this process to standard error, as "text" or as "json" lines. Again changes the format."""
    root = logging.getLogger()
    ours = next((handler for handler in root.handlers if isinstance(handler, _Stderr)), None)
    if ours is None:
        ours = _Stderr()
        root.addHandler(ours)
    ours.setFormatter(formatter(log_format))
    logging.getLogger("wizard").setLevel(
        logging.INFO
    )  # The libraries' own from WARNING on, the root's default.


class _Stderr(logging.StreamHandler[TextIO]):
    """Whatever standard error is at the moment, as ``logging``'s own last resort has it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


def formatter(log_format: str) -> logging.Formatter:
    """What makes a line of a record: "text" for people, "json" for machines."""
    renderer: structlog.types.Processor
    if log_format == "json":
        renderer = structlog.processors.JSONRenderer(default=str)
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            merge_contextvars,
            _mask_what_others_say,
            _tell_exception,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _mask_what_others_say(
    _logger: object, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    """Libraries do not know our rule: an address or a query string in their words is taken out."""
    if not str(event.get("logger", "")).startswith("wizard"):
        event["event"] = _ADDRESS_OR_QUERY.sub("…", str(event["event"]))
    return event


def _tell_exception(
    _logger: object, _method: str, event: structlog.types.EventDict
) -> structlog.types.EventDict:
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info if isinstance(info, BaseException) else None
    if error is not None:
        event["error"] = type(error).__name__
        event["exception"] = "\n".join(_told(error))
    return event


def _told(error: BaseException) -> list[str]:
    """An exception and its causes, the newest first: type, what may be said of it, and where it happened."""
    told: list[str] = []
    cause: BaseException | None = error
    for _step in range(_MOST_CAUSES):
        if cause is None:
            break
        says = f": {cause}" if isinstance(cause, _OF_MACHINES) else ""
        told += [f"{type(cause).__module__}.{type(cause).__qualname__}{says}"]
        told += [line.rstrip() for line in traceback.format_tb(cause.__traceback__)]
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return told


@sa.event.listens_for(Engine, "before_cursor_execute")
def _count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
    if has_request_context() and not statement.startswith(("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK")):
        g.statements = g.get("statements", 0) + 1
