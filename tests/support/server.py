"""The whole product, run for real: wizard, sandbox, worker and mailbox, as ``make run`` starts them.

def test_…(server):                       # one for all browser tests
def test_…(start_server):                 # one of its own: first = start_server(); first.kill9(); …
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.support.databases import ROOT, environment
from tests.support.processes import dying_with_us

START_SECONDS = 60
MAIL_SECONDS = 20
STOP_SECONDS = 15


class Product:
    """A product that runs somewhere on this machine. ``url`` is the wizard's origin."""

    def __init__(self, url: str) -> None:
        self.url = url

    def mail(
        self, to: str, subject: str = "", newer_than: int = 0, within: float = MAIL_SECONDS
    ) -> dict[str, Any]:
        """The newest mail to an address, waiting for it to arrive. ``subject``: a part of it that must be there;
        ``newer_than``: the ``id`` of a mail that is known already."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            for mail in self.mails(to):
                if subject in mail["subject"] and int(mail["id"]) > newer_than:
                    return mail
            time.sleep(0.1)
        raise AssertionError(f"no mail to {to} within {within} s; there are {self.mails()}\n{self.tail()}")

    def mails(self, to: str = "") -> list[dict[str, Any]]:
        """All mails, or those to one address, newest first."""
        found = self.ask(f"/sandbox/mailbox.json?to={to}")
        assert isinstance(found, list)
        return found

    def buy(self, **wish: Any) -> dict[str, Any]:
        """A purchase on the sandbox's AWS: ``{token, customerAWSAccountId, productCode, agreementId, licenseArn}``."""
        bought = self.ask("/sandbox/aws/purchases", wish)
        assert isinstance(bought, dict)
        return bought

    def tail(self) -> str:
        """What its log says last, where there is one."""
        return ""

    def ask(self, path: str, body: Any = None) -> Any:
        """GET JSON, or POST it where there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.load(response)


class Server(Product):
    """One running product. ``url`` is the wizard's origin, ``sandbox_url`` the sandbox's, under another host name.

    ``instance`` is its directory: starting another server on the same one goes on with the same data.
    """

    def __init__(self, instance: Path, port: int | None = None, **settings: str) -> None:
        self.instance = instance
        self.port = port or free_port()
        super().__init__(f"http://127.0.0.1:{self.port}")
        self.sandbox_url = f"http://localhost:{self.port}/sandbox"
        self.log = instance / "server.log"
        self._settings = settings
        self._process = self._start()
        self._wait_until_ready()

    def kill9(self) -> None:
        """End it as a power cut would: it and all it started, without a word."""
        self._signal(signal.SIGKILL)
        self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it as an operator would. Fails where it does not end, or ends with an error."""
        if self._process.poll() is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(f"the server does not stop within {STOP_SECONDS} s\n{self.tail()}") from None
        ended = self._process.returncode
        assert ended in (0, -signal.SIGTERM), f"the server ended with {ended}\n{self.tail()}"

    def tail(self, lines: int = 40) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def _start(self) -> "subprocess.Popen[bytes]":
        settings = {
            "PORT": str(self.port),
            "INSTANCE_PATH": str(self.instance),
            "DATABASE_URL": f"sqlite:///{self.instance / 'wizard.db'}",
            "SANDBOX": "1",
            "ARGON2_TIME_COST": "1",
            "ARGON2_MEMORY_KIB": "8",
            "PYTHONUNBUFFERED": "1",
        } | self._settings
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "wizard.run"],
                cwd=ROOT,
                env=environment(**settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=dying_with_us(signal.SIGKILL),
            )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urllib.request.urlopen(self.url + "/readyz", timeout=5) as response:
                    if response.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.05)
        ended = self._process.poll()
        self.kill9()
        raise AssertionError(
            f"the server {'ended with ' + str(ended) if ended is not None else 'is not ready'}\n{self.tail()}"
        )

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, number)


def free_port() -> int:
    """A port nobody listens on now, drawn where no outgoing connection of anybody is given one in the meantime."""
    while True:
        port = random.SystemRandom().randrange(10_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The running product that browser tests share: use an email and a username of the test's own."""
    running = Server(tmp_path_factory.mktemp("server"))
    yield running
    running.stop()


@pytest.fixture
def start_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """``start_server(**settings)``: a running product of the test's own; ``instance=`` and ``port=`` of an earlier
    one go on where that one was ended."""
    started: list[Server] = []

    def start(instance: Path | None = None, port: int | None = None, **settings: str) -> Server:
        started.append(Server(instance or tmp_path_factory.mktemp("server"), port, **settings))
        return started[-1]

    yield start
    for running in started:
        running.stop()
