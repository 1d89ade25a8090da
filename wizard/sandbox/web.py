"""What every response of the sandbox has in common: headers, template context, filters, error pages."""

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from babel.dates import format_datetime
from flask import Flask, Response, abort, current_app, g, jsonify, render_template, request, url_for
from flask_babel import get_locale
from flask_babel import gettext as _
from werkzeug.exceptions import HTTPException

from wizard.i18n import language_of, other_language
from wizard.sandbox.credentials import Sessions
from wizard.sandbox.errors import UnknownPurchase
from wizard.sandbox.events import iso
from wizard.sandbox.mails import Mails
from wizard.sandbox.messages import Messages
from wizard.sandbox.metering import Meter, plain
from wizard.sandbox.partitions import PARTITIONS
from wizard.sandbox.purchases import Marketplace
from wizard.sandbox.settings import SandboxSettings
from wizard.sandbox.signing import Signer
from wizard.sandbox.text import printable
from wizard.sandbox.topics import Topics

CSP = {
    "default-src": "'none'",
    "style-src": "'self'",
    "script-src": "'self'",
    "img-src": "'self' data:",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}

# Word joiners and no-break spaces: a date does not fall apart at the end of a line.
_CHINESE_MOMENT = "\u2060".join("y年M月d日") + "\u00a0HH:mm\u2060（UTC）"
_FOR_PROGRAMS = (
    "/aws/api",
    "/aws/sts",
    "/aws/sns",
    "/aws/purchases",
    "/aws/messages",
    "/aws/topics",
    "/mailbox.json",
)


@dataclass(frozen=True)
class Sandbox:
    """The parts of one sandbox app."""

    settings: SandboxSettings
    marketplace: Marketplace
    meter: Meter
    sessions: Sessions
    mails: Mails
    messages: Messages
    topics: Topics
    signer: Signer


def sandbox() -> Sandbox:
    """The parts of the app that serves this request."""
    return cast(Sandbox, current_app.extensions["sandbox"])


def json_object(body: bytes) -> dict[str, Any]:
    """A request's body as a JSON object, an empty body as an empty one.

    Raises ``ValueError`` with a sentence. Stricter than ``json``: no NaN, and no half characters, which
    neither SQLite nor an answer could hold.
    """
    try:
        value = json.loads(body or b"{}", parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("The body is not JSON.") from None
    if not isinstance(value, dict):
        raise ValueError("The body is not a JSON object.")
    return value


def _no_constant(name: str) -> None:
    raise ValueError(name)


def csp(**changes: str) -> str:
    """The content security policy, with directives changed or added: ``csp(frame_src="'self'")``."""
    directives = CSP | {name.replace("_", "-"): sources for name, sources in changes.items()}
    return "; ".join(f"{name} {sources}".strip() for name, sources in directives.items())


def init_web(app: Flask) -> None:
    """Give an app the headers, the context, the filters and the error pages."""
    app.before_request(_refuse_foreign_posts)
    app.after_request(_headers)
    app.context_processor(_context)
    app.add_template_filter(account_number)
    app.add_template_filter(plain, "quantity")
    app.add_template_filter(moment, "datetime")
    app.add_template_filter(clock_time, "time")
    app.add_template_filter(iso)
    app.add_template_filter(pretty)
    app.register_error_handler(HTTPException, _problem)
    app.register_error_handler(UnknownPurchase, _unknown_purchase)


def account_number(digits: str) -> str:
    """``782858285006`` → ``7828 5828 5006`` with no-break spaces."""
    return "\u00a0".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def moment(when: float | datetime) -> str:
    """Unix seconds or a datetime as "7 April 2026, 18:40 (UTC)"."""
    if language_of(str(get_locale())) == "zh":
        return format_datetime(_utc(when), _CHINESE_MOMENT, locale="zh")
    return format_datetime(_utc(when), "d MMMM y, HH:mm\u00a0'(UTC)'", locale="en")


def pretty(body: str) -> str:
    """JSON as people read it, anything else as it is; without what no page can hold."""
    with suppress(ValueError, RecursionError):
        body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    return printable(body)


def clock_time(when: float | datetime) -> str:
    """Unix seconds or a datetime as "18:40"."""
    return _utc(when).strftime("%H:%M")


def _utc(when: float | datetime) -> datetime:
    return when.astimezone(UTC) if isinstance(when, datetime) else datetime.fromtimestamp(when, UTC)


def _context() -> dict[str, Any]:
    settings = sandbox().settings
    url, name = other_language()
    return {
        "brand": settings.brand,
        "locale": language_of(str(get_locale())),
        "other_language_url": url,
        "other_language_name": name,
        "stylesheet_url": settings.stylesheet_url,
        "script_url": settings.script_url,
        "place": _("Sandbox"),
        "marketplace": (g.get("partition") or PARTITIONS["aws"]).marketplace,
        "reference": None,
        "now": settings.now(),
        "home_url": url_for("pages.index"),
    }


def _refuse_foreign_posts() -> None:
    """No other site may press buttons here through a visitor's browser. Programs send no such header."""
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        abort(403)


def _headers(response: Response) -> Response:
    response.headers.setdefault("Content-Security-Policy", csp())
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _unknown_purchase(error: UnknownPurchase) -> Any:
    lead = _("No purchase has this agreement ID. Look in the list of an account.")
    return _answer_problem(404, _("No such purchase"), lead)


def _problem(error: HTTPException) -> Any:
    """HTTP errors and routing redirects: JSON for programs, a page for people."""
    status = error.code or 500
    if status < 400:
        return error
    if request.path.startswith(_FOR_PROGRAMS):
        return jsonify(error=error.description), status
    says = {
        403: (_("This came from another site"), _("Open the page here and press the button again.")),
        404: (_("There is nothing here"), _("The address names no page of the sandbox.")),
        405: (_("This address takes no visits"), _("Start from the list of doors.")),
    }
    return _answer_problem(
        status, *says.get(status, (_("The sandbox could not do this"), _("Go back and try again.")))
    )


def _answer_problem(status: int, heading: str, lead: str) -> tuple[str, int]:
    return render_template("sandbox/problem.html", heading=heading, lead=lead), status
