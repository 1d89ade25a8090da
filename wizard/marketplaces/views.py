"""The doors marketplaces use: the landing."""

from flask import Blueprint, Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from wizard import logs, metrics
from wizard.billing import subscriptions
from wizard.limits import limited
from wizard.marketplaces import arrivals, aws
from wizard.marketplaces.protocol import Marketplace, NotProven
from wizard.transactions import genuine, release

bp = Blueprint("marketplaces", __name__, url_prefix="/marketplaces")


@bp.get("/aws/landing")
def aws_landing_help() -> str:
    """A person, or AWS's listing check, opened the address; say how one gets here."""
    return render_template("arrivals/problem.html", kind="landing_help", **_links(_aws()))


@bp.post("/aws/landing")
@limited("landing")
def aws_landing() -> ResponseReturnValue:
    """Resolve once, at once, before any transaction; write the arrival; lead on by GET.

    The POST comes from AWS's page, so no cookie of ours is with it and none is touched but the claim.
    The token is the proof that the request is meant, and goes into no URL, cookie or log.
    """
    marketplace = _aws()
    token = request.form.get(aws.TOKEN_FIELD, "").strip()
    if not 0 < len(token) <= aws.MOST_TOKEN:
        return _problem("no_token" if not token else "unknown_token", 400, marketplace)
    known = arrivals.resolved_before(marketplace.name, token)
    release()
    try:
        subscription = known or subscriptions.record(marketplace.resolve(token))
    except NotProven as reason:
        return _problem(reason.kind, reason.status, marketplace, token)
    genuine()
    arrival = arrivals.land(marketplace.name, token, subscription)
    metrics.LANDINGS.labels(marketplace.name, "landed").inc()
    return redirect(url_for("flows.arrive", arrival_id=arrival.id), 303)


def _problem(kind: str, status: int, marketplace: Marketplace, token: str = "") -> Response:
    metrics.LANDINGS.labels(marketplace.name, kind).inc()
    response = current_app.make_response(
        render_template(
            "arrivals/problem.html",
            kind=kind,
            reference=logs.request_id(),
            retry_token=token if kind == "throttled" else None,
            action_url=url_for(".aws_landing"),
            **_links(marketplace),
        )
    )
    response.status_code = status
    if status == 503:
        response.headers["Retry-After"] = "5"
    return response


def _aws() -> Marketplace:
    marketplace: Marketplace = current_app.extensions["marketplaces"]["aws"]
    return marketplace


def _links(marketplace: Marketplace) -> dict[str, str]:
    return {"marketplace_url": marketplace.listing.url, "sign_in_url": "/sign-in"}
