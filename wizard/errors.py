"""What people see when something went wrong: what happened, what became of their answers, and a way on."""

import logging
import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from flask import Flask, current_app, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_limiter import RateLimitExceeded
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from wizard import logs, metrics, wording
from wizard.limits import limiter

_MAY_PASS = (429, 500, 503)
"""Failures after which the same thing may be sent again."""

_SECRET = re.compile("password|^code$")
"""Fields that are not written into a page. A marketplace's token is: only the browser that posted it sees it."""

_MOST_KEPT = 32 * 1024

log = logging.getLogger("wizard.errors")


def init_errors(app: Flask) -> None:
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(OperationalError, _database_gone)
    app.register_error_handler(InterfaceError, _database_gone)
    app.register_error_handler(NoConnectionFree, _database_gone)
    app.register_error_handler(Exception, _our_mistake)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None or error.code is None or error.code < 400:
        return error
    if isinstance(error, RateLimitExceeded) and limiter.current_limit is not None:
        metrics.LIMITS.labels(str(error.limit.scope)).inc()
        until = datetime.fromtimestamp(limiter.current_limit.reset_at, UTC)
        lead = _("Send it again after %(time)s. What you typed is kept.", time=wording.time_to_come(until))
        return _error_page(429, _("Too many tries from your network"), lead)
    about = str(error.description)
    words = _words_for(error.code, about)
    page = current_app.make_response(
        _error_page(error.code, *words, of_journey=about in ("journey", "taken"))
    )
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        page.headers["Allow"] = ", ".join(error.valid_methods)
    return page


def _words_for(status: int, about: str = "") -> tuple[str, str]:
    """Heading and lead for a status; anything without its own words is told plainly."""
    if about == "taken":
        return (
            _("This purchase is set up already"),
            _(
                "It has been bound to a Billing Center account meanwhile. If that was you on another device, sign in "
                "to the Billing Center. Otherwise ask whoever looks after the cloud account at your company. Nothing "
                "was changed here."
            ),
        )
    if about == "journey" and status == 410:
        return (
            _("What you began here has run out"),
            _(
                "Its answers were kept for a while and are gone now. Begin again from the front page. If you "
                "subscribed at AWS, open Set Up Your Account there once more: your subscription is safe."
            ),
        )
    if about == "journey":
        return (
            _("This page is not open in this browser"),
            _(
                "You have signed out since, it was begun in another browser, or you have been away for more than 30 "
                "days. Sign in to carry on where you stopped, or begin again: nothing is charged twice."
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
    page = current_app.make_response(_error_page(status, *_words_for(status)))
    page.headers["Retry-After"] = "10"
    return page


def _our_mistake(error: Exception) -> ResponseReturnValue:
    g.failed = True
    log.error("an exception escaped", extra={"alert": "exception"}, exc_info=error)
    if current_app.testing:
        raise error
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    return _error_page(status, *_words_for(status))


def _error_page(status: int, heading: str, lead: str, of_journey: bool = False) -> ResponseReturnValue:
    area = "billing_center" if (request.blueprint or "").startswith("billing_") else "console"
    actions = [(_("Back to the start"), url_for("doors.home")), (_("Sign in"), url_for(f"{area}.sign_in"))]
    if of_journey:
        actions.append((_("Sign in to the Billing Center"), url_for("billing_center.sign_in")))
    page = render_template(
        "errors/page.html",
        heading=heading,
        lead=lead,
        actions=actions,
        again=_again(status),
        reference=logs.request_id(),
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
