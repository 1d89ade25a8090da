"""Serve the sandbox alone: ``python -m wizard.sandbox --registration-url https://join.example.com/landing``."""

import argparse
import sys
from pathlib import Path
from urllib.parse import urlsplit

import waitress
from flask import Flask, Response

from wizard.brand import load_brand, stylesheet
from wizard.sandbox import SandboxSettings, create_sandbox
from wizard.sandbox.mailbox import start_mailbox

_ROOT = Path(__file__).resolve().parent.parent.parent


def main() -> None:
    asked = _arguments()
    codes = tuple(asked.product_code or ["sandbox-product-1a2b3c4d5e"])
    landing = urlsplit(asked.registration_url)
    app = create_sandbox(
        SandboxSettings(
            database=asked.database,
            registration_url=asked.registration_url,
            wizard_origin=f"{landing.scheme}://{landing.netloc}",
            product_codes=codes,
            stylesheet_url="/style.css",
            script_url="/app.js",
            brand=load_brand(asked.brand),
        )
    )
    _serve_assets(app, asked.brand)
    mailbox = start_mailbox(asked.database, asked.host, asked.smtp_port)
    here = f"http://{asked.host}:{asked.port}"
    sys.stdout.write(f"""Sandbox: {here}/  AWS API: {here}/aws/api  SMTP: {mailbox.host}:{mailbox.port}
Settings that point the wizard here:
  AWS_PRODUCT_CODES={",".join(codes)}
  AWS_MARKETPLACE_ENDPOINT={here}/aws/api
  AWS_MARKETPLACE_ACCESS_KEY_ID=anybody
  AWS_MARKETPLACE_SECRET_ACCESS_KEY=anything
  AWS_MARKETPLACE_URL={here}/aws/
  MAIL_SERVER={mailbox.host}
  MAIL_PORT={mailbox.port}
""")
    sys.stdout.flush()
    try:
        waitress.serve(app, host=asked.host, port=asked.port, threads=16, _quiet=True)
    finally:
        mailbox.stop()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m wizard.sandbox", description="A stand-in AWS Marketplace and a mailbox."
    )
    parser.add_argument("--registration-url", required=True, help="where Set Up Your Account posts the token")
    parser.add_argument(
        "--product-code", action="append", help="a listing on sale; may be given several times"
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


def _serve_assets(app: Flask, brand: str) -> None:
    style = stylesheet(load_brand(brand))
    script = (_ROOT / "static" / "app.js").read_text(encoding="utf-8")
    app.add_url_rule("/style.css", "style", lambda: Response(style, mimetype="text/css"))
    app.add_url_rule("/app.js", "script", lambda: Response(script, mimetype="text/javascript"))


if __name__ == "__main__":
    main()
