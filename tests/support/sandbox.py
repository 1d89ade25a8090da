"""A sandbox to test with: its app, a live threaded server, and clients that speak to it as strangers do."""

import json
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import make_server

from config import Settings
from wizard.brand import load_brand
from wizard.run import at_sandbox
from wizard.sandbox import SandboxSettings, create_sandbox
from wizard.sandbox.courier import Courier, Post
from wizard.sandbox.partitions import PARTITIONS

# A new session reads its megabytes of service descriptions anew, and every app has sessions of its own.
botocore.session.create_loader = cache(botocore.loaders.create_loader)

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = "payg-7f3k2m9q4x"
SECOND_PRODUCT = "annual-2b8n5v1c6z"
CHINA_PRODUCT = "payg-cn-4w9t1r8e6y"
SOVEREIGN_PRODUCT = "payg-eusc-5d2g7h3j1k"
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
        registration_urls={name: f"{WIZARD}/marketplaces/{name}/landing" for name in PARTITIONS},
        notification_urls={name: f"{WIZARD}/marketplaces/{name}/notifications" for name in PARTITIONS},
        sns_url="http://localhost/sandbox/aws/sns",
        wizard_origin=WIZARD,
        product_codes={"aws": (PRODUCT,), "aws-cn": (CHINA_PRODUCT,), "aws-eusc": (SOVEREIGN_PRODUCT,)},
        stylesheet_url="/static/style.css",
        script_url="/static/script.js",
        brand=load_brand(ROOT / "brand.toml"),
        pace=0,
        now=clock or Clock(),
    )
    return replace(made, **changes)


def in_partition(settings: Settings, name: str = "aws", **changes: Any) -> Settings:
    """The product's settings with one partition changed."""
    partitions = dict(settings.aws_partitions)
    partitions[name] = replace(partitions[name], **changes)
    return replace(settings, aws_partitions=partitions)


def at(settings: Settings, url: str) -> Settings:
    """The product's settings with every partition's AWS at another sandbox; ``url`` ends in /sandbox."""
    services = ("metering", "entitlement", "agreement", "sts", "sns", "sqs")
    nowhere: dict[str, Any] = {f"{service}_endpoint": "" for service in services}
    for name in settings.aws_partitions:
        settings = in_partition(settings, name, **nowhere, sqs_queues=())
    return at_sandbox(settings, url)


def mounted(app: Flask) -> Any:
    """The sandbox where it is mounted in the product: under /sandbox."""

    def nothing(environ: Any, start_response: Any) -> list[bytes]:
        start_response("404 NOT FOUND", [("Content-Type", "text/plain")])
        return [b"only /sandbox is here"]

    return DispatcherMiddleware(nothing, {"/sandbox": app})


def aws_client(
    url: str, service: str, partition: str = "aws", credentials: dict[str, Any] | None = None
) -> Any:
    """A boto3 client of a sandbox's service, as any seller would have it, that asks once and never again.

    ``url`` ends in /sandbox; ``credentials``: as AssumeRole gave them, anybody's when not given.
    """
    given = credentials or {"AccessKeyId": "anybody", "SecretAccessKey": "anything"}
    return boto3.client(
        service,
        region_name=PARTITIONS[partition].region,
        endpoint_url=f"{url}/aws/{service if service in ('sts', 'sns') else 'api'}",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given.get("SessionToken"),
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, max_pool_connections=64),
    )


@dataclass
class LiveSandbox:
    """A sandbox behind a real socket. ``url`` ends in /sandbox."""

    url: str
    settings: SandboxSettings
    clock: Clock
    app: Flask
    _clients: dict[tuple[str, str, str], Any] = field(default_factory=dict)

    def aws(self, service: str, partition: str = "aws", credentials: dict[str, Any] | None = None) -> Any:
        """An :func:`aws_client` of this sandbox, made once."""
        key = (service, partition, (credentials or {}).get("SessionToken") or "")
        if key not in self._clients:
            self._clients[key] = aws_client(self.url, service, partition, credentials)
        return self._clients[key]

    def resolve(self, token: str, partition: str = "aws") -> dict[str, Any]:
        """What ResolveCustomer says of a token, without the envelope; raises what boto3 raises."""
        answer = dict(self.aws("meteringmarketplace", partition).resolve_customer(RegistrationToken=token))
        answer.pop("ResponseMetadata")
        return answer

    def deliver(self, post: Post, agreement_id: str | None = None) -> int:
        """Post what SNS has to say by now, of one purchase or of all, as :func:`to_app` does. Returns how many."""
        return Courier(self.app, post).deliver(agreement_id)

    def queue(self, partition: str = "aws") -> str:
        """The address of a partition's queue."""
        return f"{self.url}/aws/api/queue/{partition}"

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


def to_app(app: Flask) -> Post:
    """Posts AWS's messages to an app of the product's, without a socket."""

    def post(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        path = urlsplit(url).path
        return app.test_client().post(path, data=body, headers=dict(headers)).status_code

    return post


@contextmanager
def live_sandbox(folder: Path, **changes: Any) -> Iterator[LiveSandbox]:
    clock = Clock()
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/sandbox"
    its_settings = settings(folder, clock, **{"sns_url": f"{url}/aws/sns"} | changes)
    app = create_sandbox(its_settings)
    server = make_server("127.0.0.1", 0, mounted(app), threaded=True, fd=listener.fileno())
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    live = LiveSandbox(url, its_settings, clock, app)
    try:
        yield live
    finally:
        for client in live._clients.values():
            client.close()
        server.shutdown()
        thread.join()
        server.server_close()
        listener.close()
