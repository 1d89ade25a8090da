"""The running product as one process: many people at once, power cuts, stops, wrong settings, a lost database."""

import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import psycopg
import pytest

from tests.support.databases import ROOT, environment
from tests.support.over_http import HttpClient, HttpWalk, database, until, walk_over_http
from tests.support.races import race, results
from tests.support.server import Server
from tests.support.slow_aws import slow_aws
from tests.support.walk import LANDING, TOKEN

StartServer = Callable[..., Server]

BUYERS = 64
JOURNEYS = 20
FEWER = 6


# ── many at once ────────────────────────────────────────────────────────────────────────────────────────────


def test_64_buyers_landing_at_once_all_land(server: Server) -> None:
    walks = [walk_over_http(server) for _ in range(BUYERS)]
    for walk in walks:
        walk.bought = server.buy()
    landed = results(race(BUYERS, lambda n: walks[n].land().page))
    assert {page.h1 for page in landed} == {"Do you have a Billing Center account?"}
    accounts = [walk.bought["customerAWSAccountId"] for walk in walks]
    shown = [re.search(r"AWS account (\d{4} \d{4} \d{4}) pays", page.text) for page in landed]
    assert [found[1].replace(" ", "") for found in shown if found] == accounts


def test_whole_journeys_at_once_all_end_with_a_workspace(server: Server) -> None:
    walks = [walk_over_http(server) for _ in range(JOURNEYS)]
    assert_each_ends_with_a_workspace(walks)
    said = server.log.read_text()
    kept = b"".join(path.read_bytes() for path in server.instance.glob("wizard.db*"))
    for walk in walks:
        assert walk.person.username.encode() in kept
        assert walk.bought["token"] not in said
        assert walk.bought["token"].encode() not in kept
        server.mail(walk.person.email, subject="Harbour is ready")
        assert len(subjects(server, walk)) == 3
    assert not re.search("quiet.{1,3}harbour.{1,3}lamps", said)
    assert b"quiet harbour lamps" not in kept


@pytest.mark.engines("postgresql")
def test_whole_journeys_at_once_on_an_empty_postgresql(empty_url: str, start_server: StartServer) -> None:
    running = start_server(DATABASE_URL=empty_url)
    assert_each_ends_with_a_workspace([walk_over_http(running) for _ in range(FEWER)])


def assert_each_ends_with_a_workspace(walks: list[HttpWalk]) -> None:
    def go(number: int) -> str:
        walk = walks[number]
        walk.to_end()
        return walk.sign_in().text

    for walk, home in zip(walks, results(race(len(walks), go)), strict=True):
        account = walk.bought["customerAWSAccountId"]
        assert "Start by installing the agent" in home
        assert f"AWS account {account[:4]} {account[4:8]} {account[8:]}" in home


# ── the doors ───────────────────────────────────────────────────────────────────────────────────────────────


def test_every_printed_door_opens(server: Server) -> None:
    printed = re.findall(r"https?://\S+", server.log.read_text().partition("Ctrl-C")[0])
    sandbox = server.sandbox_url
    wanted = [server.url + path for path in ("/", "/register", "/sign-in", "/billing/sign-in")]
    assert set(printed) == {*wanted, sandbox + "/", sandbox + "/aws/", sandbox + "/mailbox"}
    for door in printed:
        with urllib.request.urlopen(door, timeout=30) as answer:
            assert (answer.status, answer.url) == (200, door)


def test_boto3_asks_the_sandbox_as_it_asks_aws(server: Server) -> None:
    aws = boto3.client(
        "meteringmarketplace",
        region_name="us-east-1",
        endpoint_url=f"{server.sandbox_url}/aws/api",
        aws_access_key_id="anybody",
        aws_secret_access_key="anything",
        config=boto3.session.Config(retries={"total_max_attempts": 1}),
    )
    bought = server.buy()
    answer = aws.resolve_customer(RegistrationToken=bought["token"])
    assert answer["CustomerAWSAccountId"] == bought["customerAWSAccountId"]
    assert answer["ProductCode"] == bought["productCode"]
    assert answer["LicenseArn"] == bought["licenseArn"]
    refused = {
        aws.exceptions.ExpiredTokenException: server.buy(fault="expired")["token"],
        aws.exceptions.ThrottlingException: server.buy(fault="throttled")["token"],
        aws.exceptions.InvalidTokenException: "nobody’s token",
    }
    for exception, token in refused.items():
        with pytest.raises(exception):
            aws.resolve_customer(RegistrationToken=token)
    aws.close()


@pytest.mark.parametrize(("partition", "told"), [("aws", 4), ("aws-cn", 3)], ids=["queue", "topic"])
def test_what_is_bought_and_cancelled_is_told_to_the_product(
    server: Server, partition: str, told: int
) -> None:
    purchase = f"/sandbox/aws/purchases/{server.buy(partition=partition)['agreementId']}"
    server.ask(f"{purchase}/cancel", {})
    until(
        lambda: (
            [message["fate"] for message in server.ask(f"{purchase}/messages")["messages"]]
            == ["delivered"] * told
        ),
        "the product has not taken every message",
    )


# ── it ends ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_power_cut_between_commit_and_mail_loses_no_mail_and_sends_none_twice(
    start_server: StartServer,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        first = start_server(MAIL_SERVER="127.0.0.1", MAIL_PORT=str(silent.getsockname()[1]))
        walk = walk_over_http(first)
        walk.register().give_basics()
        assert walk.page.h1 == "Enter the code from your email"
        silent.settimeout(30)
        held, _address = (
            silent.accept()
        )  # The worker holds the mail in its hand: this mail server says nothing.
        first.kill9()
        held.close()
    assert database(first, "SELECT done_at FROM outbox WHERE kind = 'verification.mail'") == [(None,)]
    let_leases_run_out(first)
    again = start_server(instance=first.instance, port=first.port)
    walk.marketplace = again  # type: ignore[assignment]
    assert walk.enter_code().h1 == "Company information"
    walk.give_company()
    again.mail(walk.person.email, subject="account")
    assert len(subjects(again, walk)) == 2, "the code's mail and the account's, each once"


def let_leases_run_out(ended: Server) -> None:
    """What a worker held when it died is free for others a minute later; that minute passes here."""
    database(ended, "UPDATE outbox SET lease_until = '2026-01-01 00:00:00.000000' WHERE done_at IS NULL")


def test_a_stop_lets_whoever_is_being_served_finish(start_server: StartServer) -> None:
    with slow_aws() as aws:
        running = start_server(AWS_MARKETPLACE_ENDPOINT=aws.url)
        aws.real = f"{running.url}/sandbox/aws/api"
        client, token = HttpClient(running.url), running.buy()["token"]
        landing = threading.Thread(target=lambda: landed.append(client.post(LANDING, {TOKEN: token}).status))
        landed: list[int] = []
        landing.start()
        assert aws.asked.wait(30)
        running._signal(signal.SIGTERM)
        until(lambda: not answers(running), "the server goes on after SIGTERM")
        aws.go_on.set()
        landing.join(30)
    assert landed == [303]
    assert running._process.wait(30) == 0


def answers(running: Server) -> bool:
    try:
        with urllib.request.urlopen(running.url + "/healthz", timeout=0.5):
            return True
    except OSError:
        return False


# ── it does not start ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "banana"),
        ("PORT", "taken"),
        ("DATABASE_URL", "mysql://somewhere/else"),
        ("DATABASE_URL", "postgresql:///wizard?host=/nowhere"),
        ("BRAND_FILE", "/nowhere/brand.toml"),
        ("INSTANCE_PATH", "/dev/null/instance"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_one_sentence(name: str, value: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        settings = {"INSTANCE_PATH": str(tmp_path), name: port if value == "taken" else value}
        done = subprocess.run(
            [sys.executable, "-m", "wizard.run"],
            cwd=ROOT,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode not in (0, -signal.SIGTERM)
    said = [
        line for line in done.stderr.strip().splitlines() if "[info " not in line
    ]  # What is off is said too.
    assert len(said) == 1, done.stderr
    assert name in said[0]
    assert said[0].endswith(".")
    assert done.stdout == ""


# ── its database goes away ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("postgresql")
def test_a_database_that_is_gone_for_a_while_is_said_and_waited_for(
    engine_url: str, start_server: StartServer
) -> None:
    running = start_server(DATABASE_URL=engine_url)
    walk = walk_over_http(running)
    walk.register()
    with gone(engine_url):
        answer = walk.give_basics().page
        assert (answer.status, answer.h1) == (503, "We cannot answer just now")
        assert answer.soup.select_one('link[rel="stylesheet"]')
        assert walk.person.password not in answer.html
        assert walk.client.get("/readyz").status == 503
        assert walk.client.get("/healthz").status == 200
    until(lambda: walk.client.get("/readyz").status == 200, "the product does not find its database again")
    walk.page = walk.client.submit(answer, "Send it again")
    assert walk.page.form("Next").fields["email"] == [walk.person.email]
    walk.give_basics()
    assert walk.enter_code().h1 == "Company information"


@contextmanager
def gone(engine_url: str) -> Iterator[None]:
    """The database lets nobody in, and puts everybody out who is in."""
    address = engine_url.replace("+psycopg", "")
    name = re.search(r"/(\w+)\?", address)
    assert name
    elsewhere = address.replace(f"/{name[1]}?", "/postgres?")
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name[1]}" ALLOW_CONNECTIONS false'.encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name[1],)
        )
        try:
            yield
        finally:
            connection.execute(f'ALTER DATABASE "{name[1]}" ALLOW_CONNECTIONS true'.encode())


def subjects(running: Server, walk: HttpWalk) -> list[str]:
    return [mail["subject"] for mail in running.mails(walk.person.email)]
