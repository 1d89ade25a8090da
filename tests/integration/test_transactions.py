"""The laws of the house: one commit per request, nothing unmeant, no network while the database waits."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, redirect
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Engine
from sqlalchemy.exc import IntegrityError, StatementError

from config import Settings
from tests.support import rows
from tests.support.client import Client
from tests.support.established import established
from tests.support.factories import rows_of
from tests.support.walk import Walk
from wizard import clock, mail, outbox
from wizard.billing import settlement
from wizard.billing.models import Workspace
from wizard.extensions import SQLITE_BUSY_SECONDS, UtcDateTime, db
from wizard.flows import journeys
from wizard.flows.models import JourneyEvent
from wizard.marketplaces import inbox
from wizard.marketplaces.protocol import Said
from wizard.outbox.models import WorkerBeat
from wizard.sites import gateway
from wizard.transactions import OpenTransaction, genuine
from wizard.verification import codes
from wizard.verification.models import Challenge

START = datetime(2026, 4, 7, 23, 2, 30, 123456, tzinfo=UTC)
"""Already the next day where the test's PostgreSQL believes it is."""

View = Callable[[], ResponseReturnValue]


def add(app: Flask, view: View, method: str = "POST") -> str:
    """One more page of this app; where it is."""
    app.add_url_rule(f"/{view.__name__}", view.__name__, view, methods=[method])
    return f"/{view.__name__}"


def write_something() -> None:
    outbox.enqueue("nobody does this", {})


# ── one commit, or none ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("answer", ["a page", "a redirect"])
def test_a_view_that_does_not_ask_whether_a_post_is_meant_fails(
    app: Flask, client: Client, answer: str
) -> None:
    def forgets() -> ResponseReturnValue:
        write_something()
        return answer if answer == "a page" else redirect("/", 303)

    path, before = add(app, forgets), rows_of(app)
    with pytest.raises(RuntimeError, match="without checking that it is genuine"):
        client.post(path)
    app.testing = False
    assert client.post(path, without=("session",)).status == 500
    assert rows_of(app) == before


@pytest.mark.parametrize("when", ["before a flush", "after a flush"])
def test_an_exception_that_escapes_takes_everything_back(app: Flask, client: Client, when: str) -> None:
    def breaks() -> ResponseReturnValue:
        genuine()
        db.session.add(WorkerBeat(name="never", at=clock.now()))
        if when == "after a flush":
            db.session.flush()
            write_something()
        raise ZeroDivisionError

    path, before = add(app, breaks), rows_of(app)
    app.testing = False
    page = client.post(path, without=("session",))
    assert (page.status, page.h1) == (500, "Something went wrong on our side")
    assert rows_of(app) == before


def test_what_a_view_did_is_committed_with_its_answer_even_where_that_is_a_no(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    assert walk.enter_code(walk.wrong_code()).status == 422
    with app.app_context():
        assert db.session.scalars(sa.select(Challenge.attempts)).all() == [1]
        assert "refused" in db.session.scalars(sa.select(JourneyEvent.what)).all()


def test_what_a_get_wrote_is_taken_back(app: Flask, client: Client) -> None:
    def writes() -> ResponseReturnValue:
        genuine()
        write_something()
        return "done"

    path, before = add(app, writes, "GET"), rows_of(app)
    client.get(path, without=("writes", "session", *HTML))
    assert rows_of(app) == before


def test_a_change_that_a_get_leaves_lying_is_a_mistake(app: Flask, client: Client) -> None:
    def forgets_to_flush() -> ResponseReturnValue:
        db.session.add(WorkerBeat(name="never", at=clock.now()))
        return "done"

    path, before = add(app, forgets_to_flush, "GET"), rows_of(app)
    with pytest.raises(RuntimeError, match="should only have read"):
        client.get(path)
    assert rows_of(app) == before


HTML = ("html", "heading", "language", "policy")
"""The checks that a test's own view, which says "done", is let off."""


# ── what is meant ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_post_without_its_token_changes_nothing_and_shows_the_answers_again(
    app: Flask, walk: Walk, another: Callable[..., Walk]
) -> None:
    """On every page of the walk: the token left out, made up, and that of another browser."""
    stranger = another().register().page.form("Next").fields["csrf_token"][0]

    def unmeant(button: str, **answers: object) -> None:
        before = rows_of(app)
        for token in (None, "made up", stranger):
            page = walk.client.submit(walk.page, button, answers, csrf_token=token)
            assert page.status == 422, page
            assert "This page was open too long" in page.text
            kept = page.form(button).fields
            for name, answer in answers.items():
                assert kept[name] == ["" if name == "password" else answer], name
            assert rows_of(app) == before
        # The page that came back can be sent as it is: its token is a good one.
        assert page.form(button).fields["csrf_token"] != [stranger]
        walk.page = page

    person = walk.person
    walk.land()
    unmeant("Next", has_account="no")
    walk.say_new()
    unmeant("Next", site="us1", username=person.username, email=person.email, password=person.password)
    walk.give_basics()
    unmeant("Confirm", code=walk.code())
    walk.enter_code()
    unmeant("Register", company_name="Harbour Lamps", contact_name="Ada", agree="y")
    walk.give_company()
    unmeant("Activate", workspace_name="Harbour", language="zh", agree="y")
    assert walk.activate().h1 == "Your workspace is being made"


def test_a_button_that_was_not_meant_does_not_look_as_if_it_had_been(app: Flask, walk: Walk) -> None:
    """Its page was open too long: a code is not said to be sent, nor anybody signed out who is not."""
    walk.register().give_basics()
    walk.work()
    before = rows_of(app)
    with clock.later(timedelta(minutes=1)):
        page = walk.client.submit(walk.page, "Send code again", csrf_token="made up")
    assert "This page was open too long" in page.text
    assert rows_of(app) == before

    walk.enter_code()
    walk.give_company()
    walk.sign_in()
    home = walk.client.get("/console/")
    page = walk.client.submit(home, "Sign out", csrf_token="made up")
    assert "Sign out" in page.buttons, "it looks like signed out"


# ── the network ─────────────────────────────────────────────────────────────────────────────────────────────


def _ask_aws(app: Flask) -> None:
    app.extensions["marketplaces"]["aws"].resolve("a token")


def _send_mail(_app: Flask) -> None:
    mail.deliver("ada@harbour.test", "code", "en", {}, 1)


def _ask_a_site(_app: Flask) -> None:
    wanted = gateway.NewWorkspace("wksp_1", "Harbour", "en", "ada", "ada@harbour.test")
    gateway.console().create_workspace("us1", wanted)


@pytest.mark.parametrize("use", [_ask_aws, _send_mail, _ask_a_site])
def test_no_network_is_used_while_a_transaction_is_open(app: Flask, use: Callable[[Flask], None]) -> None:
    with app.app_context():
        db.session.execute(sa.select(1))
        with pytest.raises(OpenTransaction):
            use(app)
        db.session.rollback()
        try:
            use(app)
        except OpenTransaction:
            pytest.fail("no transaction is open any more")
        except Exception:
            pass


# ── the engines ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite")
def test_every_sqlite_connection_is_made_ready(app: Flask) -> None:
    wanted = {
        "journal_mode": "wal",
        "foreign_keys": 1,
        "busy_timeout": SQLITE_BUSY_SECONDS * 1000,
        "synchronous": 2,
    }
    with app.app_context():
        connections = [db.engine.raw_connection() for _ in range(3)]
    for connection in connections:
        cursor = connection.cursor()
        assert {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in wanted} == wanted
    for connection in connections:
        connection.close()


@pytest.mark.engines("sqlite")
def test_who_may_write_begins_at_once_and_who_only_reads_does_not(app: Flask, walk: Walk) -> None:
    with _begins() as begins:
        walk.register()
        walk.client.get("/readyz", without=("weight",))
    assert set(begins) == {"BEGIN"}
    with _begins() as begins:
        walk.client.submit(walk.page, "Next", {"site": "us1", **walk.person.answers}, follow=False)
    assert set(begins) == {"BEGIN IMMEDIATE"}
    with _begins() as begins:
        assert walk.work()
    assert set(begins) == {"BEGIN IMMEDIATE"}


@pytest.mark.engines("sqlite")
def test_a_reader_does_not_wait_for_a_writer(walk: Walk, engine_url: str) -> None:
    walk.register().give_basics()
    writer = sqlite3.connect(engine_url.removeprefix("sqlite:///"), isolation_level=None)
    try:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE journeys SET locale = 'zh'")
        assert walk.client.get(walk.page.path).status == 200
        assert walk.client.other().get("/register").status == 200
    finally:
        writer.close()


@contextmanager
def _begins() -> Iterator[list[str]]:
    begins: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if statement.startswith("BEGIN"):
            begins.append(statement)

    sa.event.listen(Engine, "before_cursor_execute", note)
    try:
        yield begins
    finally:
        sa.event.remove(Engine, "before_cursor_execute", note)


def test_no_row_points_at_nothing(app: Flask) -> None:
    with app.app_context():
        db.session.add(JourneyEvent(journey_id=404, at=clock.now(), step="code", what="sent", detail={}))
        with pytest.raises(IntegrityError):
            db.session.flush()


# ── times ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_time_that_is_stored_comes_back_aware_and_in_utc(
    app: Flask, walk: Walk, another: Callable[..., Walk]
) -> None:
    with clock.at(START):
        walk.to_end()
        another().register().give_basics().enter_code()  # Who holds a name for a while.
        browser = walk.client.other()
        browser.submit(browser.get("/forgot-password"), "Send code", site="us1", email=walk.person.email)
    with app.app_context(), clock.at(START):
        outbox.beat("a worker")
        inbox.receive(Said("aws:1", "aws", "sqs", "Purchase Agreement Created", START, agreement_id="agmt-1"))
        db.session.commit()
    seen: dict[str, set[datetime]] = {}
    with app.app_context():
        for mapper in db.Model.registry.mappers:
            times = [
                column.key for column in mapper.columns if isinstance(column.type, sa.DateTime | UtcDateTime)
            ]
            rows = db.session.scalars(sa.select(mapper.class_)).all()
            for name in times:
                found = {value for row in rows if (value := getattr(row, name)) is not None}
                assert {value.tzinfo for value in found} <= {UTC}, f"{mapper.class_.__name__}.{name}"
                seen.setdefault(mapper.local_table.name, set()).update(found)
    assert all(seen.values()), (
        f"nothing was looked at in {[name for name, found in seen.items() if not found]}"
    )
    for table, found in seen.items():
        assert all(START <= value <= START + timedelta(days=31) for value in found), (table, found)
    assert START in seen["journeys"] & seen["workspaces"] & seen["outbox"] & seen["console_accounts"]


def test_a_time_of_any_zone_is_the_same_moment_and_one_without_a_zone_is_refused(app: Flask) -> None:
    in_shanghai = START.astimezone(timezone(timedelta(hours=8)))
    with app.app_context():
        db.session.add(WorkerBeat(name="far away", at=in_shanghai))
        db.session.flush()
        assert db.session.scalar(sa.select(WorkerBeat.at)) == START
        assert db.session.scalar(sa.select(WorkerBeat.name).where(WorkerBeat.at == in_shanghai)) == "far away"
        db.session.rollback()
        db.session.add(WorkerBeat(name="nowhere", at=START.replace(tzinfo=None)))
        with pytest.raises(StatementError, match="without a zone"):
            db.session.flush()


# ── migrations ──────────────────────────────────────────────────────────────────────────────────────────────


def test_migrations_make_what_the_models_say(app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    _flask(app, "db", "check")
    with app.app_context(), db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE outbox ADD COLUMN nobody_knows VARCHAR")
    with pytest.raises(AssertionError):
        _flask(app, "db", "check")
    assert "nobody_knows" in caplog.text, "the check that would find a difference finds none"


def test_migrations_go_up_from_nothing_and_down_to_nothing(
    make_app: Callable[[Settings], Flask], settings: Settings, empty_url: str
) -> None:
    app = make_app(replace(settings, database_url=empty_url))

    def tables() -> set[str]:
        with app.app_context(), db.engine.connect() as connection:
            return set(sa.inspect(connection).get_table_names())

    assert tables() == set()
    _flask(app, "db", "upgrade")
    assert tables() == {*db.metadata.tables, "alembic_version"}
    _flask(app, "db", "check")
    _fill(app)
    _flask(app, "db", "downgrade", "base")
    assert tables() == {"alembic_version"}
    _flask(app, "db", "upgrade")
    assert tables() == {*db.metadata.tables, "alembic_version"}


def test_what_customers_made_outlives_the_way_back_to_the_version_before_and_up_again(
    make_app: Callable[[Settings], Flask], settings: Settings, empty_url: str
) -> None:
    app = make_app(replace(settings, database_url=empty_url))

    def read(words: str) -> list[tuple[Any, ...]]:
        with app.app_context(), db.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(words)]

    kept = (
        "SELECT id, public_id, subscription_id FROM workspaces ORDER BY id",
        "SELECT id, reference, workspace_id FROM journeys ORDER BY id",
        "SELECT journey_id, step, what FROM journey_events ORDER BY id",
        "SELECT id, bound_to FROM challenges",
    )
    _flask(app, "db", "upgrade")
    workspace = _fill(app)
    before = [read(words) for words in kept]
    assert all(before), "nothing is there that could be lost"
    _flask(app, "db", "downgrade", "0004")
    assert [read(words) for words in kept] == before
    _flask(app, "db", "upgrade")
    assert [read(words) for words in kept] == before
    history = read("SELECT workspace_id, number, by FROM settlements")
    assert history == [(workspace, 1, settlement.BEFORE)]
    finished = read("SELECT workspace_id FROM journeys WHERE finished_at IS NOT NULL")
    assert finished == [(workspace,)]
    with app.app_context(), db.engine.connect() as connection, pytest.raises(IntegrityError):
        connection.exec_driver_sql("DELETE FROM workspaces")  # Its history and its journey point at it.


def _fill(app: Flask) -> int:
    """Rows that point at each other: a purchase, its workspace, the journey that made it, one on the way. The
    workspace's id."""
    bought = rows.purchase(app)
    customer = established(app, subscription=bought)
    with app.app_context():
        workspace = db.session.scalars(sa.select(Workspace.id)).one()
    facts = {"subscription_id": bought, "billing_account_id": customer.billing_id}
    made = [
        rows.journey(app, "no_billing_account", workspace_id=workspace, finished_at=clock.now(), **facts),
        rows.journey(app, **facts),
    ]
    with app.app_context():
        for journey in made:
            journeys.note(journey, "a step", "happened")
            codes.begin("bind", "ada@example.com", journey.reference, "en", about={})
        db.session.commit()
    return workspace


def _flask(app: Flask, *command: str) -> None:
    """Run ``flask …`` in this process."""
    done = app.test_cli_runner().invoke(args=[*command])
    assert done.exit_code == 0, f"flask {' '.join(command)}: {done.output} {done.exception!r}"
