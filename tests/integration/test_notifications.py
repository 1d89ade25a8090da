"""Notifications of SNS over HTTPS: what is provably of our own topics counts once, and nothing else counts at all."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import rsa
from flask import Flask
from prometheus_client import REGISTRY

from config import Settings
from tests.support.aws_says import BEGAN, Topic, a_key, certificate, legacy, signature
from tests.support.client import Client
from tests.support.factories import alerts_in, recorded, rows_of
from tests.support.page import Page
from tests.support.sandbox import CHINA_PRODUCT, in_partition
from wizard import clock, limits
from wizard.billing import subscriptions
from wizard.billing.models import ACTIVE, AWS, CANCELLED, ENDED, Subscription
from wizard.extensions import db
from wizard.marketplaces.models import Message
from wizard.marketplaces.protocol import Refused
from wizard.marketplaces.sns import Certificates, refused

MakeApp = Callable[[Settings], Flask]
Envelope = dict[str, Any]

NOTIFICATIONS = "/marketplaces/aws-cn/notifications"
CUSTOMER = "X01EXAMPLEX"
OURS = Topic()

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture
def app(make_app: MakeApp, settings: Settings) -> Flask:
    """China's topic is ours, and its certificate is where AWS has it."""
    app = make_app(in_partition(settings, "aws-cn", sns_topics=(OURS.arn,), sns_endpoint=""))
    app.extensions["marketplaces"]["aws-cn"].certificates = Certificates(served())
    with app.app_context():
        subscriptions.record(
            subscriptions.Purchase(
                AWS,
                "aws-cn",
                f"aws:aws-cn:customer:{CHINA_PRODUCT}:{CUSTOMER}",
                CHINA_PRODUCT,
                account_id="473081256394",
                customer_identifier=CUSTOMER,
            )
        )
        db.session.commit()
    return app


UNKNOWN = "f" * 32


def served(pem: bytes | None = None) -> Callable[[str], bytes]:
    """Whoever asks for a file gets it, wherever they were told that it is; AWS has none of one name."""

    def fetch(url: str) -> bytes:
        if UNKNOWN in url:
            raise refused("certificate")
        return pem or certificate()

    return fetch


def send(client: Client, envelope: Envelope | bytes, told_type: str = "Notification", **options: Any) -> Page:
    """As SNS does: as text, with the type in a header."""
    body = envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode()
    return client.post(
        NOTIFICATIONS,
        body,
        cross_site=True,
        headers={"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": told_type},
        **options,
    )


def unsubscribed(**changes: Any) -> Envelope:
    return OURS.notify(legacy("unsubscribe-success", CUSTOMER), **changes)


def purchase(app: Flask) -> Subscription:
    with app.app_context():
        return db.session.scalars(sa.select(Subscription)).one()


def inbox(app: Flask) -> list[Message]:
    with app.app_context():
        return list(db.session.scalars(sa.select(Message).order_by(Message.id)))


# What is ours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("subject", [None, "About your product"])
def test_a_signed_message_of_our_topic_counts(
    app: Flask, client: Client, version: str, subject: str | None
) -> None:
    sent = unsubscribed(SignatureVersion=version, Subject=subject)
    page = send(client, sent)
    assert (page.status, page.html) == (200, "applied\n")
    ended = purchase(app)
    assert (ended.state, ended.why) == (ENDED, CANCELLED)
    assert ended.ended_at == datetime.fromisoformat(sent["Timestamp"])
    (message,) = inbox(app)
    assert (message.message_id, message.road) == (f"aws-cn:{sent['MessageId']}", "https")
    assert message.applied_at
    assert message.payload == legacy("unsubscribe-success", CUSTOMER)


def test_the_same_message_once_more_changes_nothing(app: Flask, client: Client) -> None:
    sent = unsubscribed()
    send(client, sent)
    before = rows_of(app)
    for _again in range(3):
        page = send(client, sent)
        assert (page.status, page.html) == (200, "duplicate\n")
    assert rows_of(app) == before


def test_a_message_of_nobody_we_know_waits(app: Flask, client: Client) -> None:
    page = send(client, OURS.notify(legacy("unsubscribe-success", "a-stranger")))
    assert (page.status, page.html) == (200, "waits\n")
    assert purchase(app).state == ACTIVE
    assert inbox(app)[0].applied_at is None


def test_what_our_topic_says_and_nobody_can_read_is_set_aside(app: Flask, client: Client) -> None:
    with recorded() as records:
        page = send(client, OURS.notify("something new"))
    assert (page.status, page.html) == (200, "unreadable\n")
    assert "message" in alerts_in(records)
    (message,) = inbox(app)
    assert message.problem == "not JSON"
    assert json.loads(message.payload["body"])["Message"] == "something new"


# What is not -----------------------------------------------------------------------------------------------------


def altered(**members: Any) -> Callable[[], Envelope]:
    """Changed after it was signed."""
    return lambda: {**unsubscribed(), **members}


def signed(**members: Any) -> Callable[[], Envelope]:
    """Changed before: what somebody who has a key of SNS's could send."""
    return lambda: unsubscribed(**members)


def without(*names: str) -> Callable[[], Envelope]:
    return lambda: {name: value for name, value in unsubscribed().items() if name not in names}


def forged() -> Envelope:
    sent = unsubscribed()
    return {**sent, "Signature": signature(sent, a_key(1))}


def moved_subject() -> Envelope:
    """The text that was signed is the same, cut into members in another way."""
    sent = unsubscribed(Subject="News")
    subject = sent.pop("Subject")
    return {**sent, "MessageId": f"{sent['MessageId']}\nSubject\n{subject}"}


def aged(by: timedelta) -> Callable[[], Envelope]:
    return lambda: unsubscribed(at=datetime.now(UTC) + by)


def at_url(url: str) -> Callable[[], Envelope]:
    return signed(SigningCertURL=url)


PEM = OURS.certificate_url.rpartition("/")[2]
HOST = "sns.cn-northwest-1.amazonaws.com.cn"
CANCELS_ANOTHER = json.dumps(legacy("unsubscribe-success", "somebody-else"))

REFUSED: dict[str, tuple[int, str, Callable[[], Envelope | bytes]]] = {
    "signed with another key": (403, "signature", forged),
    "signature of another message": (403, "signature", altered(Signature=unsubscribed()["Signature"])),
    "no base64": (403, "signature", altered(Signature="***")),
    "not ASCII": (403, "signature", altered(Signature="签名")),
    "empty signature": (403, "signature", altered(Signature="")),
    "another message": (403, "signature", altered(Message=CANCELS_ANOTHER)),
    "another id": (403, "signature", altered(MessageId="1b1a7a32-0000-4000-8000-000000000000")),
    "a subject added": (403, "signature", altered(Subject="Urgent")),
    "half a character": (403, "signature", altered(Message="\ud800")),
    "a fresh time": (
        403,
        "signature",
        altered(Timestamp=f"{datetime.now(UTC) - timedelta(seconds=9):%Y-%m-%dT%H:%M:%S}.000Z"),
    ),
    "signed as version 2, said to be 1": (403, "signature", altered(SignatureVersion="1")),
    "an unknown version": (400, "malformed", altered(SignatureVersion="3")),
    "a foreign topic": (
        403,
        "topic",
        lambda: Topic("aws-cn", "anybodys").notify(legacy("unsubscribe-success", CUSTOMER)),
    ),
    "our topic in another account": (403, "topic", signed(TopicArn=OURS.arn.replace("287250355862", "1"))),
    "our topic with a blank": (403, "topic", signed(TopicArn=f"{OURS.arn} ")),
    "stale": (403, "stale", aged(-timedelta(minutes=61))),
    "from tomorrow": (403, "stale", aged(timedelta(minutes=6))),
    "no time": (400, "malformed", signed(Timestamp="now")),
    "a certificate of somebody's": (403, "certificate", at_url(f"https://sns.example.com/{PEM}")),
    "a host that ends like AWS's": (403, "certificate", at_url(f"https://{HOST}.example.com/{PEM}")),
    "a host that begins like AWS's": (403, "certificate", at_url(f"https://evil-{HOST}/{PEM}")),
    "a host as long as AWS's": (403, "certificate", at_url(f"https://{'x' * len(HOST)}/{PEM}")),
    "a subject said to be of the id": (403, "signature", moved_subject),
    "another region": (
        403,
        "certificate",
        at_url(f"https://sns.cn-north-1.amazonaws.com.cn/{PEM}"),
    ),
    "another partition": (403, "certificate", at_url(f"https://sns.us-east-1.amazonaws.com/{PEM}")),
    "a bucket at AWS": (403, "certificate", at_url(f"https://mine.s3.cn-northwest-1.amazonaws.com.cn/{PEM}")),
    "no TLS": (403, "certificate", at_url(f"http://{HOST}/{PEM}")),
    "a user": (403, "certificate", at_url(f"https://{HOST}@example.com/{PEM}")),
    "a user of AWS's host": (403, "certificate", at_url(f"https://me@{HOST}/{PEM}")),
    "a port": (403, "certificate", at_url(f"https://{HOST}:8443/{PEM}")),
    "a query": (403, "certificate", at_url(f"https://{HOST}/{PEM}?x=1")),
    "another file": (403, "certificate", at_url(f"https://{HOST}/mine.pem")),
    "a file elsewhere": (403, "certificate", at_url(f"https://{HOST}/mine/{PEM}")),
    "a file further up": (403, "certificate", at_url(f"https://{HOST}/../{PEM}")),
    "a line more": (403, "certificate", at_url(f"https://{HOST}/{PEM}\n")),
    "a certificate AWS does not have": (
        403,
        "certificate",
        at_url(f"https://{HOST}/SimpleNotificationService-{UNKNOWN}.pem"),
    ),
    "not JSON": (400, "malformed", lambda: b"subscribe-success"),
    "not UTF-8": (400, "malformed", lambda: b"\xff\xfe"),
    "nothing": (400, "malformed", lambda: b""),
    "a list": (400, "malformed", lambda: b"[]"),
    "a null": (400, "malformed", lambda: b"null"),
    "very deep": (400, "malformed", lambda: b"[" * 200_000),
    "no type": (400, "malformed", without("Type")),
    "no signature": (400, "malformed", without("Signature")),
    "no topic": (400, "malformed", without("TopicArn")),
    "an unknown type": (400, "malformed", altered(Type="Greeting")),
    "a type that is none": (400, "malformed", altered(Type={"a": 1})),
    "a message that is no text": (400, "malformed", altered(Message={"action": "unsubscribe-success"})),
    "a topic that is no text": (400, "malformed", altered(TopicArn=[OURS.arn])),
    "oversized": (413, "too large", lambda: json.dumps(unsubscribed(Message="x" * 300_000)).encode()),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_provably_ours_is_refused_and_changes_nothing(
    app: Flask, client: Client, what: str
) -> None:
    status, reason, make = REFUSED[what]
    before = rows_of(app)
    page = send(client, make())
    assert (page.status, page.html) == (status, f"{reason}\n")
    assert rows_of(app) == before


def test_a_stranger_has_us_fetch_so_often_and_no_more_and_keeps_nobody_else_out(
    app: Flask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(app.config, "SANDBOX", False)
    monkeypatch.setitem(limits.PER_CLIENT, "forged", "3 per hour")
    fetched: list[str] = []

    def nobodys(url: str) -> bytes:
        fetched.append(url)
        raise refused("certificate")

    here = app.extensions["marketplaces"]["aws-cn"]
    theirs, here.certificates = here.certificates, Certificates(nobodys)
    answers = [
        send(client, at_url(f"https://{HOST}/SimpleNotificationService-{n:032}.pem")()).status
        for n in range(5)
    ]
    assert answers == [403] * 3 + [429] * 2
    assert len(fetched) == 3
    here.certificates = theirs
    of_sns = {"REMOTE_ADDR": "198.51.100.7"}
    told = [send(client, unsubscribed(), environ_overrides=of_sns).status for _message in range(5)]
    assert told == [200] * 5


def test_the_type_in_the_header_is_that_of_the_message(app: Flask, client: Client) -> None:
    before = rows_of(app)
    for told in ("", "SubscriptionConfirmation", "notification"):
        assert send(client, unsubscribed(), told).status == 400
    assert rows_of(app) == before


@pytest.mark.parametrize(
    "pem",
    [
        certificate(BEGAN - timedelta(days=30), 10),
        certificate(datetime(2199, 1, 1, tzinfo=UTC)),
        b"no certificate",
    ],
    ids=["over", "to come", "none"],
)
def test_a_certificate_that_is_not_good_now_proves_nothing(app: Flask, client: Client, pem: bytes) -> None:
    here = app.extensions["marketplaces"]["aws-cn"]
    here.certificates = Certificates(served(pem))
    page = send(client, unsubscribed())
    assert (page.status, page.html) == (403, "certificate\n")
    assert not inbox(app)


def test_a_marketplace_without_topics_believes_nobody(app: Flask, client: Client) -> None:
    topic = Topic("aws-eusc")
    headers = {"x-amz-sns-message-type": "Notification"}
    body = json.dumps(topic.notify(legacy("unsubscribe-success", CUSTOMER))).encode()
    page = client.post("/marketplaces/aws-eusc/notifications", body, cross_site=True, headers=headers)
    assert (page.status, page.html) == (403, "topic\n")
    assert client.post("/marketplaces/nobodys/notifications", body, cross_site=True).status == 404
    assert client.get(NOTIFICATIONS).status == 405


def test_a_refusal_is_counted_and_logged_without_what_was_sent(app: Flask, client: Client) -> None:
    labels = {"marketplace": "aws-cn", "road": "https", "outcome": "signature"}
    before = REGISTRY.get_sample_value("wizard_messages_total", labels) or 0
    with recorded() as records:
        sent = forged()
        send(client, sent)
    assert REGISTRY.get_sample_value("wizard_messages_total", labels) == before + 1
    told = " ".join(str(vars(record)) for record in records if record.levelno >= logging.INFO)
    assert "a notification was refused" in told
    for secret in (CUSTOMER, sent["Signature"], sent["Message"]):
        assert secret not in told


# Certificates ----------------------------------------------------------------------------------------------------


class _Files(BaseHTTPRequestHandler):
    answers: dict[str, tuple[int, bytes]]
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        status, body = self.answers.get(self.path, (404, b""))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", f"/sns/{PEM}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_anything: object) -> None:
        pass


@contextmanager
def files(answers: dict[str, tuple[int, bytes]]) -> Iterator[tuple[str, list[str]]]:
    """A server of these files, and what it was asked for."""
    asked: list[str] = []
    server = HTTPServer(("127.0.0.1", 0), type("Files", (_Files,), {"answers": answers, "asked": asked}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/sns", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_certificate_is_fetched_once_from_the_address_of_the_configuration(
    make_app: MakeApp, settings: Settings
) -> None:
    moved = PEM.replace("0", "e")
    broken = PEM.replace("0", "d")
    missing = PEM.replace("0", "c")
    answers = {f"/sns/{PEM}": (200, certificate()), f"/sns/{moved}": (302, b""), f"/sns/{broken}": (500, b"")}
    with files(answers) as (home, asked):
        app = make_app(in_partition(settings, "aws-cn", sns_topics=(OURS.arn,), sns_endpoint=home))
        client = Client(app, origin=settings.public_url)
        for _twice in range(2):
            assert send(client, unsubscribed(SigningCertURL=f"{home}/{PEM}")).status == 200
        assert asked == [f"/sns/{PEM}"]
        assert send(client, unsubscribed()).status == 403, "AWS's own address is not the configured one"
        assert asked == [f"/sns/{PEM}"]
        for file, status in ((moved, 403), (missing, 403), (broken, 503)):
            assert send(client, unsubscribed(SigningCertURL=f"{home}/{file}")).status == status
    assert len(asked) == 4, "a redirect is not followed"
    page = send(client, unsubscribed(SigningCertURL=f"{home}/{PEM.replace('0', 'b')}"))
    assert (page.status, page.html) == (503, "unreachable\n"), "nobody is there: SNS sends it again"


def test_certificates_are_kept_until_they_are_over_and_not_without_end() -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return certificate(BEGAN, 10)

    kept = Certificates(fetch)
    for _twice in range(2):
        assert isinstance(kept.get("one", BEGAN).public_key(), rsa.RSAPublicKey)
    assert asked == ["one"]
    with pytest.raises(Refused):
        kept.get("one", BEGAN + timedelta(days=11))
    kept.get("one", BEGAN)
    assert asked == ["one", "one"], "one that was over is fetched anew"
    for number in range(100):
        kept.get(str(number), BEGAN)
    assert len(kept._known) <= 32


# Confirming ------------------------------------------------------------------------------------------------------


class _Sns:
    """SNS as boto3 shows it: what was asked of it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    def confirm_subscription(self, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        return {"SubscriptionArn": "…"}


def test_a_subscription_is_confirmed_through_the_api_and_its_address_is_not_opened(
    app: Flask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    sns = _Sns()
    clients = app.extensions["marketplaces"]["aws-cn"]._clients
    monkeypatch.setattr(clients, "topics", lambda region: sns if region == OURS.region else None)
    before = rows_of(app)
    sent = OURS.confirm(SubscribeURL="https://169.254.169.254/latest/meta-data")
    with recorded() as records:
        page = send(client, sent, "SubscriptionConfirmation")
    assert (page.status, page.html) == (200, "done\n")
    (asked,) = sns.asked
    assert (asked["TopicArn"], asked["Token"]) == (OURS.arn, sent["Token"])
    assert rows_of(app) == before
    assert sent["Token"] not in " ".join(str(vars(record)) for record in records)
    foreign = Topic("aws-cn", "anybodys").confirm()
    assert send(client, foreign, "SubscriptionConfirmation").status == 403
    altered = {**OURS.confirm(), "Token": "another"}
    assert send(client, altered, "SubscriptionConfirmation").status == 403
    assert len(sns.asked) == 1


def test_an_sns_that_cannot_be_asked_makes_it_ask_again(make_app: MakeApp, settings: Settings) -> None:
    with files({f"/sns/{PEM}": (200, certificate())}) as (home, _asked):
        app = make_app(in_partition(settings, "aws-cn", sns_topics=(OURS.arn,), sns_endpoint=home))
        client = Client(app, origin=settings.public_url)
        with recorded() as records:
            page = send(client, OURS.confirm(SigningCertURL=f"{home}/{PEM}"), "SubscriptionConfirmation")
    assert (page.status, page.html) == (503, "unconfirmed\n")
    assert "sns_unconfirmed" in alerts_in(records)


def test_the_end_of_a_subscription_is_an_alarm(app: Flask, client: Client) -> None:
    before = rows_of(app)
    with recorded() as records:
        page = send(client, OURS.confirm(Type="UnsubscribeConfirmation"), "UnsubscribeConfirmation")
    assert page.status == 200
    assert "sns_unsubscribed" in alerts_in(records)
    assert rows_of(app) == before


def test_how_old_a_message_may_be_goes_by_our_clock(app: Flask, client: Client) -> None:
    sent = unsubscribed()
    with clock.later(timedelta(minutes=59)):
        assert send(client, sent).status == 200
    with clock.later(timedelta(hours=2)):
        assert send(client, sent).status == 403
