"""The buyer's pages: product, subscribe, set up, Your Marketplace Software, manage, cancel."""

import secrets
from typing import Any

from flask import Blueprint, Response, make_response, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as BaseResponse

from wizard.sandbox import purchases
from wizard.sandbox.forms import AccountForm, BuyForm
from wizard.sandbox.purchases import PurchaseCancelled
from wizard.sandbox.web import csp, sandbox

pages = Blueprint("pages", __name__)

ACCOUNT_COOKIE = "sandbox_account"
EXAMPLE_ACCOUNT = "782858285006"
"""Whom a visitor plays who has not said anything yet."""


@pages.get("/")
def index() -> str:
    return render_template(
        "sandbox/index.html",
        heading=_("Sandbox"),
        here=request.url_root.rstrip("/"),
        registration_url=sandbox().settings.registration_url,
    )


@pages.get("/aws/")
def product() -> str:
    return _product(BuyForm(_codes(), account=_grouped(_remembered() or EXAMPLE_ACCOUNT)))


@pages.post("/aws/")
def continue_subscription() -> Any:
    form = BuyForm(_codes())
    if not form.validate():
        return _product(form), 400
    # Everything chosen travels in the address, so the next page needs no cookie and can be opened again.
    answers = {name: field.data for name, field in form._fields.items()}
    return _remember(redirect(url_for("pages.subscribe", **answers), 303), form.account.data)


@pages.route("/aws/subscribe", methods=["GET", "POST"])
def subscribe() -> Any:
    posted = request.method == "POST"
    form = BuyForm(_codes(), formdata=request.form if posted else MultiDict(request.args))
    if not form.validate():
        return redirect(url_for("pages.product"), 303)
    wish = form.wish(_codes())
    if posted:
        # The page's own order number makes a second press of the button the same purchase.
        bought, _token = sandbox().marketplace.buy(
            **wish, order_ref=request.form.get("order", "")[:64] or None
        )
        return redirect(url_for("pages.set_up", agreement_id=bought.agreement_id), 303)
    return _page(
        "subscribe.html",
        heading=_("Subscribe to %(product)s", product=_title()),
        dimensions=sandbox().settings.dimensions,
        form=form,
        wish=wish,
        order=secrets.token_urlsafe(16),
    )


@pages.get("/aws/software")
def software() -> Any:
    form = AccountForm(formdata=request.args if "account" in request.args else None)
    account = _remembered()
    status = 200
    if "account" in request.args:
        account = form.account.data if form.validate() else None
        status = 200 if account else 400
    if account is not None:
        form.account.data = _grouped(account)
    found = sandbox().marketplace.of_account(account) if account else []
    page = _page(
        "software.html", heading=_("Your Marketplace Software"), form=form, account=account, purchases=found
    )
    response = make_response(page, status)
    return _remember(response, account) if account else response


@pages.get("/aws/software/<agreement_id>")
def manage(agreement_id: str) -> str:
    purchase = sandbox().marketplace.find(agreement_id)
    return _page("manage.html", heading=_("Manage %(product)s", product=_title()), bought=purchase)


@pages.get("/aws/software/<agreement_id>/set-up")
def set_up(agreement_id: str) -> Any:
    """The page whose one button posts the token to the seller, from another origin, as AWS's does."""
    marketplace = sandbox().marketplace
    purchase, token = marketplace.latest_token(agreement_id)
    if purchase.cancelled_at is not None:
        return redirect(url_for("pages.manage", agreement_id=agreement_id), 303)
    response = make_response(
        _page(
            "set_up.html",
            heading=_("You are subscribed to %(product)s", product=_title()),
            bought=purchase,
            token=token.token,
            lapsed=marketplace.lapsed(token),
            registration_url=sandbox().settings.registration_url,
        )
    )
    response.headers["Content-Security-Policy"] = csp(
        form_action=" ".join(["'self'", *sandbox().settings.form_origins])
    )
    # AWS's page tells the seller which origin the buyer comes from; the stricter policy would send "null".
    response.headers["Referrer-Policy"] = "strict-origin-when-cross-origin"
    return response


@pages.post("/aws/software/<agreement_id>/set-up")
def set_up_again(agreement_id: str) -> BaseResponse:
    try:
        sandbox().marketplace.set_up(agreement_id)
    except PurchaseCancelled:
        return redirect(url_for("pages.manage", agreement_id=agreement_id), 303)
    return redirect(url_for("pages.set_up", agreement_id=agreement_id), 303)


@pages.get("/aws/software/<agreement_id>/cancel")
def cancel(agreement_id: str) -> Any:
    purchase = sandbox().marketplace.find(agreement_id)
    if purchase.cancelled_at is not None:
        return redirect(url_for("pages.manage", agreement_id=agreement_id), 303)
    return _page(
        "cancel.html",
        heading=_("Cancel your subscription to %(product)s?", product=_title()),
        bought=purchase,
    )


@pages.post("/aws/software/<agreement_id>/cancel")
def cancel_now(agreement_id: str) -> BaseResponse:
    purchase = sandbox().marketplace.cancel(agreement_id)
    return redirect(url_for("pages.software", account=purchase.account), 303)


def _product(form: BuyForm) -> str:
    return _page(
        "product.html",
        heading=_title(),
        form=form,
        dimensions=sandbox().settings.dimensions,
        action_url=url_for("pages.continue_subscription"),
    )


def _page(template: str, **context: Any) -> str:
    return render_template(f"sandbox/aws/{template}", **context)


def _title() -> str:
    return str(sandbox().settings.brand.product_title)


def _codes() -> tuple[str, ...]:
    return sandbox().settings.product_codes


def _remembered() -> str | None:
    return purchases.account_number(request.cookies.get(ACCOUNT_COOKIE, ""))


def _grouped(account: str | None) -> str:
    """As a person would type it: with plain spaces, in fours."""
    return " ".join((account or "")[i : i + 4] for i in range(0, 12, 4)).strip()


def _remember(response: Any, account: str) -> Response:
    response.set_cookie(
        ACCOUNT_COOKIE,
        account,
        max_age=90 * 86400,
        path=request.script_root or "/",
        httponly=True,
        samesite="Lax",
        secure=request.is_secure,
    )
    return response
