"""The rules of what may settle a workspace: each refusal, with the moment it ends; and the history that is kept."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.exc import OperationalError

from config import Settings
from tests.support.world import World
from wizard import clock
from wizard.billing import settlement
from wizard.billing.models import (
    ACTIVE,
    AWS,
    BEING_MADE,
    BILLING_CENTER,
    DISSOLVED,
    ENDED,
    Settlement,
    Subscription,
    Workspace,
)
from wizard.extensions import db

DAY = timedelta(days=1)


def why(workspace: Workspace, purchase: Subscription) -> str:
    """What a page says before the click; the same that the click meets."""
    refusal = settlement.refusal_of(workspace, purchase)
    assert refusal is not None
    before = history(workspace)
    with pytest.raises(settlement.CannotSettle) as no:
        settlement.bind(workspace, purchase, by="test")
    assert no.value.refusal == refusal
    assert history(workspace) == before
    return refusal.reason


def history(workspace: Workspace) -> list[tuple[int, str, int | None]]:
    rows = db.session.scalars(
        sa.select(Settlement).where(Settlement.workspace_id == workspace.id).order_by(Settlement.number)
    )
    return [(row.number, row.method, row.subscription_id) for row in rows]


def test_a_workspace_settled_by_its_billing_center_account_is_bound_and_the_change_is_kept(
    app: Flask,
) -> None:
    with app.app_context():
        world = World()
        workspace, purchase = world.workspace(), world.purchase("1")
        assert settlement.refusal_of(workspace, purchase) is None
        assert settlement.bind(workspace, purchase, by="journey SK-1") is True
        db.session.commit()
        db.session.expire_all()
        assert (workspace.settlement_method, workspace.subscription_id) == (AWS, purchase.id)
        assert history(workspace) == [(1, BILLING_CENTER, None), (2, AWS, purchase.id)]
        # A second click changes nothing and is no mistake.
        assert settlement.bind(workspace, purchase, by="journey SK-1") is False
        assert len(history(workspace)) == 2


def test_another_subscription_that_is_active_keeps_its_workspace_unless_a_setting_says_otherwise(
    app: Flask,
) -> None:
    with app.app_context():
        world = World()
        first, second = world.purchase("1"), world.purchase("2")
        workspace = world.workspace(paid_by=first)
        assert why(workspace, second) == settlement.OTHER_PAYS
        refusal = settlement.refusal_of(workspace, second)
        assert refusal is not None
        assert refusal.payer == first.cloud_account
        app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"] = True
        assert settlement.bind(workspace, second, by="test") is True


def test_what_settles_a_workspace_changes_once_in_the_interval_and_the_first_settlement_does_not_count(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        world = World()
        app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"] = True
        first, second = world.purchase("1"), world.purchase("2")
        workspace = world.workspace()
        changed = clock.now()
        monkeypatch.setattr(clock, "now", lambda: changed)
        settlement.bind(workspace, first, by="test")
        db.session.commit()
        db.session.expire_all()
        assert why(workspace, second) == settlement.TOO_SOON
        refusal = settlement.refusal_of(workspace, second)
        assert refusal is not None
        assert (refusal.changed_at, refusal.until) == (changed, changed + 30 * DAY)
        monkeypatch.setattr(clock, "now", lambda: changed + 30 * DAY - timedelta(seconds=1))
        assert why(workspace, second) == settlement.TOO_SOON
        monkeypatch.setattr(clock, "now", lambda: changed + 30 * DAY)
        assert settlement.bind(workspace, second, by="test") is True


def test_an_interval_of_no_days_lets_it_change_at_once(app: Flask) -> None:
    with app.app_context():
        world = World()
        app.config.update(SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION=True, SETTLEMENT_CHANGE_INTERVAL_DAYS=0)
        workspace = world.workspace()
        for purchase in (world.purchase("1"), world.purchase("2")):
            assert settlement.bind(workspace, purchase, by="test") is True
            db.session.expire_all()


def test_a_workspace_whose_subscription_ended_is_locked_and_binding_unlocks_it_at_once(app: Flask) -> None:
    with app.app_context():
        world = World()
        first, second = world.purchase("1"), world.purchase("2")
        workspace = world.workspace(paid_by=first, settlement_changed_at=clock.now())
        assert not settlement.is_locked(workspace)
        world.end(first)
        assert settlement.is_locked(workspace)
        changed_at = workspace.settlement_changed_at
        assert settlement.bind(workspace, second, by="test") is True
        db.session.expire_all()
        assert not settlement.is_locked(workspace)
        assert workspace.settlement_changed_at == changed_at, "unlocking does not count as a change"


def test_a_lock_is_lifted_by_binding(app: Flask) -> None:
    with app.app_context():
        world = World()
        ended = world.purchase("0")
        workspace = world.workspace(ended, locked_at=clock.now(), settlement_changed_at=clock.now())
        world.end(ended)
        assert settlement.bind(workspace, world.purchase("1"), by="test") is True
        db.session.expire_all()
        assert workspace.locked_at is None


@pytest.mark.parametrize("state", [BEING_MADE, DISSOLVED])
def test_a_workspace_that_is_being_made_or_dissolved_is_not_bound(app: Flask, state: str) -> None:
    with app.app_context():
        world = World()
        assert why(world.workspace(state=state), world.purchase("1")) == state


def test_a_site_that_does_not_take_the_method_refuses(app: Flask) -> None:
    with app.app_context():
        world = World()
        assert why(world.workspace(site_id="cn4"), world.purchase("1")) == settlement.SITE


def test_a_subscription_that_ended_pays_for_nothing_new(app: Flask) -> None:
    with app.app_context():
        world = World()
        workspace, purchase = world.workspace(), world.purchase("1")
        world.end(purchase)
        assert why(workspace, purchase) == settlement.SUBSCRIPTION_ENDED


def test_a_subscription_that_ends_or_is_not_its_own_is_found_out_by_the_click(app: Flask) -> None:
    """What the page was made from is old by the time of the click: the UPDATE looks for itself."""
    with app.app_context():
        world = World()
        workspace, purchase, unclaimed = (
            world.workspace(),
            world.purchase("1"),
            world.purchase("2", claimed=False),
        )
        with pytest.raises(settlement.CannotSettle):
            settlement.bind(workspace, unclaimed, by="test")
        db.session.execute(
            sa.update(Subscription).where(Subscription.id == purchase.id).values(state=ENDED),
            execution_options={"synchronize_session": False},
        )
        assert purchase.state == ACTIVE, "as it was read"
        with pytest.raises(settlement.CannotSettle) as no:
            settlement.bind(workspace, purchase, by="test")
        assert no.value.refusal.reason == settlement.SUBSCRIPTION_ENDED
        assert len(history(workspace)) == 1


@pytest.mark.engines("sqlite")
def test_the_settings_are_the_rules(make_app: Any, settings: Settings) -> None:
    app = make_app(
        replace(settings, settlement_change_interval_days=7, settlement_leave_active_subscription=True)
    )
    assert app.config["SETTLEMENT_CHANGE_INTERVAL_DAYS"] == 7
    assert app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"] is True


def test_a_workspace_ordered_by_the_version_before_gets_the_first_line_of_its_history_with_the_first_change(
    app: Flask,
) -> None:
    with app.app_context():
        world = World()
        workspace, purchase = world.workspace(), world.purchase("1")
        db.session.execute(sa.delete(Settlement))
        settlement.bind(workspace, purchase, by="journey SK-1")
        db.session.commit()
        lines = db.session.scalars(sa.select(Settlement).order_by(Settlement.number)).all()
        assert [(each.number, each.method, each.subscription_id, each.at, each.by) for each in lines] == [
            (1, BILLING_CENTER, None, workspace.created_at, settlement.BEFORE),
            (2, AWS, purchase.id, lines[1].at, "journey SK-1"),
        ]


def test_a_subscription_that_has_ended_since_the_page_was_read_is_seen(app: Flask) -> None:
    with app.app_context():
        world = World()
        workspace, purchase = world.workspace(), world.purchase("1")
        db.session.commit()
        db.session.execute(
            sa.update(Subscription).values(state=ENDED), execution_options={"synchronize_session": False}
        )
        assert purchase.state == ACTIVE
        with pytest.raises(settlement.CannotSettle) as no:
            settlement.bind(workspace, purchase, by="test")
        assert no.value.refusal.reason == settlement.SUBSCRIPTION_ENDED


@pytest.mark.engines("postgresql")
def test_a_subscription_cannot_end_while_a_workspace_is_being_bound_to_it(app: Flask) -> None:
    """Whoever ends it waits, and then finds the workspace among those it pays for."""
    with app.app_context():
        world = World()
        workspace, purchase, other = world.workspace(), world.purchase("1"), world.purchase("2")
        db.session.commit()
        settlement.bind(workspace, purchase, by="test")
        ending = sa.select(Subscription.id).with_for_update(
            nowait=True, key_share=True, of=Subscription
        )  # As an UPDATE locks.
        with db.engine.connect() as elsewhere:
            assert elsewhere.execute(ending.where(Subscription.id == other.id)).all()
        with db.engine.connect() as elsewhere, pytest.raises(OperationalError, match="could not obtain lock"):
            elsewhere.execute(ending.where(Subscription.id == purchase.id))
        db.session.rollback()


def test_a_workspace_on_a_site_that_is_no_longer_configured_cannot_be_bound(app: Flask) -> None:
    with app.app_context():
        world = World()
        workspace, purchase = world.workspace(), world.purchase("1")
        db.session.execute(sa.update(Workspace).values(site_id="gone9"))
        db.session.commit()
        db.session.expire_all()
        assert why(workspace, purchase) == settlement.SITE
