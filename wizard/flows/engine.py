"""A flow is data: steps in an order, each of which can tell from facts whether it is done.

The walk goes through the steps from the start and stops at the first that is needed and not done: that is
the current one. Nothing stores "the step somebody is at", so nothing can disagree with what really
happened. The same object drives guard, resume, back link, "Step 2 of 4", timeline and tests.

A step may own sub-flows: walks of their own that return to it. They may be gone through any number of times,
so they are never done for good; the one somebody is in the middle of is told by its facts.

This module knows neither the web nor the database. ``F`` is whatever holds the facts (a journey).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

F = TypeVar("F")


def always(_facts: Any) -> bool:
    return True


def never(_facts: Any) -> bool:
    return False


@dataclass(frozen=True)
class Step(Generic[F]):
    """One page of a flow.

    ``stage`` is the number (from 1) of the visible stage it belongs to; several steps may share one.
    ``is_done`` reads facts. ``is_needed`` leaves a step out when the facts make it pointless.
    ``can_reopen`` says whether a done step may be opened again to change its answers.
    ``subflows`` are the walks that begin on this page and return to it.
    ``page`` is opaque here: what the views need to show it and act on it.
    """

    key: str
    stage: int
    is_done: Callable[[F], bool]
    is_needed: Callable[[F], bool] = always
    can_reopen: Callable[[F], bool] = never
    page: Any = None
    subflows: "tuple[Flow[F], ...]" = ()


@dataclass(frozen=True)
class Flow(Generic[F]):
    """An ordered walk. ``stages`` are the titles people see, one for each stage number; a sub-flow has none of
    its own, and its steps have the stage of the step that owns it. ``page`` is opaque here.
    """

    key: str
    stages: tuple[Any, ...]
    steps: tuple[Step[F], ...]
    page: Any = None

    def __post_init__(self) -> None:
        keys = [step.key for step in self.all_steps()]
        if len(set(keys)) != len(keys):
            raise ValueError(f"flow {self.key} names a step twice")
        if self.stages and any(not 1 <= step.stage <= len(self.stages) for step in self.all_steps()):
            raise ValueError(f"flow {self.key} has a step outside its stages")

    def all_steps(self) -> "list[Step[F]]":
        """Every step, each one's sub-flows after it."""
        return [
            found
            for step in self.steps
            for found in (step, *(inner for sub in step.subflows for inner in sub.all_steps()))
        ]

    def step(self, key: str) -> Step[F]:
        """The step of this key, in a sub-flow too. Raises ``KeyError``."""
        for step in self.all_steps():
            if step.key == key:
                return step
        raise KeyError(key)

    def owner(self, key: str) -> "tuple[Step[F], Flow[F]] | None":
        """The step that owns the sub-flow this one is in, and that sub-flow; None for a step of the flow itself."""
        for step in self.steps:
            for sub in step.subflows:
                if any(inner.key == key for inner in sub.steps):
                    return step, sub
        return None


@dataclass(frozen=True)
class StageState:
    """One line of the progress list: ``state`` is "done", "here" or "later"."""

    number: int
    title: Any
    state: str


@dataclass(frozen=True)
class Progress:
    """ "Step ``number`` of ``total``" and the list behind it."""

    number: int
    total: int
    steps: tuple[StageState, ...] = field(default=())


class Walk(Generic[F]):
    """One set of facts on its way through a flow."""

    def __init__(self, flow: Flow[F], facts: F) -> None:
        self.flow = flow
        self.facts = facts

    def _needed(self) -> list[Step[F]]:
        return [step for step in self.flow.steps if step.is_needed(self.facts)]

    @property
    def current(self) -> Step[F]:
        """The first needed step that is not done; the last one when all are."""
        needed = self._needed()
        return next((step for step in needed if not step.is_done(self.facts)), needed[-1])

    def guard(self, key: str) -> Step[F] | None:
        """None if the step may be opened; otherwise the step to go to instead. Raises ``KeyError``."""
        wanted, current = self.flow.step(key), self.current
        if owned := self.flow.owner(key):
            owner, sub = owned
            return self.guard(owner.key) or Walk(sub, self.facts).guard(key)
        if wanted is current:
            return None
        reached = self.flow.steps.index(wanted) < self.flow.steps.index(current)
        if reached and wanted.is_needed(self.facts) and wanted.can_reopen(self.facts):
            return None
        return current

    def after(self, key: str) -> Step[F]:
        """Where to go from a step that was acted on: on in its sub-flow while that goes on, else the current one."""
        owned = self.flow.owner(key)
        if owned is None:
            return self.current
        owner, sub = owned
        inner = Walk(sub, self.facts).current
        if inner is not sub.steps[0]:
            return inner
        return owner if self.guard(owner.key) is None else self.current

    def back(self, key: str) -> Step[F] | None:
        """The nearest step before this one that may be opened again, if any; from a sub-flow to its owner."""
        owned = self.flow.owner(key)
        if owned is not None:
            owner, sub = owned
            return Walk(sub, self.facts).back(key) or owner
        before = self.flow.steps[: self.flow.steps.index(self.flow.step(key))]
        for step in reversed(before):
            if step.is_needed(self.facts) and step.can_reopen(self.facts):
                return step
        return None

    def progress(self, key: str) -> Progress:
        """Where this step stands among the stages."""
        here = self.flow.step(key).stage
        reached = max(here, self.current.stage)
        states = tuple(
            StageState(n, title, "here" if n == here else "done" if n < reached else "later")
            for n, title in enumerate(self.flow.stages, start=1)
        )
        return Progress(here, len(self.flow.stages), states)
