"""How long answers take, and whether their time tells a known address from an unknown one: ``make benchmark``.

The running product of ``make run`` with the real cost of a password hash, asked over sockets by one customer at a
time. Known and unknown take turns, so that whatever else the machine does slows both alike. Nothing here fails:
that both do the same work is a test (``tests/integration/test_enumeration.py``); these are figures to read.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from flask import Flask

from config import ARGON2_SAFE_MEMORY_KIB, ARGON2_SAFE_TIME_COST, Settings
from tests.support.factories import Person
from tests.support.over_http import HttpClient, until
from tests.support.page import Form, Page
from tests.support.server import Server
from tests.support.walk import LANDING, TOKEN
from wizard import create_app, outbox
from wizard.accounts import directory, passwords
from wizard.extensions import db

SITE = "us1"


@dataclass(frozen=True)
class Asked:
    """A form that takes an address or a name: where it is, a field that is only on it, and what is typed."""

    name: str
    path: str
    field: str
    answers: Callable[[Person], dict[str, object]]


FORMS = (
    Asked("register, first submit", "/register", "confirm_password", lambda p: {"site": SITE, **p.answers}),
    Asked(
        "sign in, wrong password",
        f"/sign-in?site={SITE}",
        "username",
        lambda p: {"site": SITE, "username": p.username, "password": "not the one it is"},
    ),
    Asked(
        "forgotten password",
        f"/forgot-password?site={SITE}",
        "email",
        lambda p: {"site": SITE, "email": p.email},
    ),
)
PAGES = ("/", "/register", "/sign-in", "/healthz", "/readyz", "/metrics")


def main() -> None:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--samples", type=int, default=60)
    samples = parser.parse_args().samples
    with tempfile.TemporaryDirectory(prefix="wizard-benchmark-") as place:
        cost = {"ARGON2_TIME_COST": ARGON2_SAFE_TIME_COST, "ARGON2_MEMORY_KIB": ARGON2_SAFE_MEMORY_KIB}
        server = Server(Path(place), **{name: str(value) for name, value in cost.items()})
        try:
            for measure in (known_and_unknown, landings, pages, side_effects):
                for line in measure(server, samples):
                    print(line, flush=True)
        finally:
            server.stop()


def known_and_unknown(server: Server, samples: int) -> Iterator[str]:
    yield f"{'form':<28}{'known':>10}{'unknown':>10}{'ratio':>8}   (medians of {samples} each, ms)"
    for asked in FORMS:
        if HttpClient(server.url).get(asked.path).status == 404:
            continue
        known = [Person() for _ in range(samples)]
        seed(server, known)
        times: dict[str, list[float]] = {"known": [], "unknown": []}
        for number, person in enumerate(known):
            turns = [("known", person), ("unknown", Person())]
            for kind, who in turns if number % 2 else reversed(turns):
                times[kind].append(submit(server, asked, who))
        first, second = (statistics.median(times[kind]) for kind in ("known", "unknown"))
        yield f"{asked.name:<28}{first:>10.1f}{second:>10.1f}{first / second:>8.2f}"


def seed(server: Server, people: list[Person]) -> None:
    """Accounts of these people, as registering makes them; one hash for all, it is not looked at."""
    app = app_of(server)
    with app.app_context():
        kept = passwords.hash_password(people[0].password)
        for person in people:
            account = directory.Person(
                SITE, person.username, person.email, kept, "en", phone=None, company_name=person.company
            )
            directory.create_console_account(account, origin=f"benchmark-{person.number}")
        db.session.commit()
        db.engine.dispose()


def app_of(server: Server) -> Flask:
    """The product here, on the running one's data."""
    settings = Settings.from_env({"SANDBOX": "1", "INSTANCE_PATH": str(server.instance)})
    return create_app(replace(settings, database_url=f"sqlite:///{server.instance / 'wizard.db'}"))


def submit(server: Server, asked: Asked, person: Person) -> float:
    """One submit in a browser of its own, in ms: from the press of the button to the answer, redirect not followed."""
    client = HttpClient(server.url)
    form = form_with(client.get(asked.path), asked.field)
    answers = {name: values[0] for name, values in form.filled(asked.answers(person)).items()}
    return took(lambda: client.post(form.action, answers), below=500)


def form_with(page: Page, field: str) -> Form:
    return next(form for form in map(page.form, page.buttons) if field in form.fields)


def took(ask: Callable[[], Page], below: int = 400) -> float:
    began = time.perf_counter()
    page = ask()
    spent = (time.perf_counter() - began) * 1000
    assert page.status < below, page
    return spent


def landings(server: Server, samples: int) -> Iterator[str]:
    bought = [server.buy()["token"] for _ in range(samples)]
    clients = [HttpClient(server.url) for _ in bought]
    landed: list[Page] = []

    def land(number: int) -> Page:
        landed.append(clients[number].post(LANDING, {TOKEN: bought[number]}))
        return landed[-1]

    posts = [took(lambda n=n: land(n)) for n in range(samples)]  # type: ignore[misc]
    shown = [took(lambda n=n: clients[n].get(landed[n].location or "")) for n in range(samples)]  # type: ignore[misc]
    yield f"\n{'landing, AWS asked':<28}{statistics.median(posts):>10.1f}"
    yield f"{'the page it leads to':<28}{statistics.median(shown):>10.1f}"


def side_effects(server: Server, samples: int) -> Iterator[str]:
    """What one worker does alone: mails written down all at once, until the last is with the mail server."""
    people = [Person() for _ in range(samples)]
    app = app_of(server)
    with app.app_context():
        for person in people:
            context = {"username": person.username, "site": "Oregon", "sign_in_url": server.url}
            mail = {"to": person.email, "name": "account_created", "locale": "en", "context": context}
            outbox.enqueue("mail", mail)
        db.session.commit()
        began = time.perf_counter()
        until(lambda: not any(line.waiting for line in _backlog()), "the outbox does not empty", 300, 0.1)
        spent = (time.perf_counter() - began) * 1000
        db.engine.dispose()
    yield f"{'mail, by one worker':<28}{spent / samples:>10.1f}   (each, of {samples} at once)"


def _backlog() -> list[outbox.Backlog]:
    found = outbox.backlog()
    db.session.rollback()
    return found


def pages(server: Server, samples: int) -> Iterator[str]:
    client = HttpClient(server.url)
    for path in PAGES:
        times = [took(lambda path=path: client.get(path)) for _ in range(samples)]  # type: ignore[misc]
        yield f"{'GET ' + path:<28}{statistics.median(times):>10.1f}"


if __name__ == "__main__":
    main()
