"""What settles a workspace now, what may settle it instead, and changing it: the rules are here and nowhere else.

What settles a new one is decided where it is ordered: :func:`wizard.billing.workspaces.order`.
What settles one now is read from its row and its subscription's: a subscription that ends locks the workspaces it paid
for in that moment, however many they are. Pages ask :func:`refusal_of` before the click, :func:`settle` asks it again
and decides: one UPDATE that finds the workspaces as they were seen.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app
from sqlalchemy.orm import aliased, joinedload
from sqlalchemy.orm.attributes import set_committed_value

from wizard import clock, outbox
from wizard.billing.models import (
    ACTIVE,
    BEING_MADE,
    BILLING_CENTER,
    CLOSED,
    DISSOLVED,
    ENDED,
    NONE,
    SETTLED,
    STAY,
    SWITCH,
    CloudAccount,
    Settlement,
    Subscription,
    Workspace,
)
from wizard.extensions import change, db, insert
from wizard.sites import directory

WITH_PAYER = joinedload(Workspace.subscription).joinedload(Subscription.successor)
"""With this a workspace is read with all that says what settles it."""

BOUND = "bound"
SUBSCRIPTION_ENDED = "subscription ended"
SITE = "site"
OTHER_PAYS = "other pays"
TOO_SOON = "too soon"
CHANGED = "changed"

BEFORE = "before this was written down"
"""Who settled a workspace first, where nobody wrote it down: it is older than the history, or was ordered by a process
of the version before during the update."""


@dataclass(frozen=True)
class Refusal:
    """Why a workspace cannot be settled another way.

    ``reason`` is one of :data:`DISSOLVED`, :data:`CLOSED`, :data:`BEING_MADE`, :data:`BOUND` (it is settled that way
    already), :data:`SUBSCRIPTION_ENDED`, :data:`SITE` (does not allow the method), :data:`OTHER_PAYS` (``payer`` is
    still subscribed), :data:`TOO_SOON` (``changed_at``; possible again from ``until`` on) and :data:`CHANGED`
    (by another request at this very moment).
    """

    reason: str
    payer: CloudAccount | None = None
    changed_at: datetime | None = None
    until: datetime | None = None


class CannotSettle(Exception):
    """The rules forbid it for ``workspace``, or another request settled that one first: then they are asked anew."""

    def __init__(self, workspace: Workspace, refusal: Refusal) -> None:
        super().__init__(refusal.reason)
        self.workspace = workspace
        self.refusal = refusal


# What settles it now ----------------------------------------------------------------------------------------


def _last(workspace: Workspace) -> Subscription | None:
    """The subscription a workspace is bound to, or the one that follows it. None for one that was switched to its
    Billing Center account when that one ended, whatever becomes of it."""
    bound = workspace.subscription if workspace.settlement_method != BILLING_CENTER else None
    if bound is None or bound.pays or bound.successor is None:
        return bound
    return bound.successor


def payer(workspace: Workspace) -> Subscription | None:
    """The subscription that pays for it now. None where its Billing Center account does, or nothing."""
    last = _last(workspace)
    return last if last is not None and (last.pays or last.on_end == STAY) else None


def lost(workspace: Workspace) -> Subscription | None:
    """The ended subscription that nothing follows: what locked the workspace. None for one that is not locked."""
    last = _last(workspace)
    return last if last is not None and last.locks else None


def is_locked(workspace: Workspace) -> bool:
    """Whether nothing pays for it any more. It reads as locked from the moment its subscription ends."""
    return lost(workspace) is not None


def bound_to(subscription_id: Any) -> sa.ColumnElement[bool]:
    """The condition for workspaces that are bound to this subscription, or were until it ended."""
    return sa.and_(
        Workspace.subscription_id == subscription_id, Workspace.settlement_method != BILLING_CENTER
    )


def locked() -> sa.ColumnElement[bool]:
    """The condition for workspaces of which :func:`is_locked` is true."""
    return _of_last(_locks)


def settled_by(method: str) -> sa.ColumnElement[bool]:
    """The condition for workspaces whose :func:`method` is this one."""
    if method == NONE:
        return locked()
    if method == BILLING_CENTER:
        return ~_of_last(lambda last: sa.or_(_locks(last), _pays(last)))
    return _of_last(lambda last: sa.and_(last.provider == method, _pays(last)))


def _of_last(holds: Callable[[Any], sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    """The condition for workspaces whose :func:`_last` subscription is such a one."""
    bound, follows = aliased(Subscription), aliased(Subscription)
    is_followed = sa.and_(bound.state == ENDED, follows.id.is_not(None))
    return (
        sa.select(sa.literal(1))
        .select_from(bound)
        .outerjoin(follows, follows.id == bound.successor_id)
        .where(bound_to(bound.id), sa.case((is_followed, holds(follows)), else_=holds(bound)))
        .correlate(Workspace)
        .exists()
    )


def _pays(subscription: Any) -> sa.ColumnElement[bool]:
    """Whether it is what :func:`payer` answers."""
    return sa.or_(subscription.state == ACTIVE, sa.func.coalesce(subscription.on_end, "") == STAY)


def _locks(subscription: Any) -> sa.ColumnElement[bool]:
    """See :attr:`.Subscription.locks`."""
    return sa.and_(
        subscription.state == ENDED,
        sa.func.coalesce(subscription.on_end, "").not_in((SWITCH, STAY)),
    )


def method(workspace: Workspace) -> str:
    """What settles it: a cloud's name, "billing_center", or "none" where it is locked."""
    if paying := payer(workspace):
        return paying.provider
    return NONE if is_locked(workspace) else BILLING_CENTER


def is_settled_by(workspace: Workspace, subscription: Subscription | None) -> bool:
    """Whether this subscription pays for it; without one, whether its Billing Center account does."""
    if subscription is None:
        return method(workspace) == BILLING_CENTER
    paying = payer(workspace)
    return paying is not None and paying.id == subscription.id


# What may settle it -----------------------------------------------------------------------------------------


def refusal_of(workspace: Workspace, to: Subscription | None) -> Refusal | None:
    """Why a workspace cannot be settled by this subscription, or by its Billing Center account without one; None if it
    can. Asks no database.

    Asks no interval and no payer of one that :func:`is_free`.
    """
    settled_so = is_settled_by(workspace, to)
    if workspace.state in (DISSOLVED, CLOSED, BEING_MADE) and not settled_so:
        return Refusal(workspace.state)
    if to is not None and not to.pays:
        return Refusal(SUBSCRIPTION_ENDED)
    if settled_so:
        return Refusal(BOUND)
    if not is_allowed(workspace, *(to.paid_through if to else (BILLING_CENTER,))):
        return Refusal(SITE)
    return refusal_to_leave(workspace)


def is_allowed(workspace: Workspace, method: str, marketplace: str | None = None) -> bool:
    """Whether its site takes a method and a marketplace; staff may have let its Billing Center account choose any."""
    site = directory.get(workspace.site_id)
    any_method = bool(site.settlement) and workspace.billing_account.any_method
    return any_method or directory.allows(site, method, marketplace)


def is_free(workspace: Workspace) -> bool:
    """Whether it may change at any time, and that does not count: locked, which is how it is unlocked; or what pays has
    ended and was renewed as nobody has told what."""
    paying = payer(workspace)
    return is_locked(workspace) or (paying is not None and not paying.pays)


def refusal_to_leave(workspace: Workspace) -> Refusal | None:
    """Why a workspace stays with what settles it, whatever would settle it instead; None if it may leave."""
    if is_free(workspace):
        return None
    paying = payer(workspace)
    if paying is not None and not current_app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"]:
        return Refusal(OTHER_PAYS, payer=paying.cloud_account)
    changed_at = workspace.settlement_changed_at
    interval = timedelta(days=current_app.config["SETTLEMENT_CHANGE_INTERVAL_DAYS"])
    if changed_at is not None and changed_at + interval > clock.now():
        return Refusal(TOO_SOON, changed_at=changed_at, until=changed_at + interval)
    return None


# Changing it ------------------------------------------------------------------------------------------------


def bind(workspace: Workspace, subscription: Subscription, by: str) -> bool:
    """From now on this subscription pays for one workspace: see :func:`settle`. False where it was bound already."""
    return bool(settle([workspace], subscription, by))


def settle(workspaces: Sequence[Workspace], to: Subscription | None, by: str) -> list[Workspace]:
    """From now on this subscription pays for these workspaces, or without one their Billing Center account does.

    All of them, or none; locked ones are unlocked. They must be one Billing Center account's, and so must the
    subscription. Returns those that were not settled that way already. Raises :class:`CannotSettle`.
    """
    if to is not None:
        # First, so that the subscription cannot end between this and our commit: whoever ends it waits, and then finds
        # these workspaces among those it pays for. Two that bind do not wait for each other; SQLite has one writer.
        db.session.refresh(to, with_for_update={"read": True, "of": Subscription})
    changed_meanwhile = _hold(workspaces)
    wanted = _allowed(workspaces, to)
    for workspace in wanted:
        if workspace in changed_meanwhile:
            raise CannotSettle(workspace, Refusal(CHANGED))
    if not wanted:
        return []
    method = to.provider if to else BILLING_CENTER
    counted = [w.id for w in wanted if not is_free(w)]
    write_first_lines([w.id for w in wanted if w.settlement_number == 1])
    with db.session.begin_nested() as tried:
        changed = change(
            sa.update(Workspace)
            .where(
                sa.or_(*(_as_seen(w) for w in wanted)),
                Workspace.state == ACTIVE,
                *_paid_for(wanted[0].billing_account_id, to),
            )
            .values(
                settlement_method=method,
                subscription_id=to.id if to else None,
                settlement_number=Workspace.settlement_number + 1,
                settlement_changed_at=sa.case(
                    (Workspace.id.in_(counted), clock.now()), else_=Workspace.settlement_changed_at
                ),
                locked_at=None,
            )
        )
        if changed != len(wanted):
            tried.rollback()
    if changed != len(wanted):
        raise CannotSettle(wanted[0], Refusal(CHANGED))
    write_down_all(
        ((w.id, w.settlement_number + 1) for w in wanted), SETTLED, method, to.id if to else None, by
    )
    if told := [w.id for w in wanted if w.locked_at is not None]:
        outbox.enqueue("billing.tell_site", {"workspaces": told})
    return wanted


_FACTS = (Workspace.state, Workspace.settlement_method, Workspace.subscription_id)
"""What a decision rests on, whatever else was written into a workspace's history."""


def _hold(workspaces: Sequence[Workspace]) -> list[Workspace]:
    """Nobody changes these workspaces before our commit. Returns those that are settled another way by now than they
    were read; they are read anew.

    In one order for everybody who changes several: two at once wait for each other, instead of blocking one another.
    """
    rows = db.session.execute(
        sa.select(Workspace.id, Workspace.settlement_number, Workspace.locked_at, *_FACTS)
        .where(Workspace.id.in_([workspace.id for workspace in workspaces]))
        .order_by(Workspace.id)
        .with_for_update(of=Workspace)
    )
    now = {row.id: row for row in rows}
    changed = []
    for workspace in workspaces:
        row = now[workspace.id]
        if any(getattr(row, fact.key) != getattr(workspace, fact.key) for fact in _FACTS):
            db.session.refresh(workspace)
            changed.append(workspace)
        for name in ("settlement_number", "locked_at"):
            set_committed_value(workspace, name, getattr(row, name))
    return changed


def _allowed(workspaces: Sequence[Workspace], to: Subscription | None) -> list[Workspace]:
    """Those that are not settled that way already. Raises :class:`CannotSettle` for the first that may not be."""
    wanted = []
    for workspace in workspaces:
        refusal = refusal_of(workspace, to)
        if refusal is None:
            wanted.append(workspace)
        elif refusal.reason != BOUND:
            raise CannotSettle(workspace, refusal)
    return wanted


def _as_seen(workspace: Workspace) -> sa.ColumnElement[bool]:
    return sa.and_(Workspace.id == workspace.id, Workspace.settlement_number == workspace.settlement_number)


def _paid_for(billing_account_id: int, to: Subscription | None) -> tuple[sa.ColumnElement[bool], ...]:
    """All are this Billing Center account's, and what is to pay for them is too, and has not ended."""
    whose = Workspace.billing_account_id == billing_account_id
    if to is None:
        return (whose,)
    pays = sa.exists().where(
        Subscription.id == to.id,
        Subscription.state == ACTIVE,
        Subscription.billing_account_id == billing_account_id,
    )
    return whose, pays


# The history ------------------------------------------------------------------------------------------------


def write_first_lines(workspace_ids: list[int]) -> None:
    """The first line of the history of workspaces that have none (see :data:`BEFORE`)."""
    if not workspace_ids:
        return
    first = sa.select(
        Workspace.id,
        sa.literal(1),
        Workspace.created_at,
        sa.literal(SETTLED),
        Workspace.settlement_method,
        Workspace.subscription_id,
        sa.literal(BEFORE),
    ).where(Workspace.id.in_(workspace_ids), Workspace.settlement_number == 1)
    columns = ["workspace_id", "number", "at", "what", "method", "subscription_id", "by"]
    db.session.execute(insert(Settlement).from_select(columns, first).on_conflict_do_nothing())


def write_down(workspace_id: int, number: int, method: str, subscription_id: int | None, by: str) -> None:
    """One line of a workspace's history. Goes with the change it tells of."""
    write_down_all([(workspace_id, number)], SETTLED, method, subscription_id, by)


def write_down_all(
    lines: Iterable[tuple[int, int]], what: str, method: str, subscription_id: int | None, by: str
) -> None:
    """The same line in the histories of several workspaces: ``(workspace id, number)`` of each. One statement."""
    at = clock.now()
    told = {"at": at, "what": what, "method": method, "subscription_id": subscription_id, "by": by}
    rows = [{"workspace_id": workspace_id, "number": number, **told} for workspace_id, number in lines]
    if rows:
        db.session.execute(insert(Settlement).values(rows))
