"""What every page has: security headers, the brand and language in its templates, the stylesheet and script."""

import hashlib
import logging
import re
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, current_app, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_limiter import RateLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError
from werkzeug.exceptions import HTTPException

from wizard import wording
from wizard.brand import Brand, stylesheet
from wizard.i18n import language_of, other_language
from wizard.limits import limiter

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_MAY_PASS = (429, 500, 503)
_SECRET = re.compile("password|code|token$(?<!csrf_token)")
_MOST_KEPT = 32 * 1024
_FOREVER = "public, max-age=31536000, immutable"

log = logging.getLogger("wizard.pages")


def init_pages(app: Flask, brand: Brand) -> None:
    _serve_assets(app, brand)
    _fill_templates(app, brand)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OperationalError, _database_gone)
    app.register_error_handler(InterfaceError, _database_gone)
    app.register_error_handler(Exception, _our_mistake)

    @app.after_request
    def secure(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        if app.config["SESSION_COOKIE_SECURE"]:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        return response


def _serve_assets(app: Flask, brand: Brand) -> None:
    """One stylesheet with the brand's colours in it and one script, each named after its content."""
    script = (Path(app.static_folder or "static") / "app.js").read_text()
    assets = {
        "style": (stylesheet(brand), "text/css", "css"),
        "script": (script, "text/javascript", "js"),
    }
    by_name, urls = {}, {}
    for key, (text, mimetype, ending) in assets.items():
        name = f"{key}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{ending}"
        by_name[name] = (text, mimetype)
        urls[key] = f"/assets/{name}"

    @app.get("/assets/<name>")
    def asset(name: str) -> Response:
        if name not in by_name:
            abort(404)
        text, mimetype = by_name[name]
        response = Response(text, mimetype=mimetype)
        response.headers["Cache-Control"] = _FOREVER
        return response

    app.extensions["asset_urls"] = urls


def _fill_templates(app: Flask, brand: Brand) -> None:
    app.jinja_env.filters.update(
        account_number=wording.account_number, datetime=wording.date_and_time, time=wording.time_of_day
    )
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True

    @app.context_processor
    def common() -> dict[str, Any]:
        url, name = other_language()
        return {
            "brand": brand,
            "locale": language_of(str(get_locale())),
            "other_language_url": url,
            "other_language_name": name,
            "stylesheet_url": app.extensions["asset_urls"]["style"],
            "script_url": app.extensions["asset_urls"]["script"],
            "place": None,
            "reference": None,
        }


# Errors -----------------------------------------------------------------------------------------------------


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    if isinstance(error, RateLimitExceeded) and limiter.current_limit is not None:
        until = datetime.fromtimestamp(limiter.current_limit.reset_at, UTC)
        lead = _("Send it again after %(time)s. What you typed is kept.", time=wording.time_to_come(until))
        return _error_page(429, _("Too many tries from your network"), lead)
    return _error_page(error.code, *_words_for(error.code, of_journey=error.description == "journey"))


def _words_for(status: int, of_journey: bool = False) -> tuple[str, str]:
    """Heading and lead for a status; anything without its own words is told plainly."""
    if of_journey and status == 410:
        return (
            _("This registration has run out"),
            _(
                "Its answers were kept for a while and are gone now. Begin again from the front page. If you "
                "subscribed at AWS, open Set Up Your Account there once more: your subscription is safe."
            ),
        )
    if of_journey:
        return (
            _("This registration is not open in this browser"),
            _(
                "It was begun in another browser, or you have been away for more than 30 days. Sign in to carry on "
                "where you stopped, or begin again: nothing is charged twice."
            ),
        )
    words = {
        400: (
            _("We could not read that"),
            _("Something was missing from what your browser sent. Go back and send it again."),
        ),
        403: (_("This page is not yours to open"), _("Sign in with the account it belongs to.")),
        404: (_("There is no page here"), _("Check the address, or start from the front page.")),
        405: (_("This page cannot be opened like that"), _("Start from the front page.")),
        413: (_("That was too much to send"), _("Shorten what you typed, go back and send it again.")),
        503: (
            _("We cannot answer just now"),
            _("This is our fault and we have been told. Nothing was lost: try again in a minute."),
        ),
    }
    fallback = (
        _("Something went wrong on our side"),
        _("We have been told. What you had saved before is kept: go back and send it once more."),
    )
    return words.get(status, fallback)


def _database_gone(error: Exception) -> ResponseReturnValue:
    g.failed = True
    log.error("the database did not answer", extra={"alert": "database"}, exc_info=error)
    status = HTTPStatus.SERVICE_UNAVAILABLE
    return _error_page(status, *_words_for(status))


def _our_mistake(error: Exception) -> ResponseReturnValue:
    g.failed = True
    log.error("an exception escaped", extra={"alert": "exception", "path": request.path}, exc_info=error)
    if current_app.testing:
        raise error
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _error_page(status, *_words_for(status))


def _error_page(status: int, heading: str, lead: str) -> ResponseReturnValue:
    actions = [(_("Back to the start"), url_for("flows.home")), (_("Sign in"), url_for("console.sign_in"))]
    page = render_template(
        "errors/page.html", heading=heading, lead=lead, actions=actions, again=_again(status)
    )
    return page, status


def _again(status: int) -> dict[str, Any] | None:
    """What was typed, to be sent once more, after a failure that may pass. Secrets are left out.

    The CSRF token goes back as it came, so this can repeat only what the page itself was meant to send.
    """
    if request.method != "POST" or status not in _MAY_PASS or request.endpoint is None:
        return None
    answers = [(k, v) for k, v in request.form.items(multi=True) if not _SECRET.search(k)]
    if not answers or sum(len(v) for _k, v in answers) > _MOST_KEPT:
        return None
    return {"url": request.full_path.rstrip("?"), "answers": answers}
