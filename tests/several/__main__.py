"""Five hundred customers at once on several machines, all of them this one: ``make several``.

nginx with the configuration of the README, two web processes, two workers, PostgreSQL, and the sandbox as AWS and
mail server, each a process of its own and none with ``SANDBOX=1``. In the middle one worker is killed for good and
one web process is replaced as an update does it. Nothing may be lost, nobody may see an error.

    make several                          # 500 customers, 100 at a time
    make several CUSTOMERS=50 AT_ONCE=20
"""

import argparse
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg

from tests.several.nginx import Nginx
from tests.support.installation import Installation, Web, loopback
from tests.support.over_http import HttpClient, HttpWalk, until
from tests.support.page import Page
from tests.support.postgres import Postgres
from tests.support.server import free_port

MAILS_EACH = 3
"""The code, the account, the workspace."""


class Timed(HttpClient):
    """A browser that keeps what it was answered and how long that took: ``(method, status, seconds)``."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answers: list[tuple[str, int, float]] = []

    def _once(self, method: str, path: str, data: bytes | None) -> Page:
        began = time.perf_counter()
        page = super()._once(method, path, data)
        self.answers.append((method, page.status, time.perf_counter() - began))
        return page


class Run:
    """One run. Figures are printed as they come; what must hold and does not is said at the end."""

    def __init__(self, customers: int, at_once: int, place: Path, postgres: Postgres) -> None:
        self.customers, self.at_once = customers, at_once
        self.problems: list[str] = []
        self.ended = 0
        self._counting = threading.Lock()
        postgres.create("several")
        self.address = postgres.url("several")
        port = free_port()
        self.origin = f"https://127.0.0.1:{port}"
        self.all = Installation(place, self.address, PUBLIC_URL=self.origin, TRUSTED_PROXIES="1")
        for _each in range(2):
            self.all.start_web()
            self.all.start_worker()
        self.nginx = Nginx(place, port, [web.port for web in self.all.webs])
        self.all.wait_until_ready()
        self._addresses = iter(range(1, 60_000))

    def stop(self) -> None:
        self.nginx.stop()
        self.all.stop()

    def customer(self) -> HttpWalk:
        client = Timed(self.origin, address=loopback(next(self._addresses)), tls=self.nginx.tls)
        walk = self.all.customer(client)
        walk.patience = (
            2.0,
            600.0,
        )  # As often as the page itself looks; hundreds at once ask no more than that.
        return walk

    def must(self, so: bool, otherwise: str) -> None:
        print(f"   {'as it must be' if so else 'NOT SO':14} {otherwise}", flush=True)
        if not so:
            self.problems.append(otherwise)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.address.replace("+psycopg", ""), autocommit=True) as connection:
            return connection.execute(statement.encode()).fetchall()

    # ── the five hundred ────────────────────────────────────────────────────────────────────────────────────

    def journeys(self) -> None:
        """All customers, at most ``at_once`` of them at a time, and trouble in the middle."""
        walks = [self.customer() for _ in range(self.customers)]
        began = time.perf_counter()
        with ThreadPoolExecutor(self.at_once) as pool:
            walking = [pool.submit(self._walk, walk) for walk in walks]
            for share, trouble in ((0.3, self._kill_a_worker), (0.5, self._replace_a_web_process)):
                until(lambda so_far=share: self.ended >= so_far * self.customers, "nobody gets on", 3600)  # type: ignore[misc]
                trouble()
            homes = Counter(customer.result() for customer in walking)
        took = time.perf_counter() - began
        print(
            f"   {self.customers} customers in {took:.0f} s, {self.customers / took:.1f} a second", flush=True
        )
        self._answers(walks)
        self._lost(walks, homes)

    def _walk(self, walk: HttpWalk) -> str:
        try:
            walk.to_end()
            return walk.sign_in().h1
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:200]
        finally:
            with self._counting:
                self.ended += 1

    def _kill_a_worker(self) -> None:
        self.all.workers[0].kill9()
        print(
            f"   after {self.ended} customers a worker was killed with -9, none takes its place", flush=True
        )

    def _replace_a_web_process(self) -> None:
        old = self.all.webs[1]
        ended = old.stop()
        new = self.all.start_web(port=old.port)
        print(
            f"   after {self.ended} customers a web process was replaced (it ended with {ended})", flush=True
        )
        self.must(
            ended == 0 and new.lives,
            "a web process that is told to end answers its customers and ends with 0",
        )

    def _answers(self, walks: list[HttpWalk]) -> None:
        answers = [answer for walk in walks for answer in walk.client.answers]  # type: ignore[attr-defined]
        for method in ("GET", "POST"):
            times = sorted(seconds * 1000 for m, _status, seconds in answers if m == method)
            p50, p95, p99 = (times[int(len(times) * share)] for share in (0.50, 0.95, 0.99))
            print(
                f"   {len(times)} × {method}: median {p50:.0f} ms, 95 % within {p95:.0f} ms, 99 % within {p99:.0f} ms"
            )
        wrong = Counter(status for _m, status, _s in answers if status >= 400)
        self.must(not wrong, f"no answer was an error ({dict(wrong) or 'none'})")

    def _lost(self, walks: list[HttpWalk], homes: Counter[str]) -> None:
        self.must(homes == {"Harbour": len(walks)}, f"every customer ends in a workspace ({dict(homes)})")
        until(
            lambda: not self.rows("SELECT 1 FROM outbox WHERE done_at IS NULL"),
            "the outbox does not empty",
            180,
        )
        tables = ("console_accounts", "billing_accounts", "workspaces WHERE state = 'active'")
        counts = [self.rows(f"SELECT count(*) FROM {table}")[0][0] for table in tables]
        self.must(counts == [len(walks)] * 3, f"accounts, payers and workspaces that are made: {counts}")
        dead = self.rows("SELECT count(*) FROM outbox WHERE dead_at IS NOT NULL")[0][0]
        self.must(dead == 0, f"no side effect was given up ({dead})")
        subjects = [[mail["subject"] for mail in self.all.mails(walk.person.email)] for walk in walks]
        self.must(
            all(len(set(mine)) == MAILS_EACH for mine in subjects),
            f"each customer has the {MAILS_EACH} mails ({sum(map(len, subjects))} in all)",
        )
        twice = sum(len(mine) - len(set(mine)) for mine in subjects)
        self.must(twice <= 1, f"none twice but the one in the killed worker's hand ({twice})")
        waits = self.rows("SELECT extract(epoch FROM done_at - created_at)::float8 FROM outbox")
        seconds = sorted(wait for (wait,) in waits)
        print(
            f"   {len(seconds)} side effects: median {statistics.median(seconds):.1f} s after their cause, "
            f"the longest {seconds[-1]:.0f} s (a killed worker's entry waits for its lease)"
        )
        done = [sum(line["event"] == "outbox entry done" for line in w.lines) for w in self.all.workers]
        print(f"   done by the worker that was killed {done[0]}, by the other {done[1]}")

    # ── together ────────────────────────────────────────────────────────────────────────────────────────────

    def limits(self) -> None:
        """Two web processes behind a proxy count one client's tries together, and each client's apart."""
        self._wait_until_both_are_used()
        busy, calm = self.customer().client, self.customer().client
        answers = Counter(busy.post("/sign-in").status for _ in range(70))
        self.must(
            answers == {422: 60, 429: 10}, f"60 sign-ins in five minutes from one address ({dict(answers)})"
        )
        self.must(calm.post("/sign-in").status == 422, "somebody at another address is not kept out")
        shares = [_posts(web, "/sign-in") for web in self._living()]
        self.must(min(shares) > 0, f"both processes had some of them ({shares})")

    def a_web_process_dies(self) -> None:
        walk = self.customer()
        walk.to_company()
        self._living()[0].kill9()
        walk.give_company()
        walk.activate()
        self.must(
            walk.wait_until_made().h1 == "Activation successful",
            "a journey goes on when a web process is killed with -9 half way",
        )

    def a_log_that_can_be_followed(self) -> None:
        """nginx, web process and worker name the same request."""
        said = self.rows(
            "SELECT journey, request_id FROM outbox WHERE kind = 'verification.mail' ORDER BY id DESC"
        )
        journey, request_id = said[0]
        in_nginx = request_id in (self.all.place / "nginx-access.log").read_text()
        programs = [*self.all.webs, self.all.workers[1]]
        events = {line["event"] for p in programs for line in p.lines if line.get("request_id") == request_id}
        self.must(
            in_nginx and {"request", "outbox entry done"} <= events,
            f"request {request_id} of journey {journey} is in the logs of nginx, web process and worker",
        )

    def _wait_until_both_are_used(self) -> None:
        """nginx leaves a process alone for some seconds after it refused a connection."""
        client = self.customer().client

        def used() -> bool:
            client.get("/")
            return all(any(line.get("route") == "/" for line in web.lines) for web in self._living())

        until(used, "nginx does not find the replaced web process", 60)

    def _living(self) -> list[Web]:
        return [web for web in self.all.webs if web.lives]


def _posts(web: Web, route: str) -> int:
    return sum(line.get("method") == "POST" and line.get("route") == route for line in web.lines)


def main() -> None:
    parser = argparse.ArgumentParser("python -m tests.several", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--customers", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=100)
    asked = parser.parse_args()
    place = Path(tempfile.mkdtemp(prefix="wizard-several-"))
    postgres = Postgres()
    run = None
    try:
        print("── starting PostgreSQL, sandbox, two web processes, two workers, nginx", flush=True)
        run = Run(asked.customers, asked.at_once, place, postgres)
        print(f"── {asked.customers} customers, {asked.at_once} at a time, through {run.origin}", flush=True)
        run.journeys()
        print("── one limit for all, one death, one log", flush=True)
        run.limits()
        run.a_web_process_dies()
        run.a_log_that_can_be_followed()
    finally:
        if run:
            run.stop()
        postgres.stop()
        if run and not run.problems:
            shutil.rmtree(place, ignore_errors=True)
    if run.problems:
        sys.exit(f"NOT SO: {'; '.join(run.problems)}. The logs are in {place}.")
    print("── nothing was lost")


if __name__ == "__main__":
    main()
