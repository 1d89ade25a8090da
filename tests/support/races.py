"""Many at once: what 16 impatient people, or one with two tabs, do to a row."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from tests.support.client import Client
from tests.support.page import Page

T = TypeVar("T")
JOIN_SECONDS = 120

READ_ALREADY = ("html", "heading", "language", "ids", "names", "inline", "words", "policy", "weight")
"""The checks of what a page looks like, where the same page comes sixteen times."""

RACING = ("session", "statements", *READ_ALREADY)
"""A request that comes second takes back what it began and looks again: here that is no write thrown away, and
not within the budget of those who come alone."""


@dataclass(frozen=True)
class Outcome(Generic[T]):
    """What one runner came back with: a ``result``, or the ``error`` that escaped it."""

    result: T | None = None
    error: BaseException | None = None


def race(n: int, run: Callable[[int], T]) -> list[Outcome[T]]:
    """Start ``n`` threads at one barrier, each calling ``run(number)``; what each came back with, in order.

    Nothing is raised here: a test says itself which errors it expects. ``results(race(…))`` says "none".
    """
    barrier = threading.Barrier(n)
    outcomes: list[Outcome[T]] = [Outcome(error=TimeoutError("did not come back"))] * n

    def runner(number: int) -> None:
        try:
            barrier.wait()
            outcomes[number] = Outcome(result=run(number))
        except BaseException as error:
            outcomes[number] = Outcome(error=error)

    threads = [threading.Thread(target=runner, args=(number,), daemon=True) for number in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(JOIN_SECONDS)
    return outcomes


def results(outcomes: list[Outcome[T]]) -> list[T]:
    """The results of a race in which nobody may fail; raises the first error there is, naming how many."""
    errors = [outcome.error for outcome in outcomes if outcome.error is not None]
    if errors:
        raise AssertionError(
            f"{len(errors)} of {len(outcomes)} failed; the first: {errors[0]!r}"
        ) from errors[0]
    return [outcome.result for outcome in outcomes]  # type: ignore[misc]


def tab(client: Client) -> Client:
    """Another tab of the same browser: it has the cookies of now, and what it is given later stays its own."""
    same = client.other()
    assert client.http._cookies is not None
    same.http._cookies = dict(client.http._cookies)
    return same


def press(
    page: Page, button: str, clients: list[Client], answers: Callable[[int], dict[str, Any]]
) -> list[Page]:
    """The form of a page sent by these clients at the same moment; what each of them was answered."""
    form = page.form(button)
    sent = [form.filled(answers(number)) for number in range(len(clients))]

    def send(number: int) -> Page:
        return clients[number].post(form.action, sent[number], without=RACING)

    answered = results(race(len(clients), send))
    assert all(answer.status < 500 for answer in answered), sorted(map(str, answered))
    return answered


@contextmanager
def held_before(words: str) -> Iterator[tuple[threading.Event, threading.Event]]:
    """The first other thread that is about to run a statement with these words waits. ``(is there, may go on)``."""
    there, go_on = threading.Event(), threading.Event()
    here = threading.get_ident()

    def wait(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if threading.get_ident() != here and not there.is_set() and re.search(words, statement):
            there.set()
            assert go_on.wait(60)

    sa.event.listen(Engine, "before_cursor_execute", wait)
    try:
        yield there, go_on
    finally:
        go_on.set()
        sa.event.remove(Engine, "before_cursor_execute", wait)


def in_background(send: Callable[[], Page]) -> Callable[[], Page]:
    """Start it in a thread of its own; call what is returned to have its answer."""
    done: list[Page] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(send())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def answer() -> Page:
        thread.join(60)
        if failed:
            raise failed[0]
        return done[0]

    return answer
