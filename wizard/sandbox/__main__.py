"""Serve the sandbox alone: ``python -m wizard.sandbox --registration-url https://join.example.com/landing``."""

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, Response

from wizard.brand import SANDBOX_LAYERS, load_brand, stylesheet
from wizard.sandbox import SandboxSettings, create_sandbox
from wizard.sandbox.courier import start_courier
from wizard.sandbox.events import topic_of
from wizard.sandbox.mailbox import start_mailbox
from wizard.sandbox.partitions import PARTITIONS
from wizard.sandbox.serving import api_server

_ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    asked = _arguments()
    urls = {name: given[-1] for name, given in _by_partition(asked.registration_url).items()}
    codes = _by_partition(asked.product_code or [])
    products = {name: codes.get(name, ("sandbox-product-1a2b3c4d5e",)) for name in urls}
    endpoints = {name: given[-1] for name, given in _by_partition(asked.notification_url or []).items()}
    here = f"http://{asked.host}:{asked.port}"
    landing = urlsplit(next(iter(urls.values())))
    app = create_sandbox(
        SandboxSettings(
            database=asked.database,
            registration_urls=urls,
            wizard_origin=f"{landing.scheme}://{landing.netloc}",
            product_codes=products,
            notification_urls=endpoints,
            sns_url=f"{here}/aws/sns",
            stylesheet_url="/style.css",
            script_url="/app.js",
            brand=load_brand(asked.brand),
        )
    )
    _serve_assets(app, asked.brand)
    courier = start_courier(app)
    mailbox = start_mailbox(asked.database, asked.host, asked.smtp_port)
    lines = [f"Sandbox: {here}/  AWS API: {here}/aws/api  SMTP: {mailbox.host}:{mailbox.port}"]
    lines += ["Settings that point the wizard here:"]
    for name, sold in products.items():
        prefix = name.upper().replace("-", "_")
        lines += [
            f"  {prefix}_PRODUCT_CODES={','.join(sold)}",
            f"  {prefix}_MARKETPLACE_URL={here}/{name}/",
            f"  {prefix}_MARKETPLACE_ENDPOINT={here}/aws/api",
            f"  {prefix}_MARKETPLACE_ENTITLEMENT_ENDPOINT={here}/aws/api",
            f"  {prefix}_MARKETPLACE_STS_ENDPOINT={here}/aws/sts",
            f"  {prefix}_MARKETPLACE_SQS_ENDPOINT={here}/aws/api",
            f"  {prefix}_SQS_QUEUES={here}/aws/api/queue/{name}",
            f"  {prefix}_MARKETPLACE_SNS_ENDPOINT={here}/aws/sns",
            f"  {prefix}_SNS_TOPICS={','.join(topic_of(name, code) for code in sold)}",
            f"  {prefix}_MARKETPLACE_ACCESS_KEY_ID=anybody",
            f"  {prefix}_MARKETPLACE_SECRET_ACCESS_KEY=anything",
        ]
        if PARTITIONS[name].contacts != "absent":
            lines += [f"  {prefix}_MARKETPLACE_AGREEMENT_ENDPOINT={here}/aws/api"]
    lines += [f"  MAIL_SERVER={mailbox.host}", f"  MAIL_PORT={mailbox.port}", ""]
    sys.stdout.write("\n".join(lines))
    sys.stdout.flush()
    try:
        api_server(app, len(products), host=asked.host, port=asked.port).run()
    finally:
        courier.stop()
        mailbox.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m wizard.sandbox", description="A stand-in AWS Marketplace and a mailbox."
    )
    parser.add_argument(
        "--registration-url",
        action="append",
        required=True,
        help="where Set Up Your Account posts the token; again as aws-cn=URL or aws-eusc=URL for another partition",
    )
    parser.add_argument(
        "--notification-url",
        action="append",
        help="where SNS posts messages; again as aws-cn=URL or aws-eusc=URL for another partition",
    )
    parser.add_argument(
        "--product-code",
        action="append",
        help="a listing on sale; may be given several times, and as aws-cn=CODE or aws-eusc=CODE",
    )
    parser.add_argument(
        "--database", default="instance/sandbox.db", help="the SQLite file (default: %(default)s)"
    )
    parser.add_argument("--brand", default=str(_ROOT / "brand.toml"), help="the brand on its pages")
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--port", type=int, default=5001, help="(default: %(default)s)")
    parser.add_argument(
        "--smtp-port", type=int, default=0, help="of the mailbox; 0 takes a free one (default)"
    )
    return parser.parse_args()


def _by_partition(given: list[str]) -> dict[str, tuple[str, ...]]:
    """``["a", "aws-cn=b"]`` → ``{"aws": ("a",), "aws-cn": ("b",)}``."""
    found: dict[str, tuple[str, ...]] = {}
    for word in given:
        name, _, rest = word.partition("=")
        name, value = (name, rest) if name in PARTITIONS else ("aws", word)
        found[name] = (*found.get(name, ()), value)
    return found


def _serve_assets(app: Flask, brand: str) -> None:
    style = stylesheet(load_brand(brand), SANDBOX_LAYERS)
    script = (_ROOT / "static" / "app.js").read_text(encoding="utf-8")
    app.add_url_rule("/style.css", "style", lambda: Response(style, mimetype="text/css"))
    app.add_url_rule("/app.js", "script", lambda: Response(script, mimetype="text/javascript"))


if __name__ == "__main__":
    main()
