"""Fixtures every test can ask for, and what holds for all tests.

Where a test lives decides what it is: ``tests/unit`` opens no database, ``tests/integration`` runs on both engines
where they can differ (``support/databases.py`` says when), ``tests/browser`` walks the running product. No test
talks to another machine.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from jinja2 import FileSystemBytecodeCache

from tests.support.sockets import refuse_outside
from tests.support.statements import refuse_databases

if TYPE_CHECKING:
    from flask import Flask

    from config import Settings
    from tests.support.client import Client
    from tests.support.mailbox import Mailbox
    from tests.support.sandbox import LiveSandbox
    from tests.support.walk import Walk

pytest_plugins = [
    "tests.support.databases",
    "tests.support.mailbox",
    "tests.support.owner",
    "tests.support.server",
    "tests.support.browser",
    "tests.support.moto",
]

LONGEST = (
    "test_every_page.py",
    "test_every_page_of_binding.py",
    "test_every_page_of_billing.py",
    "test_resume.py",
    "test_fuzz.py",
    "test_binding.py",
    "test_strangers.py",
    "test_process.py",
    "test_several_processes.py",
    "test_queues.py",
    "test_races.py",
    "test_seed.py",
    "test_impatience.py",
    "test_password_reset.py",
    "test_binding_races.py",
    "test_binding_properties.py",
    "test_keyboard.py",
    "test_partitions.py",
)
KINDS = ("unit", "integration", "browser")
MOST_ROUNDS = 50


def pytest_configure(config: pytest.Config) -> None:
    config.add_cleanup(refuse_outside())
    # Nothing is timed in a test, and a build machine tries the same examples every time.
    hypothesis.settings.register_profile("house", deadline=None, derandomize="CI" in os.environ)
    hypothesis.settings.load_profile("house")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by where it lives, so that ``-m "not browser"`` works without anybody writing markers.

    The files that take longest come first: the two processes that share the run are done at the same time then.
    (``--no-loadscope-reorder`` makes them keep that order: by themselves they begin with what has most tests.)
    """
    here = Path(__file__).parent
    for item in items:
        kind = item.path.relative_to(here).parts[0]
        if kind in KINDS:
            item.add_marker(kind)
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(autouse=True)
def _no_database_in_unit_tests(request: pytest.FixtureRequest) -> Iterator[None]:
    """A unit test that opens a database fails, also where the code under test swallows the refusal."""
    node = request.node
    if not node.get_closest_marker("unit") or node.get_closest_marker("opens_a_database"):
        yield
        return
    with refuse_databases():
        yield


@pytest.fixture(scope="session")
def marketplace(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[LiveSandbox]":
    """The sandbox's AWS behind a real socket, one for all tests: buy as a new account in each."""
    from tests.support.sandbox import live_sandbox

    with live_sandbox(tmp_path_factory.mktemp("marketplace")) as live:
        yield live


@pytest.fixture
def settings(engine_url: str, mailbox: "Mailbox", marketplace: "LiveSandbox", tmp_path: Path) -> "Settings":
    """Settings on a fresh database, with mail that arrives in ``mailbox`` and AWS played by ``marketplace``.

    argon2 is as cheap as it goes; ``replace(settings, …)`` and ``make_app`` are for a test about something else.
    """
    from config import Settings
    from wizard.run import at_sandbox

    wanted = Settings.from_env(
        {
            "SANDBOX": "1",
            "SECRET_KEY": "a key for tests only, known to everybody",
            "INSTANCE_PATH": str(tmp_path),
        }
    )
    return replace(
        at_sandbox(wanted, marketplace.url),
        database_url=engine_url,
        mail_server="127.0.0.1",
        mail_port=mailbox.port,
        mail_sender="hello@skylark.test",
        argon2_time_cost=1,
        argon2_memory_kib=8,
    )


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Compiled templates, shared by the apps of all tests."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def make_app(templates: "FileSystemBytecodeCache") -> "Iterator[Callable[[Settings], Flask]]":
    """``make_app(settings)``: an app as it is in production, except that an error surfaces in the test."""
    from tests.support.compiled import compile_once
    from wizard import create_app
    from wizard.extensions import db

    made: list[Flask] = []

    def make(settings: "Settings") -> "Flask":
        app = create_app(settings)
        app.testing = True
        app.jinja_env.bytecode_cache = templates  # Compiled once a run, not once a test.
        with app.app_context():
            compile_once(db.engine)
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app: "Callable[[Settings], Flask]", settings: "Settings") -> "Flask":
    return make_app(settings)


@pytest.fixture
def client(app: "Flask", settings: "Settings") -> "Client":
    """The opinionated client, in English. ``client.other("zh")`` is another browser, in Chinese."""
    from tests.support.client import Client

    return Client(app, origin=settings.public_url)


@pytest.fixture
def work(app: "Flask") -> Callable[[], int]:
    """``work()`` runs the worker until nothing is due, and says how many things it did."""
    from wizard.worker import run_once

    def run() -> int:
        done = 0
        for _round in range(MOST_ROUNDS):
            did = run_once(app)
            if not did:
                return done
            done += did
        raise AssertionError(f"the worker is not done after {MOST_ROUNDS} rounds")

    return run


@pytest.fixture
def walk(client: "Client", work: Callable[[], int], mailbox: "Mailbox", marketplace: "LiveSandbox") -> "Walk":
    """A customer who has not set out yet."""
    from tests.support.walk import Walk

    return Walk(client, work, mailbox, marketplace)


@pytest.fixture
def another(
    client: "Client", work: Callable[[], int], mailbox: "Mailbox", marketplace: "LiveSandbox"
) -> "Callable[..., Walk]":
    """``another(language="zh", person=…)``: one more customer, in a browser of their own."""
    from tests.support.walk import Walk

    def make(language: str | None = None, **options: Any) -> "Walk":
        return Walk(client.other(language), work, mailbox, marketplace, **options)

    return make
