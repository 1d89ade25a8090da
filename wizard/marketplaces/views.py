"""The doors marketplaces use: the landing, and notifications."""

import logging

from flask import Blueprint, Response, abort, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from wizard import clock, logs, metrics
from wizard.billing import subscriptions
from wizard.i18n import other_language
from wizard.limits import limited
from wizard.marketplaces import arrivals, inbox
from wizard.marketplaces.protocol import Marketplace, NotProven, Refused, all_marketplaces
from wizard.transactions import genuine, release

MOST_TOKEN = 4096

TOLD_AGAIN = ("expired", "unknown_token", "wrong_product", "no_token", "unavailable")
"""What can be said of a landing without its token."""

log = logging.getLogger("wizard.marketplaces")
bp = Blueprint("marketplaces", __name__, url_prefix="/marketplaces")


@bp.get("/<marketplace>/landing")
def landing_help(marketplace: str) -> Response:
    """A person, or the marketplace's listing check, opened the address; say how one gets here.

    Or somebody reads in the other language what became of their landing (``?about=``): its token is gone by now.
    """
    about = request.args.get("about", "")
    return _problem(about if about in TOLD_AGAIN else "landing_help", 200, _find(marketplace))


@bp.post("/<marketplace>/landing")
@limited("landing")
def landing(marketplace: str) -> ResponseReturnValue:
    """Resolve once, at once, before any transaction; write the arrival; lead on by GET.

    The POST comes from the marketplace's page, so no cookie of ours is with it and none is touched but the claim.
    The token is the proof that the request is meant, and goes into no URL, cookie or log.
    """
    here = _find(marketplace)
    token = request.form.get(here.token_field, "").strip()
    if not 0 < len(token) <= MOST_TOKEN:
        return _problem("no_token" if not token else "unknown_token", 400, here)
    began, purchase, contact = clock.now(), None, {}
    subscription = arrivals.resolved_before(here.name, token)
    release()
    try:
        if subscription is None:
            purchase = here.resolve(token)
            contact = here.contact(purchase)
            subscription = subscriptions.record(purchase)
    except NotProven as reason:
        return _problem(reason.kind, reason.status, here, token)
    genuine()
    if purchase:
        inbox.landed(subscription, arrivals.hash_of(token), is_new=subscription.created_at >= began)
    arrival = arrivals.land(here.name, token, subscription, contact)
    metrics.LANDINGS.labels(here.name, "landed").inc()
    return redirect(url_for("doors.arrive", arrival_id=arrival.id), 303)


def _is_forged(answer: Response) -> bool:
    """A marketplace itself never causes these; anybody else can have us fetch and calculate for nothing."""
    return answer.status_code == 403 and answer.get_data() in (b"certificate\n", b"signature\n")


@bp.post("/<marketplace>/notifications")
@limited("forged", only=_is_forged)
def notifications(marketplace: str) -> Response:
    """What the marketplace itself says. Its signature is the proof; the same once more changes nothing."""
    here = _find(marketplace)
    try:
        said = here.notified(_body(), request.headers)
    except Refused as refused:
        metrics.MESSAGES.labels(here.name, "https", refused.reason).inc()
        log.warning("a notification was refused", extra={"marketplace": here.name, "reason": refused.reason})
        return _plain(refused.reason, refused.status)
    genuine()
    return _plain(inbox.receive(said) if said else "done", 200)


def _body() -> bytes:
    try:
        return request.get_data()
    except RequestEntityTooLarge:
        raise Refused("too large", 413) from None


def _plain(word: str, status: int) -> Response:
    return Response(f"{word}\n", status, mimetype="text/plain")


def _find(name: str) -> Marketplace:
    """The marketplace of this name; 404 where there is none."""
    if name not in all_marketplaces():
        abort(404)
    return all_marketplaces()[name]


def _problem(kind: str, status: int, marketplace: Marketplace, token: str = "") -> Response:
    if request.method == "POST":
        metrics.LANDINGS.labels(marketplace.name, kind).inc()
    response = current_app.make_response(
        render_template(
            "arrivals/problem.html",
            kind=kind,
            marketplace=marketplace,
            reference=logs.request_id(),
            retry_token=token if kind == "throttled" else None,
            action_url=url_for(".landing", marketplace=marketplace.name),
            sign_in_url="/sign-in",
            other_language_url=other_language(**({"about": kind} if kind in TOLD_AGAIN else {}))[0],
        )
    )
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response
