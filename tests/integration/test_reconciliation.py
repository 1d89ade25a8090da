"""What no message told: entitlements that are read anew, and the comparison with AWS once a day."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.support.aws_says import created, deprovisioned, ended, legacy, licensed
from tests.support.factories import alerts_in, count, recorded
from tests.support.mailbox import Mailbox
from tests.support.sandbox import LiveSandbox, in_partition
from tests.support.walk import Walk
from tests.support.world import World
from wizard import clock
from wizard.billing import subscriptions
from wizard.billing.models import ACTIVE, AWS, CANCELLED, DEPROVISIONED, ENDED, EXPIRED, Subscription
from wizard.billing.subscriptions import Purchase
from wizard.extensions import db
from wizard.marketplaces import aws_messages, inbox, reconciliation
from wizard.marketplaces.models import Message
from wizard.outbox.models import OutboxEntry
from wizard.worker import keep_calendar

Another = Callable[..., Walk]
DAY = timedelta(days=1)

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciliation, "PAUSE", 0)


def hear(app: Flask, body: dict[str, Any], partition: str = "aws") -> None:
    with app.app_context():
        here = inbox.all_marketplaces()[partition]
        inbox.receive(here.read("sqs", json.dumps(body), f"{body.get('action')}-{clock.now()}", clock.now()))
        db.session.commit()


def the(app: Flask, **names: Any) -> Subscription:
    with app.app_context():
        return db.session.scalars(sa.select(Subscription).filter_by(**names)).one()


def nightly(app: Flask, work: Callable[[], int], days: float = 0) -> None:
    with clock.later(DAY * days):
        keep_calendar(app)
        work()


# Entitlements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_entitlements_are_read_when_a_message_says_so_and_their_end_is_the_purchases(
    app: Flask,
    another: Another,
    marketplace: LiveSandbox,
    work: Callable[[], int],
    mailbox: Mailbox,
    partition: str,
) -> None:
    silent = {"messages": {"silence": True}}
    walk = another().land(partition=partition, style="legacy", entitlements={"seats": 50}, **silent)
    work()
    first = the(app)
    assert first.entitlements
    assert [(one["dimension"], one["value"]) for one in first.entitlements] == [("seats", 50)]
    updated = legacy("entitlement-updated", first.customer_identifier or "", first.product_code)
    hear(app, updated, partition)
    work()
    again = the(app)
    assert again.entitlements == first.entitlements
    assert again.entitlements_at
    assert first.entitlements_at
    assert again.entitlements_at > first.entitlements_at
    assert again.state == ACTIVE
    marketplace.post(f"/aws/purchases/{walk.bought['agreementId']}/cancel", silent)
    hear(app, updated, partition)
    work()
    gone = the(app)
    assert (gone.entitlements, gone.state, gone.why) == ([], ENDED, EXPIRED)
    before = count(app, Message)
    hear(app, updated, partition)
    work()
    assert count(app, Message) == before + 1, "nothing that becomes nothing is no news"


def test_a_product_paid_by_use_has_no_entitlements_and_goes_on(
    app: Flask, walk: Walk, work: Callable[[], int]
) -> None:
    walk.land(entitlements={}, style="legacy", messages={"silence": True})
    work()
    first = the(app)
    hear(app, legacy("entitlement-updated", first.customer_identifier or "", first.product_code))
    work()
    assert (the(app).entitlements, the(app).state) == ([], ACTIVE)


def test_an_agreement_whose_entitlements_are_gone_ends_only_if_its_status_says_so(
    app: Flask, another: Another, marketplace: LiveSandbox, work: Callable[[], int]
) -> None:
    """A renewal empties the old agreement before anybody has told that it is one."""
    silent = {"messages": {"silence": True}}
    agreement = another().land(entitlements={"seats": 50}, **silent).bought["agreementId"]
    work()
    before = the(app)
    assert before.entitlements
    status, _answer = marketplace.post(f"/aws/purchases/{agreement}/entitlements", {"entitlements": {}})
    assert status == 200
    hear(app, licensed(agreement))
    work()
    assert (the(app).state, the(app).entitlements) == (ACTIVE, before.entitlements)
    marketplace.post(f"/aws/purchases/{agreement}/cancel", silent)
    hear(app, licensed(agreement))
    work()
    assert (the(app).state, the(app).why) == (ENDED, CANCELLED)


# The status of an agreement ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("landed_first", [True, False])
def test_a_notification_about_a_customer_has_each_of_their_agreements_asked_about(
    app: Flask, marketplace: LiveSandbox, work: Callable[[], int], landed_first: bool
) -> None:
    """Whether it came before or after the buyer did."""
    silent = {"messages": {"silence": True}}
    bought = [marketplace.buy(**silent) for _ in range(2)]
    marketplace.post(f"/aws/purchases/{bought[0]['agreementId']}/cancel", silent)

    def land() -> None:
        for one in bought:
            name, product = one["agreementId"], one["productCode"]
            purchase = Purchase(AWS, "aws", f"aws:aws:agreement:{name}", product, "1", name, "", "X01")
            with app.app_context():
                inbox.landed(subscriptions.record(purchase), name, is_new=True)
                db.session.commit()

    if landed_first:
        land()
    hear(app, legacy("subscribe-fail", "X01", bought[0]["productCode"]))
    if not landed_first:
        land()
    work()
    cancelled, goes_on = (the(app, agreement_id=one["agreementId"]) for one in bought)
    assert (cancelled.state, cancelled.why, goes_on.state) == (ENDED, CANCELLED, ACTIVE)
    hear(app, legacy("unsubscribe-success", "X01", bought[0]["productCode"]))
    work()
    read = Message.kind == aws_messages.NOT_ACTIVE
    assert count(app, Message, read) == 1, "of what has ended nothing is read any more"


# Once a day -----------------------------------------------------------------------------------------------------


def test_a_cancellation_nobody_told_us_of_is_told_to_staff_once(
    app: Flask,
    another: Another,
    marketplace: LiveSandbox,
    work: Callable[[], int],
    mailbox: Mailbox,
) -> None:
    silent = {"messages": {"silence": True}}
    walks = [another().land(**silent) for _ in range(3)]
    nightly(app, work)
    support = app.extensions["brand"].support_email
    assert not mailbox.to(support)
    cancelled = walks[1].bought["agreementId"]
    marketplace.post(f"/aws/purchases/{cancelled}/cancel", silent)
    nightly(app, work)
    assert the(app, agreement_id=cancelled).doubt is None, "it has been compared today"
    with recorded() as records:
        nightly(app, work, days=1)
    assert alerts_in(records) == ["doubt"]
    doubted = the(app, agreement_id=cancelled)
    assert (doubted.state, doubted.doubt) == (ACTIVE, "CANCELLED")
    assert doubted.doubted_at
    (mail,) = mailbox.to(support)
    assert cancelled in mail.text
    assert "it is cancelled, and it still pays here" in mail.text
    assert walks[0].bought["agreementId"] not in mail.text
    nightly(app, work, days=2)
    assert len(mailbox.to(support)) == 1
    hear(app, ended(cancelled))
    nightly(app, work, days=3)
    assert len(mailbox.to(support)) == 1


def test_what_ended_without_a_reason_or_was_renewed_as_nothing_is_told(
    app: Flask, work: Callable[[], int], mailbox: Mailbox
) -> None:
    with app.app_context():
        world = World()
        for number in "12":
            world.end(world.purchase(number), DEPROVISIONED if number == "1" else "renewed")
    hear(app, created("agmt-77"))
    hear(app, created("agmt-78"))
    hear(app, ended("agmt-78"))
    hear(app, deprovisioned("agmt-78"))
    nightly(app, work, days=0.9)
    nightly(app, work, days=1.9)
    support = app.extensions["brand"].support_email
    told = "\n".join(mail.text for mail in mailbox.to(support))
    for once in ("agmt-1\n", "agmt-2\n", "agmt-77\n", "no message said why", "nothing said as what"):
        assert told.count(once) == 1, once
    assert "nobody has registered it" in told
    assert "agmt-78" not in told


def test_any_number_of_workers_compare_once_a_day_in_batches(
    app: Flask, work: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "BATCH", 2)
    with app.app_context():
        world = World()
        for number in range(5):
            world.purchase(str(number))
    for _worker in range(3):
        nightly(app, work)
    assert count(app, OutboxEntry, OutboxEntry.kind == "marketplaces.compare") == 4
    assert count(app, OutboxEntry, OutboxEntry.kind == "marketplaces.report") == 1
    assert count(app, OutboxEntry, OutboxEntry.done_at.is_(None)) == 0
    assert count(app, Subscription, Subscription.doubt == "UNKNOWN") == 5, "the sandbox knows none of them"


def test_nothing_is_compared_where_nothing_is_sold(
    make_app: Callable[[Settings], Flask], settings: Settings
) -> None:
    for name in ("aws", "aws-cn", "aws-eusc"):
        settings = in_partition(settings, name, product_codes=())
    off = make_app(replace(settings, sandbox=False))
    keep_calendar(off)
    assert count(off, OutboxEntry) == 0
