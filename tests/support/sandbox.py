"""A sandbox to test with: its app, a live threaded server, and clients that speak to it as strangers do."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from wizard.brand import load_brand
from wizard.sandbox import SandboxSettings, create_sandbox

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "payg-7f3k2m9q4x"
SECOND_PRODUCT = "annual-2b8n5v1c6z"
WIZARD = "http://127.0.0.1:5000"
LANDING = f"{WIZARD}/marketplaces/aws/landing"


@dataclass
class Clock:
    """A clock the test moves by hand; Unix seconds."""

    at: float = 1_775_587_200.0  # 7 April 2026, 18:40 UTC

    def __call__(self) -> float:
        return self.at


def settings(folder: Path, clock: Clock | None = None, **changes: Any) -> SandboxSettings:
    """Settings for a sandbox whose database is in a folder of the test's own."""
    made = SandboxSettings(
        database=str(folder / "sandbox.db"),
        registration_url=LANDING,
        wizard_origin=WIZARD,
        product_codes=(PRODUCT,),
        stylesheet_url="/static/style.css",
        script_url="/static/script.js",
        brand=load_brand(ROOT / "brand.toml"),
        now=clock or Clock(),
    )
    return replace(made, **changes)


def mounted(app: Flask) -> Any:
    """The sandbox where it is mounted in the product: under /sandbox."""

    def nothing(environ: Any, start_response: Any) -> list[bytes]:
        start_response("404 NOT FOUND", [("Content-Type", "text/plain")])
        return [b"only /sandbox is here"]

    return DispatcherMiddleware(nothing, {"/sandbox": app})


@dataclass
class LiveSandbox:
    """A sandbox behind a real socket. ``url`` ends in /sandbox."""

    url: str
    settings: SandboxSettings
    clock: Clock
    _clients: dict[str, Any] = field(default_factory=dict)

    def aws(self, service: str) -> Any:
        """A boto3 client of a service, as any seller would have it, that asks once and never again."""
        if service not in self._clients:
            self._clients[service] = boto3.client(
                service,
                region_name="us-east-1",
                endpoint_url=f"{self.url}/aws/api",
                aws_access_key_id="anybody",
                aws_secret_access_key="anything",
                config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, max_pool_connections=64),
            )
        return self._clients[service]

    def resolve(self, token: str) -> dict[str, Any]:
        """What ResolveCustomer says of a token, without the envelope; raises what boto3 raises."""
        answer = dict(self.aws("meteringmarketplace").resolve_customer(RegistrationToken=token))
        answer.pop("ResponseMetadata")
        return answer

    def buy(self, **wish: Any) -> dict[str, Any]:
        status, answer = self.post("/aws/purchases", wish)
        assert status == 201, answer
        return answer

    def post(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """POST JSON (or bytes as they are) → status and parsed answer."""
        data = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return self._ask(urllib.request.Request(self.url + path, data, headers or {}, method="POST"))

    def get(self, path: str) -> tuple[int, Any]:
        return self._ask(urllib.request.Request(self.url + path))

    def _ask(self, request: urllib.request.Request) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


@contextmanager
def live_sandbox(folder: Path, **changes: Any) -> Iterator[LiveSandbox]:
    clock = Clock()
    its_settings = settings(folder, clock, **changes)
    server = make_server("127.0.0.1", 0, mounted(create_sandbox(its_settings)), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    live = LiveSandbox(f"http://127.0.0.1:{server.server_port}/sandbox", its_settings, clock)
    try:
        yield live
    finally:
        for client in live._clients.values():
            client.close()
        server.shutdown()
        thread.join()
        server.server_close()
