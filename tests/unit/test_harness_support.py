"""The other parts of the harness do what they say: races, sockets, databases, the browser that is found."""

import os
import socket
import subprocess
import sys
import threading
import urllib.request
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import create_engine, text

from tests.support import chromium
from tests.support.databases import environment
from tests.support.postgres import Postgres
from tests.support.races import race, results
from tests.support.server import free_port
from tests.support.sockets import Outside, is_here
from tests.support.statements import refuse_databases, watch


def test_racers_start_together_and_all_come_back() -> None:
    together = threading.Barrier(8)
    assert results(race(8, lambda number: together.wait(10) * 0 + number)) == list(range(8))


def test_a_racer_that_fails_is_told_apart() -> None:
    outcomes = race(4, lambda number: 12 // number)
    assert isinstance(outcomes[0].error, ZeroDivisionError)
    assert [outcome.result for outcome in outcomes[1:]] == [12, 6, 4]
    with pytest.raises(AssertionError, match="1 of 4 failed; the first: ZeroDivisionError"):
        results(outcomes)


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.8.9.1", "::1", None, ""])
def test_this_machine_is_here(host: str | None) -> None:
    assert is_here(host)


@pytest.mark.parametrize(
    "host", ["example.com", "192.0.2.1", "localhost.example.com", "127.0.0.1.example.com"]
)
def test_other_machines_are_not(host: str) -> None:
    assert not is_here(host)


def test_no_test_reaches_another_machine() -> None:
    with pytest.raises(Outside, match="example.com"):
        socket.create_connection(("example.com", 80), timeout=1)
    with socket.socket() as plain, pytest.raises(Outside, match="192.0.2.1"):
        plain.connect(("192.0.2.1", 80))
    with pytest.raises(Outside, match="example.com"):
        urllib.request.urlopen("http://example.com/", timeout=1)


def test_this_machine_can_be_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname(), timeout=5):
            pass
    with socket.create_server(("127.0.0.1", free_port())):
        pass


@pytest.mark.opens_a_database
def test_each_thread_sees_its_own_statements(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'watch.db'}")
    try:

        def select(number: int) -> int:
            with watch() as sql, engine.connect() as connection:
                for _ in range(number):
                    connection.execute(text("SELECT 1"))
            return len(sql.statements)

        assert results(race(4, select)) == [0, 1, 2, 3]
    finally:
        engine.dispose()


@pytest.mark.opens_a_database
def test_a_unit_test_that_opens_a_database_fails(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'unit.db'}")
    with pytest.raises(AssertionError, match="move it to tests/integration"), refuse_databases():
        engine.connect()
    with pytest.raises(AssertionError, match="move it to tests/integration"), refuse_databases():
        # Code that makes the best of every error does not get around it.
        with suppress(AssertionError):
            engine.connect()
    engine.dispose()


@pytest.mark.opens_a_database
def test_postgresql_gives_each_test_a_database_of_its_own(postgres: Postgres) -> None:
    postgres.create("mould")
    with psycopg.connect(_plain(postgres.url("mould")), autocommit=True) as connection:
        connection.execute("CREATE TABLE things (name text)")
    postgres.create("cast_1", template="mould")
    postgres.create("cast_2", template="mould")
    with psycopg.connect(_plain(postgres.url("cast_1")), autocommit=True) as one:
        one.execute("INSERT INTO things VALUES ('Ä')")
        assert one.execute("SELECT lower(name) FROM things").fetchall() == [("ä",)]
        with psycopg.connect(_plain(postgres.url("cast_2"))) as two:
            assert two.execute("SELECT count(*) FROM things").fetchone() == (0,)
        postgres.drop("cast_1")
    for name in ("cast_2", "mould"):
        postgres.drop(name)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent is gone")
def test_postgresql_ends_with_the_run_that_started_it(tmp_path: Path) -> None:
    program = (
        "import os, signal; from tests.support.postgres import Postgres; server = Postgres();"
        "print(server._process.pid, server._base, server._data, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    pid, *directories = run.stdout.split()
    for _ in range(200):
        if not _is_running(int(pid)):
            break
        threading.Event().wait(0.05)
    assert not _is_running(int(pid)), f"PostgreSQL {pid} outlived the run that started it"
    subprocess.run(["rm", "-rf", *directories], check=True)


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _plain(url: str) -> str:
    return url.replace("+psycopg", "")


def test_a_browser_that_is_named_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = _program(tmp_path / "mine")
    monkeypatch.setenv("CHROMIUM", str(named))
    assert chromium.find() == str(named)
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "missing"))
    with pytest.raises(chromium.NoChromium, match="CHROMIUM wants the path"):
        chromium.find()


def test_the_machines_own_browser_comes_in_order(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    chrome = _program(tmp_path / "google-chrome")
    assert chromium.find() == str(chrome)
    other = _program(tmp_path / "chromium-browser")
    assert chromium.find() == str(other)


def test_without_any_browser_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    monkeypatch.setattr(chromium, "find", lambda: None)
    monkeypatch.setattr(chromium, "_install_with_playwright", lambda: tried.append("playwright"))
    monkeypatch.setattr(chromium, "_install_with_apt", lambda: tried.append("apt"))
    with pytest.raises(chromium.NoChromium, match="CHROMIUM=/path/to/chromium"):
        chromium.find_or_install()
    assert tried == ["playwright", "apt"]


def test_a_browser_that_got_installed_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([None, "/opt/chromium"])
    monkeypatch.setattr(chromium, "find", lambda: next(answers))
    monkeypatch.setattr(chromium, "_install_with_playwright", lambda: None)
    assert chromium.find_or_install() == "/opt/chromium"


def test_chromiums_sandbox_is_off_for_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "--no-sandbox" in chromium.launch_arguments()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "--no-sandbox" not in chromium.launch_arguments()


def test_commands_of_the_product_get_no_settings_of_this_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://production")
    assert "DATABASE_URL" not in environment()
    assert environment(SANDBOX="1")["SANDBOX"] == "1"


def _program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path
