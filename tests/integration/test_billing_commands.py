"""What staff grant from the command line."""

from collections.abc import Callable

import pytest
from flask import Flask

from tests.support.factories import Person
from tests.support.possessions import Owner, accounts_of, purchases, workspaces
from wizard.billing import settlement
from wizard.billing.commands import billing
from wizard.billing.models import Subscription, Workspace
from wizard.extensions import db

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture
def owner(app: Flask) -> Owner:
    return accounts_of(app, Person())


@pytest.fixture
def run(app: Flask) -> Callable[..., tuple[int, str]]:
    def run(*words: str) -> tuple[int, str]:
        done = app.test_cli_runner().invoke(billing, ["any-method", *words])
        return done.exit_code, done.output.splitlines()[-1]  # Above it is the log.

    return run


@pytest.mark.parametrize("by", ["username", "email"])
def test_an_account_settles_by_any_method_from_the_grant_until_it_is_taken_back(
    app: Flask, owner: Owner, run: Callable[..., tuple[int, str]], by: str
) -> None:
    (bought,), (made,) = purchases(app, owner), workspaces(app, owner, site_id="cn4")

    def refused() -> str | None:
        with app.app_context():
            subscription, workspace = (
                db.session.get_one(Subscription, bought),
                db.session.get_one(Workspace, made),
            )
            refusal = settlement.refusal_of(workspace, subscription)
            return refusal.reason if refusal else None

    name = getattr(owner.person, by).upper()
    assert refused() == settlement.SITE
    assert run(name) == (0, f"{owner.person.username}: any method.")
    assert refused() is None
    assert run(name, "--off") == (0, f"{owner.person.username}: the methods its sites list.")
    assert refused() == settlement.SITE


def test_a_name_nobody_has_is_one_sentence(run: Callable[..., tuple[int, str]]) -> None:
    assert run("nobody-here") == (1, "Error: No Billing Center account is called nobody-here.")
