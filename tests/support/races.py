"""Many at once: what 16 impatient people, or one with two tabs, do to a row."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
JOIN_SECONDS = 120


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
