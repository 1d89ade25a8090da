"""Queues of SQS: what comes is in the inbox before it is deleted there, and nothing that comes stops the rest."""

import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.support.aws_says import Topic, certificate, created, deprovisioned, ended, event, legacy
from tests.support.client import Client
from tests.support.databases import ROOT, environment
from tests.support.factories import alerts_in, count, recorded
from tests.support.moto import Moto
from tests.support.over_http import until
from tests.support.processes import dying_with_us
from tests.support.sandbox import PRODUCT, LiveSandbox, in_partition, live_sandbox
from tests.support.world import World
from wizard import clock
from wizard.billing import subscriptions
from wizard.billing.models import CANCELLED, ENDED, Subscription
from wizard.extensions import change, db
from wizard.marketplaces import inbox, reconciliation
from wizard.marketplaces.models import Message
from wizard.marketplaces.protocol import Brought, Said, all_marketplaces
from wizard.marketplaces.queues import Listener
from wizard.marketplaces.sns import Certificates
from wizard.outbox.models import OutboxEntry

MakeApp = Callable[[Settings], Flask]
Connect = Callable[..., Flask]

SECONDS = 20


@pytest.fixture
def connect(make_app: MakeApp, settings: Settings, moto: Moto) -> Connect:
    """``connect(queue, topic)``: an app that listens to this queue of moto's, and believes this topic."""

    def made(queue: str, *topics: str) -> Flask:
        there = {"sqs_queues": (queue,), "sqs_endpoint": moto.url, "sns_endpoint": "", "sns_topics": topics}
        return make_app(in_partition(settings, **there))

    return made


def take(app: Flask) -> int:
    """All that is in the queue now, as a listener takes it. Returns how many messages that were."""
    with app.app_context():
        (queue,) = all_marketplaces()["aws"].queues()
    listener, taken = Listener(app, queue, lambda: None), 0
    while True:
        with app.app_context():
            brought = queue.receive(0)
        if not brought:
            return taken
        listener._take(brought)
        taken += len(brought)


def send(moto: Moto, queue: str, *bodies: Any) -> None:
    for body in bodies:
        moto.sqs.send_message(QueueUrl=queue, MessageBody=body if isinstance(body, str) else json.dumps(body))


def subscription(app: Flask, **names: Any) -> Subscription:
    with app.app_context():
        return db.session.scalars(sa.select(Subscription).filter_by(**names)).one()


def messages(app: Flask) -> list[Message]:
    with app.app_context():
        return list(db.session.scalars(sa.select(Message).order_by(Message.id)))


def customer(app: Flask, identifier: str) -> None:
    with app.app_context():
        key = f"aws:aws:customer:{PRODUCT}:{identifier}"
        purchase = subscriptions.Purchase(
            "aws", "aws", key, PRODUCT, "782858285006", customer_identifier=identifier
        )
        subscriptions.record(purchase)
        db.session.commit()


# What comes ---------------------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize("raw", [False, True])
def test_what_a_topic_sends_into_the_queue_counts_and_is_deleted(
    connect: Connect, moto: Moto, raw: bool
) -> None:
    queue = moto.queue()
    topic = moto.topic(queue, raw)
    app = connect(queue, topic)
    customer(app, "X01")
    moto.sns.publish(TopicArn=topic, Message=json.dumps(legacy("unsubscribe-success", "X01", PRODUCT)))
    assert take(app) == 1
    assert subscription(app).why == CANCELLED
    assert moto.left_in(queue) == 0
    (message,) = messages(app)
    assert (message.road, message.kind) == ("sqs", "unsubscribe-success")


@pytest.mark.engines("sqlite")
def test_an_event_that_comes_by_two_roads_is_one_message(connect: Connect, moto: Moto) -> None:
    queue = moto.queue()
    topic = moto.topic(queue)
    app = connect(queue, topic)
    with app.app_context():
        World().purchase("1")
    body = ended("agmt-1")
    send(moto, queue, body, body)
    moto.sns.publish(TopicArn=topic, Message=json.dumps(body))
    assert take(app) == 3
    assert len(messages(app)) == 1
    assert subscription(app).lives == 1
    assert moto.left_in(queue) == 0


@pytest.mark.engines("sqlite")
def test_what_cannot_be_read_is_set_aside_and_stops_nothing(connect: Connect, moto: Moto) -> None:
    queue = moto.queue()
    foreign = moto.topic(queue)
    app = connect(queue, moto.topic(moto.queue()))
    with app.app_context():
        World().purchase("1")
    moto.sns.publish(TopicArn=foreign, Message=json.dumps(legacy("unsubscribe-success", "X01", PRODUCT)))
    send(moto, queue, "no JSON", '{"Records": []}', event("EC2 Instance", "i-1") | {"source": "aws.ec2"})
    send(moto, queue, ended("agmt-1"))
    with recorded() as records:
        assert take(app) == 5
    assert alerts_in(records).count("message") == 4
    assert subscription(app).state == ENDED
    assert moto.left_in(queue) == 0
    aside = [message.problem for message in messages(app) if message.problem]
    assert sorted(aside) == [
        "an event of something else",
        "neither an event nor a notification",
        "not JSON",
        "of a topic that is not ours",
    ]


@pytest.mark.engines("sqlite")
def test_a_message_is_deleted_only_once_the_inbox_has_it(
    connect: Connect, moto: Moto, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = moto.queue(visible_after=0)
    app = connect(queue)
    with app.app_context():
        World().purchase("1")
    send(moto, queue, ended("agmt-1"))

    def gone(*_anything: object) -> str:
        raise ConnectionError("the database is gone")

    with monkeypatch.context() as broken:
        broken.setattr(inbox, "receive", gone)
        with pytest.raises(ConnectionError):
            take(app)
    assert not messages(app)
    assert moto.left_in(queue) == 1
    assert take(app) == 1
    assert subscription(app).state == ENDED


# moto signs as SNS does -----------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite")
def test_what_moto_signed_is_believed_over_https_and_not_when_it_was_altered(
    connect: Connect, moto: Moto, settings: Settings
) -> None:
    queue = moto.queue()
    topic = moto.topic(queue)
    app = connect(queue, topic)
    app.extensions["marketplaces"]["aws"].certificates = Certificates(moto.certificate)
    customer(app, "X01")
    moto.sns.publish(TopicArn=topic, Message=json.dumps(legacy("unsubscribe-success", "X01", PRODUCT)))
    (got,) = moto.sqs.receive_message(QueueUrl=queue)["Messages"]
    envelope = json.loads(got["Body"])
    client = Client(app, origin=settings.public_url)

    def post(sent: dict[str, Any]) -> int:
        headers = {"x-amz-sns-message-type": "Notification", "Content-Type": "text/plain; charset=UTF-8"}
        path = "/marketplaces/aws/notifications"
        return client.post(path, json.dumps(sent).encode(), cross_site=True, headers=headers).status

    assert post({**envelope, "Message": json.dumps(legacy("subscribe-fail", "X01", PRODUCT))}) == 403
    assert not messages(app)
    assert post(envelope) == 200
    assert subscription(app).why == CANCELLED


@pytest.mark.engines("sqlite")
def test_a_subscription_is_confirmed_with_unmodified_boto3(
    make_app: MakeApp, settings: Settings, moto: Moto
) -> None:
    topic = Topic("aws")
    topic.arn = moto.topic(moto.queue())
    app = make_app(in_partition(settings, sns_topics=(topic.arn,), sns_endpoint=moto.url))
    app.extensions["marketplaces"]["aws"].certificates = Certificates(lambda _url: certificate())
    sent = topic.confirm(SigningCertURL=topic.certificate_url.replace(topic.host, moto.url))
    page = Client(app, origin=settings.public_url).post(
        "/marketplaces/aws/notifications",
        json.dumps(sent).encode(),
        cross_site=True,
        headers={"x-amz-sns-message-type": "SubscriptionConfirmation"},
    )
    assert (page.status, page.html) == (200, "done\n")


# Listening ------------------------------------------------------------------------------------------------------


@pytest.mark.engines("sqlite")
def test_a_listener_hears_at_once_wakes_the_worker_and_stops_while_it_waits(
    connect: Connect, moto: Moto
) -> None:
    queue = moto.queue()
    app = connect(queue)
    with app.app_context():
        World().purchase("1")
        (there,) = all_marketplaces()["aws"].queues()
    woken = threading.Event()
    listener = Listener(app, there, woken.set)
    listener.start()
    send(moto, queue, ended("agmt-1"))
    assert woken.wait(SECONDS)
    assert subscription(app).state == ENDED
    until(lambda: moto.left_in(queue) == 0, "the message is not deleted", SECONDS)
    began = time.monotonic()
    listener.stop()
    assert time.monotonic() - began < SECONDS / 2, "it waits twenty seconds for something to come"
    send(moto, queue, ended("agmt-2"))
    listener.join(SECONDS)
    assert not listener.is_alive()
    assert len(messages(app)) == 1, "what came after it was stopped is another worker's"


class _Broken:
    """A queue that does not let anybody in."""

    name = "broken"

    def __init__(self) -> None:
        self.asked = 0

    def receive(self, wait: int) -> list[Brought]:
        self.asked += 1
        raise OSError("nobody is there")

    def delete(self, brought: list[Brought]) -> None:
        raise AssertionError("nothing was brought")


class _Ready:
    """A queue with messages in it."""

    name = "ready"

    def __init__(self, *said: Said) -> None:
        self.brought = [Brought(one, one.message_id) for one in said]

    def receive(self, wait: int) -> list[Brought]:
        return self.brought

    def delete(self, brought: list[Brought]) -> None:
        self.brought = [one for one in self.brought if one not in brought]


@pytest.mark.engines("sqlite")
def test_a_message_that_fails_stops_none_of_those_that_came_with_it(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with app.app_context():
        World().purchase("1")
        here = all_marketplaces()["aws"]
    bodies = [ended("agmt-9"), ended("agmt-1")]
    queue = _Ready(*(here.read("sqs", json.dumps(body), "m", clock.now()) for body in bodies))
    receive = inbox.receive

    def fails_once(said: Said) -> str:
        if said.agreement_id == "agmt-9":
            raise ConnectionError("of this one only")
        return receive(said)

    monkeypatch.setattr(inbox, "receive", fails_once)
    with pytest.raises(ConnectionError):
        Listener(app, queue, lambda: None)._take(queue.receive(0))
    assert subscription(app).state == ENDED
    assert [one.said.agreement_id for one in queue.brought] == ["agmt-9"], "it comes again"


@pytest.mark.engines("sqlite")
def test_a_queue_that_is_gone_is_an_alarm_and_not_asked_all_the_time(connect: Connect, moto: Moto) -> None:
    app = connect(f"{moto.url}/123456789012/nobodys")
    with app.app_context():
        (there,) = all_marketplaces()["aws"].queues()
    nobody = _Broken()
    with recorded() as records:
        listeners = [Listener(app, queue, lambda: None, wait=0) for queue in (there, nobody)]
        for listener in listeners:
            listener.start()
        until(lambda: {"sqs_refused", "sqs_unreachable"} <= set(alerts_in(records)), "no alarm", SECONDS)
        for listener in listeners:
            listener.stop()
            listener.join(SECONDS)
            assert not listener.is_alive()
    assert nobody.asked <= 3


# Killed in the middle ---------------------------------------------------------------------------------------------

PURCHASES = 100
KILLS = 2


def test_a_worker_killed_at_random_loses_no_message_and_applies_none_twice(
    app: Flask, engine_url: str, tmp_path: Path
) -> None:
    """A thousand messages, each of them in the queue until the inbox has it. moto would take a minute for as many."""
    chance = random.Random(7)
    with app.app_context():
        world = World()
        for number in range(PURCHASES):
            world.purchase(str(number), claimed=False)
        reconciliation.begin()  # AWS has been asked today, for nobody plays it here.
        change(sa.update(OutboxEntry).values(done_at=clock.now()))
        db.session.commit()
    bodies = [body for number in range(PURCHASES) for body in _life(f"agmt-{number}")]
    chance.shuffle(bodies)
    total = len(bodies)
    with live_sandbox(tmp_path) as aws:
        queue = f"{aws.url}/aws/api/queue/aws"
        for start in range(0, total, 10):
            some = [json.dumps(body) for body in bodies[start : start + 10]]
            entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(some)]
            aws.aws("sqs").send_message_batch(QueueUrl=queue, Entries=entries)
        for kill in range(KILLS):
            worker = _worker(engine_url, tmp_path, aws.url)
            enough = total * (kill + chance.random()) / (KILLS + 1)
            until(lambda enough=enough: count(app, Message) > enough, "it does not get there", 60, every=0.05)
            worker.kill()
            worker.wait(SECONDS)
            assert count(app, Message) < total, "it was not killed in the middle"
            aws.clock.at += 31  # What it had read and not deleted is there again.
        worker = _worker(engine_url, tmp_path, aws.url)
        until(lambda: _left(aws, queue) == 0, "it does not get through", 60)
        worker.send_signal(signal.SIGTERM)
        worker.wait(SECONDS)
    assert {message.message_id for message in messages(app)} == {f"aws:{body['id']}" for body in bodies}
    assert all(message.applied_at for message in messages(app))
    with app.app_context():
        lives = db.session.execute(sa.select(Subscription.state, Subscription.why, Subscription.lives)).all()
    assert set(lives) == {(ENDED, CANCELLED, 1)}
    assert count(app, OutboxEntry, OutboxEntry.dedupe_key.like("follow:%:1:0")) == PURCHASES


def _left(aws: LiveSandbox, queue: str) -> int:
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = aws.aws("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return sum(map(int, told.values()))


def _life(agreement: str) -> list[dict[str, Any]]:
    """Ten messages of a purchase that ended; none after which AWS is asked something."""
    roles, changes = ("Proposer", "Manufacturer"), range(5)
    return [
        created(agreement),
        *(event("Purchase Agreement Amended - Proposer", agreement, n, intent="AMEND") for n in changes),
        *(event(f"Purchase Agreement Ended - {role}", agreement, 60, status="CANCELLED") for role in roles),
        deprovisioned(agreement),
        event("Purchase Agreement Advisory Issued - Manufacturer", agreement, 70),
    ]


def _worker(database: str, place: Path, aws: str) -> "subprocess.Popen[bytes]":
    endpoints = ("SQS_ENDPOINT", "AGREEMENT_ENDPOINT", "ENTITLEMENT_ENDPOINT", "ENDPOINT")
    settings = {
        "SANDBOX": "1",
        "SECRET_KEY": "a key for tests only, known to everybody",
        "DATABASE_URL": database,
        "INSTANCE_PATH": str(place),
        "AWS_SQS_QUEUES": f"{aws}/aws/api/queue/aws",
        **{f"AWS_MARKETPLACE_{name}": f"{aws}/aws/api" for name in endpoints},
    }
    with (place / "worker.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "flask", "--app", "wsgi", "worker"],
            cwd=ROOT,
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            preexec_fn=dying_with_us(signal.SIGKILL),
        )
