"""How the sandbox's messages travel when somebody wants trouble: late, twice, out of order, not at all, once more."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from tests.support.page import Page
from tests.support.sandbox import Clock, LiveSandbox, live_sandbox, settings
from tests.support.sandbox_buyer import Buyer
from wizard.sandbox import create_sandbox
from wizard.sandbox.courier import Courier

ROADS = pytest.mark.parametrize("partition", ["aws", "aws-cn"], ids=["queue", "topic"])
FOUR = [
    "Purchase Agreement Created - Proposer",
    "License Updated - Manufacturer",
    "Purchase Agreement Ended - Proposer",
    "License Deprovisioned - Manufacturer",
]
THREE = ["subscribe-success", "unsubscribe-pending", "unsubscribe-success"]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSandbox]:
    with live_sandbox(tmp_path) as running:
        yield running


def taken(live: LiveSandbox, partition: str) -> list[tuple[str, str]]:
    """``(kind, id)`` of what the seller gets now, by whichever road the partition has; what was read is deleted."""
    got: list[tuple[str, str]] = []
    if partition == "aws-cn":

        def post(_url: str, body: bytes, _headers: Mapping[str, str]) -> int:
            said = json.loads(body)
            got.append((json.loads(said["Message"])["action"], said["MessageId"]))
            return 200

        live.deliver(post)
        return got
    sqs, queue = live.aws("sqs"), live.queue()
    while found := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in found:
            event = json.loads(message["Body"])
            got.append((event["detail-type"], event["id"]))
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return got


def kinds(live: LiveSandbox, partition: str) -> list[str]:
    return [kind for kind, _ in taken(live, partition)]


def life(live: LiveSandbox, partition: str, **messages: Any) -> str:
    """Somebody buys and cancels at once. Returns the agreement."""
    agreement_id = str(
        live.buy(partition=partition, **({"messages": messages} if messages else {}))["agreementId"]
    )
    assert live.post(f"/aws/purchases/{agreement_id}/cancel")[0] == 200
    return agreement_id


def every(partition: str) -> list[str]:
    return FOUR if partition == "aws" else THREE


# Trouble --------------------------------------------------------------------------------------------------------


@ROADS
def test_copies_are_the_same_message(live: LiveSandbox, partition: str) -> None:
    life(live, partition, duplicates=2)
    got = taken(live, partition)
    assert [kind for kind, _ in got] == [kind for kind in every(partition) for _ in range(3)]
    assert len({message_id for _, message_id in got}) == len(every(partition))


@ROADS
def test_a_delayed_message_sets_out_later_with_the_time_of_what_it_tells(
    live: LiveSandbox, partition: str
) -> None:
    agreement_id = life(live, partition, delay=90)
    live.clock.at += 89
    assert kinds(live, partition) == []
    live.clock.at += 1
    assert kinds(live, partition) == every(partition)
    listed = live.get(f"/aws/purchases/{agreement_id}/messages")[1]["messages"]
    assert {one["at"][:19] for one in listed} == {"2026-04-07T18:40:00"}


@ROADS
def test_disorder_turns_around_what_one_event_tells(live: LiveSandbox, partition: str) -> None:
    life(live, partition, disorder=True)
    wrong = [FOUR[1], FOUR[0], FOUR[3], FOUR[2]] if partition == "aws" else [THREE[0], THREE[2], THREE[1]]
    assert kinds(live, partition) == wrong


@ROADS
def test_silence_keeps_everything_back_and_each_can_be_sent_after_all(
    live: LiveSandbox, partition: str
) -> None:
    agreement_id = life(live, partition, silence=True)
    live.clock.at += 86400
    assert kinds(live, partition) == []
    listed = live.get(f"/aws/purchases/{agreement_id}/messages")[1]["messages"]
    assert {(one["fate"], one["tries"]) for one in listed} == {("kept_back", 0)}
    for one in listed[:2]:  # newest first
        assert live.post(f"/aws/messages/{one['id']}/again")[0] == 201
    assert kinds(live, partition) == every(partition)[:-3:-1]


@ROADS
def test_a_message_sent_again_is_the_same_message(live: LiveSandbox, partition: str) -> None:
    agreement_id = life(live, partition)
    before = taken(live, partition)
    last = live.get(f"/aws/purchases/{agreement_id}/messages")[1]["messages"][0]
    status, again = live.post(f"/aws/messages/{last['id']}/again")
    assert (status, again["messageId"], again["at"]) == (201, last["messageId"], last["at"])
    assert taken(live, partition) == before[-1:]
    assert live.post("/aws/messages/999999/again")[0] == 404


@ROADS
def test_switches_of_a_purchase_go_before_those_of_all(live: LiveSandbox, partition: str) -> None:
    ordinary = live.buy(partition=partition)["agreementId"]
    special = live.buy(partition=partition, messages={"duplicates": 1})["agreementId"]
    status, answer = live.post("/aws/messages", {"silence": True})
    assert (status, answer["switches"]["silence"]) == (200, True)
    taken(live, partition)
    for one in (ordinary, special):
        live.post(f"/aws/purchases/{one}/cancel")
    ends = [kind for kind in every(partition)[-2:] for _ in range(2)]
    assert kinds(live, partition) == ends, "of the special one only"
    # What is left out is off again, and a cancel may bring its own.
    live.post("/aws/messages", {})
    life(live, partition)
    assert kinds(live, partition) == every(partition)
    quiet = live.buy(partition=partition)["agreementId"]
    live.post(f"/aws/purchases/{quiet}/cancel", {"messages": {"silence": True}})
    assert len(kinds(live, partition)) == len(every(partition)) - 2


def test_the_list_tells_what_was_sent_and_what_the_seller_said(live: LiveSandbox) -> None:
    bought = life(live, "aws")
    other = life(live, "aws-cn")
    taken(live, "aws")
    live.deliver(lambda *_: 503)
    listed = live.get("/aws/messages")[1]["messages"]
    assert [one["kind"] for one in listed] == [*reversed(THREE), *reversed(FOUR)]
    assert {(one["agreementId"], one["road"], one["answer"], one["fate"]) for one in listed} == {
        (bought, "queue", "deleted", "delivered"),
        (other, "topic", "503", None),
    }
    (first,) = [one for one in listed if one["kind"] == THREE[0]]
    assert (first["tries"], first["nextAt"]) == (1, "2026-04-07T18:40:20.000Z")
    assert json.loads(first["body"])["action"] == THREE[0]
    assert len(live.get(f"/aws/messages?agreementId={other}")[1]["messages"]) == 3


@pytest.mark.parametrize(
    "wish",
    [
        {"duplicates": -1},
        {"duplicates": 101},
        {"duplicates": True},
        {"duplicates": "2"},
        {"delay": -0.5},
        {"delay": 14 * 86400 + 1},
        {"disorder": 1},
        {"silence": None},
        {"loudness": 3},
    ],
)
def test_switches_that_are_none_are_refused_in_words(live: LiveSandbox, wish: dict[str, Any]) -> None:
    agreement_id = live.buy()["agreementId"]
    for path, body in (
        ("/aws/messages", wish),
        (f"/aws/purchases/{agreement_id}/messages", wish),
        (f"/aws/purchases/{agreement_id}/cancel", {"messages": wish}),
        (f"/aws/purchases/{agreement_id}/renew", {"messages": wish}),
        ("/aws/purchases", {"messages": wish}),
    ):
        status, answer = live.post(path, body)
        assert status == 400
        assert answer["error"].startswith("messages")
    assert kinds(live, "aws") == FOUR[:2], "and nothing else has happened"


def test_doors_to_what_is_not_there_are_answered_in_json(live: LiveSandbox) -> None:
    for path in ("/aws/purchases/agmt-none/messages", "/aws/messages/x/again", "/aws/sns/nothing"):
        assert live.post(path)[0] in (404, 405)
    assert live.get("/aws/purchases/agmt-none/messages")[0] == 404
    assert live.post(f"/aws/purchases/{life(live, 'aws')}/cancel", {"loudly": True})[0] == 400


# The page -------------------------------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(tmp_path: Path, clock: Clock) -> Flask:
    return create_sandbox(settings(tmp_path, clock))


@pytest.fixture
def buyer(app: Flask) -> Buyer:
    return Buyer(app)


def bought(buyer: Buyer, partition: str = "aws", **choices: object) -> Page:
    """Manage, for a purchase just made."""
    product = buyer.get(f"/{partition}/")
    page = buyer.press(product, "Continue Subscription", account="782858285006", **choices)
    return buyer.follow(buyer.press(page, "Subscribe"), "返回" if buyer.language == "zh" else "Back")


def test_a_person_sees_what_the_seller_said_and_sends_it_again(buyer: Buyer, app: Flask) -> None:
    manage = bought(buyer, "aws-cn")
    page = buyer.follow(manage, "What AWS tells the seller")
    assert page.h1 == "Messages"
    assert "subscribe-success On its way 2026-04-07T18:40:00.000Z by SNS to the endpoint" in page.text
    Courier(app, lambda *_: 403).deliver()
    page = buyer.get(page.url.removeprefix("/sandbox"))
    assert "subscribe-success Answered 403" in page.text
    assert '"action": "subscribe-success"' in page.text

    page = buyer.press(page, "Send again")
    assert page.text.count("subscribe-success On its way") == 1
    Courier(app, lambda *_: None).deliver()
    again = buyer.get(page.url.removeprefix("/sandbox"))
    assert "subscribe-success No answer, tries again" in again.text
    assert "2026-04-07T18:40:20.000Z at the earliest" in again.text
    assert buyer.follow(again, "Back").h1 == manage.h1
    every_one = buyer.follow(again, "The messages of every purchase")
    assert every_one.text.count("subscribe-success") == 2


def test_a_person_makes_trouble_for_one_purchase_and_for_all(buyer: Buyer, app: Flask) -> None:
    page = buyer.follow(bought(buyer), "What AWS tells the seller")
    assert "As for every purchase." in page.text
    page = buyer.press(page, "Save", silence="y", duplicates="3", delay="")
    assert "This purchase has its own way." in page.text
    form = page.form("Save").fields
    assert (form["duplicates"], form["delay"], form["silence"]) == (["3"], ["0"], ["y"])
    assert "disorder" not in form

    agreement_id = page.url.split("agreement=")[1]
    buyer.post(f"/aws/software/{agreement_id}/cancel")
    assert buyer.get(f"/messages?agreement={agreement_id}").text.count("Kept back") == 2

    every_one = buyer.press(buyer.get("/messages"), "Save", disorder="y", delay="600")
    assert every_one.form("Save").fields["delay"] == ["600"]
    bought(buyer)
    assert buyer.get("/messages").text.count("Sets out later") == 2


@pytest.mark.parametrize("typed", ["-1", "101", "many", "1.5", "9" * 30, "１"])
def test_a_number_that_is_none_is_said_and_kept(buyer: Buyer, typed: str) -> None:
    page = buyer.press(buyer.get("/messages"), "Save", duplicates=typed)
    assert page.status == 400
    assert page.errors == {"duplicates": "Enter a whole number from 0 to 100"}
    assert page.form("Save").fields["duplicates"] == [typed]
    assert page.soup.select_one("details").has_attr("open")


def test_what_a_program_put_into_the_queue_is_shown_as_it_is(buyer: Buyer, app: Flask) -> None:
    agreement = bought(buyer).path.rsplit("/", 1)[1]
    app.test_client().post(
        "/aws/api",
        json={"QueueUrl": "/queue/aws", "MessageBody": "<b>not \x00 JSON</b>"},
        headers={"X-Amz-Target": "AmazonSQS.SendMessage"},
    )
    assert "Put there by a program" in buyer.get("/messages").text
    assert buyer.get(f"/messages?agreement={agreement}").status == 200


def test_a_confirmation_is_asked_for_by_a_button(buyer: Buyer, app: Flask) -> None:
    page = buyer.press(buyer.get("/messages"), "Ask to confirm")
    assert page.text.count("SubscriptionConfirmation") == 1
    assert "Confirmed on" not in page.text
    token = json.loads(app.extensions["sandbox"].messages.newest()[0].body)["Token"]
    topic = page.soup.select_one("#topic-1 code").get_text()
    asked = {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": token}
    assert app.test_client().post("/aws/sns", data=asked).status_code == 200
    assert "Confirmed on 7 April 2026, 18:40 (UTC)" in buyer.get("/messages").text


def test_pages_that_stood_open_do_no_harm(buyer: Buyer) -> None:
    for path in ("/messages/77/again", "/messages/confirm/aws/unknown", "/messages/confirm/moon/unknown"):
        assert buyer.post(path).h1 == "Messages"
    assert buyer.get("/messages?agreement=agmt-none").status == 404
    assert buyer.post("/messages?agreement=agmt-none").status == 404


def test_a_renewed_purchase_and_a_failed_payment_say_so(buyer: Buyer) -> None:
    renewed = buyer.press(bought(buyer), "Renew it now")
    assert "Active" in renewed.text
    software = buyer.get("/aws/software")
    assert (software.text.count("Renewed"), software.text.count("Active")) == (1, 1)
    old = buyer.get(software.tagged("li")[-1].find("a")["href"].removeprefix("/sandbox"))
    assert "Renewed on 7 April 2026, 18:40 (UTC)" in old.text

    refused = buyer.press(
        buyer.get("/aws/"), "Continue Subscription", account="782858285006", fault="payment"
    )
    assert list(refused.errors) == ["fault-0"]
    failed = bought(buyer, "aws-cn", fault="payment")
    assert "The payment failed on 7 April 2026, 18:40 (UTC)" in failed.text
    assert "Payment failed" in buyer.get("/aws-cn/software").text


def test_the_page_is_there_in_chinese(app: Flask) -> None:
    buyer = Buyer(app, "zh")
    page = buyer.follow(bought(buyer), "AWS 发给卖家的消息")
    assert page.h1 == "消息"
    wrong = buyer.press(page, "保存", delay="soon")
    assert wrong.errors == {"delay": "填写 0 到 1209600 之间的整数"}
    saved = buyer.press(wrong, "保存", delay="5")
    assert saved.text.count("发送中") == 2
    assert buyer.press(saved, "再次发送").text.count("发送中") == 3
