"""An area is a part of the product that people sign in to: a site's console, the Billing Center.

Each has accounts and passwords of its own; how a password is changed and set anew is the same in all of them
(:mod:`wizard.accounts.credentials`, ``reset_views``, ``account_views``). A room with a door describes its area once.
"""

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any, Protocol

import sqlalchemy as sa
from flask.typing import ResponseReturnValue
from flask_wtf import FlaskForm
from wtforms import Field

from wizard.accounts.models import BillingAccount, ConsoleAccount

Account = ConsoleAccount | BillingAccount


class ForgotForm(Protocol):
    """Whose password is forgotten. ``named`` is the field that says so, by an address or a username."""

    @property
    def named(self) -> Field: ...

    @property
    def site_id(self) -> str:
        """The site it is on; "" where the area has none."""

    def validate_on_submit(self) -> bool: ...


class Area(Protocol):
    """One area.

    ``name``: of its blueprint, and what templates choose their words by · ``kind``: of its sessions ·
    ``reset``: of the sessions of a reset, and the blueprint of its pages · ``model``: its accounts.
    """

    name: str
    kind: str
    reset: str

    @property
    def model(self) -> type[ConsoleAccount] | type[BillingAccount]: ...

    def named(self, site_id: Any, key: Any) -> sa.ColumnElement[bool]:
        """The condition that picks the account somebody means; a text or a column each."""

    def resets_of(self, account: Account) -> sa.ColumnElement[bool]:
        """The condition that picks every reset somebody began for this account, however they named it."""

    def forgot_form(self) -> ForgotForm:
        """Whose password is forgotten, as this area asks for it."""

    def mailed(self, site_id: str, locale: str) -> dict[str, Any]:
        """What the mail with a code says besides, in this language."""

    def signed_in(self) -> Account:
        """Whose page this is. Only on routes the access table gives to this area's accounts."""

    def sign_in(self, site_id: str, name: str, password: str, client: str) -> Account:
        """See :func:`wizard.accounts.directory.sign_in_console`."""

    def everywhere(self, account_id: int) -> tuple[sa.ColumnElement[bool], ...]:
        """Every session that opens something of an account, on whatever device."""

    def sign_out_here(self) -> None:
        """End what this browser has open of it."""

    def lead_on(self, account_id: int) -> str:
        """Where somebody goes who has just signed in."""

    def beside(self) -> dict[str, Any]:
        """What stands beside the pages at its door."""

    def page(self, template: str, **context: Any) -> str:
        """A page of somebody signed in."""


def view_of(area: Area, view: Callable[[Area], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    """A view that every area has, as this one's. It keeps its name, by which its limit is found."""
    return update_wrapper(partial(view, area), view)


def form_status(form: FlaskForm) -> int:
    """The status of a page that shows this form."""
    return 422 if form.errors or form.form_errors else 200
