"""Stolen passwords: looked up where an address for that is set; a service that is not there stops nobody."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from flask import Flask
from prometheus_client import REGISTRY

from config import Settings
from tests.support.client import Client
from tests.support.factories import recorded, text_of
from tests.support.mailbox import Mailbox
from tests.support.sandbox import LiveSandbox
from tests.support.walk import Walk, walk_in
from wizard.accounts import breaches

pytestmark = pytest.mark.engines("sqlite")

STOLEN = "seventeen stolen harbour lamps"
OUTCOMES = ("stolen", "clear", "failed")
PADDING = f"{'0' * 34}A:0"


def digest(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


class Service(ThreadingHTTPServer):
    """What answers at ``/range/``. ``stolen`` are the passwords it knows; ``how`` it answers is a test's to say."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.stolen = [STOLEN]
        self.how = "well"
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.may_end = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/range"


class _Answer(BaseHTTPRequestHandler):
    server: Service
    BODIES: ClassVar[dict[str, bytes]] = {
        "with a page": b"<html>Welcome</html>",
        "with nothing": b"",
        "with other bytes": b"\xff\xfe\x00",
    }

    def do_GET(self) -> None:
        service = self.server
        service.asked.append((self.path, dict(self.headers)))
        if service.how == "never":
            service.may_end.wait(60)
            return
        prefix = self.path.rpartition("/")[2]
        known = [digest(p)[5:] + ":3" for p in service.stolen if digest(p).startswith(prefix)]
        body = self.BODIES.get(service.how, "\r\n".join(["F" * 35 + ":1", *known, PADDING]).encode())
        self.send_response({"with 500": 500, "with 302": 302}.get(service.how, 200))
        if service.how == "with 302":
            self.send_header("Location", "/elsewhere")
        if "drops" in service.how:
            body += PADDING.encode() * 1000
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if "drops" in service.how:
            for letter in body:
                if service.may_end.wait(0.3 if service.how == "by slow drops" else 0.02):
                    return
                self.wfile.write(bytes([letter]))
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield running
    running.may_end.set()
    running.shutdown()
    thread.join()
    running.server_close()


@pytest.fixture
def asking(
    make_app: Callable[[Settings], Flask],
    settings: Settings,
    service: Service,
    mailbox: Mailbox,
    marketplace: LiveSandbox,
) -> Walk:
    """A customer of a product that looks passwords up."""
    app = make_app(replace(settings, password_breach_url=service.url))
    return walk_in(app, mailbox, marketplace)


def counted() -> dict[str, float]:
    name = "wizard_breach_checks_total"
    return {outcome: REGISTRY.get_sample_value(name, {"outcome": outcome}) or 0 for outcome in OUTCOMES}


def test_a_stolen_password_is_refused_with_the_reason_wherever_one_is_chosen(
    asking: Walk, service: Service
) -> None:
    refused = asking.land().say_new().give_basics(password=STOLEN, confirm_password=STOLEN).page
    assert refused.status == 422
    assert "stolen from another service" in refused.errors["password"]
    asking.give_basics().enter_code()
    asking.give_company()
    asking.activate()
    asking.wait_until_made()

    browser = asking.client.other()
    page = browser.submit(browser.get("/forgot-password"), "Send code", site="us1", email=asking.person.email)
    page = browser.submit(page, "Confirm", code=asking.code())
    refused = browser.submit(page, "Save and sign in", password=STOLEN, confirm_password=STOLEN)
    assert "stolen from another service" in refused.errors["password"]

    asking.sign_in()
    form = {"current_password": asking.person.password, "password": STOLEN, "confirm_password": STOLEN}
    refused = asking.client.submit(asking.client.get("/console/account"), "Change password", form)
    assert "stolen from another service" in refused.errors["password"]
    assert asking.sign_in(asking.client.other()).status == 200


def test_only_five_digits_of_a_digest_leave_and_the_answer_is_padded(asking: Walk, service: Service) -> None:
    before = counted()
    asking.register().give_basics()
    ((path, headers),) = service.asked
    assert path == f"/range/{digest(asking.person.password)[:5]}"
    assert headers["Add-Padding"] == "true"
    assert counted() == {**before, "clear": before["clear"] + 1}


def test_a_password_that_is_refused_anyway_is_not_asked_about(asking: Walk, service: Service) -> None:
    asking.register().give_basics(password="password1", confirm_password="password1")
    asking.client.post("/register", {"password": STOLEN})  # Without its token.
    assert not service.asked


def test_what_padding_is_made_of_counts_as_nothing(asking: Walk, service: Service) -> None:
    with asking.client.app.app_context():
        global_padding = digest(STOLEN)
        service.stolen = []
        _Answer.BODIES["padded"] = f"{global_padding[5:]}:0\r\n{'F' * 35}:1".encode()
        service.how = "padded"
        assert not breaches.is_known(STOLEN)
        _Answer.BODIES["padded"] = f"{global_padding[5:].lower()}:1".encode()
        assert breaches.is_known(STOLEN)


@pytest.mark.parametrize(
    "how",
    [
        "never",
        "by drops",
        "by slow drops",
        "with 500",
        "with 302",
        "with a page",
        "with nothing",
        "with other bytes",
        "not at all",
    ],
)
def test_a_service_that_does_not_answer_stops_nobody(
    asking: Walk, service: Service, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breaches, "SECONDS", 0.2)
    service.how = how
    if how == "not at all":
        asking.client.app.config["PASSWORD_BREACH_URL"] = "http://127.0.0.1:1/range"
    before = counted()
    with recorded() as log:
        asking.register().give_basics(password=STOLEN, confirm_password=STOLEN)
    assert asking.page.h1 == "Enter the code from your email"
    assert counted() == {**before, "failed": before["failed"] + 1}
    lines = " ".join(map(text_of, log))
    assert "stolen passwords could not be looked up" in lines
    assert STOLEN not in lines
    assert digest(STOLEN)[:5] not in lines


def test_where_no_address_is_set_nobody_is_asked(client: Client, walk: Walk, service: Service) -> None:
    before = counted()
    walk.register().give_basics(password=STOLEN, confirm_password=STOLEN)
    assert walk.page.h1 == "Enter the code from your email"
    assert (service.asked, counted()) == ([], before)
