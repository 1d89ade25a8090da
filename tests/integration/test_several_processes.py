"""Two web processes and two workers over one PostgreSQL: they count together, and make up for each other."""

import re
import signal
import socket
import threading
from collections.abc import Iterator

import psycopg
import pytest

from tests.support.installation import Installation, InTurn, Program, loopback
from tests.support.over_http import HttpClient, HttpWalk, until
from tests.support.postgres import Postgres
from tests.support.races import race, results
from tests.support.slow_aws import slow_aws
from tests.support.walk import LANDING, TOKEN
from wizard.limits import SIGN_IN_TRIES

JOURNEYS = 24
MAILS_EACH = 3
"""The code, the account, the workspace."""


@pytest.fixture(scope="module")
def installation(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    if request.config.getoption("engine") == "sqlite":
        pytest.skip("several processes share PostgreSQL")
    postgres: Postgres = request.getfixturevalue("postgres")
    postgres.create("several")
    together = str(tmp_path_factory.mktemp("metrics"))
    installation = Installation(
        tmp_path_factory.mktemp("several"), postgres.url("several"), PROMETHEUS_MULTIPROC_DIR=together
    )
    yield installation
    installation.stop()
    postgres.drop("several")


@pytest.fixture
def running(installation: Installation) -> Installation:
    """Two web processes and two workers, whatever the test before did to its."""
    installation.top_up(webs=2, workers=2)
    return installation


def rows(running: Installation, statement: str, *values: object) -> list[tuple[object, ...]]:
    address = running.settings["DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(address, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def let_leases_run_out(running: Installation, killed: Program) -> None:
    """What a worker held when it died is free for the others a minute later; that minute passes here."""
    rows(
        running,
        "UPDATE outbox SET lease_until = '2026-01-01' WHERE done_at IS NULL AND lease_owner LIKE %s",
        f"%-{killed.process.pid}-%",
    )


def test_many_journeys_lose_nothing_while_a_worker_is_killed(running: Installation) -> None:
    walks = [running.customer() for _ in range(JOURNEYS)]
    killed, left = running.workers
    before = len(running.mails())

    def in_the_middle() -> bool:
        return len(running.mails()) >= before + JOURNEYS and "outbox entry done" in killed.log.read_text()

    def kill_one_in_the_middle() -> None:
        until(in_the_middle, "half of the mails are not there", 120)
        killed.kill9()
        let_leases_run_out(running, killed)

    killer = threading.Thread(target=kill_one_in_the_middle)
    killer.start()
    homes = results(race(JOURNEYS, lambda n: go(walks[n])))
    killer.join()
    assert not killed.lives
    assert left.lives
    assert {home for home in homes} == {"Harbour"}
    assert [status for walk in walks for status in statuses(walk) if status >= 500] == []
    _nothing_waits(running)
    emails = [walk.person.email for walk in walks]
    accounts = "SELECT count(*) FROM console_accounts WHERE email = ANY(%s)"
    assert rows(running, accounts, emails) == [(JOURNEYS,)]
    made = (
        "SELECT count(*) FROM workspaces JOIN console_accounts ON console_accounts.id = owner_id "
        "WHERE email = ANY(%s) AND state = 'active'"
    )
    assert rows(running, made, emails) == [(JOURNEYS,)]
    subjects = [[mail["subject"] for mail in running.mails(walk.person.email)] for walk in walks]
    assert [len(set(mine)) for mine in subjects] == [MAILS_EACH] * JOURNEYS, "each mail reached its reader"
    # What the killed worker had handed over and not yet written down goes out again: at most one mail.
    assert sum(len(mine) - MAILS_EACH for mine in subjects) <= 1
    _both_did_some(running, killed, left)
    _every_line_is_json_and_names_nobody(running, walks)


def go(walk: HttpWalk) -> str:
    walk.to_end()
    return walk.sign_in().h1


def statuses(walk: HttpWalk) -> list[int]:
    found: list[int] = walk.client.statuses  # type: ignore[attr-defined]
    return found


def _nothing_waits(running: Installation) -> None:
    open_entries = "SELECT kind, last_error FROM outbox WHERE done_at IS NULL"
    until(lambda: not rows(running, open_entries), "something waits in the outbox", 60)


def _both_did_some(running: Installation, *workers: Program) -> None:
    for worker in workers:
        assert any(line["event"] == "outbox entry done" for line in worker.lines), worker.name
    for web in running.webs:
        assert sum(line["event"] == "request" for line in web.lines) > JOURNEYS, web.name


def _every_line_is_json_and_names_nobody(running: Installation, walks: list[HttpWalk]) -> None:
    said = "".join(program.log.read_text() for program in (*running.webs, *running.workers))
    for program in (*running.webs, *running.workers):
        assert all({"event", "level", "timestamp"} <= set(line) for line in program.lines), program.name
    for walk in walks:
        for word in (walk.person.email, walk.person.password, walk.bought["token"]):
            assert word not in said
    # Whoever knows the journey finds its requests and its mails, in whichever process they were.
    reference = next(line["journey"] for line in running.webs[0].lines if "journey" in line)
    events = {
        line["event"]
        for p in (*running.webs, *running.workers)
        for line in p.lines
        if line.get("journey") == reference
    }
    assert {"request", "outbox entry done"} <= events


def test_a_limit_counts_in_all_processes_together(running: Installation) -> None:
    most = int(SIGN_IN_TRIES.split()[0])
    walk = running.customer()
    tries = [walk.sign_in(password="no such password").text for _ in range(most + 1)]
    assert [("tried too often" in text) for text in tries] == [False] * most + [True]
    asked = [
        {line.get("route") for line in web.lines if line.get("method") == "POST"} for web in running.webs
    ]
    assert ["/sign-in" in routes for routes in asked] == [True, True], "one process had all of them"


def test_a_limit_for_one_client_leaves_the_others_alone(running: Installation) -> None:
    """Sixty sign-ins in five minutes from one address, whatever is in them, over both processes."""
    busy, calm = (InTurn(running, address=address) for address in (loopback(3), loopback(4)))
    answers = [busy.post("/sign-in").status for _ in range(61)]
    assert answers == [422] * 60 + [429]
    if loopback(3):
        assert calm.post("/sign-in").status == 422


def test_any_web_process_tells_what_all_of_them_and_the_workers_did(running: Installation) -> None:
    def told() -> list[tuple[float, float]]:
        """What each process says of pages that all showed and of mails that the workers sent."""
        texts = [HttpClient(web.url).get("/metrics").html for web in running.webs]
        return [
            (
                _figure(text, 'wizard_requests_total{endpoint="flows.step",method="GET",status="2xx"}'),
                _figure(text, 'wizard_outbox_attempts_total{kind="verification.mail",outcome="done"}'),
            )
            for text in texts
        ]

    before = told()
    running.customer().to_company()
    after = told()
    assert [(late[0] - early[0], late[1] - early[1]) for early, late in zip(before, after, strict=True)] == [
        (3, 1),  # basic, code, company, wherever each was shown
        (3, 1),
    ]


def _figure(text: str, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0


def test_a_journey_goes_on_when_its_web_process_dies(running: Installation) -> None:
    walk = running.customer()
    walk.to_company()
    running.webs[0].kill9()
    walk.give_company()
    walk.activate()
    assert walk.wait_until_made().h1 == "Activation successful"


def test_a_web_process_that_is_stopped_answers_whom_it_is_serving(running: Installation) -> None:
    with slow_aws() as aws:
        aws.real = f"{running.sandbox_url}/aws/api"
        web = running.start_web(AWS_MARKETPLACE_ENDPOINT=aws.url)
        client, token = HttpClient(web.url), running.buy()["token"]
        landed: list[int] = []
        landing = threading.Thread(target=lambda: landed.append(client.post(LANDING, {TOKEN: token}).status))
        landing.start()
        assert aws.asked.wait(60)
        web.process.send_signal(signal.SIGTERM)
        until(lambda: "Handling signal: term" in web.log.read_text(), "it does not say that it ends", 30)
        aws.go_on.set()
        landing.join(60)
    assert landed == [303]
    assert web.process.wait(60) == 0


def test_a_worker_that_is_stopped_finishes_what_it_does_and_holds_nothing(running: Installation) -> None:
    walk = running.customer()
    walk.register().give_basics()
    running.mail(walk.person.email)
    assert [worker.stop() for worker in running.workers] == [0, 0]
    assert rows(running, "SELECT lease_owner FROM outbox WHERE lease_owner IS NOT NULL") == []
    assert rows(running, "SELECT count(*) FROM outbox WHERE done_at IS NULL") == [(0,)]
    for worker in running.workers:
        assert worker.lines[-1]["event"] == "the worker ends"
        assert re.search(rf"-{worker.process.pid}-", worker.lines[-1]["worker"])


def test_a_worker_that_is_told_twice_ends_at_once_and_gives_back_what_it_held(running: Installation) -> None:
    for worker in running.workers:
        worker.stop()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        worker = running.start_worker(MAIL_SERVER="127.0.0.1", MAIL_PORT=str(silent.getsockname()[1]))
        walk = running.customer()
        walk.register().give_basics()
        held, _address = silent.accept()  # It holds the mail in its hand: this mail server says nothing.
        with held:
            assert rows(running, "SELECT count(*) FROM outbox WHERE lease_owner IS NOT NULL") == [(1,)]
            until(lambda: _told_to_end(worker), "it does not end however often it is told")
            # By itself, or by one more signal while it was ending.
            assert worker.process.returncode in (1, -signal.SIGTERM)
    assert rows(running, "SELECT count(*) FROM outbox WHERE lease_owner IS NOT NULL") == [(0,)]
    running.top_up(webs=2, workers=2)
    assert walk.enter_code().h1 == "Company information"


def _told_to_end(worker: Program) -> bool:
    worker.end()
    return not worker.lives
