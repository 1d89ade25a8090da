"""The one reminder: who bought and stopped half way is written to once, and then left alone."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import aliased, joinedload

from wizard import clock, logs, mail, outbox
from wizard.billing.models import ACTIVE, Subscription, Workspace
from wizard.extensions import db
from wizard.flows import journeys, mails, resumption
from wizard.flows.catalogue import walk_of
from wizard.flows.models import Journey, JourneyEvent
from wizard.transactions import release

BATCH = 200

_Sibling = aliased(Journey)
_OF_THE_SAME_PURCHASE = _Sibling.subscription_id == Journey.subscription_id


def remind() -> int:
    """Have reminders on their way, :data:`BATCH` at most. Returns how many; 0 when nobody is left to be reminded.

    Any number of workers may do it at once: whose UPDATE finds a journey not reminded yet writes to its owner.
    It leaves the journey's ``version`` as it is. That is for answers and facts a page may have been shown; a
    customer who sends a form at this very moment must not be told to look again, since nothing they see changed.
    """
    hours = current_app.config["REMINDER_AFTER_HOURS"]
    if not hours:
        return 0
    now = clock.now()
    waiting = db.session.execute(
        sa.select(Journey.id, Journey.subscription_id)
        .where(
            Journey.created_at <= now - timedelta(hours=hours),
            Journey.reminded_at.is_(None),
            *_unfinished(now),
            _last_step().between(now - journeys.PROVEN_LIFE, now - timedelta(hours=hours)),
            ~sa.exists().where(_OF_THE_SAME_PURCHASE, _Sibling.reminded_at.is_not(None)),
        )
        .order_by(Journey.created_at.desc(), Journey.id.desc())
        .limit(BATCH)
        # A row another worker is at is its own, and one a customer is at is not forgotten. SQLite has one writer.
        .with_for_update(skip_locked=True, key_share=True, of=Journey)
    ).all()
    newest = {row.subscription_id: row.id for row in reversed(waiting)}
    reminded = db.session.execute(
        sa.update(Journey)
        .where(
            Journey.id.in_(newest.values()),
            Journey.reminded_at.is_(None),
            *journeys.UNFINISHED,
        )
        .values(reminded_at=now)
        .returning(Journey.id, Journey.reference, Journey.subscription_id),
        execution_options={"synchronize_session": False},
    ).all()
    for row in reminded:
        with logs.about(journey=row.reference):
            # The purchase is the key: a worker that did not see the other journey's UPDATE asks for the same mail.
            outbox.enqueue("flows.remind", {"journey": row.id}, key=f"reminder:{row.subscription_id}")
    return len(reminded)


def _unfinished(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Whose purchase waits: theirs to finish, with an address that is proven, and nothing has come of it elsewhere."""
    return (
        *journeys.UNFINISHED,
        ~sa.exists().where(Workspace.subscription_id == Journey.subscription_id),
        resumption.has_address(),
        sa.or_(Journey.expires_at > now, journeys.of_its_console_account()),
        sa.exists().where(
            Subscription.id == Journey.subscription_id,
            Subscription.state == ACTIVE,
            sa.or_(
                Subscription.billing_account_id.is_(None),
                Subscription.billing_account_id == Journey.billing_account_id,
            ),
        ),
        ~sa.exists().where(
            _OF_THE_SAME_PURCHASE,
            sa.or_(_Sibling.finished_at.is_not(None), _Sibling.workspace_id.is_not(None)),
        ),
    )


def _last_step() -> sa.ColumnElement[datetime]:
    """When somebody last did something about the purchase, on this journey or another."""
    last = (
        sa.select(sa.func.max(JourneyEvent.at))
        .join(_Sibling, _Sibling.id == JourneyEvent.journey_id)
        .where(_OF_THE_SAME_PURCHASE)
        .correlate(Journey)
    )
    return sa.func.coalesce(last.scalar_subquery(), Journey.created_at)


def tell(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``flows.remind``: the mail, unless the purchase waits no longer by now."""
    journey = db.session.scalar(
        sa.select(Journey)
        .where(Journey.id == payload["journey"], *_unfinished(clock.now()))
        .options(
            joinedload(Journey.subscription),
            joinedload(Journey.console_account),
            joinedload(Journey.billing_account),
            joinedload(Journey.workspace),
        )
    )
    if journey is None:
        raise outbox.NoLongerNeeded("the purchase waits no longer")
    told = mails.reminder(journey, _left_to_do(journey))
    release()
    mail.send_later(told, entry_id)
    journeys.note(journey, "reminder", "sent")


def _left_to_do(journey: Journey) -> list[Any]:
    """The titles of the stages that are not done; the last one only says that all are."""
    walk = walk_of(journey)
    stages = walk.progress(walk.current.key).steps[:-1]
    return [stage.title for stage in stages if stage.state != "done"]
