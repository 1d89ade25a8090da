"""A locked workspace: how long it can be unlocked, dissolving it, and the calendar that warns and closes.

Its days count from when we learned that its subscription ended, which may be later than the end itself. Nothing is
closed before its owners were warned and had three days to act, however late the calendar runs.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import aliased

from wizard import clock, outbox
from wizard.billing import endings, settlement, subscriptions
from wizard.billing.models import (
    ACTIVE,
    BEING_MADE,
    CLOSED,
    DISSOLVED,
    ENDED,
    LOCK,
    NONE,
    Subscription,
    Workspace,
)
from wizard.extensions import change, db

GRACE = timedelta(days=14)
"""From the end of its subscription until a locked workspace is closed."""

NOTICE = timedelta(days=3)
"""Before that its owners are written to."""


class CannotDissolve(Exception):
    """The workspace is not locked, or another request changed it first."""


def closes_at(workspace: Workspace) -> datetime | None:
    """When a locked workspace is closed, unless something pays for it before. None for one that is not locked."""
    ended = settlement.lost(workspace)
    return None if ended is None else closes_with(ended)


def closes_with(ended: Subscription) -> datetime:
    """When the workspaces that the end of this subscription locked are closed, at the earliest."""
    now = clock.now()
    return max((ended.stopped_at or now) + GRACE, (ended.warned_at or now) + NOTICE)


def time_left(workspace: Workspace) -> timedelta:
    """How long a locked workspace can still be unlocked; nothing for one that is not locked."""
    closes = closes_at(workspace)
    return max(closes - clock.now(), timedelta()) if closes else timedelta()


def dissolve(workspace: Workspace, by: str) -> None:
    """Delete a locked workspace and its data, for good. Raises :class:`CannotDissolve`."""
    if workspace.state == DISSOLVED:
        return
    if not settlement.is_locked(workspace):
        raise CannotDissolve
    dissolved = change(
        sa.update(Workspace)
        .where(
            Workspace.id == workspace.id,
            Workspace.settlement_number == workspace.settlement_number,
            Workspace.state == ACTIVE,
            settlement.locked(),
        )
        .values(state=DISSOLVED, settlement_number=Workspace.settlement_number + 1)
    )
    if not dissolved:
        raise CannotDissolve
    _write_and_tell(
        [(workspace.id, workspace.settlement_number + 1)], DISSOLVED, workspace.subscription_id, by
    )


# The calendar -----------------------------------------------------------------------------------------------


def warn() -> bool:
    """Have the owners of one ended subscription's workspaces written to, three days before these close.

    False when nobody is left to be warned.
    """
    now = clock.now()
    due = _due(Subscription.stopped_at <= now - GRACE + NOTICE, Subscription.warned_at.is_(None))
    if due is None:
        return False
    due.warned_at = now
    db.session.flush()
    endings.spread(due, "warning")
    return True


def close() -> bool:
    """Close a batch of one ended subscription's workspaces, whose days are over. False when none is left.

    Their sites stop taking data and delete what they have.
    """
    now = clock.now()
    ended = _due(Subscription.stopped_at <= now - GRACE, Subscription.warned_at <= now - NOTICE)
    if ended is None:
        return False
    batch = (
        sa.select(Workspace.id)
        .where(*_still_locked(ended.id))
        .order_by(Workspace.id)
        .limit(endings.BATCH + 1)
        .with_for_update(of=Workspace)
    )
    found = list(db.session.scalars(batch))
    ids = found[: endings.BATCH]
    settlement.write_first_lines(ids)
    closed = db.session.execute(
        sa.update(Workspace)
        .where(Workspace.id.in_(ids), *_still_locked(ended.id))
        .values(state=CLOSED, settlement_number=Workspace.settlement_number + 1)
        .returning(Workspace.id, Workspace.settlement_number),
        execution_options={"synchronize_session": False},
    ).all()
    _write_and_tell([(row.id, row.settlement_number) for row in closed], CLOSED, ended.id, "calendar")
    if len(found) == len(ids):
        endings.spread(ended, "closed")
    return True


def _due(*when: sa.ColumnElement[bool]) -> Subscription | None:
    """An ended subscription that has locked workspaces which nothing follows, held until our commit; another worker
    takes another one. SQLite has one writer anyway."""
    again = aliased(Subscription)
    # The job that brings its workspaces back may only be late.
    about_to_follow = sa.exists().where(subscriptions.is_again(again, Subscription))
    return db.session.scalar(
        sa.select(Subscription)
        .where(
            Subscription.state == ENDED,
            Subscription.on_end == LOCK,
            Subscription.successor_id.is_(None),
            ~about_to_follow,
            *when,
            sa.exists().where(*_still_locked(Subscription.id)),
        )
        .order_by(Subscription.stopped_at, Subscription.id)
        .limit(1)
        .with_for_update(skip_locked=True, of=Subscription)
        .execution_options(populate_existing=True)
    )


def _still_locked(subscription_id: object) -> tuple[sa.ColumnElement[bool], ...]:
    return settlement.bound_to(subscription_id), Workspace.state.in_((ACTIVE, BEING_MADE))


def _write_and_tell(lines: list[tuple[int, int]], what: str, subscription_id: int | None, by: str) -> None:
    settlement.write_down_all(lines, what, NONE, subscription_id, by)
    outbox.enqueue("billing.tell_site", {"workspaces": [workspace_id for workspace_id, _number in lines]})
