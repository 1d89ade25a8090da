"""Structured logs: one line an event, with a request id, without personal data or secrets."""

import logging
import sys
import uuid

import structlog
from flask import Flask, g, has_request_context, request

from config import Settings


def init_logs(app: Flask, settings: Settings) -> None:
    """Send every log record of this process to standard error, as text or as JSON lines."""
    renderer: structlog.types.Processor
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ExtraAdder(),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _request_id,
            structlog.processors.format_exc_info,
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger("wizard")
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
    for notice in settings.notices():
        root.info(notice)
    for warning in app.extensions["brand"].warnings:
        root.warning(warning)


def _request_id(_logger: object, _method: str, event: structlog.types.EventDict) -> structlog.types.EventDict:
    """The same id on every line of one request."""
    if has_request_context():
        if "request_id" not in g:
            g.request_id = uuid.uuid4().hex[:12]
        event["request_id"] = g.request_id
        event["endpoint"] = request.endpoint
    return event
