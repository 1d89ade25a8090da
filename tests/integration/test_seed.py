"""The demo that ``make seed`` makes: whoever it names can sign in, and a second run changes nothing."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import demo
from tests.support.databases import ROOT, environment
from tests.support.over_http import until, walk_over_http
from tests.support.seed import VISITS, Refused, seed
from tests.support.server import Server, free_port


def run_seed(instance: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    told = {"INSTANCE_PATH": str(instance), "PORT": str(free_port())}
    cheap = {"ARGON2_TIME_COST": "1", "ARGON2_MEMORY_KIB": "8"}
    command = [sys.executable, "-m", "tests.support.seed"]
    return subprocess.run(
        command, cwd=ROOT, env=environment(**told, **cheap, **settings), capture_output=True, text=True
    )


def everything(instance: Path) -> dict[str, list[str]]:
    """All rows of both databases, by file and table."""
    found = {}
    for name in ("wizard.db", "sandbox.db"):
        with closing(sqlite3.connect(instance / name)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            for (table,) in tables:
                found[f"{name} {table}"] = sorted(map(repr, database.execute(f'SELECT * FROM "{table}"')))
    return found


BEATS = {"wizard.db worker_beats"}


def at_rest(instance: Path) -> dict[str, list[str]]:
    """Everything, once the worker has done what was left to do, the day's comparison too, and the last message has
    come."""

    def is_at_rest() -> bool:
        left = count(instance, "wizard.db", "outbox WHERE done_at IS NULL AND dead_at IS NULL")
        coming = count(instance, "sandbox.db", "messages WHERE next_at IS NOT NULL")
        compared = count(instance, "wizard.db", "outbox WHERE kind = 'marketplaces.report'")
        return (left, coming) == (0, 0) and compared > 0

    until(is_at_rest, "something is still to be done")
    return everything(instance)


def count(instance: Path, name: str, what: str) -> int:
    with closing(sqlite3.connect(instance / name)) as database:
        return int(database.execute(f"SELECT count(*) FROM {what}").fetchone()[0])


def test_the_demo_is_made_once_and_everybody_in_it_can_sign_in(
    tmp_path: Path, start_server: Callable[..., Server]
) -> None:
    done = run_seed(tmp_path, SANDBOX="1")
    assert done.returncode == 0, done.stderr
    server = start_server(instance=tmp_path)
    before = at_rest(tmp_path)
    assert len(before["wizard.db workspaces"]) == 6 + 7
    assert not any(seed(server, tmp_path).values())
    # What a worker notes about itself is no part of the demo.
    after = everything(tmp_path)
    assert {name for name in before if before[name] != after[name]} <= BEATS
    found = {}
    for visit in VISITS:
        if visit.outcome:
            assert f"{visit.site}  {visit.person.username}" in done.stdout
            walk = walk_over_http(server, visit.language, person=visit.person, site=visit.site)
            found[visit.workspace] = walk.sign_in().h1
    finished = {visit.workspace: visit.workspace for visit in VISITS if not visit.ends_before}
    assert found == finished | {"Tides": "Activation method", "Buoys": "Subscribe at AWS"}
    payer = walk_over_http(server, person=demo.WEI)
    assert f"{demo.WEI.username} " in done.stdout
    door, answers = payer.client.get("/billing/sign-in"), {"username": demo.WEI.username}
    managed = payer.client.submit(door, "Sign in", answers, password=demo.WEI.password)
    said = [" ".join(state.get_text().split()) for state in managed.soup.select("tbody .state")]
    assert said == ["Locked, 1 day left", "Locked, 13 days left"] + ["Active"] * 5


def test_nothing_is_seeded_where_there_is_no_sandbox(tmp_path: Path) -> None:
    refused = run_seed(tmp_path, SANDBOX="0")
    assert refused.returncode == 1
    assert refused.stderr.startswith("SANDBOX wants to be 1")
    assert os.listdir(tmp_path) == []


def test_a_product_without_a_sandbox_is_left_alone(start_server: Callable[..., Server]) -> None:
    server = start_server(SANDBOX="0", SECRET_KEY="k" * 40, ARGON2_TIME_COST="", ARGON2_MEMORY_KIB="")
    with pytest.raises(Refused, match="has no sandbox"):
        seed(server)
