"""The inbox: each message counts once, whenever it comes and in whatever order; none is lost for want of a purchase."""

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.aws_says import (
    BEGAN,
    created,
    deprovisioned,
    ended,
    legacy,
    license_arn,
    licensed,
    life,
    renewed_as,
)
from tests.support.factories import alerts_in, recorded
from tests.support.races import race, results
from tests.support.sandbox import PRODUCT, LiveSandbox
from tests.support.walk import Walk
from tests.support.world import World
from wizard import clock
from wizard.billing import endings, settlement, subscriptions
from wizard.billing.models import (
    ACTIVE,
    CANCELLED,
    DEPROVISIONED,
    ENDED,
    EXPIRED,
    RENEWED,
    Subscription,
    Workspace,
)
from wizard.extensions import db
from wizard.marketplaces import inbox
from wizard.marketplaces.models import Message
from wizard.outbox.models import OutboxEntry
from wizard.worker import keep_calendar

Another = Callable[..., Walk]
CUSTOMER = "X01EXAMPLEX"


def hear(app: Flask, *bodies: dict[str, Any], at: datetime | None = None) -> list[str]:
    """What became of each message that came from the queue of a partition."""
    outcomes = []
    for body in bodies:
        with app.app_context():
            here = inbox.all_marketplaces()["aws-cn" if "action" in body else "aws"]
            number = f"{body.get('action')}-{at}"
            outcomes.append(inbox.receive(here.read("sqs", json.dumps(body), number, at or BEGAN)))
            db.session.commit()
    return outcomes


def at(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def found(app: Flask, **names: Any) -> Subscription:
    with app.app_context():
        subscription = db.session.scalars(sa.select(Subscription).filter_by(**names)).one()
        _ = subscription.successor
        return subscription


def messages(app: Flask) -> list[Message]:
    with app.app_context():
        return list(db.session.scalars(sa.select(Message).order_by(Message.id)))


def agreement(number: str) -> subscriptions.Purchase:
    """What a token proves of an agreement, of a listing that tells the customer as well."""
    name = f"agmt-{number}"
    key = f"aws:aws:agreement:{name}"
    return subscriptions.Purchase("aws", "aws", key, PRODUCT, "1".zfill(12), name, "", CUSTOMER)


def customer(app: Flask) -> None:
    """Somebody who subscribed to a legacy listing."""
    with app.app_context():
        subscriptions.record(
            subscriptions.Purchase(
                "aws",
                "aws-cn",
                f"aws:aws-cn:customer:payg-cn-4w9t1r8e6y:{CUSTOMER}",
                "payg-cn-4w9t1r8e6y",
                "473081256394",
                customer_identifier=CUSTOMER,
            )
        )
        db.session.commit()


# Once -----------------------------------------------------------------------------------------------------------


def test_an_end_ends_and_coming_again_it_changes_nothing(app: Flask, work: Callable[[], int]) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        harbour = world.workspace(bought).id
    body = ended("agmt-1")
    assert hear(app, body, body, body) == ["applied", "duplicate", "duplicate"]
    gone = found(app, agreement_id="agmt-1")
    assert (gone.state, gone.why, gone.ended_at, gone.lives) == (ENDED, CANCELLED, at(60), 1)
    work()
    with app.app_context():
        workspace = db.session.get_one(Workspace, harbour)
        assert settlement.is_locked(workspace)
        assert workspace.locked_at
    assert [message.applied_at is not None for message in messages(app)] == [True]


def test_sixteen_that_bring_one_message_at_once_apply_it_once(app: Flask) -> None:
    with app.app_context():
        World().purchase("1")
    body = ended("agmt-1")
    outcomes = results(race(16, lambda _n: hear(app, body)[0]))
    assert sorted(outcomes) == ["applied"] + ["duplicate"] * 15
    assert found(app, agreement_id="agmt-1").lives == 1


def test_messages_of_one_purchase_that_come_at_once_all_count(app: Flask) -> None:
    """Whoever is second has to see what the first one brought."""
    with app.app_context():
        World().purchase("1")
    bodies = [*life("agmt-1", "RENEWED"), renewed_as("agmt-2", "agmt-1", 59), licensed("agmt-2", 59)]
    results(race(len(bodies), lambda n: hear(app, bodies[n])[0]))
    with app.app_context():
        keep_calendar(app)
    old, new = found(app, agreement_id="agmt-1"), found(app, agreement_id="agmt-2")
    assert (old.state, old.why, old.license_arn) == (ENDED, RENEWED, license_arn("agmt-1"))
    assert (old.successor_id, new.state, new.license_arn) == (new.id, ACTIVE, license_arn("agmt-2"))
    assert all(message.applied_at for message in messages(app))


# In any order ---------------------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite")
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_number_of_a_purchases_messages_end_the_same(app: Flask, data: st.DataObject) -> None:
    """The short life of a renewed agreement, its licence told by an event only; and it is registered somewhere among
    them."""
    number = str(data.draw(st.uuids())).replace("-", "")
    old, new = f"agmt-{number}", f"agmt-{number}b"
    told = [*life(old, "RENEWED"), renewed_as(new, old, 59), licensed(new, 60)]
    came = data.draw(st.permutations([*told, *data.draw(st.lists(st.sampled_from(told), max_size=3))]))
    registered = data.draw(st.integers(0, len(came)))
    hear(app, *came[:registered])
    with app.app_context():
        bought = subscriptions.record(
            subscriptions.Purchase("aws", "aws", f"aws:aws:agreement:{old}", PRODUCT, "782858285006", old)
        )
        inbox.landed(bought, f"token-{number}", is_new=True)
        db.session.commit()
    hear(app, *came[registered:])
    first, second = found(app, agreement_id=old), found(app, agreement_id=new)
    assert (first.state, first.why, first.ended_at) == (ENDED, RENEWED, at(60))
    assert (first.successor_id, first.license_arn) == (second.id, license_arn(old))
    assert (second.state, second.license_arn) == (ACTIVE, license_arn(new))
    with app.app_context():
        assert not db.session.scalar(sa.select(sa.func.count()).where(Message.applied_at.is_(None)))


@pytest.mark.engines("sqlite")
def test_a_message_older_than_what_is_known_changes_nothing(app: Flask) -> None:
    customer(app)
    hear(app, legacy("unsubscribe-success", CUSTOMER), at=at(90))
    before = found(app, customer_identifier=CUSTOMER)
    assert (before.state, before.ended_at) == (ENDED, at(90))
    hear(app, legacy("subscribe-success", CUSTOMER), at=at(0))
    after = found(app, customer_identifier=CUSTOMER)
    assert (after.state, after.ended_at, after.lives) == (ENDED, at(90), before.lives)
    hear(app, legacy("subscribe-success", CUSTOMER), at=at(95))
    assert found(app, customer_identifier=CUSTOMER).state == ACTIVE


# Not known yet ----------------------------------------------------------------------------------------------------


def test_what_came_before_the_buyer_counts_when_they_land(
    app: Flask, walk: Walk, work: Callable[[], int]
) -> None:
    """Within the landing itself, and in its budget of statements."""
    bought = walk.marketplace.buy()
    agreement = bought["agreementId"]
    told = [created(agreement), {**licensed(agreement)}, ended(agreement, minutes=2)]
    assert hear(app, *told) == ["waits"] * 3
    walk.bought = bought
    walk.land()
    gone = found(app, agreement_id=agreement)
    assert (gone.state, gone.why) == (ENDED, CANCELLED)
    assert all(message.applied_at for message in messages(app))
    work()
    assert found(app, agreement_id=agreement).lives == 1


@pytest.mark.engines("sqlite")
def test_a_message_that_came_at_the_very_moment_of_the_landing_is_found_a_moment_later(
    app: Flask, work: Callable[[], int]
) -> None:
    """It saw no purchase, and the landing saw no message."""
    assert hear(app, ended("agmt-1")) == ["waits"]
    with app.app_context():
        bought = World().purchase("1")
        inbox.outbox.enqueue("marketplaces.replay", {"subscription": bought.id}, "replay:1")
        db.session.commit()
    work()
    assert found(app, agreement_id="agmt-1").state == ENDED


def test_the_calendar_applies_what_waits_and_is_known_by_now(app: Flask) -> None:
    hear(
        app,
        ended("agmt-1"),
        ended("agmt-2"),
        renewed_as("agmt-4", "agmt-3", 59),
        ended("agmt-3", 60, "RENEWED"),
    )
    hear(app, legacy("unsubscribe-success", CUSTOMER), at=datetime.now(UTC))
    customer(app)
    with app.app_context():
        world = World()
        world.purchase("1")
        world.purchase("3")
    keep_calendar(app)
    assert found(app, agreement_id="agmt-1").state == ENDED
    assert found(app, customer_identifier=CUSTOMER).state == ENDED
    assert found(app, agreement_id="agmt-4").state == ACTIVE
    assert [message.agreement_id for message in messages(app) if message.applied_at is None] == ["agmt-2"]
    before = [(message.tries, message.try_after) for message in messages(app)]
    keep_calendar(app)
    assert [(message.tries, message.try_after) for message in messages(app)] == before
    with clock.later(timedelta(days=2)):
        keep_calendar(app)
        (waits,) = [message for message in messages(app) if message.applied_at is None]
        assert waits.try_after > clock.now() + timedelta(days=1), "ever more rarely"
    with app.app_context():
        World("grace").purchase("2")
    with clock.later(timedelta(days=5)):
        keep_calendar(app)
    assert found(app, agreement_id="agmt-2").state == ENDED


def test_a_mistake_in_applying_what_waited_stops_no_buyer(
    app: Flask, walk: Walk, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    walk.bought = walk.marketplace.buy()
    hear(app, ended(walk.bought["agreementId"], minutes=2))

    def mistaken(*_anything: object) -> bool:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(endings, "live", mistaken)
        walk.land()
    assert walk.page.status == 200
    assert found(app).state == ACTIVE
    work()
    assert found(app).state == ENDED


@pytest.mark.engines("sqlite")
def test_a_purchase_known_by_its_licence_alone_learns_its_agreement_and_then_its_end(app: Flask) -> None:
    hear(app, ended("agmt-9"), licensed("agmt-9"))
    arn = license_arn("agmt-9")
    with app.app_context():
        bought = subscriptions.record(
            subscriptions.Purchase("aws", "aws", f"aws:aws:license:{arn}", PRODUCT, "1", license_arn=arn)
        )
        inbox.landed(bought, "token", is_new=True)
        db.session.commit()
    gone = found(app, license_arn=arn)
    assert (gone.agreement_id, gone.state) == ("agmt-9", ENDED)
    other = license_arn("agmt-8")
    with app.app_context():
        subscriptions.record(
            subscriptions.Purchase("aws", "aws", f"aws:aws:license:{other}", PRODUCT, "2", license_arn=other)
        )
        db.session.commit()
    assert hear(app, licensed("agmt-8"), ended("agmt-8")) == ["applied", "applied"]
    assert found(app, license_arn=other).state == ENDED


@pytest.mark.engines("sqlite")
def test_who_lands_with_a_new_token_long_after_the_end_has_subscribed_again(
    app: Flask, another: Another, marketplace: LiveSandbox
) -> None:
    first = another().land(partition="aws-cn")
    identifier = found(app).customer_identifier
    assert identifier
    hear(app, legacy("unsubscribe-success", identifier, first.bought["productCode"]), at=clock.now())
    assert found(app).state == ENDED

    def land_again() -> str:
        walk = another()
        walk.bought = marketplace.buy(agreementId=first.bought["agreementId"])
        walk.land()
        return found(app).state

    assert land_again() == ENDED, "within a token's life it may be the old purchase"
    with clock.later(timedelta(hours=5)):
        assert land_again() == ACTIVE


@pytest.mark.engines("sqlite")
def test_the_end_of_one_of_a_customers_agreements_ends_no_other(app: Flask) -> None:
    """A notification cannot say which of them it is about: each is asked about, and one that goes on goes on."""
    with app.app_context():
        for number in "12":
            subscriptions.record(agreement(number))
        db.session.commit()
    hear(app, ended("agmt-1"))
    with app.app_context():
        here = inbox.all_marketplaces()["aws"]
        told = json.dumps(legacy("unsubscribe-success", CUSTOMER, PRODUCT))
        assert inbox.receive(here.read("sqs", told, "1", clock.now())) == "applied"
        db.session.commit()
        asked = db.session.scalars(
            sa.select(OutboxEntry.payload).where(OutboxEntry.kind == "marketplaces.read_status")
        ).all()
    states = {number: found(app, agreement_id=f"agmt-{number}") for number in "12"}
    assert {number: one.state for number, one in states.items()} == {"1": ENDED, "2": ACTIVE}
    assert sorted(one["subscription"] for one in asked) == sorted(one.id for one in states.values())


@pytest.mark.engines("sqlite")
def test_a_landing_adds_the_names_a_renewal_lacks_and_changes_none(app: Flask) -> None:
    with app.app_context():
        World().purchase("1")
    hear(app, renewed_as("agmt-2", "agmt-1", 59), ended("agmt-1", 60, "RENEWED"))
    before = found(app, agreement_id="agmt-2")
    assert (before.license_arn, before.customer_identifier, before.product_code) == (None, None, "p")
    for arn in (license_arn("agmt-2"), license_arn("agmt-7")):
        with app.app_context():
            subscriptions.record(replace(agreement("2"), license_arn=arn))
            db.session.commit()
    after = found(app, agreement_id="agmt-2")
    assert (after.id, after.product_code) == (before.id, "p")
    assert (after.license_arn, after.customer_identifier) == (license_arn("agmt-2"), CUSTOMER)


@pytest.mark.engines("sqlite")
def test_what_one_partition_says_is_not_of_another(app: Flask) -> None:
    with app.app_context():
        World().purchase("1")
        china = inbox.all_marketplaces()["aws-cn"]
        told = china.read("sqs", json.dumps(ended("agmt-1")), "1", BEGAN)
        assert inbox.receive(told) == "waits"
        db.session.commit()
    keep_calendar(app)
    hear(app, licensed("agmt-1"))
    assert found(app, agreement_id="agmt-1").state == ACTIVE


# What nobody can keep ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "refused",
    [
        {"at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-10)))},
        {"kind": "half a \ud800 character"},
        {"payload": {"half": "a \ud800 character"}, "why": "\ud800"},
    ],
    ids=["time", "kind", "why"],
)
def test_what_the_database_cannot_keep_is_set_aside_and_takes_nothing_with_it(
    app: Flask, refused: dict[str, Any]
) -> None:
    with app.app_context():
        World().purchase("1")
        here = inbox.all_marketplaces()["aws"]
        read = [here.read("sqs", json.dumps(body), "m", BEGAN) for body in (ended("agmt-1"), ended("agmt-2"))]
        with recorded() as records:
            outcomes = [inbox.receive(replace(read[1], **refused)), inbox.receive(read[0])]
        db.session.commit()
        assert outcomes == ["unreadable", "applied"]
        assert inbox.receive(replace(read[1], **refused)) == "duplicate"
        db.session.rollback()
    assert alerts_in(records).count("message") == 1
    aside, applied = messages(app)
    assert (aside.message_id, aside.kind, bool(aside.problem)) == (read[1].message_id, "unreadable", True)
    assert applied.applied_at


@pytest.mark.engines("postgresql")
def test_two_that_tell_of_a_renewal_at_once_wait_for_each_other_in_one_order(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was renewed as landed first, and so has the smaller number."""
    with app.app_context():
        for number in "21":
            subscriptions.record(agreement(number))
            db.session.commit()
    hear(app, renewed_as("agmt-2", "agmt-1", 59))
    hold, both = subscriptions.hold, threading.Barrier(2)

    def held(subscription: Subscription) -> None:
        hold(subscription)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # Until the other holds one as well, if it can.

    monkeypatch.setattr(subscriptions, "hold", held)
    bodies = [renewed_as("agmt-2", "agmt-1", 59), ended("agmt-1", 60, "RENEWED")]
    assert results(race(2, lambda n: hear(app, bodies[n])[0])) == ["applied"] * 2
    assert found(app, agreement_id="agmt-1").successor_id == found(app, agreement_id="agmt-2").id


# A mistake of ours ------------------------------------------------------------------------------------------------


def test_a_mistake_in_applying_loses_no_message(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        World().purchase("1")

    def mistaken(*_anything: object) -> bool:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        broken.setattr(endings, "live", mistaken)
        assert hear(app, ended("agmt-1")) == ["failed"]
        assert found(app, agreement_id="agmt-1").state == ACTIVE
        with recorded() as records:
            for hour in range(1, 10):
                with clock.later(timedelta(hours=hour)):
                    keep_calendar(app)
        assert alerts_in(records).count("message") == 1
        (message,) = messages(app)
        assert (message.tries, message.problem) == (inbox.MOST_TRIES, inbox.NOT_APPLIED)
    hear(app, deprovisioned("agmt-1"))
    assert found(app, agreement_id="agmt-1").why == CANCELLED, (
        "the next message of its purchase takes it along"
    )
    assert [message.problem for message in messages(app)] == ["", ""]


@pytest.mark.engines("sqlite")
def test_a_mistake_in_one_part_of_the_calendar_keeps_no_other_from_being_done(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        World().purchase("1")
    hear(app, deprovisioned("agmt-1"))

    def mistaken() -> bool:
        raise ZeroDivisionError

    monkeypatch.setattr(inbox, "replay_waiting", mistaken)
    with clock.later(timedelta(minutes=61)), recorded() as records:
        keep_calendar(app)
    assert alerts_in(records) == ["worker"]
    assert found(app, agreement_id="agmt-1").why == DEPROVISIONED


# What the calendar decides ----------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite")
def test_a_licence_taken_back_ends_its_purchase_when_an_hour_brought_no_reason(app: Flask) -> None:
    with app.app_context():
        world = World()
        for number in "123":
            world.purchase(number)
    hear(
        app,
        deprovisioned("agmt-1"),
        deprovisioned("agmt-2"),
        ended("agmt-2", 60, "EXPIRED"),
        deprovisioned("agmt-3"),
    )
    with clock.later(timedelta(minutes=59)):
        keep_calendar(app)
    assert found(app, agreement_id="agmt-1").state == ACTIVE
    with clock.later(timedelta(minutes=61)):
        keep_calendar(app)
        keep_calendar(app)
    first = found(app, agreement_id="agmt-1")
    assert (first.state, first.why, first.ended_at) == (ENDED, DEPROVISIONED, at(61))
    assert found(app, agreement_id="agmt-2").why == EXPIRED
    assert sum(message.road == "calendar" for message in messages(app)) == 2
    hear(app, ended("agmt-3", 60, "RENEWED"))
    third = found(app, agreement_id="agmt-3")
    assert (third.why, third.ended_at, third.on_end) == (RENEWED, at(60), "stay")
