"""Journeys: begun, found again by the browser or the account they belong to, written about."""

import re
import secrets
from datetime import timedelta
from typing import Any

import sqlalchemy as sa
from flask import current_app, session
from flask_babel import get_locale
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from wizard import clock, logs
from wizard.accounts import sessions
from wizard.accounts.models import BillingAccount, Session
from wizard.billing.models import ACTIVE, Subscription, Workspace
from wizard.extensions import change, db
from wizard.flows.models import BINDING, CHANGING, REGISTERING, Journey, JourneyEvent
from wizard.i18n import language_of
from wizard.marketplaces.models import Arrival

UNPROVEN_LIFE = timedelta(hours=24)
PROVEN_LIFE = timedelta(days=30)
AFTERLIFE = timedelta(days=7)

_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter that can be taken for a digit when it is read out."""

_SHAPE = re.compile("[A-Z]{2}-[0-9A-Z]{4}-[0-9A-Z]{4}")

UNFINISHED = (Journey.finished_at.is_(None), Journey.workspace_id.is_(None))
"""The conditions for a journey on which something is left to do: see :attr:`Journey.is_finished`."""

_WITH_FACTS = (
    joinedload(Journey.arrival).lazyload(Arrival.subscription),  # Its own is asked for, below.
    joinedload(Journey.subscription),
    joinedload(Journey.console_account),
    joinedload(Journey.billing_account),
    joinedload(Journey.offered_account),
    joinedload(Journey.workspace),
)


def new_reference() -> str:
    """A reference people can read out: the brand's first letters, then forty random bits."""
    letters = [secrets.choice(_LETTERS) for _ in range(8)]
    brand = "".join(c for c in current_app.extensions["brand"].name.upper() if c.isascii() and c.isalpha())
    return f"{(brand + 'XX')[:2]}-{''.join(letters[:4])}-{''.join(letters[4:])}"


def fresh(flow: str, arrival: Arrival | None = None) -> Journey:
    """A journey that is not written yet; a GET can show its first page.

    Without an arrival its coming reference waits in the signed cookie, so that a double click or a second
    tab begins one journey.
    """
    if arrival is None:
        reference = session.setdefault("coming", new_reference())
    else:
        reference = new_reference()
    return _new(
        flow,
        UNPROVEN_LIFE,
        reference=reference,
        arrival_id=arrival.id if arrival else None,
        subscription=arrival.subscription if arrival else None,
    )


def of_signed_in(flow: str, subscription: Subscription, billing_account: BillingAccount) -> Journey:
    """A journey, not written yet, of somebody whose Billing Center account and purchase are known."""
    facts = {"subscription": subscription, "billing_account": billing_account}
    return _new(flow, PROVEN_LIFE, reference=new_reference(), **facts)


def of_change(billing_account: BillingAccount, awaits: str | None = None, **answers: Any) -> Journey:
    """A journey, not written yet, on which a Billing Center account changes what settles its workspaces."""
    here = db.session.merge(
        billing_account, load=False
    )  # Whoever is signed in was read before the limits counted.
    facts = {"billing_account": here, "billing_account_id": here.id, "awaits": awaits}
    return _new(CHANGING, PROVEN_LIFE, reference=new_reference(), **facts, answers=answers)


def _new(flow: str, life: timedelta, **facts: Any) -> Journey:
    now = clock.now()
    locale = language_of(str(get_locale()))
    about = {"created_at": now, "expires_at": now + life, "answers": {}, **facts}
    return Journey(flow=flow, locale=locale, **about)


class NotYours(Exception):
    """The reference or the arrival has begun a journey that is proven by now: it is opened by its own session."""


def begin(journey: Journey) -> Journey:
    """Write a fresh journey down and give this browser its session. A change of settlement has none: who is signed in
    to its Billing Center account opens it, and nobody else.

    If a parallel request wrote it first (same reference, same arrival), that one is returned. Raises
    :class:`NotYours` when its address is proven by now: an old cookie opens nothing.
    """
    try:
        with db.session.begin_nested():
            db.session.add(journey)
    except IntegrityError:
        same = Journey.reference == journey.reference
        if journey.arrival_id is not None:
            same = Journey.arrival_id == journey.arrival_id
        journey = db.session.scalars(sa.select(Journey).where(same).options(*_WITH_FACTS)).one()
        if is_proven(journey):
            session.pop("coming", None)
            raise NotYours from None
    if journey.flow == CHANGING:
        logs.concerns(journey.reference)
        return journey
    session.pop("coming", None)
    session["journey"] = journey.reference
    logs.concerns(journey.reference)
    sessions.start("journey", journey.id, label=journey.reference)
    return journey


def mine(reference: str) -> Journey | None:
    """The journey of this reference if it belongs to this browser, with every fact a step may ask for."""
    mine_here = sessions.where_mine("journey", reference) if _SHAPE.fullmatch(reference) else None
    if mine_here is None:
        return None
    row = db.session.execute(
        sa.select(Journey, Session)
        .join(Session, Session.subject == Journey.id)
        .where(mine_here, Journey.reference == reference)
        .options(*_WITH_FACTS)
    ).first()
    if row is None:
        return None
    sessions.follow(row.Session, reference)
    logs.concerns(reference)
    found: Journey = row.Journey
    return found


def of_accounts(
    reference: str, console_account_id: int | None, billing_account_id: int | None
) -> Journey | None:
    """The journey of this reference if one of these accounts opens it: see :func:`is_of`."""
    if not _SHAPE.fullmatch(reference) or (console_account_id, billing_account_id) == (None, None):
        return None
    found = db.session.scalar(sa.select(Journey).where(Journey.reference == reference).options(*_WITH_FACTS))
    return found if found is not None and is_of(found, console_account_id, billing_account_id) else None


def is_of(journey: Journey, console_account_id: int | None, billing_account_id: int | None) -> bool:
    """Whether signing in opens a journey: to the Billing Center account bound on it, and before one is, to the
    console account it made. What an account of one area may do, the other's password does not give."""
    if is_bound(journey):
        return journey.billing_account_id == billing_account_id
    return journey.console_account_id is not None and journey.console_account_id == console_account_id


def is_bound(journey: Journey) -> bool:
    """Whether a Billing Center account has been bound on it: from then on it is that account's."""
    return journey.flow != REGISTERING and journey.billing_account_id is not None


def of_its_console_account() -> sa.ColumnElement[bool]:
    """The condition for journeys that are the console account's they made: none is bound on them."""
    unbound = sa.or_(Journey.flow == REGISTERING, Journey.billing_account_id.is_(None))
    return sa.and_(Journey.console_account_id.is_not(None), unbound)


def latest_here() -> Journey | None:
    """The journey this browser was last on, if it still may open it."""
    reference = session.get("journey")
    return mine(reference) if reference else None


def leave_here() -> None:
    """This browser leaves every journey it is on, also one it was on before it was closed."""
    sessions.stop_every("journey")
    session.pop("journey", None)


def ids_of(console_account_id: int) -> sa.Select[int]:
    """The ids of the journeys an account has made or come from."""
    return sa.select(Journey.id).where(Journey.console_account_id == console_account_id)


def ids_of_payer(billing_account_id: int) -> sa.Select[int]:
    """The ids of the journeys on which a Billing Center account was made or bound."""
    return sa.select(Journey.id).where(Journey.billing_account_id == billing_account_id)


def unfinished_of(console_account_id: int) -> Journey | None:
    """The newest journey a console account has made and not finished. Who came to a workspace another way is done,
    unless a purchase waits."""
    has_workspace = sa.exists().where(Workspace.owner_id == console_account_id)
    return db.session.scalar(
        sa.select(Journey)
        .where(
            Journey.console_account_id == console_account_id,
            of_its_console_account(),
            *UNFINISHED,
            sa.or_(Journey.subscription_id.is_not(None), ~has_workspace),
        )
        .order_by(Journey.id.desc())
        .limit(1)
        .options(*_WITH_FACTS)
    )


def unfinished_of_payer(billing_account_id: int, subscription_id: int) -> Journey | None:
    """The newest journey on which this Billing Center account was bound to a purchase and that nobody has finished."""
    wanted = sa.select(Journey).where(
        *_unfinished_of_payer(billing_account_id), Journey.subscription_id == subscription_id
    )
    return db.session.scalar(wanted.order_by(Journey.id.desc()).limit(1).options(*_WITH_FACTS))


def left_undone(billing_account_id: int) -> Journey | None:
    """What this Billing Center account goes on with when it signs in: a change of settlement it left for a marketplace
    not long ago; else the newest purchase it was bound to that pays for nothing yet, for who has bound something is
    done enough not to be led back. One statement."""
    left_at_marketplace = sa.and_(
        *_waiting_change(billing_account_id),
        Journey.awaits.is_not(None),
        Journey.created_at > clock.now() - UNPROVEN_LIFE,
    )
    pays_for_nothing = sa.and_(
        *_unfinished_of_payer(billing_account_id),
        ~sa.exists().where(Workspace.subscription_id == Journey.subscription_id),
    )
    return db.session.scalar(
        sa.select(Journey)
        .where(sa.or_(left_at_marketplace, pays_for_nothing))
        .order_by(sa.case((Journey.flow == CHANGING, 0), else_=1), Journey.id.desc())
        .limit(1)
        .options(*_WITH_FACTS)
    )


def _unfinished_of_payer(billing_account_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Journey.billing_account_id == billing_account_id,
        Journey.flow == BINDING,
        *UNFINISHED,
        Journey.expires_at > clock.now(),
        sa.exists().where(Subscription.id == Journey.subscription_id, Subscription.state == ACTIVE),
    )


def unfinished_for(billing_account_id: int, subscription_ids: list[int]) -> dict[int, str]:
    """Purchase → the reference of the newest journey :func:`unfinished_of_payer` would find for it. One statement."""
    rows = db.session.execute(
        sa.select(Journey.subscription_id, Journey.reference)
        .where(*_unfinished_of_payer(billing_account_id), Journey.subscription_id.in_(subscription_ids))
        .order_by(Journey.id)
    )
    return {row.subscription_id: row.reference for row in rows}


def waiting_change(billing_account_id: int, provider: str) -> Journey | None:
    """The newest change of settlement of this Billing Center account that waits for a purchase of this provider."""
    wanted = sa.select(Journey).where(*_waiting_change(billing_account_id), Journey.awaits == provider)
    return db.session.scalar(wanted.order_by(Journey.id.desc()).limit(1).options(*_WITH_FACTS))


def _waiting_change(billing_account_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        Journey.billing_account_id == billing_account_id,
        Journey.flow == CHANGING,
        *UNFINISHED,
        Journey.awaits.is_not(None),
        Journey.expires_at > clock.now(),
    )


def note(journey: Journey, step: str, what: str, **detail: Any) -> None:
    """Write down that something happened. ``detail`` must be masked and without secrets."""
    db.session.add(JourneyEvent(journey_id=journey.id, at=clock.now(), step=step, what=what, detail=detail))


def answer(journey: Journey, **answers: Any) -> None:
    """Keep answers by field name. Never a password or a code."""
    journey.answers = {**journey.answers, **answers}


def forget(journey: Journey, *names: str) -> None:
    """What was answered under these names is done with."""
    journey.answers = {name: value for name, value in journey.answers.items() if name not in names}


def prove(journey: Journey, address: str) -> None:
    """The address was proven: the journey lives longer, and this browser gets a new session id."""
    journey.verified_email = address
    grow(journey)


def grow(journey: Journey) -> None:
    """Somebody has shown who they are: the journey lives longer, and this browser gets a new session id."""
    journey.expires_at = clock.now() + PROVEN_LIFE
    sessions.rotate("journey", journey.reference)


def is_proven(journey: Journey) -> bool:
    """Whether anything was shown on it that a stranger must not come by."""
    return journey.verified_email is not None or journey.billing_account_id is not None


def finish(journey: Journey) -> None:
    """The customer has what they came for."""
    journey.finished_at = clock.now()


def is_over(journey: Journey) -> bool:
    """A walk ends some day; who has registered on it may always go on where they stopped."""
    return journey.expires_at <= clock.now() and (journey.console_account_id is None or is_bound(journey))


def pay_with(journey: Journey, subscription: Subscription) -> None:
    """From now on this purchase is what will pay."""
    journey.subscription = subscription
    journey.awaits = None


def sweep() -> None:
    """Forget people who never came to an account, a week after their journey was over; of the others, what they
    typed and did not send."""
    past = Journey.expires_at < clock.now() - AFTERLIFE
    over = sa.select(Journey.id).where(
        past, Journey.console_account_id.is_(None), Journey.billing_account_id.is_(None)
    )
    change(sa.delete(JourneyEvent).where(JourneyEvent.journey_id.in_(over)))
    sessions.stop_all(sessions.of("journey", over))  # SQLite may give another journey the same id.
    change(sa.delete(Journey).where(Journey.id.in_(over)))
    typed = sa.or_(Journey.password_hash.is_not(None), sa.cast(Journey.answers, sa.String) != "{}")
    change(
        sa.update(Journey)
        .where(past, Journey.flow == BINDING, typed)
        .values(answers={}, password_hash=None, verified_email=None)
    )
    # Landings nobody went on from; a journey keeps the one it began with.
    begun = sa.select(Journey.arrival_id).where(Journey.arrival_id.is_not(None))
    change(sa.delete(Arrival).where(Arrival.expires_at < clock.now() - AFTERLIFE, Arrival.id.not_in(begun)))
