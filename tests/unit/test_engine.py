"""The engine: whatever the flow and whatever has happened, a walk leads to one open step and never in circles."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wizard.flows.engine import Flow, Step, Walk, always, never
from wizard.flows.no_billing_account import FLOW


@dataclass
class Facts:
    """What has happened: the keys of steps that are done, needed and may be opened again."""

    done: set[str]
    needed: set[str]
    reopenable: set[str]


def step(key: str, stage: int) -> Step[Facts]:
    return Step(
        key,
        stage,
        is_done=lambda facts: key in facts.done,
        is_needed=lambda facts: key in facts.needed,
        can_reopen=lambda facts: key in facts.reopenable,
    )


@st.composite
def walks(draw: st.DrawFn) -> Walk[Facts]:
    """A flow of one to eight steps in stages that only rise, and any facts with at least one step needed."""
    stages = sorted(draw(st.lists(st.integers(1, 4), min_size=1, max_size=8)))
    keys = [f"step{number}" for number in range(len(stages))]
    flow = Flow("any", ("One", "Two", "Three", "Four"), tuple(map(step, keys, stages)))
    some = st.sets(st.sampled_from(keys))
    needed = draw(st.sets(st.sampled_from(keys), min_size=1))
    return Walk(flow, Facts(done=draw(some), needed=needed, reopenable=draw(some)))


def keys_of(walk: Walk[Facts]) -> list[str]:
    return [step.key for step in walk.flow.steps]


@given(walks())
def test_the_current_step_is_the_first_that_is_needed_and_not_done(walk: Walk[Facts]) -> None:
    left = [key for key in keys_of(walk) if key in walk.facts.needed - walk.facts.done]
    last = [key for key in keys_of(walk) if key in walk.facts.needed][-1]
    assert walk.current.key == (left[0] if left else last)


@given(walks())
def test_a_step_opens_if_it_is_the_current_one_or_behind_it_and_may_be_opened_again(
    walk: Walk[Facts],
) -> None:
    keys = keys_of(walk)
    here = keys.index(walk.current.key)
    for place, key in enumerate(keys):
        opens = place == here or (place < here and key in walk.facts.needed & walk.facts.reopenable)
        assert walk.guard(key) is (None if opens else walk.current), key


@given(walks())
def test_whoever_is_sent_elsewhere_is_let_in_there(walk: Walk[Facts]) -> None:
    for key in keys_of(walk):
        elsewhere = walk.guard(key)
        assert elsewhere is None or walk.guard(elsewhere.key) is None


@given(walks())
def test_back_leads_to_the_nearest_open_step_before_and_nowhere_else(walk: Walk[Facts]) -> None:
    keys = keys_of(walk)
    for place, key in enumerate(keys):
        back = walk.back(key)
        nearest = [k for k in keys[:place] if k in walk.facts.needed & walk.facts.reopenable][-1:]
        assert [back.key if back else None] == (nearest or [None]), key
        if back and walk.guard(key) is None:
            assert walk.guard(back.key) is None, f"the way back from {key} is shut"


@given(walks())
def test_going_back_comes_to_an_end(walk: Walk[Facts]) -> None:
    seen = [walk.current.key]
    while back := walk.back(seen[-1]):
        assert back.key not in seen
        seen.append(back.key)


@given(walks())
def test_progress_counts_stages_and_is_here_in_one_of_them(walk: Walk[Facts]) -> None:
    for place in walk.flow.steps:
        progress = walk.progress(place.key)
        assert (progress.number, progress.total) == (place.stage, len(walk.flow.stages))
        assert [stage.number for stage in progress.steps] == [1, 2, 3, 4]
        assert [stage.title for stage in progress.steps] == list(walk.flow.stages)
        states = [stage.state for stage in progress.steps]
        assert [n for n, state in enumerate(states, 1) if state == "here"] == [place.stage]
        # Whatever lies before this page, or before the stage the walk has reached, is behind; the rest is ahead.
        reached = max(place.stage, walk.current.stage)
        assert {state for n, state in enumerate(states, 1) if n < reached and n != place.stage} <= {"done"}
        assert {state for n, state in enumerate(states, 1) if n > place.stage and n >= reached} <= {"later"}


@given(walks())
def test_doing_each_current_step_reaches_the_end_by_every_needed_step_in_order(walk: Walk[Facts]) -> None:
    left = [key for key in keys_of(walk) if key in walk.facts.needed - walk.facts.done]
    visited = []
    while walk.current.key not in walk.facts.done:
        visited.append(walk.current.key)
        walk.facts.done.add(walk.current.key)
        assert len(visited) <= len(left)
    assert visited == left


@given(walks(), st.data())
def test_undoing_a_fact_leads_back_to_its_step(walk: Walk[Facts], data: st.DataObject) -> None:
    """A customer who changes the proven address has to prove the new one: nothing stores how far they were."""
    undone = data.draw(st.sampled_from(sorted(walk.facts.needed)))
    walk.facts.done |= set(keys_of(walk))
    walk.facts.done.discard(undone)
    assert walk.current.key == undone


def test_a_step_nobody_knows_is_an_error_not_a_guess() -> None:
    walk = Walk(Flow("f", ("One",), (step("a", 1),)), Facts(set(), {"a"}, set()))
    for ask in (walk.guard, walk.back, walk.progress, walk.flow.step):
        with pytest.raises(KeyError):
            ask("b")


def test_a_flow_that_cannot_be_walked_is_refused_when_it_is_written() -> None:
    with pytest.raises(ValueError, match="names a step twice"):
        Flow("f", ("One",), (step("a", 1), step("a", 1)))
    for stage in (0, 2):
        with pytest.raises(ValueError, match="outside its stages"):
            Flow("f", ("One",), (step("a", stage),))


def test_a_step_is_needed_and_done_once_unless_it_says_otherwise() -> None:
    plain: Step[object] = Step("a", 1, is_done=never)
    assert plain.is_needed is always
    assert plain.can_reopen is never


def test_the_flow_people_walk_has_its_steps_in_the_order_of_its_stages() -> None:
    assert [step.stage for step in FLOW.steps] == sorted(step.stage for step in FLOW.steps)
    assert {step.stage for step in FLOW.steps} == {1, 2, 3, 4}
    assert len(FLOW.stages) == 4
