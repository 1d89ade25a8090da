"""The sandbox's SNS: what it signs and posts to the seller, how often, and how a subscription is confirmed."""

import http.server
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography.x509 import load_pem_x509_certificate

from tests.support.races import race, results
from tests.support.sandbox import CHINA_PRODUCT, PRODUCT, WIZARD, LiveSandbox, live_sandbox, settings
from tests.support.sns_signature import is_genuine
from wizard.sandbox import create_sandbox
from wizard.sandbox.courier import over_http, start_courier

TOPIC = f"arn:aws-cn:sns:cn-northwest-1:287250355862:aws-mp-subscription-notification-{CHINA_PRODUCT}"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSandbox]:
    with live_sandbox(tmp_path) as running:
        yield running


class Endpoint:
    """A seller's endpoint. ``says``: its next answers, the last of them for ever; ``had``: what was posted to it."""

    def __init__(self, *says: int | None) -> None:
        self.says = list(says or [200])
        self.had: list[tuple[str, dict[str, str], dict[str, str]]] = []

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
        self.had.append((url, json.loads(body), dict(headers)))
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]

    @property
    def said(self) -> list[dict[str, str]]:
        return [said for _, said, _ in self.had]

    @property
    def actions(self) -> list[str]:
        return [json.loads(said["Message"])["action"] for said in self.said]


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def cancel(live: LiveSandbox, bought: dict[str, Any], **wish: Any) -> None:
    assert live.post(f"/aws/purchases/{bought['agreementId']}/cancel", wish)[0] == 200


# What is posted -------------------------------------------------------------------------------------------------


def test_a_legacy_purchase_is_told_by_signed_notifications(live: LiveSandbox) -> None:
    bought, endpoint = live.buy(partition="aws-cn"), Endpoint()
    cancel(live, bought)
    assert live.deliver(endpoint) == 3
    assert endpoint.actions == ["subscribe-success", "unsubscribe-pending", "unsubscribe-success"]
    for url, said, headers in endpoint.had:
        assert url == f"{WIZARD}/marketplaces/aws-cn/notifications"
        assert is_genuine(said, fetched(said["SigningCertURL"]))
        assert (said["Type"], said["SignatureVersion"], said["TopicArn"]) == ("Notification", "2", TOPIC)
        message = json.loads(said["Message"])
        assert message["customer-identifier"] == bought["customerIdentifier"]
        assert message["product-code"] == CHINA_PRODUCT
        assert headers["Content-Type"] == "text/plain; charset=UTF-8"
        assert headers["x-amz-sns-message-type"] == "Notification"
        assert headers["x-amz-sns-message-id"] == said["MessageId"]
        assert headers["x-amz-sns-topic-arn"] == TOPIC
        assert headers["x-amz-sns-subscription-arn"].startswith(f"{TOPIC}:")
    assert len({said["MessageId"] for said in endpoint.said}) == 3
    assert live.deliver(endpoint) == 0, "what was answered is not posted again"


def test_an_altered_notification_is_not_genuine(live: LiveSandbox) -> None:
    live.buy(partition="aws-cn")
    endpoint = Endpoint()
    live.deliver(endpoint)
    (said,) = endpoint.said
    certificate = fetched(said["SigningCertURL"])
    for name in ("Message", "MessageId", "Timestamp", "TopicArn"):
        assert not is_genuine(said | {name: said[name] + " "}, certificate), name


def test_the_certificate_is_the_sandboxes_own_and_stays(live: LiveSandbox, tmp_path: Path) -> None:
    live.buy(partition="aws-cn")
    endpoint = Endpoint()
    live.deliver(endpoint)
    url = endpoint.said[0]["SigningCertURL"]
    assert url.startswith(f"{live.url}/aws/sns/SimpleNotificationService-")
    certificate = fetched(url)
    valid = load_pem_x509_certificate(certificate)
    assert valid.not_valid_before_utc.timestamp() < live.clock.at < valid.not_valid_after_utc.timestamp()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetched(url.replace("Service-", "Service-0"))
    # Another start on the same file, and it is the same.
    again = create_sandbox(settings(tmp_path)).extensions["sandbox"].signer
    assert again.certificate.encode() == certificate


def test_two_that_start_at_once_sign_with_one_key(tmp_path: Path) -> None:
    signers = [create_sandbox(settings(tmp_path)).extensions["sandbox"].signer for _ in range(4)]
    assert len(set(results(race(4, lambda number: signers[number].certificate)))) == 1


def test_the_times_of_one_customer_grow_even_where_the_clock_stands(live: LiveSandbox) -> None:
    endpoint = Endpoint()
    for _ in range(2):
        cancel(live, live.buy(partition="aws-cn", customerAWSAccountId="473081256394"))
    live.deliver(endpoint)
    times = [said["Timestamp"] for said in endpoint.said]
    assert times == sorted(set(times))
    assert len(times) == 6
    assert endpoint.actions[3] == "subscribe-success", "the same account subscribes once more"


def test_a_payment_that_fails_is_told_while_the_token_is_good(live: LiveSandbox) -> None:
    bought, endpoint = live.buy(partition="aws-cn", fails=True), Endpoint()
    live.deliver(endpoint)
    assert endpoint.actions == ["subscribe-fail"]
    resolved = live.resolve(bought["token"], "aws-cn")
    assert resolved["CustomerIdentifier"] == bought["customerIdentifier"]
    entitled = live.aws("marketplace-entitlement", "aws-cn").get_entitlements(ProductCode=CHINA_PRODUCT)
    assert entitled["Entitlements"] == []
    status, answer = live.post("/aws/purchases", {"fails": True})
    assert (status, answer["error"].split(":")[0]) == (400, "fails goes with style legacy or legacy_minimal")


def test_other_entitlements_are_told_by_a_topic_of_their_own(live: LiveSandbox) -> None:
    bought, endpoint = live.buy(partition="aws-cn", entitlements={"seats": 5}), Endpoint()
    entitled = f"/aws/purchases/{bought['agreementId']}/entitlements"
    for wanted in ({"seats": 9, "tier": "gold"}, {}):
        assert live.post(entitled, {"entitlements": wanted})[1]["entitlements"] == wanted
        asked = live.aws("marketplace-entitlement", "aws-cn").get_entitlements(ProductCode=CHINA_PRODUCT)
        assert sorted(one["Dimension"] for one in asked["Entitlements"]) == sorted(wanted)
    live.deliver(endpoint)
    assert endpoint.actions == ["subscribe-success", "entitlement-updated", "entitlement-updated"]
    last = endpoint.said[-1]
    assert is_genuine(last, fetched(last["SigningCertURL"]))
    assert last["TopicArn"] == TOPIC.replace("subscription-notification", "entitlement-notification")
    assert endpoint.had[-1][2]["x-amz-sns-topic-arn"] == last["TopicArn"]
    cancel(live, bought)
    assert live.post(entitled, {"entitlements": {}})[0] == 409
    assert live.post(entitled, {"entitlements": 5})[0] == 400
    assert live.post("/aws/purchases/agmt-none/entitlements", {})[0] == 404


def test_who_comes_back_in_time_is_never_told_of_as_gone(tmp_path: Path) -> None:
    with live_sandbox(tmp_path, pace=3600) as live:
        account, endpoint = "473081256394", Endpoint()
        cancel(live, live.buy(partition="aws-cn", customerAWSAccountId=account))
        live.buy(partition="aws-cn", customerAWSAccountId="473081256395")
        live.deliver(endpoint)
        live.clock.at += 60
        live.buy(partition="aws-cn", customerAWSAccountId=account)
        live.clock.at += 3600
        live.deliver(endpoint)
        assert endpoint.actions == [
            "subscribe-success",
            "unsubscribe-pending",
            "subscribe-success",
            "subscribe-success",
        ]


def test_nobody_has_subscribed_to_the_topics_of_other_products(live: LiveSandbox) -> None:
    live.buy(style="legacy", productCode="somebody-elses-9z8y7x")
    endpoint = Endpoint()
    assert live.deliver(endpoint) == 0
    live.buy(style="legacy", productCode=PRODUCT)
    assert live.deliver(endpoint) == 1


# How often ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [500, 503, 429, None])
def test_an_endpoint_that_is_not_well_is_tried_three_times_more(
    live: LiveSandbox, answer: int | None
) -> None:
    bought, endpoint = live.buy(partition="aws-cn"), Endpoint(answer)
    tried = []
    for _ in range(6):
        tried.append(live.deliver(endpoint))
        live.clock.at += 20
    assert tried == [1, 1, 1, 1, 0, 0]
    assert endpoint.said == [endpoint.said[0]] * 4, "the same message, to the last letter"
    (listed,) = live.get(f"/aws/purchases/{bought['agreementId']}/messages")[1]["messages"]
    assert (listed["fate"], listed["tries"], listed["nextAt"]) == ("given_up", 4, None)


def test_a_message_comes_through_when_the_endpoint_is_well_again(live: LiveSandbox) -> None:
    bought, endpoint = live.buy(partition="aws-cn"), Endpoint(503, None, 200)
    for _ in range(4):
        live.deliver(endpoint)
        live.deliver(endpoint)
        live.clock.at += 20
    assert len(endpoint.had) == 3
    (listed,) = live.get(f"/aws/purchases/{bought['agreementId']}/messages")[1]["messages"]
    assert (listed["fate"], listed["answer"]) == ("delivered", "200")


@pytest.mark.parametrize("answer", [400, 403, 404, 413, 303])
def test_a_refusal_is_taken_as_one(live: LiveSandbox, answer: int) -> None:
    bought, endpoint = live.buy(partition="aws-cn"), Endpoint(answer)
    live.deliver(endpoint)
    live.clock.at += 3600
    assert live.deliver(endpoint) == 0
    (listed,) = live.get(f"/aws/purchases/{bought['agreementId']}/messages")[1]["messages"]
    assert (listed["fate"], listed["answer"]) == ("refused", str(answer))


def test_what_one_courier_carries_no_other_does(live: LiveSandbox) -> None:
    for _ in range(8):
        live.buy(partition="aws-cn")
    endpoint = Endpoint()
    results(race(4, lambda _: live.deliver(endpoint)))
    assert len({said["MessageId"] for said in endpoint.said}) == len(endpoint.said) == 8


def test_one_purchase_can_be_told_of_alone(live: LiveSandbox) -> None:
    live.buy(partition="aws-cn")
    bought, endpoint = live.buy(partition="aws-cn"), Endpoint()
    assert live.deliver(endpoint, bought["agreementId"]) == 1
    assert json.loads(endpoint.said[0]["Message"])["customer-identifier"] == bought["customerIdentifier"]


@contextmanager
def listening(status: int) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A seller's endpoint behind a real socket: its address, and ``(content type, body)`` of what it was posted."""
    had: list[tuple[str, str]] = []

    class Seller(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            had.append((self.headers["Content-Type"], body.decode()))
            self.send_response(status)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Seller)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/notifications", had
    finally:
        server.shutdown()
        server.server_close()


def test_the_helper_posts_by_itself_over_http(tmp_path: Path) -> None:
    with listening(200) as (url, had), live_sandbox(tmp_path, notification_urls={"aws-cn": url}) as live:
        answered = threading.Event()

        def post(*asked: Any) -> int | None:
            status = over_http(*asked)
            answered.set()
            return status

        courier = start_courier(live.app, post)
        live.buy(partition="aws-cn")
        assert answered.wait(10)
        courier.stop()
    ((kind, body),) = had
    assert kind == "text/plain; charset=UTF-8"
    assert json.loads(body)["TopicArn"] == TOPIC


def test_no_redirect_is_followed_and_nobody_there_is_no_answer() -> None:
    with listening(303) as (url, had):
        assert over_http(url, b"{}", {"Content-Type": "text/plain"}) == 303
        assert len(had) == 1
    assert over_http(url, b"{}", {}) is None


# Confirming -----------------------------------------------------------------------------------------------------


def asked(live: LiveSandbox, **wish: str) -> dict[str, str]:
    """What SNS posts when it wants a subscription confirmed."""
    status, answer = live.post("/aws/topics/confirm", wish or {"partition": "aws-cn"})
    endpoint = Endpoint()
    live.deliver(endpoint)
    (said,) = endpoint.said
    assert (status, answer["topicArn"]) == (202, said["TopicArn"])
    assert "x-amz-sns-subscription-arn" not in endpoint.had[0][2]
    return said


def test_a_subscription_is_confirmed_with_the_token_that_was_sent(live: LiveSandbox) -> None:
    said = asked(live)
    assert said["Type"] == "SubscriptionConfirmation"
    assert is_genuine(said, fetched(said["SigningCertURL"]))
    assert not is_genuine(said | {"Token": "0"}, fetched(said["SigningCertURL"]))
    sns = live.aws("sns", "aws-cn")
    for _ in range(2):
        confirmed = sns.confirm_subscription(TopicArn=said["TopicArn"], Token=said["Token"])
        assert confirmed["SubscriptionArn"].startswith(f"{TOPIC}:")


def test_a_visit_to_the_address_in_it_confirms_too(live: LiveSandbox) -> None:
    said = asked(live)
    assert b"<SubscriptionArn>" + TOPIC.encode() in fetched(said["SubscribeURL"])


def test_nothing_else_confirms(live: LiveSandbox) -> None:
    said, other = asked(live), asked(live, partition="aws")
    for partition, topic, token, code in (
        ("aws-cn", TOPIC, "0" * 128, "InvalidParameter"),
        ("aws-cn", TOPIC, other["Token"], "InvalidParameter"),
        ("aws-cn", TOPIC + "x", said["Token"], "NotFound"),
        ("aws", TOPIC, said["Token"], "NotFound"),
    ):
        with pytest.raises(ClientError) as refused:
            live.aws("sns", partition).confirm_subscription(TopicArn=topic, Token=token)
        assert refused.value.response["Error"]["Code"] == code
    with pytest.raises(ClientError, match="InvalidAction"):
        live.aws("sns").list_topics()
    assert live.post("/aws/topics/confirm", {"partition": "aws", "productCode": CHINA_PRODUCT})[0] == 400
