"""The product as it runs on several machines, all of them this one: web processes under gunicorn, workers, and the
sandbox in a process of its own as AWS and mail server, over one PostgreSQL.

    running = Installation(tmp_path, database_url)
    web = running.start_web()
    worker = running.start_worker()
    running.wait_until_ready()
    walk = running.customer()           # whose requests go to any web process that lives, as behind a proxy
    walk.to_end()
    running.stop()

It runs as in production (no ``SANDBOX=1``): real limits, real cost of a password hash.
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from tests.support.client import Client
from tests.support.databases import ROOT, environment, migrate
from tests.support.over_http import HttpClient, HttpWalk
from tests.support.page import Page
from tests.support.processes import dying_with_us
from tests.support.sandbox import PRODUCT
from tests.support.server import free_port

START_SECONDS = 90
STOP_SECONDS = 60
MAIL_SECONDS = 150
"""A worker that is killed takes what it held with it until its lease runs out: a minute."""


class Program:
    """One process that was started here. ``lines`` is what it logged, each as the JSON it must be."""

    def __init__(self, name: str, log: Path, command: list[str], settings: dict[str, str]) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment(PYTHONUNBUFFERED="1", **settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with_us(signal.SIGKILL),
            )

    @property
    def lives(self) -> bool:
        return self.process.poll() is None

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def tail(self) -> str:
        return f"{self.name}:\n" + "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def end(self) -> None:
        """Ask it to end, and do not wait."""
        if self.lives:
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> int:
        """End it as an operator does; how it ended."""
        self.end()
        return self.process.wait(STOP_SECONDS)

    def kill9(self) -> None:
        """End it and all its own at once, without a word."""
        if self.lives:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


class Web(Program):
    """A web process. ``url`` is its own; customers behind a proxy never see it."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Installation:
    """All of it. ``webs`` and ``workers`` are those that were started, living or not."""

    def __init__(self, place: Path, database_url: str, **settings: str) -> None:
        self.place = place
        self.webs: list[Web] = []
        self.workers: list[Program] = []
        self._numbers = itertools.count(1)
        self._sandbox_port, smtp_port = free_port(), free_port()
        self.settings = {
            "SECRET_KEY": "known to everybody, for tests of several processes",
            "DATABASE_URL": database_url,
            "INSTANCE_PATH": str(place),
            "AWS_PRODUCT_CODES": PRODUCT,
            "AWS_MARKETPLACE_ENDPOINT": f"{self.sandbox_url}/aws/api",
            "AWS_MARKETPLACE_AGREEMENT_ENDPOINT": f"{self.sandbox_url}/aws/api",
            "AWS_MARKETPLACE_ENTITLEMENT_ENDPOINT": f"{self.sandbox_url}/aws/api",
            "AWS_MARKETPLACE_ACCESS_KEY_ID": "anybody",
            "AWS_MARKETPLACE_SECRET_ACCESS_KEY": "anything",
            "MAIL_SERVER": "127.0.0.1",
            "MAIL_PORT": str(smtp_port),
            "MAIL_SENDER": "hello@skylark.test",
            "LOG_FORMAT": "json",
        } | settings
        migrate(self.settings)
        landing = f"{self.settings.get('PUBLIC_URL', 'http://127.0.0.1')}/marketplaces/aws/landing"
        words = {
            "--registration-url": landing,
            "--product-code": PRODUCT,
            "--database": str(place / "sandbox.db"),
            "--port": str(self._sandbox_port),
            "--smtp-port": str(smtp_port),
        }
        options = [word for option in words.items() for word in option]
        self.sandbox = self._start(Program, "sandbox", ["-m", "wizard.sandbox", *options], {})
        until_answers(self.sandbox_url + "/", self.sandbox)

    @property
    def sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self._sandbox_port}"

    # ── its processes ───────────────────────────────────────────────────────────────────────────────────────

    def start_web(self, port: int | None = None, **settings: str) -> Web:
        """One more web process; returns once it answers."""
        port = port or free_port()
        gunicorn = ["-m", "gunicorn", "--bind", f"127.0.0.1:{port}", "--threads", "16", "--no-control-socket"]
        gunicorn += ["--logger-class", "wizard.gunicorn_logs.Logger", "wsgi:app"]
        web = self._start(Web, f"web-{port}", gunicorn, {"PORT": str(port)} | settings)
        web.port = port
        self.webs.append(web)
        until_answers(f"{web.url}/healthz", web)
        return web

    def start_worker(self, **settings: str) -> Program:
        worker = self._start(Program, "worker", ["-m", "flask", "--app", "wsgi", "worker"], settings)
        self.workers.append(worker)
        return worker

    def _start(
        self, kind: Callable[..., Any], name: str, command: list[str], settings: dict[str, str]
    ) -> Any:
        log = self.place / f"{next(self._numbers)}-{name}.log"
        return kind(name, log, [sys.executable, *command], self.settings | settings)

    def wait_until_ready(self) -> None:
        for web in self.webs:
            until_answers(f"{web.url}/readyz", web)

    def top_up(self, webs: int, workers: int) -> None:
        """Forget who is dead, and start as many as are missing."""
        self.webs = [web for web in self.webs if web.lives]
        self.workers = [worker for worker in self.workers if worker.lives]
        for _missing in range(len(self.workers), workers):
            self.start_worker()
        for _missing in range(len(self.webs), webs):
            self.start_web()
        self.wait_until_ready()

    def stop(self) -> None:
        """End everything that still lives."""
        everything = [*self.webs, *self.workers, self.sandbox]
        for program in everything:
            program.end()
        for program in everything:
            try:
                program.stop()
            except subprocess.TimeoutExpired:
                program.kill9()

    # ── its customers ───────────────────────────────────────────────────────────────────────────────────────

    def customer(self, client: HttpClient | None = None, **options: Any) -> HttpWalk:
        """Somebody who has not set out yet; without a ``client`` of their own, behind a proxy that takes turns."""
        nobody = cast(Any, SimpleNamespace())
        client = client or InTurn(self, address=loopback(next(self._numbers)))
        return HttpWalk(cast(Client, client), lambda: 0, nobody, cast(Any, self), **options)

    def mail(self, to: str, newer_than: int = 0) -> dict[str, Any]:
        """The newest mail to an address, waiting for it to arrive."""
        deadline = time.monotonic() + MAIL_SECONDS
        while time.monotonic() < deadline:
            for mail in self.mails(to):
                if int(mail["id"]) > newer_than:
                    return mail
            time.sleep(0.5)
        raise AssertionError(f"no mail to {to} within {MAIL_SECONDS} s")

    def mails(self, to: str = "") -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self._ask(f"/mailbox.json?to={to}"))

    def buy(self, **wish: Any) -> dict[str, Any]:
        return cast("dict[str, Any]", self._ask("/aws/purchases", wish))

    def _ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.sandbox_url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)


class InTurn(HttpClient):
    """A browser whose requests go to the web processes in turn, as through a proxy that knows which ones live.

    ``statuses`` is what it was answered.
    """

    def __init__(self, of: Installation, **options: Any) -> None:
        super().__init__("", **options)
        self._of = of
        self._turn = itertools.count()
        self.statuses: list[int] = []

    def _once(self, method: str, path: str, data: bytes | None) -> Page:
        for _try in range(len(self._of.webs) + 1):
            living = [web for web in self._of.webs if web.lives]
            # Not strictly by turns: a page and the form on it would meet the same process each time.
            self.origin = living[next(self._turn).bit_count() % len(living)].url
            try:
                page = super()._once(method, path, data)
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionRefusedError):
                    raise
                continue  # It refused the connection, so it has not seen the request.
            self.statuses.append(page.status)
            return page
        raise AssertionError("no web process takes a connection")


def until_answers(url: str, program: Program) -> None:
    """Wait until an address answers 200. Raises AssertionError with what the program said where it does not."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and program.lives:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.1)
    raise AssertionError(f"{url} does not answer\n{program.tail()}")


def loopback(number: int) -> str:
    """An address of this machine for the customer of this number; the one everybody has where there are no more."""
    address = f"127.1.{number // 250}.{number % 250 + 1}"
    try:
        with socket.socket() as probe:
            probe.bind((address, 0))
    except OSError:
        return ""
    return address
