"""``/healthz`` (the process), ``/readyz`` (database, migrations, a worker) and ``/metrics``."""

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Blueprint, Response, current_app, jsonify
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest
from sqlalchemy.exc import SQLAlchemyError

from wizard import outbox
from wizard.extensions import db

bp = Blueprint("health", __name__)

REQUESTS = Counter("wizard_requests_total", "Answers by endpoint and status.", ["endpoint", "status"])


@bp.get("/healthz")
def healthz() -> ResponseReturnValue:
    return jsonify(status="ok")


@bp.get("/readyz")
def readyz() -> ResponseReturnValue:
    """200 when a customer can be served; 503 with the first thing that is missing otherwise."""
    checks = {"database": False, "migrations": False, "worker": False}
    try:
        connection = db.session.connection()
        checks["database"] = True
        at = MigrationContext.configure(connection).get_current_heads()
        wanted = ScriptDirectory(current_app.extensions["migrations_path"]).get_heads()
        checks["migrations"] = set(at) == set(wanted)
        checks["worker"] = checks["migrations"] and outbox.worker_lives()
    except SQLAlchemyError:
        db.session.rollback()
    ready = all(checks.values())
    return jsonify(status="ready" if ready else "not ready", **checks), 200 if ready else 503


@bp.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(), content_type=CONTENT_TYPE_LATEST)
