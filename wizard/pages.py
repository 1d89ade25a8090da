"""What every page has: security headers, the brand and language in its templates, the stylesheet and script."""

import hashlib
import re
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort
from flask_babel import format_decimal, get_locale

from wizard import wording
from wizard.brand import BILLING_LAYERS, SANDBOX_LAYERS, Brand, stylesheet
from wizard.i18n import language_of, other_language

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
_ASSET = re.compile(r"(style|billing|sandbox)-[0-9a-f]{12}\.css|(script)-[0-9a-f]{12}\.js")
_FOREVER = "public, max-age=31536000, immutable"


def init_pages(app: Flask, brand: Brand) -> None:
    _serve_assets(app, brand)
    _fill_templates(app, brand)

    @app.after_request
    def secure(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        if app.config["SESSION_COOKIE_SECURE"]:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
        return response


def _serve_assets(app: Flask, brand: Brand) -> None:
    """A stylesheet with the brand's colours in it, those of the Billing Center and the sandbox, and one script, each
    named after its content."""
    script = (Path(app.static_folder or "static") / "app.js").read_text()
    assets = {
        "style": (stylesheet(brand), "text/css", "css"),
        "billing": (stylesheet(brand, BILLING_LAYERS), "text/css", "css"),
        "sandbox": (stylesheet(brand, SANDBOX_LAYERS), "text/css", "css"),
        "script": (script, "text/javascript", "js"),
    }
    by_name, urls = {}, {}
    for key, (text, mimetype, ending) in assets.items():
        name = f"{key}-{hashlib.sha256(text.encode()).hexdigest()[:12]}.{ending}"
        by_name[name] = (text, mimetype)
        urls[key] = f"/assets/{name}"

    @app.get("/assets/<name>")
    def asset(name: str) -> Response:
        if name in by_name:
            text, mimetype = by_name[name]
            return Response(text, mimetype=mimetype, headers={"Cache-Control": _FOREVER})
        # During an update the page may come from a process of one version and this request go to one of another.
        kind = _ASSET.fullmatch(name)
        if kind is None:
            abort(404)
        text, mimetype, _ending = assets[kind[1] or kind[2]]
        return Response(text, mimetype=mimetype)

    app.extensions["asset_urls"] = urls


def _fill_templates(app: Flask, brand: Brand) -> None:
    app.jinja_env.filters.update(
        account_number=wording.account_number,
        date=wording.date_of,
        datetime=wording.date_and_time,
        enumerated=wording.enumerated,
        number=format_decimal,
        time=wording.time_of_day,
        second=wording.second_of_day,
        sentence=wording.sentence,
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
            "billing_stylesheet_url": app.extensions["asset_urls"]["billing"],
            "script_url": app.extensions["asset_urls"]["script"],
            "place": None,
            "reference": None,
        }
