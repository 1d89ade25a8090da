"""What is counted, for ``/metrics``. A label is one of a few words of ours, never what somebody typed or is called.

What the database knows (the outbox, the workers) is read when it is asked for, in :mod:`wizard.health`.
"""

import time

from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

from wizard.logs import KNOWN_METHODS

REQUESTS = Counter(
    "wizard_requests", "Answers by endpoint, method and class of status.", ["endpoint", "method", "status"]
)
SECONDS = Histogram(
    "wizard_request_seconds",
    "Time to an answer, its commit included.",
    ["endpoint", "method"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
LANDINGS = Counter(
    "wizard_landings", "Landings by marketplace and outcome: landed, or why not.", ["marketplace", "outcome"]
)
CONTACTS = Counter(
    "wizard_agreement_contacts",
    "Landings whose agreement was asked for its contact, by what came of it: given, none or failed.",
    ["marketplace", "outcome"],
)
STEPS = Counter(
    "wizard_journey_steps", "Journeys that an answer brought to this step of their flow.", ["flow", "step"]
)
MESSAGES = Counter(
    "wizard_messages",
    "Messages of a marketplace, by road and what became of them: applied, waits, duplicate … or why refused.",
    ["marketplace", "road", "outcome"],
)
CODES = Counter(
    "wizard_codes", "Email codes by purpose and outcome: sent, accepted, or why not.", ["purpose", "outcome"]
)
SIGN_INS = Counter("wizard_sign_ins", "Sign-ins by area and outcome.", ["area", "outcome"])
BREACH_CHECKS = Counter(
    "wizard_breach_checks", "Chosen passwords looked up among stolen ones, by outcome.", ["outcome"]
)
LIMITS = Counter("wizard_limits_reached", "Requests that a limit refused, by the limit.", ["limit"])
OUTBOX = Counter(
    "wizard_outbox_attempts", "Outbox entries attempted, by kind and outcome.", ["kind", "outcome"]
)
"""Counted by the worker; a worker apart from the web process shows it only in multiprocess mode."""


def init_metrics(app: Flask) -> None:
    """Count and time every answer. Called right after the logs, so that the commit is in the time."""

    @app.before_request
    def begin() -> None:
        g.timed = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        endpoint = request.endpoint or "none"
        method = request.method if request.method in KNOWN_METHODS else "other"
        REQUESTS.labels(endpoint, method, f"{response.status_code // 100}xx").inc()
        if "timed" in g:
            SECONDS.labels(endpoint, method).observe(time.perf_counter() - g.timed)
        return response
