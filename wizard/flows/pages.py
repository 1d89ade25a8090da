"""What a step is on the web: a template, a form, what a submit does, and what the template needs besides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flask import request

from wizard.flows.line import Line
from wizard.flows.models import Journey
from wizard.forms import Button, Form


def _button(_journey: Journey) -> Form:
    return Button()


def _nothing(_journey: Journey, _form: Form) -> dict[str, Any]:
    return {}


def _nothing_around(_journey: Journey) -> dict[str, Any]:
    return {}


def _nowhere_else(_journey: Journey) -> str | None:
    return None


def _refuse(_journey: Journey, _form: Form) -> None:
    """A page that only shows something has nothing to submit."""


@dataclass(frozen=True)
class Action:
    """Another button of a page: its verb, and the form it sends (a lone button where it needs no answers).

    It leads back to its page. ``is_of_page``: the form is the page's own, and shows what was wrong in it.
    """

    verb: Callable[[Journey, Any], None]
    form: Callable[[Journey], Form] = _button
    is_of_page: bool = False


@dataclass(frozen=True)
class Page:
    """``form`` makes the step's form, filled with the answers so far; ``submit`` is one verb that raises
    :class:`wizard.flows.refusals.Refused`; ``context`` is what the template names besides the common things.
    ``actions`` are the other buttons of the page (name in the address → action). ``keeps`` are the parts of the
    address that stay while somebody goes into a sub-flow of the page and comes back. ``address`` is where the page is
    for a journey that it is shown for elsewhere than among the journey's own pages.
    """

    template: str
    heading: Any
    form: Callable[[Journey], Form] = _button
    submit: Callable[[Journey, Any], None] = _refuse
    context: Callable[[Journey, Any], dict[str, Any]] = _nothing
    actions: dict[str, Action] = field(default_factory=dict)
    keeps: tuple[str, ...] = ()
    address: Callable[[Journey], str | None] = _nowhere_else


@dataclass(frozen=True)
class FlowPage:
    """What all pages of a flow show: ``line`` draws it for a journey on a step, ``around`` is what else is there."""

    line: Callable[[Journey, str], Line]
    around: Callable[[Journey], dict[str, Any]] = _nothing_around


def kept(names: tuple[str, ...]) -> dict[str, Any]:
    """What this address says under these names, for another address to say on."""
    return {name: request.args[name] for name in names if request.args.get(name)}
