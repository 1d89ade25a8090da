"""The log tells an operator everything about a request and nothing about a person."""

import io
import json
import logging
import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, request

from config import Settings
from tests.support.client import Client
from tests.support.factories import Person
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.sandbox import LiveSandbox
from tests.support.walk import TOKEN, Walk, walk_in
from wizard import clock, gunicorn_logs, logs, outbox
from wizard.extensions import db
from wizard.limits import RateLimit
from wizard.outbox.entries import LADDER
from wizard.outbox.models import OutboxEntry
from wizard.transactions import genuine

pytestmark = pytest.mark.engines("sqlite")
"""What is logged is the same whatever keeps it."""

MakeApp = Callable[[Settings], Flask]


@dataclass(frozen=True)
class Somebody(Person):
    """A person none of whose words is anybody else's."""

    password: str = "brimming kettle over violet dunes"
    company: str = "Quillfeather & Daughters"

    @property
    def username(self) -> str:
        return f"ottoline-{self.number}"

    @property
    def email(self) -> str:
        return f"ottoline.{self.number}@quillfeather.test"

    @property
    def answers(self) -> dict[str, object]:
        return super().answers | {"phone": "+14155550137"}


class Log:
    """What is written meanwhile. ``lines`` are its events, read as the JSON they are."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@contextmanager
def json_log() -> Iterator[Log]:
    """Every record of this process, of whichever library, as ``LOG_FORMAT=json`` writes it."""
    log = Log()
    handler = logging.StreamHandler(log.stream)
    handler.setFormatter(logs.formatter("json"))
    logging.getLogger().addHandler(handler)
    try:
        yield log
    finally:
        logging.getLogger().removeHandler(handler)


# ── nothing about a person ──────────────────────────────────────────────────────────────────────────────────


def test_a_whole_journey_leaves_nothing_of_a_person_in_the_log(
    app: Flask, another: Callable[..., Walk]
) -> None:
    """Also where a mail could not be sent, a password was wrong and the account was there already."""
    walk = another(person=Somebody())
    with json_log() as log:
        walk.to_code()
        _refuse_recipient_once(app)
        walk.work()
        with clock.later(LADDER[0]):
            code = walk.code()
        walk.enter_code(walk.wrong_code())
        walk.enter_code(code)
        walk.give_company(contact_name="Ottoline Quillfeather", description="We sell feathers.")
        walk.activate(workspace_name="Plumage")
        walk.wait_until_made()
        walk.sign_in(password="another brimming kettle")
        home = walk.sign_in()
        walk.client.get(f"/sign-in?username={walk.person.email}")
        again = another(person=walk.person)
        again.to_code()
        again.work()
    assert home.h1 == "Plumage"
    assert len(log.of("request")) > 20
    assert log.of("outbox entry failed")
    written = log.stream.getvalue().casefold()
    claim = walk.client.cookie("console")
    assert claim
    for secret in (
        *("ottoline", "quillfeather", "4155550137", "555 0137", "feathers", "plumage"),
        *("kettle", code, walk.bought["token"], again.bought["token"], claim),
        walk.bought["customerAWSAccountId"],
    ):
        assert secret.casefold() not in written


def _refuse_recipient_once(app: Flask) -> None:
    """The mail server will not have this address, and says which."""
    send, refusals = app.extensions["outbox"]["verification.mail"], [1]

    def refused(payload: dict[str, Any], entry_id: int) -> None:
        if refusals and refusals.pop():
            raise smtplib.SMTPRecipientsRefused({"ottoline@quillfeather.test": (550, b"no ottoline here")})
        send(payload, entry_id)

    outbox.register(app, {"verification.mail": refused})


TYPED = "ottoline@quillfeather.test"


@pytest.fixture
def broken(app: Flask) -> Flask:
    """An app in production whose ``/breaks/<how>`` fails, mostly with what somebody typed in the error's words."""

    def breaks(how: str) -> str:
        genuine()
        typed = request.form.get("typed", "")
        if how == "value":
            return str(int(typed))
        if how == "cause":
            try:
                return str({}[typed])
            except KeyError as error:
                raise RuntimeError(f"nobody is called {typed}") from error
        if how == "lost":
            raise sa.exc.OperationalError("SELECT 1", {}, ConnectionRefusedError("port 5432 refuses"))
        for _twice in range(2):
            db.session.execute(sa.insert(RateLimit).values(key=typed, count=1, expires_at=clock.now()))
        return ""

    app.add_url_rule("/breaks/<how>", "breaks", breaks, methods=["POST"])
    app.testing = False
    return app


def breaks(app: Flask, how: str) -> Page:
    return Client(app).post(f"/breaks/{how}", {"typed": TYPED}, without=("session",))


@pytest.mark.parametrize(
    ("how", "errors"),
    [
        ("value", ["builtins.ValueError"]),
        ("cause", ["builtins.RuntimeError", "builtins.KeyError"]),
        ("twice", ["sqlalchemy.exc.IntegrityError"]),
    ],
)
def test_an_exception_tells_where_it_happened_and_not_what_somebody_typed(
    broken: Flask, how: str, errors: list[str]
) -> None:
    with json_log() as log:
        page = breaks(broken, how)
    assert page.status == 500
    (line,) = log.of("an exception escaped")
    told = line["exception"].splitlines()
    assert [type_ for type_ in errors if type_ not in told] == []
    assert any("test_logs.py" in where and where.endswith("in breaks") for where in told)
    assert "ottoline" not in log.stream.getvalue()


def test_an_exception_about_machines_says_what_is_wrong_with_them(broken: Flask) -> None:
    with json_log() as log:
        assert breaks(broken, "lost").status == 503
    (line,) = log.of("the database did not answer")
    assert "port 5432 refuses" in line["exception"]
    assert line["alert"] == "database"


def test_what_a_library_says_has_no_address_and_no_query_in_it() -> None:
    with json_log() as log:
        logging.getLogger("some.library").warning(
            "%s asked for %s",
            "ottoline@quillfeather.test",
            "/marketplaces/alibaba/spi?token=0f9a&aliUid=17 now",
        )
    assert log.lines[0]["event"] == "… asked for /marketplaces/alibaba/spi?… now"


# ── everything about a request ──────────────────────────────────────────────────────────────────────────────


def test_each_request_is_one_line_with_its_route_its_cost_and_its_journey(walk: Walk) -> None:
    walk.to_code()
    with json_log() as log:
        page = walk.enter_code()
        walk.client.get("/nowhere")
        walk.client.get("/arrive/An-Arrival-Of-Theirs")
    posted, shown, nowhere, elsewhere = log.of("request")
    assert (posted["method"], posted["status"], shown["method"], shown["status"]) == ("POST", 303, "GET", 200)
    assert posted["route"] == shown["route"] == "/journeys/<reference>/<key>"
    assert posted["journey"] == shown["journey"] == walk.reference
    assert 0 < shown["statements"] < posted["statements"] < 20
    assert posted["ms"] > 0
    assert {line["request_id"] for line in (posted, shown)} >= {page.headers["X-Request-ID"]}
    assert posted["request_id"] != shown["request_id"]
    assert (nowhere["route"], nowhere["status"]) == (None, 404)
    assert "journey" not in nowhere
    assert elsewhere["route"] == "/arrive/<arrival_id>"
    assert "An-Arrival-Of-Theirs" not in log.stream.getvalue()


def test_every_line_of_a_request_names_it_and_the_next_request_is_not_mixed_up_with_it(broken: Flask) -> None:
    with json_log() as log:
        failed = breaks(broken, "value")
        Client(broken).get("/")
        logging.getLogger("wizard").info("between requests")
    said = [line for line in log.lines if line.get("request_id") == failed.headers["X-Request-ID"]]
    assert [line["event"] for line in said] == ["an exception escaped", "request"]
    assert "request_id" not in log.of("between requests")[0]


def test_the_arrival_that_begins_a_journey_is_on_its_lines(walk: Walk) -> None:
    walk.land()
    with json_log() as log:
        walk.say_new().give_basics()
    assert walk.reference in [line.get("journey") for line in log.of("request") if line["method"] == "POST"]


def test_a_mail_is_found_from_the_journey_and_the_request_that_asked_for_it(app: Flask, walk: Walk) -> None:
    """And what a side effect leads to belongs to the same journey: the mail after the workspace was made."""
    with json_log() as log:
        walk.to_activation()
        walk.activate()
        walk.wait_until_made()
    with app.app_context():
        asked = ~OutboxEntry.kind.startswith("marketplaces.")  # By the landing, before there is a journey.
        rows = {entry.kind: entry for entry in db.session.scalars(sa.select(OutboxEntry).where(asked))}
    assert {row.journey for row in rows.values()} == {walk.reference}
    done = {line["kind"]: line for line in log.of("outbox entry done") if line["kind"] in rows}
    kinds = [
        "billing.bring_back",
        "billing.make_workspace",
        "billing.tell_ready",
        "mail",
        "verification.mail",
    ]
    assert sorted(done) == kinds
    posts = {line["request_id"]: line for line in log.of("request") if line["method"] == "POST"}
    for kind, line in done.items():
        assert (line["journey"], line["entry"]) == (walk.reference, rows[kind].id)
        assert line["request_id"] == rows[kind].request_id
        assert line["request_id"] in posts
    assert done["billing.tell_ready"]["request_id"] == done["billing.make_workspace"]["request_id"]


def test_an_entry_that_fails_names_its_journey_and_its_attempt(app: Flask, walk: Walk) -> None:
    _refuse_recipient_once(app)
    walk.register().give_basics()
    with json_log() as log:
        walk.work()
    (line,) = log.of("outbox entry failed")
    assert (line["journey"], line["attempt"], line["why"]) == (walk.reference, 1, "SMTPRecipientsRefused")


# ── the id a customer can quote ─────────────────────────────────────────────────────────────────────────────

GIVEN = "7f3c-of-the-proxy.1"


@pytest.mark.parametrize(
    ("trusted", "given", "kept"),
    [
        (1, GIVEN, True),
        (0, GIVEN, False),
        (1, "short", False),
        (1, "x" * 65, False),
        (1, "two words at once", False),
        (1, "ottoline@quillfeather.test", False),
    ],
)
def test_an_id_is_taken_from_the_proxy_we_trust_and_from_nobody_else(
    make_app: MakeApp, settings: Settings, trusted: int, given: str, kept: bool
) -> None:
    app = make_app(replace(settings, trusted_proxies=trusted))
    with json_log() as log, app.test_client() as http:
        answer = http.get("/", headers={"X-Request-ID": given})
    told = answer.headers["X-Request-ID"]
    assert (told == given) is kept
    assert [line["request_id"] for line in log.of("request")] == [told]


def test_an_error_page_shows_the_id_under_which_it_is_in_the_log(broken: Flask) -> None:
    page = breaks(broken, "value")
    assert f"Reference {page.headers['X-Request-ID']}" in page.text
    lost = Client(broken).get("/nowhere")
    assert f"Reference {lost.headers['X-Request-ID']}" in lost.text


def test_a_landing_that_fails_shows_it_too(app: Flask, mailbox: Mailbox, marketplace: LiveSandbox) -> None:
    page = walk_in(app, mailbox, marketplace).client.post(
        "/marketplaces/aws/landing", {TOKEN: "nobody’s"}, cross_site=True
    )
    assert page.status == 400
    assert f"Reference {page.headers['X-Request-ID']}" in page.text


# ── gunicorn ────────────────────────────────────────────────────────────────────────────────────────────────


def test_gunicorns_own_lines_come_out_the_same_way(monkeypatch: pytest.MonkeyPatch) -> None:
    from gunicorn.config import Config

    monkeypatch.setenv("LOG_FORMAT", "json")
    with json_log() as log:
        gunicorn_logs.Logger(Config()).error("Worker (pid:%s) was sent %s!", 17, "SIGKILL")
    (line,) = log.lines
    assert (line["event"], line["level"]) == ("Worker (pid:17) was sent SIGKILL!", "error")
    assert line["logger"] == "gunicorn.error"
