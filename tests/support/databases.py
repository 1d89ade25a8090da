"""The two engines the product promises, each with a fresh and fully migrated database for every test.

A test that asks for ``engine_url`` (or for ``app``, ``client`` …, which do) is run once on SQLite and once on
PostgreSQL. ``@pytest.mark.engines("postgresql")`` keeps it to one, ``pytest --engine sqlite`` the whole run.

What only the words or the way of a page decide is tried on SQLite: ``pytestmark`` says so for the file, and the
marker of a test that stands closer wins. On both is what an engine can change: races, conditional writes and what is
taken back, limits, lists, one walk of each flow. ``test_strangers.py`` and ``test_access.py`` go through every route
on both.

The migrations run once per engine and test run, by the command that deployments use; a test gets a copy.
"""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent.parent
ENGINES = ("sqlite", "postgresql")
COMMAND_SECONDS = 120

_numbers = itertools.count(1)


def environment(**settings: str) -> dict[str, str]:
    """What a command of the product runs in: these settings, and of ours only what a program needs to start."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE")
    return {name: os.environ[name] for name in kept if name in os.environ} | settings


def flask(database_url: str, instance: Path, *command: str) -> str:
    """Run ``flask --app wsgi …`` on a database; what it printed. Raises AssertionError with that where it fails.

    ``flask(url, tmp_path, "db", "check")`` fails where migrations and models differ.
    """
    return _command({"SANDBOX": "1", "DATABASE_URL": database_url, "INSTANCE_PATH": str(instance)}, *command)


def migrate(settings: dict[str, str]) -> str:
    """``flask db upgrade`` with these settings, as a deployment runs it."""
    return _command(settings, "db", "upgrade")


def _command(settings: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *command],
        cwd=ROOT,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_SECONDS,
    )
    assert done.returncode == 0, f"flask {' '.join(command)} failed:\n{done.stdout}"
    return done.stdout


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--engine", choices=ENGINES, help="run integration tests on this engine only")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("engines")
        only = metafunc.config.getoption("engine")
        wanted = [name for name in (marker.args if marker else ENGINES) if only in (None, name)]
        metafunc.parametrize("engine", wanted, scope="function")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """The PostgreSQL of this test run."""
    server = Postgres()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_postgres(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated database that is copied for each test."""
    name = "migrated"
    postgres.create(name)
    flask(postgres.url(name), tmp_path_factory.mktemp("migrate"), "db", "upgrade")
    return name


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a migrated database that is copied for each test."""
    directory = tmp_path_factory.mktemp("migrate")
    path = directory / "migrated.db"
    flask(f"sqlite:///{path}", directory, "db", "upgrade")
    assert not path.with_name("migrated.db-wal").exists(), "a migration left its database open"
    return path


@pytest.fixture
def engine_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a fresh, migrated database on one of the two engines."""
    if engine == "sqlite":
        path = tmp_path / "wizard.db"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        yield f"sqlite:///{path}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"test_{next(_numbers)}"
    server.create(name, template=request.getfixturevalue("migrated_postgres"))
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def empty_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a database without a table, on one of the two engines: for tests of migrations themselves."""
    if engine == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: Postgres = request.getfixturevalue("postgres")
    name = f"empty_{next(_numbers)}"
    server.create(name)
    yield server.url(name)
    server.drop(name)
