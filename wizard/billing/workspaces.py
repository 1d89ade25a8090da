"""Workspaces: ordered from a site in one transaction, made by it afterwards."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import sqlalchemy.orm
from flask_sqlalchemy.pagination import Pagination
from sqlalchemy.exc import IntegrityError

from wizard import clock, outbox
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing import settlement, subscriptions
from wizard.billing.models import (
    ACTIVE,
    BEING_MADE,
    BILLING_CENTER,
    CLOSED,
    DISSOLVED,
    ENDED,
    LOCK,
    LOCKED,
    Subscription,
    Workspace,
)
from wizard.extensions import db
from wizard.lists import paginate
from wizard.sites import directory, gateway
from wizard.transactions import release

_WITH_PAYER = (
    settlement.WITH_PAYER,
    sa.orm.joinedload(Workspace.billing_account),
    sa.orm.joinedload(Workspace.owner),
)


class WorkspaceExists(Exception):
    """This origin has ordered its workspace already."""


class MethodNotAllowed(Exception):
    """The site does not allow this settlement method."""


@dataclass(frozen=True)
class Order:
    """A workspace to be made: where, what it is called and its template language ("en" or "zh")."""

    site_id: str
    name: str
    language: str


def order(
    wanted: Order,
    owner: ConsoleAccount,
    payer: BillingAccount,
    subscription: Subscription | None,
    origin: str,
    by: str,
) -> Workspace:
    """Order a workspace settled by ``subscription``, or by the Billing Center account itself without one.

    ``origin`` makes it once; ``by`` is who settles it first, in its history (see :class:`.Settlement`).
    Raises :class:`WorkspaceExists`, :class:`MethodNotAllowed` or
    :class:`wizard.billing.subscriptions.SubscriptionTaken`; then nothing was written.
    """
    settling = subscription.paid_through if subscription else (BILLING_CENTER,)
    if not directory.allows(directory.get(wanted.site_id), *settling):
        raise MethodNotAllowed
    workspace = Workspace(
        public_id=f"wksp_{secrets.token_hex(8)}",
        origin=origin,
        site_id=wanted.site_id,
        name=wanted.name,
        language=wanted.language,
        state=BEING_MADE,
        owner_id=owner.id,
        billing_account_id=payer.id,
        settlement_method=settling[0],
        subscription_id=subscription.id if subscription else None,
        created_at=clock.now(),
    )
    due: list[outbox.Due] = []
    try:
        with db.session.begin_nested():
            db.session.add(workspace)
            db.session.flush()
            settlement.write_down(workspace.id, 1, settling[0], workspace.subscription_id, by=by)
            if subscription:
                due = subscriptions.claim(subscription.id, payer.id)
    except IntegrityError:
        raise WorkspaceExists from None
    make_it = outbox.Due(
        "billing.make_workspace", {"workspace": workspace.id}, f"make-workspace:{workspace.id}"
    )
    outbox.enqueue_all([make_it, *due])
    return workspace


def make(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.make_workspace``: ask the site, then say that it is there and tell its owner."""
    workspace = db.session.get_one(Workspace, payload["workspace"])
    owner, site = workspace.owner, directory.get(workspace.site_id)
    details = gateway.NewWorkspace(
        public_id=workspace.public_id,
        name=workspace.name,
        language=workspace.language,
        owner_username=owner.username,
        owner_email=owner.email,
    )
    release()
    gateway.console().create_workspace(site.id, details)
    made = db.session.execute(
        sa.update(Workspace)
        .where(Workspace.id == payload["workspace"], Workspace.state == BEING_MADE)
        .values(state=ACTIVE, made_at=clock.now())
        .returning(Workspace.locked_at),
        execution_options={"synchronize_session": False},
    ).first()
    if made is None:
        return
    outbox.enqueue("billing.tell_ready", payload, key=f"ready:{payload['workspace']}")
    if made.locked_at is not None:  # Its subscription ended before the site had made it.
        outbox.enqueue("billing.tell_site", {"workspaces": [payload["workspace"]]})


PER_PAGE = 20
_PUBLIC_ID = re.compile("wksp_[0-9a-f]{16}")


def owned_by(account: ConsoleAccount, search: str = "", page: int = 1) -> Pagination:
    """A page of a console account's workspaces, newest first. One statement. ``search``: see :func:`_named`."""
    mine = Workspace.owner_id == account.id
    return _page(sa.select(Workspace).where(mine, Workspace.state != DISSOLVED, *_named(search)), page)


def settled_through(billing_account_id: int, search: str = "", page: int = 1) -> Pagination:
    """A page of a Billing Center account's workspaces on all sites, newest first, with what settles each.

    One statement. ``search``: see :func:`_named`.
    """
    mine = Workspace.billing_account_id == billing_account_id
    return _page(sa.select(Workspace).where(mine, Workspace.state != DISSOLVED, *_named(search)), page)


@dataclass(frozen=True)
class Filter:
    """What a list of workspaces is narrowed to; "" for anything.

    ``search``: see :func:`_named`. ``method`` as :func:`.settlement.method` answers, ``state`` "active", "being_made",
    "locked" or "closed".
    """

    search: str = ""
    site: str = ""
    method: str = ""
    state: str = ""


def managed(billing_account_id: int, wanted: Filter, page: int = 1) -> Pagination:
    """A page of a Billing Center account's workspaces on all sites with what settles each: locked ones first, then
    those being made, then the newest. ``marked`` of it is how many are locked. One statement."""
    is_locked = sa.and_(Workspace.state == ACTIVE, settlement.locked())
    conditions = [Workspace.billing_account_id == billing_account_id, Workspace.state != DISSOLVED]
    if wanted.site:
        conditions.append(Workspace.site_id == wanted.site)
    if wanted.method:
        conditions.append(settlement.settled_by(wanted.method))
    if wanted.state == LOCKED:
        conditions.append(is_locked)
    elif wanted.state:
        conditions += [Workspace.state == wanted.state, ~is_locked]
    found = sa.select(Workspace).where(*conditions, *_named(wanted.search)).options(*_WITH_PAYER)
    rank = sa.case(
        (is_locked, 0), (Workspace.state == BEING_MADE, 1), (Workspace.state == CLOSED, 3), else_=2
    )
    return paginate(found.order_by(rank, Workspace.id.desc()), page, PER_PAGE, mark=is_locked)


def paid_by(subscription: Subscription, search: str = "", page: int = 1) -> Pagination:
    """A page of the workspaces a subscription pays for, newest first. One statement. ``search``: :func:`_named`."""
    bound = settlement.bound_to(subscription.id)
    return _page(sa.select(Workspace).where(bound, Workspace.state != DISSOLVED, *_named(search)), page)


def coming_back_to(subscription: Subscription) -> int:
    """How many locked workspaces the same cloud account paid for before, which its new subscription unlocks: the job
    that does it is :func:`.endings.bring_back`."""
    ended, follows = sa.orm.aliased(Subscription), sa.orm.aliased(Subscription)
    found = db.session.scalar(
        sa.select(sa.func.count())
        .select_from(Workspace)
        .join(ended, ended.id == Workspace.subscription_id)
        .outerjoin(follows, follows.id == ended.successor_id)
        .where(
            ended.cloud_account_id == subscription.cloud_account_id,
            ended.billing_account_id == subscription.billing_account_id,
            ended.id != subscription.id,
            ended.state == ENDED,
            ended.on_end == LOCK,
            sa.or_(follows.id.is_(None), follows.state == ENDED, follows.id == subscription.id),
            Workspace.state == ACTIVE,
        )
    )
    return found or 0


def _named(search: str) -> tuple[sa.ColumnElement[bool], ...]:
    """Those with this text as a part of their name or of their id; all of them without one."""
    columns = (Workspace.name, Workspace.public_id)
    return (sa.or_(*(c.icontains(search, autoescape=True) for c in columns)),) if search else ()


def newest_site(billing_account_id: int, subscription: Subscription) -> str | None:
    """Where this Billing Center account's newest workspace lives, if a subscription may pay for new ones there."""
    site_id = db.session.scalar(
        sa.select(Workspace.site_id)
        .where(Workspace.billing_account_id == billing_account_id)
        .order_by(Workspace.id.desc())
        .limit(1)
    )
    known = {site.id for site in directory.all_sites() if directory.allows(site, *subscription.paid_through)}
    return site_id if site_id in known else None


def _page(wanted: sa.Select[Workspace], page: int) -> Pagination:
    return paginate(wanted.options(*_WITH_PAYER).order_by(Workspace.id.desc()), page, PER_PAGE)


def is_made_by(origin: str, name: str) -> bool:
    """Whether this origin has ordered a workspace of this name."""
    made = sa.exists().where(Workspace.origin == origin, Workspace.name == name)
    return bool(db.session.scalar(sa.select(made)))


def of_payer(public_id: str, billing_account_id: int) -> Workspace | None:
    """A workspace this Billing Center account settles. None for anybody else's."""
    return _one(public_id, Workspace.billing_account_id == billing_account_id)


def all_of_payer(public_ids: Sequence[str], billing_account_id: int) -> list[Workspace]:
    """Those of these workspaces that this Billing Center account settles."""
    named = [public_id for public_id in public_ids if _PUBLIC_ID.fullmatch(public_id)]
    if not named:
        return []
    wanted = sa.select(Workspace).where(
        Workspace.public_id.in_(named), Workspace.billing_account_id == billing_account_id
    )
    return list(db.session.scalars(wanted.options(*_WITH_PAYER).order_by(Workspace.id)))


def of_owner(public_id: str, account: ConsoleAccount) -> Workspace | None:
    """A workspace this console account owns. None for anybody else's."""
    return _one(public_id, Workspace.owner_id == account.id)


def _one(public_id: str, whose: sa.ColumnElement[bool]) -> Workspace | None:
    if not _PUBLIC_ID.fullmatch(public_id):
        return None  # Not every text is one that a database takes.
    wanted = sa.select(Workspace).where(Workspace.public_id == public_id, whose)
    return db.session.scalar(wanted.options(*_WITH_PAYER))
