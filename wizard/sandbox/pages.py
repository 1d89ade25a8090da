"""The buyer's pages: product, subscribe, set up, Your Marketplace Software, manage, cancel."""

import secrets
from contextlib import suppress
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, abort, g, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from wizard.sandbox import names
from wizard.sandbox.bought import Purchase
from wizard.sandbox.contacts import person_of
from wizard.sandbox.credentials import EXTERNAL_ID, ROLE_ACCOUNT, ROLE_NAME
from wizard.sandbox.errors import PurchaseCancelled, Refused
from wizard.sandbox.forms import AccountForm, BuyForm
from wizard.sandbox.metering import totals
from wizard.sandbox.partitions import PARTITIONS, Partition
from wizard.sandbox.web import csp, sandbox

pages = Blueprint("pages", __name__)
aws_pages = Blueprint("aws", __name__, url_prefix="/<any('aws', 'aws-cn', 'aws-eusc'):partition>")
"""The same pages for each partition; the one of the request is in ``g.partition``."""

ACCOUNT_COOKIE = "sandbox_account"
_MOST_SHOWN = 200


@aws_pages.url_value_preprocessor
def _enter(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    g.partition = PARTITIONS[(values or {}).pop("partition")]


@aws_pages.url_defaults
def _stay(_endpoint: str, values: dict[str, Any]) -> None:
    """A link between these pages stays in its partition."""
    if "partition" in g:
        values.setdefault("partition", g.partition.name)


@aws_pages.before_request
def _on_sale() -> None:
    if _here().name not in sandbox().settings.product_codes:
        abort(404)


@pages.get("/")
def index() -> str:
    settings = sandbox().settings
    return render_template(
        "sandbox/index.html",
        heading=_("Sandbox"),
        here=request.url_root.rstrip("/"),
        partitions=settings.partitions,
        registration_urls=settings.registration_urls,
        notification_urls=settings.notification_urls,
        role=f"{ROLE_ACCOUNT}:role/{ROLE_NAME}",
        external_id=EXTERNAL_ID,
    )


@aws_pages.get("/")
def product() -> str:
    return _product(
        BuyForm(_codes(), account=_grouped(_remembered() or _here().account), style=_here().style)
    )


@aws_pages.post("/")
def continue_subscription() -> Any:
    form = BuyForm(_codes())
    if not form.validate():
        return _product(form), 400
    # Everything chosen travels in the address, so the next page needs no cookie and can be opened again.
    answers = {name: field.data for name, field in form._fields.items()}
    return _remember(redirect(url_for("aws.subscribe", **answers), 303), form.account.data)


@aws_pages.route("/subscribe", methods=["GET", "POST"])
def subscribe() -> Any:
    posted = request.method == "POST"
    form = BuyForm(_codes(), formdata=request.form if posted else MultiDict(request.args))
    if not form.validate():
        return redirect(url_for("aws.product"), 303)
    wish = form.wish(_codes())
    contact = person_of(_here().name, wish["account"])
    if posted:
        # The page's own order number makes a second press of the button the same purchase.
        order = request.form.get("order", "")[:64] or None
        bought, _token = sandbox().marketplace.buy(
            **wish, partition=_here().name, contact=contact, order_ref=order
        )
        return redirect(url_for("aws.set_up", agreement_id=bought.agreement_id), 303)
    return _page(
        "subscribe.html",
        heading=_("Subscribe to %(product)s", product=_title()),
        dimensions=sandbox().settings.dimensions,
        form=form,
        wish=wish,
        contact=contact,
        order=secrets.token_urlsafe(16),
    )


@aws_pages.get("/software")
def software() -> Any:
    form = AccountForm(formdata=request.args if "account" in request.args else None)
    account = _remembered()
    status = 200
    if "account" in request.args:
        account = form.account.data if form.validate() else None
        status = 200 if account else 400
    if account is not None:
        form.account.data = _grouped(account)
    found = sandbox().marketplace.of_account(account, _here().name) if account else []
    page = _page(
        "software.html", heading=_("Your Marketplace Software"), form=form, account=account, purchases=found
    )
    response = make_response(page, status)
    return _remember(response, account) if account else response


@aws_pages.get("/software/<agreement_id>")
def manage(agreement_id: str) -> str:
    purchase = _found(agreement_id)
    return _page("manage.html", heading=_("Manage %(product)s", product=_title()), bought=purchase)


@aws_pages.get("/software/<agreement_id>/metering")
def metering(agreement_id: str) -> str:
    """What the seller has metered, hour by hour."""
    purchase = _found(agreement_id)
    records = sandbox().meter.of(agreement_id)
    return _page(
        "metering.html",
        heading=_("Metered usage"),
        bought=purchase,
        names={dimension.key: dimension for dimension in sandbox().settings.dimensions},
        totals=totals(records),
        hours=[(hour, list(group)) for hour, group in groupby(records[:_MOST_SHOWN], lambda r: r.hour)],
        left_out=max(0, len(records) - _MOST_SHOWN),
    )


@aws_pages.get("/software/<agreement_id>/set-up")
def set_up(agreement_id: str) -> Any:
    """The page whose one button posts the token to the seller, from another origin, as AWS's does."""
    marketplace = sandbox().marketplace
    _found(agreement_id)
    purchase, token = marketplace.latest_token(agreement_id)
    # That a payment failed is only known when the buyer is on the way to the seller.
    if purchase.status not in ("ACTIVE", "FAILED"):
        return redirect(url_for("aws.manage", agreement_id=agreement_id), 303)
    response = make_response(
        _page(
            "set_up.html",
            heading=_("You are subscribed to %(product)s", product=_title()),
            bought=purchase,
            token=token.token,
            lapsed=marketplace.lapsed(token),
            registration_url=sandbox().settings.registration_urls[_here().name],
        )
    )
    response.headers["Content-Security-Policy"] = csp(
        form_action=" ".join(["'self'", *sandbox().settings.form_origins(_here().name)])
    )
    # AWS's page tells the seller which origin the buyer comes from; the stricter policy would send "null".
    response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    return response


@aws_pages.post("/software/<agreement_id>/set-up")
def set_up_again(agreement_id: str) -> BaseResponse:
    _found(agreement_id)
    try:
        sandbox().marketplace.set_up(agreement_id)
    except PurchaseCancelled:
        return redirect(url_for("aws.manage", agreement_id=agreement_id), 303)
    return redirect(url_for("aws.set_up", agreement_id=agreement_id), 303)


@aws_pages.get("/software/<agreement_id>/cancel")
def cancel(agreement_id: str) -> Any:
    purchase = _found(agreement_id)
    if purchase.cancelled_at is not None:
        return redirect(url_for("aws.manage", agreement_id=agreement_id), 303)
    return _page(
        "cancel.html",
        heading=_("Cancel your subscription to %(product)s?", product=_title()),
        bought=purchase,
    )


@aws_pages.post("/software/<agreement_id>/cancel")
def cancel_now(agreement_id: str) -> BaseResponse:
    _found(agreement_id)
    purchase = sandbox().marketplace.cancel(agreement_id)
    return redirect(url_for("aws.software", account=purchase.account), 303)


@aws_pages.post("/software/<agreement_id>/renew")
def renew(agreement_id: str) -> BaseResponse:
    """As a contract renews by itself: the page of the agreement that comes in the place of this one."""
    _found(agreement_id)
    with suppress(Refused):  # It is over meanwhile: its page says so.
        agreement_id = sandbox().marketplace.renew(agreement_id)[0].agreement_id
    return redirect(url_for("aws.manage", agreement_id=agreement_id), 303)


def _product(form: BuyForm) -> str:
    return _page(
        "product.html",
        heading=_title(),
        form=form,
        dimensions=sandbox().settings.dimensions,
        action_url=url_for("aws.continue_subscription"),
    )


def _page(template: str, **context: Any) -> str:
    return render_template(f"sandbox/aws/{template}", partition=_here(), **context)


def _title() -> str:
    return str(sandbox().settings.brand.product_title)


def _here() -> Partition:
    partition: Partition = g.partition
    return partition


def _found(agreement_id: str) -> Purchase:
    """A purchase of this partition; another one's is not known here. Raises ``UnknownPurchase``."""
    return sandbox().marketplace.find(agreement_id, _here().name)


def _codes() -> tuple[str, ...]:
    return sandbox().settings.product_codes[_here().name]


def _cookie() -> str:
    """Accounts of one partition are unknown in another, so each remembers its own."""
    return ACCOUNT_COOKIE if _here().name == "aws" else f"{ACCOUNT_COOKIE}_{_here().name}"


def _remembered() -> str | None:
    return names.account_number(request.cookies.get(_cookie(), ""))


def _grouped(account: str | None) -> str:
    """As a person would type it: with plain spaces, in fours."""
    return " ".join((account or "")[i : i + 4] for i in range(0, 12, 4)).strip()


def _remember(response: Any, account: str) -> Response:
    response.set_cookie(
        _cookie(),
        account,
        max_age=90 * 86400,
        path=request.script_root or "/",
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return response
