"""Who may call what, what everybody else is told instead, and the headers on every answer."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.engine import make_url
from werkzeug.routing import Rule

from config import Settings
from tests.support.client import Client
from tests.support.factories import Person, alerts_in, recorded, rows_of, text_of
from tests.support.page import Page
from tests.support.walk import LANDING, TOKEN, Walk
from wizard import access, clock, outbox
from wizard.extensions import db
from wizard.pages import HEADERS

MakeApp = Callable[[Settings], Flask]
NOBODY = {
    "reference": "SK-0000-0000",
    "arrival_id": "nobodys",
    "public_id": "wksp_0",
    "key": "basic",
    "marketplace": "aws-cn",
    "name": "resend",
    "subscription_id": "1",
    "opaque": "nobodys",
}


@pytest.fixture
def in_production(make_app: MakeApp, settings: Settings) -> Flask:
    """An app as a company runs it: no sandbox, limits as they are, an exception is a page and not a traceback."""
    app = make_app(replace(settings, sandbox=False))
    app.testing = False
    return app


def typed(person: Person) -> dict[str, object]:
    """What somebody fills into the first page."""
    return {"site": "us1", **person.answers, "phone": "+1 541 754 3010"}


def kept_in(page: Page) -> dict[str, str]:
    """What a page holds ready to be sent again."""
    return {name: values[0] for name, values in page.form("Send it again").fields.items()}


# The table ---------------------------------------------------------------------------------------------------


def test_a_route_that_is_not_in_the_table_stops_the_start(
    make_app: MakeApp, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(access.ACCESS, "console.home")
    with pytest.raises(RuntimeError, match=r"console\.home"):
        make_app(settings)


def test_a_line_of_the_table_without_a_route_stops_the_start(
    make_app: MakeApp, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(access.ACCESS, "console.attic", access.CONSOLE)
    with pytest.raises(RuntimeError, match=r"console\.attic"):
        make_app(settings)


def address(app: Flask, rule: Rule) -> str:
    if rule.endpoint == "asset":
        return str(app.extensions["asset_urls"]["style"])
    return re.sub(r"<(?:[\w()=]+:)?(\w+)>", lambda found: NOBODY[found[1]], rule.rule)


def test_each_kind_of_route_answers_a_stranger_as_the_table_says(app: Flask, client: Client) -> None:
    with app.app_context():
        outbox.beat("a worker")
    before = rows_of(app)
    asked = set()
    for rule in app.url_map.iter_rules():
        kind = access.ACCESS[rule.endpoint]
        for method in sorted((rule.methods or set()) & {"GET", "POST"}):
            path = address(app, rule)
            ask: Callable[..., Page] = client.get if method == "GET" else client.post
            page = ask(path)
            asked.add((kind, method))
            told = f"{rule.endpoint}, {kind}: {page}, {page.location}"
            if kind == access.PUBLIC and method == "GET":
                assert page.status == 200, told
            elif kind == access.PUBLIC:
                # A form without its token: told so, or led on without effect.
                assert page.status in (303, 422), told
            elif kind == access.CONSOLE:
                assert (page.status, page.location) == (303, f"/sign-in?next={path}"), told
            elif kind == access.BILLING:
                assert (page.status, page.location) == (303, f"/billing/sign-in?next={path}"), told
            elif kind in (access.ARRIVAL, access.JOURNEY, access.LINK, access.RESET):
                assert page.status == 404, told
                assert {"/sign-in", "/billing/sign-in"} & set(page.links.values()), told
            else:
                assert kind in (access.MARKETPLACE, access.SIGNATURE, access.TICKET), told
                assert page.status == 400, told
    assert {kind for kind, _method in asked} == set(access.ACCESS.values())
    assert rows_of(app) == before


def test_the_sandbox_is_there_only_where_it_was_asked_for(app: Flask, in_production: Flask) -> None:
    for path in ("/sandbox/", "/sandbox/aws/", "/sandbox/mailbox", "/sandbox/mailbox.json"):
        with app.test_client() as http:
            assert http.get(path).status_code == 200
        assert Client(in_production).get(path).status == 404
    for path in ("/sandbox/aws/api", "/sandbox/aws/purchases"):
        assert Client(in_production).post(path).status == 404


# What is told instead ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_is_not_here_is_a_page_with_a_way_on(app: Flask, client: Client, language: str) -> None:
    here = client.other(language)
    big = {"username": "x" * 300_000}
    for page, status in (
        (here.get("/nowhere"), 404),
        (here.get("/assets/style-0.css"), 404),
        (here.get("/assets/style-0123456789ab.js"), 404),
        (here.get("/journeys/"), 404),
        (here.get("/sign-out"), 405),
        (here.post("/"), 405),
        (here.post("/register", big), 413),
        (here.post("/sign-in", big), 413),
        (here.post(LANDING, {TOKEN: "x" * 300_000}), 413),
    ):
        assert page.status == status, page
        assert {"/", "/sign-in"} <= set(page.links.values()), page
        assert app.extensions["asset_urls"]["style"] in page.html
        assert not page.soup.select("form")
        assert ("Allow" in page.headers) == (status == 405), page


def fill_limit(app: Flask) -> None:
    """Whoever has sent something once has sent as much as anybody may."""
    with app.app_context():
        assert db.session.execute(sa.text("UPDATE rate_limits SET count = 1000")).rowcount  # type: ignore[attr-defined]
        db.session.commit()


def test_too_many_posts_are_told_until_when_and_keep_what_was_typed(in_production: Flask) -> None:
    client, person = Client(in_production), Person()
    page = client.get("/register")
    answers = typed(person)
    with clock.at(datetime(2026, 4, 7, 12, 0, 30, tzinfo=UTC)):
        client.submit(page, "Next")
        fill_limit(in_production)
        limited = client.submit(page, "Next", answers)
    assert limited.status == 429
    assert "after 13:01 (UTC)" in limited.text
    secrets = {"password": None, "confirm_password": None}
    assert {name: kept_in(limited).get(name) for name in answers} == answers | secrets
    assert person.password not in limited.html
    with clock.at(datetime(2026, 4, 7, 13, 0, 0, tzinfo=UTC)):
        assert client.submit(limited, "Send it again").status == 429
    with clock.at(datetime(2026, 4, 7, 13, 1, 0, tzinfo=UTC)):
        back = client.submit(limited, "Send it again")
    assert (back.status, back.h1) == (422, "Basic information")
    assert set(back.errors) == {"password"}
    form = back.form("Next").fields
    assert (form["username"], form["email"], form["site"]) == ([person.username], [person.email], ["us1"])


def test_each_door_that_takes_something_has_a_limit_for_one_address(in_production: Flask) -> None:
    client = Client(in_production)
    doors = (
        LANDING,
        "/sign-in",
        "/register",
        "/journeys/SK-0000-0000/code",
        "/arrive/nobodys",
        "/forgot-password",
        "/forgot-password/code",
        "/forgot-password/code/resend",
        "/forgot-password/new",
        "/billing/unlock",
        "/go-on/nobodys",
        "/go-on/nobodys/code",
        "/go-on/nobodys/code/resend",
    )
    assert all(client.post(path).status != 429 for path in doors)
    fill_limit(in_production)
    assert {path: client.post(path).status for path in doors} == dict.fromkeys(doors, 429)
    assert all(client.get(path).status != 429 for path in doors)


def test_a_mistake_of_ours_is_admitted_and_what_was_typed_goes_back(in_production: Flask) -> None:
    client, person = Client(in_production), Person()
    page = client.get("/register")
    whole = in_production.view_functions["doors.register"]

    def broken(**_arguments: Any) -> str:
        raise LookupError(f"a defect that knows {person.email}")

    before = rows_of(in_production)
    in_production.view_functions["doors.register"] = broken
    with recorded() as log:
        failed = client.submit(page, "Next", typed(person))
        seen = client.get("/register")
    in_production.view_functions["doors.register"] = whole
    assert (failed.status, seen.status) == (500, 500)
    assert alerts_in(log) == ["exception", "exception"]
    assert {"/", "/sign-in"} <= set(failed.links.values())
    assert "defect" not in failed.html
    assert not seen.soup.select("form")
    assert kept_in(failed)["email"] == person.email
    assert person.password not in failed.html
    assert rows_of(in_production) == before
    back = client.submit(failed, "Send it again")
    assert set(back.errors) == {"password"}
    assert back.form("Next").fields["email"] == [person.email]


def test_a_database_that_is_gone_is_a_503_that_keeps_what_was_typed(
    make_app: MakeApp, settings: Settings, tmp_path: Any
) -> None:
    url = make_url(settings.database_url)
    nowhere = url.set(
        database=str(tmp_path / "nowhere" / "gone.db") if url.drivername == "sqlite" else "gone"
    )
    app = make_app(replace(settings, database_url=nowhere.render_as_string(hide_password=False)))
    client, person = Client(app), Person()
    page = client.get("/register")
    assert page.status == 200
    with recorded() as log:
        failed = client.submit(page, "Next", typed(person))
        client.http.set_cookie("console", "somebody", domain="127.0.0.1")
        seen = client.get("/console/")
        landed = client.post(LANDING, {TOKEN: "a+token=="}, cross_site=True)
    for answer in (failed, seen, landed):
        assert answer.status == 503
        assert {"/", "/sign-in"} <= set(answer.links.values())
        assert not [name for name, _ in answer.headers if name == "Set-Cookie"]
    assert alerts_in(log) == ["database"] * 3
    assert kept_in(failed)["email"] == person.email
    assert person.password not in failed.html
    assert not [record for record in log if person.email in text_of(record) or "a+token" in text_of(record)]


def test_what_somebody_typed_is_not_in_the_log_when_the_database_refuses_it(in_production: Flask) -> None:
    client, person = Client(in_production), Person()
    page = client.get("/sign-in?site=us1")
    with in_production.app_context():
        db.session.execute(sa.text("ALTER TABLE console_accounts RENAME TO somewhere_else"))
        db.session.commit()
    with recorded() as log:
        failed = client.submit(page, "Sign in", username=person.email, password=person.password)
    assert failed.status in (500, 503)
    assert alerts_in(log)
    for secret in (person.email, person.password):
        assert not [record for record in log if secret in text_of(record)]
    assert kept_in(failed)["username"] == person.email


# Headers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("public_url", ["http://127.0.0.1:5000", "https://join.skylark.test"])
@pytest.mark.engines("sqlite")
def test_every_kind_of_answer_carries_the_security_headers(
    make_app: MakeApp, settings: Settings, public_url: str
) -> None:
    app = make_app(replace(settings, public_url=public_url))
    app.testing = False
    client = Client(app, origin=public_url)
    urls = app.extensions["asset_urls"]
    big = {TOKEN: "x" * 300_000}
    answers = {
        "page": client.get("/"),
        "stylesheet": client.get(urls["style"]),
        "script": client.get(urls["script"]),
        "JSON": client.get("/healthz"),
        "unready": client.get("/readyz"),
        "metrics": client.get("/metrics"),
        "redirect": client.get("/console/"),
        "moved": client.get("/console"),
        "not found": client.get("/nowhere"),
        "not so": client.post("/"),
        "refused": client.post("/sign-in"),
        "landing": client.post(LANDING, {}, cross_site=True),
        "too much": client.post(LANDING, big),
    }
    app.view_functions["doors.home"] = lambda: 1 / 0
    answers["broken"] = client.get("/")
    assert {page.status for page in answers.values()} == {200, 303, 308, 400, 404, 405, 413, 422, 500, 503}
    wanted = {
        **HEADERS,
        "Strict-Transport-Security": "max-age=31536000; includeSubDomains" if public_url[4] == "s" else None,
    }
    for kind, page in answers.items():
        assert {name: page.headers.get(name) for name in wanted} == wanted, kind
        forever = kind in ("stylesheet", "script")
        assert ("immutable" if forever else "no-store") in page.headers["Cache-Control"], kind
        assert "Server" not in page.headers


def test_a_page_is_closed_to_frames_scripts_and_sniffing() -> None:
    policy = dict(part.strip().partition(" ")[::2] for part in HEADERS["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    assert HEADERS["X-Content-Type-Options"] == "nosniff"
    assert HEADERS["Referrer-Policy"] == "same-origin"


def test_a_signed_in_customer_is_let_in_and_nobody_else(walk: Walk) -> None:
    home = walk.to_end().sign_in()
    assert home.status == 200
    assert walk.client.other().get(home.path).location == f"/sign-in?next={home.path}"


def test_the_stylesheet_of_another_version_is_answered_with_this_ones_and_kept_by_nobody(app: Flask) -> None:
    """… because during an update a page and its stylesheet may come from processes of two versions."""
    here = app.test_client()
    for kind, ending in (("style", "css"), ("script", "js")):
        own = here.get(app.extensions["asset_urls"][kind])
        others = here.get(f"/assets/{kind}-0123456789ab.{ending}")
        assert (others.status_code, others.data, others.mimetype) == (200, own.data, own.mimetype)
        assert "immutable" in own.headers["Cache-Control"]
        assert others.headers["Cache-Control"] == "no-store"
