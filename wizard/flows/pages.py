"""What a step is on the web: a template, a form, what a submit does, and what the template needs besides."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wizard.flows.models import Journey
from wizard.forms import Button, Form


def _button(_journey: Journey) -> Form:
    return Button()


def _nothing(_journey: Journey, _form: Form) -> dict[str, Any]:
    return {}


def _refuse(_journey: Journey, _form: Form) -> None:
    """A page that only shows something has nothing to submit."""


@dataclass(frozen=True)
class Page:
    """``form`` makes the step's form, filled with the answers so far; ``submit`` is one verb that raises
    :class:`wizard.flows.refusals.Refused`; ``context`` is what the template names besides the common things.
    ``actions`` are lone buttons of the page (name in the address → verb).
    """

    template: str
    heading: Any
    form: Callable[[Journey], Form] = _button
    submit: Callable[[Journey, Any], None] = _refuse
    context: Callable[[Journey, Any], dict[str, Any]] = _nothing
    actions: dict[str, Callable[[Journey], None]] = field(default_factory=dict)
