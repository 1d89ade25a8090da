"""Purchases: recorded once however often a marketplace speaks of them, claimed by one Billing Center account."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from flask_sqlalchemy.pagination import Pagination
from sqlalchemy.orm import joinedload
from sqlalchemy.orm.attributes import set_committed_value

from wizard import clock, outbox
from wizard.accounts.models import BillingAccount
from wizard.billing.models import (
    ACTIVE,
    BILLING_CENTER,
    DISSOLVED,
    LOCK,
    CloudAccount,
    Subscription,
    Workspace,
)
from wizard.extensions import change, db, insert
from wizard.lists import paginate


class SubscriptionTaken(Exception):
    """Another Billing Center account claimed this purchase first. Never say whose it is."""


@dataclass(frozen=True)
class Purchase:
    """What a marketplace proved about one purchase. Empty texts where it said nothing.

    ``identity`` is the purchase's own key, which its marketplace's module makes of the strongest identifier
    there. AWS: ``agreement_id`` and ``license_arn`` for listings since 2026, ``customer_identifier`` for older
    ones and for China, where even ``account_id`` may be missing (ResolveCustomer, API 2016-01-14).
    """

    provider: str
    partition: str
    identity: str
    product_code: str
    account_id: str = ""
    agreement_id: str = ""
    license_arn: str = ""
    customer_identifier: str = ""


def record(purchase: Purchase) -> Subscription:
    """The subscription of a purchase, written down at its first mention; nobody changes it before our commit.

    A later mention adds the names that the first one lacked, such as those of a renewal that was told of before its
    buyer landed, and changes none. Two statements at its first mention, three where its cloud account was known.
    """
    now = clock.now()
    number = purchase.account_id or purchase.customer_identifier
    account_key = {"provider": purchase.provider, "partition": purchase.partition, "account_id": number}
    # Without a lock where it is there: who renews a purchase holds that one, and then asks for its account.
    account = (
        db.session.scalar(
            insert(CloudAccount)
            .values(**account_key, created_at=now)
            .on_conflict_do_nothing()
            .returning(CloudAccount)
        )
        or db.session.scalars(sa.select(CloudAccount).filter_by(**account_key)).one()
    )
    bought = insert(Subscription).values(
        cloud_account_id=account.id,
        provider=purchase.provider,
        identity=purchase.identity,
        product_code=purchase.product_code,
        agreement_id=purchase.agreement_id or None,
        license_arn=purchase.license_arn or None,
        customer_identifier=purchase.customer_identifier or None,
        state=ACTIVE,
        created_at=now,
    )
    names = ("license_arn", "customer_identifier", "product_code")
    with_names = bought.on_conflict_do_update(
        index_elements=["identity"],
        set_={
            name: sa.func.coalesce(sa.func.nullif(getattr(Subscription, name), ""), bought.excluded[name])
            for name in names
        },
    )
    subscription = db.session.scalars(
        with_names.returning(Subscription), execution_options={"populate_existing": True}
    ).one()
    set_committed_value(subscription, "cloud_account", account)  # It is not read once more.
    return subscription


def claim(subscription_id: int, billing_account_id: int) -> list[outbox.Due]:
    """Make a purchase this Billing Center account's. Raises :class:`SubscriptionTaken` if it is another's.

    Returns what the caller has to enqueue: the first time, what the same cloud account paid for before it cancelled
    comes back to this purchase.
    """
    now = clock.now()
    claimed_at = db.session.scalar(
        sa.update(Subscription)
        .where(
            Subscription.id == subscription_id,
            Subscription.state == ACTIVE,
            sa.or_(
                Subscription.billing_account_id.is_(None),
                Subscription.billing_account_id == billing_account_id,
            ),
        )
        .values(
            billing_account_id=billing_account_id,
            claimed_at=sa.case(
                (Subscription.claimed_at.is_not(None), Subscription.claimed_at),
                # Claimed by a process of the version before, which does not write down when.
                (Subscription.billing_account_id.is_not(None), Subscription.created_at),
                else_=now,
            ),
        )
        .returning(Subscription.claimed_at),
        execution_options={"synchronize_session": False},
    )
    if claimed_at is None:
        raise SubscriptionTaken
    if claimed_at != now:
        return []
    return [
        outbox.Due("billing.bring_back", {"subscription": subscription_id}, f"bring-back:{subscription_id}")
    ]


def inherit(follower: Subscription, of: Subscription) -> bool:
    """Make a renewal the account's that had claimed what it follows, since when it had. False if somebody has it."""
    return bool(
        change(
            sa.update(Subscription)
            .where(Subscription.id == follower.id, Subscription.billing_account_id.is_(None))
            .values(billing_account_id=of.billing_account_id, claimed_at=of.claimed_at)
        )
    )


def is_again(again: Any, ended: Any) -> sa.ColumnElement[bool]:
    """The condition for a purchase to be the re-subscription of one that ended: the same cloud account's, claimed by
    the same Billing Center account, and that after the end at the marketplace, whenever we heard of it. A purchase
    that ran beside the other is none, and what was renewed is followed by its renewal.

    Each is a row, or the table or an alias of it.
    """
    return sa.and_(
        again.id != ended.id,
        again.state == ACTIVE,
        again.cloud_account_id == ended.cloud_account_id,
        again.billing_account_id == ended.billing_account_id,
        again.claimed_at > ended.ended_at,
        ended.on_end == LOCK,
    )


def hold(subscription: Subscription) -> None:
    """Read a purchase anew; nobody changes it, or binds anything to it, before our commit."""
    db.session.refresh(subscription, with_for_update={"of": Subscription})


def payer_of_other_purchase(subscription: Subscription) -> BillingAccount | None:
    """The Billing Center account that another purchase of the same cloud account is bound to, the newest one's."""
    return db.session.scalar(
        sa.select(BillingAccount)
        .join(Subscription, Subscription.billing_account_id == BillingAccount.id)
        .where(
            Subscription.cloud_account_id == subscription.cloud_account_id,
            Subscription.id != subscription.id,
        )
        .order_by(Subscription.id.desc())
        .limit(1)
    )


PER_PAGE = 10


def claimed_by(
    billing_account_id: int, search: str = "", page: int = 1, only_active: bool = False
) -> Pagination:
    """A page of a Billing Center account's purchases: those of one cloud account together, newest first.

    ``search`` looks for a part of the cloud account's number or of any identifier of the purchase, however it is
    spaced. One statement.
    """
    wanted = sa.select(Subscription).where(Subscription.billing_account_id == billing_account_id)
    if only_active:
        wanted = wanted.where(Subscription.state == ACTIVE)
    if found := "".join(search.split()):
        columns = (
            CloudAccount.account_id,
            Subscription.agreement_id,
            Subscription.license_arn,
            Subscription.customer_identifier,
        )
        wanted = wanted.join(Subscription.cloud_account).where(
            sa.or_(*(column.icontains(found, autoescape=True) for column in columns))
        )
    newest_of_its_account = sa.func.max(Subscription.id).over(partition_by=Subscription.cloud_account_id)
    wanted = wanted.order_by(newest_of_its_account.desc(), Subscription.id.desc())
    return paginate(wanted.options(joinedload(Subscription.successor)), page, PER_PAGE)


def of_payer(subscription_id: int, billing_account_id: int) -> Subscription | None:
    """A purchase this Billing Center account has claimed. None for anybody else's."""
    return db.session.scalar(
        sa.select(Subscription).where(
            Subscription.id == subscription_id, Subscription.billing_account_id == billing_account_id
        )
    )


@dataclass(frozen=True)
class Bound:
    """What a subscription pays for: the newest few workspaces, and how many there are."""

    newest: tuple[Workspace, ...] = ()
    count: int = 0


def settled_by(subscription_ids: list[int], most: int = 5) -> dict[int, Bound]:
    """Purchase → the newest few of the workspaces it pays for, and how many there are. One statement for all.

    A purchase that pays for nothing is left out.
    """
    of_one = Workspace.subscription_id
    ranked = (
        sa.select(
            Workspace.id,
            sa.func.row_number().over(partition_by=of_one, order_by=Workspace.id.desc()).label("place"),
            sa.func.count().over(partition_by=of_one).label("count"),
        )
        .where(
            Workspace.subscription_id.in_(subscription_ids),
            Workspace.settlement_method != BILLING_CENTER,
            Workspace.state != DISSOLVED,
        )
        .subquery()
    )
    rows = db.session.execute(
        sa.select(Workspace, ranked.c.count)
        .join(ranked, ranked.c.id == Workspace.id)
        .where(ranked.c.place <= most)
        .options(joinedload(Workspace.owner))
        .order_by(Workspace.id.desc())
    )
    found: dict[int, Bound] = {}
    for workspace, count in rows:
        before = found.get(workspace.subscription_id)
        newest = (*before.newest, workspace) if before else (workspace,)
        found[workspace.subscription_id] = Bound(newest, count)
    return found
