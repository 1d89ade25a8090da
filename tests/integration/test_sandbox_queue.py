"""The sandbox's queue: what EventBridge puts there, read by unmodified boto3."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.sandbox import PRODUCT, LiveSandbox, live_sandbox, settings
from wizard.sandbox import create_sandbox, messages
from wizard.sandbox.serving import api_server

ACCOUNT = "782858285006"


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSandbox]:
    with live_sandbox(tmp_path) as running:
        yield running


def received(live: LiveSandbox, partition: str = "aws", **asked: Any) -> list[dict[str, Any]]:
    asked = {"QueueUrl": live.queue(partition), "MaxNumberOfMessages": 10} | asked
    return live.aws("sqs", partition).receive_message(**asked).get("Messages", [])


def events(live: LiveSandbox, partition: str = "aws") -> list[dict[str, Any]]:
    """Everything that can be read, in the order of reading."""
    return [json.loads(message["Body"]) for message in received(live, partition)]


def kinds(live: LiveSandbox) -> list[str]:
    return [event["detail-type"] for event in events(live)]


def shape(value: Any) -> Any:
    """The names in JSON, without what they stand for."""
    return {name: shape(inner) for name, inner in value.items()} if isinstance(value, dict) else None


QUARTET = [
    "Purchase Agreement Created - Proposer",
    "License Updated - Manufacturer",
    "Purchase Agreement Ended - Proposer",
    "License Deprovisioned - Manufacturer",
]


# Events ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("partition", "region"), [("aws", "us-east-1"), ("aws-eusc", "eusc-de-east-1")], ids=["aws", "aws-eusc"]
)
def test_a_purchase_and_its_end_are_four_events_as_aws_sends_them(
    live: LiveSandbox, partition: str, region: str
) -> None:
    bought = live.buy(customerAWSAccountId=ACCOUNT, partition=partition)
    live.post(f"/aws/purchases/{bought['agreementId']}/cancel")
    four = events(live, partition)

    assert [event["detail-type"] for event in four] == QUARTET
    assert len({event["id"] for event in four}) == 4
    for event in four:
        assert (event["source"], event["version"]) == ("aws.agreement-marketplace", "0")
        assert (event["region"], event["time"]) == (region, "2026-04-07T18:40:00Z")
        resource = f"arn:{partition}:aws-marketplace::aws:agreement:{bought['agreementId']}"
        assert event["resources"] == [resource]
        assert event["detail"]["agreement"]["id"] == bought["agreementId"]
        assert event["detail"]["acceptor"] == {"accountId": ACCOUNT}
    created, updated, ended, deprovisioned = (event["detail"] for event in four)
    every = {"requestId": None, "catalog": None, "acceptor": {"accountId": None}}
    every |= {"proposer": {"accountId": None}}
    times = dict.fromkeys(["acceptanceTime", "startTime", "endTime"])
    assert shape(created) == every | {
        "agreement": {"id": None, "intent": None, "status": None} | times,
        "offer": {"id": None},
        "resaleAuthorization": {"id": None},
    }
    assert created["agreement"]["endTime"] == "9999-01-01T00:00:00Z"
    assert shape(ended) == every | {
        "agreement": {"id": None, "status": None},
        "resaleAuthorization": {"id": None},
    }
    assert (created["agreement"]["intent"], ended["agreement"]["status"]) == ("NEW", "CANCELLED")
    assert shape(updated) == shape(deprovisioned)
    assert shape(updated) == every | {
        "agreement": {"id": None},
        "offer": {"id": None},
        "product": {"id": None, "code": None},
        "license": {"arn": None},
    }
    assert updated["license"] == deprovisioned["license"] == {"arn": bought["licenseArn"]}
    assert updated["product"]["code"] == bought["productCode"]


def test_events_come_as_they_happen_and_not_before(tmp_path: Path) -> None:
    with live_sandbox(tmp_path, pace=20) as live:
        bought = live.buy()
        assert kinds(live) == QUARTET[:1]
        live.clock.at += 19
        assert kinds(live) == []
        live.clock.at += 1
        assert kinds(live) == QUARTET[1:2]
        live.post(f"/aws/purchases/{bought['agreementId']}/cancel")
        assert kinds(live) == QUARTET[2:3]


def test_cancelling_again_says_nothing_more(live: LiveSandbox) -> None:
    bought = live.buy()
    for _ in range(3):
        live.post(f"/aws/purchases/{bought['agreementId']}/cancel")
    assert kinds(live) == QUARTET


def test_a_purchase_that_is_refused_is_not_told_of(live: LiveSandbox) -> None:
    assert live.post("/aws/purchases", {"style": "modern"})[0] == 400
    assert live.post("/aws/purchases", {"fault": "tired"})[0] == 400
    assert live.post("/aws/purchases", {"messages": {"delay": -1}})[0] == 400
    assert events(live) == []


def test_a_renewal_is_a_new_agreement_with_a_licence_of_its_own(live: LiveSandbox) -> None:
    old = live.buy(customerAWSAccountId=ACCOUNT, entitlements={"seats": 7})
    status, new = live.post(f"/aws/purchases/{old['agreementId']}/renew")
    assert status == 201
    assert new["previousAgreementId"] == old["agreementId"]
    assert live.post(f"/aws/purchases/{old['agreementId']}/renew") == (201, new), "again is the same one"
    assert {"agreementId", "licenseArn"} <= {name for name in new if new[name] != old.get(name)}

    told = [(event["detail-type"], event["detail"]["agreement"]) for event in events(live)[2:]]
    assert [(kind, agreement["id"]) for kind, agreement in told] == [
        (QUARTET[0], new["agreementId"]),
        (QUARTET[1], new["agreementId"]),
        (QUARTET[2], old["agreementId"]),
        (QUARTET[3], old["agreementId"]),
    ]
    assert (told[0][1]["intent"], told[0][1]["previousAgreementId"]) == ("RENEW", old["agreementId"])
    assert told[2][1]["status"] == "RENEWED"

    entitled = live.aws("marketplace-entitlement").get_entitlements(ProductCode=PRODUCT)["Entitlements"]
    assert [(one["LicenseArn"], one["Value"]) for one in entitled] == [
        (new["licenseArn"], {"IntegerValue": 7})
    ]
    assert live.resolve(new["token"])["Metadata"]["AgreementId"] == new["agreementId"]
    # What is renewed can neither be cancelled any more nor renewed once it is cancelled.
    assert live.post(f"/aws/purchases/{old['agreementId']}/cancel")[1]["status"] == "renewed"
    live.post(f"/aws/purchases/{new['agreementId']}/cancel")
    assert live.post(f"/aws/purchases/{new['agreementId']}/renew")[0] == 409
    assert live.post("/aws/purchases/agmt-none/renew")[0] == 404
    assert live.post(f"/aws/purchases/{live.buy(style='legacy')['agreementId']}/renew")[0] == 400


def test_other_entitlements_update_the_licence(live: LiveSandbox) -> None:
    bought = live.buy()
    live.post(f"/aws/purchases/{bought['agreementId']}/entitlements", {"entitlements": {"seats": 9}})
    assert kinds(live) == [QUARTET[0], QUARTET[1], QUARTET[1]]


def test_an_agreement_says_how_it_stands(live: LiveSandbox) -> None:
    def asked(agreement_id: str) -> dict[str, Any]:
        return live.aws("marketplace-agreement").describe_agreement(agreementId=agreement_id)

    old = live.buy(customerAWSAccountId=ACCOUNT)
    new = live.post(f"/aws/purchases/{old['agreementId']}/renew")[1]
    newest = live.post(f"/aws/purchases/{new['agreementId']}/renew")[1]
    found = asked(newest["agreementId"])
    assert (found["status"], found["initialAgreementId"]) == ("ACTIVE", old["agreementId"])
    assert (found["acceptor"], found["endTime"].year) == ({"accountId": ACCOUNT}, 9999)
    assert asked(old["agreementId"])["status"] == "RENEWED"
    live.post(f"/aws/purchases/{newest['agreementId']}/cancel")
    assert asked(newest["agreementId"])["status"] == "CANCELLED"

    with pytest.raises(live.aws("marketplace-agreement").exceptions.ResourceNotFoundException):
        asked("agmt-none")
    for partition, code in (("aws-cn", "UnknownOperationException"), ("aws-eusc", "AccessDeniedException")):
        with pytest.raises(ClientError) as refused:
            live.aws("marketplace-agreement", partition).describe_agreement(agreementId=old["agreementId"])
        assert refused.value.response["Error"]["Code"] == code


# The queue ------------------------------------------------------------------------------------------------------


def test_who_waits_for_a_message_is_woken_by_it(live: LiveSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "LOOK_EVERY", 60)  # Nobody looks before then: it takes the bell.
    waiting = live.aws("sqs")
    got: list[dict[str, Any]] = []
    reader = threading.Thread(
        target=lambda: got.extend(
            waiting.receive_message(QueueUrl=live.queue(), WaitTimeSeconds=20)["Messages"]
        )
    )
    reader.start()
    live.buy()
    reader.join(10)
    assert len(got) == 1


def test_what_another_process_sends_is_found_too(live: LiveSandbox, tmp_path: Path) -> None:
    elsewhere = create_sandbox(settings(tmp_path, live.clock)).test_client()
    timer = threading.Timer(0.1, lambda: elsewhere.post("/aws/purchases"))
    timer.start()
    assert len(received(live, WaitTimeSeconds=20)) == 2
    timer.join()


def test_nothing_is_read_for_who_has_hung_up(tmp_path: Path) -> None:
    app = create_sandbox(settings(tmp_path))
    asked = threading.Event()
    gone = threading.Event()

    class Watched:
        """The sandbox, which says when somebody begins to wait and has seen that they are gone."""

        def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
            asked.set()
            try:
                return app(environ, start_response)
            finally:
                gone.set()

    server = api_server(Watched(), 1, host="127.0.0.1", port=0)
    threading.Thread(target=server.run, daemon=True).start()
    body = json.dumps({"QueueUrl": "/queue/aws", "WaitTimeSeconds": 20}).encode()
    head = "POST /aws/api HTTP/1.1\r\nHost: here\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
    with socket.create_connection(("127.0.0.1", server.effective_port)) as caller:
        caller.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert asked.wait(10)
    assert gone.wait(10), "long before the twenty seconds are over"
    app.test_client().post("/aws/purchases")
    read = app.extensions["sandbox"].messages.receive("aws", 10, 30, 0)
    assert [message.tries for message in read] == [1, 1]
    server.close()


def test_a_message_is_read_again_until_it_is_deleted(live: LiveSandbox) -> None:
    live.buy(messages={"silence": True})
    live.aws("sqs").send_message(QueueUrl=live.queue(), MessageBody="one")
    first = received(live, AttributeNames=["All"])[0]
    assert first["Attributes"]["ApproximateReceiveCount"] == "1"
    assert received(live) == []
    live.clock.at += 30
    second = received(live, MessageSystemAttributeNames=["ApproximateReceiveCount"])[0]
    assert second["Attributes"] == {"ApproximateReceiveCount": "2"}
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]

    # Whoever had it before no longer has it.
    live.aws("sqs").delete_message(QueueUrl=live.queue(), ReceiptHandle=first["ReceiptHandle"])
    live.clock.at += 30
    third = received(live)[0]
    live.aws("sqs").delete_message(QueueUrl=live.queue(), ReceiptHandle=third["ReceiptHandle"])
    live.clock.at += 30
    assert received(live) == []


def test_a_reader_gives_a_message_back(live: LiveSandbox) -> None:
    sqs = live.aws("sqs")
    sqs.send_message(QueueUrl=live.queue(), MessageBody="one")
    had = received(live, VisibilityTimeout=600)[0]
    sqs.change_message_visibility(
        QueueUrl=live.queue(), ReceiptHandle=had["ReceiptHandle"], VisibilityTimeout=0
    )
    assert received(live)[0]["Body"] == "one"
    with pytest.raises(sqs.exceptions.MessageNotInflight):
        sqs.change_message_visibility(
            QueueUrl=live.queue(), ReceiptHandle=had["ReceiptHandle"], VisibilityTimeout=0
        )


def test_ten_messages_come_and_go_in_one_call(live: LiveSandbox) -> None:
    sqs = live.aws("sqs")
    bodies = [f"{number}" for number in range(10)]
    sent = sqs.send_message_batch(
        QueueUrl=live.queue(), Entries=[{"Id": body, "MessageBody": body} for body in bodies]
    )
    assert [one["Id"] for one in sent["Successful"]] == bodies
    sqs.send_message(QueueUrl=live.queue(), MessageBody="eleventh")
    had = received(live)
    assert [message["Body"] for message in had] == bodies
    counted = sqs.get_queue_attributes(QueueUrl=live.queue(), AttributeNames=["All"])["Attributes"]
    assert counted["ApproximateNumberOfMessages"] == "1"
    assert counted["ApproximateNumberOfMessagesNotVisible"] == "10"
    assert counted["QueueArn"] == "arn:aws:sqs:us-east-1:111122223333:aws"
    handles = [message["ReceiptHandle"] for message in had[:9]] + ["made-up"]
    gone = sqs.delete_message_batch(
        QueueUrl=live.queue(),
        Entries=[{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)],
    )
    assert len(gone["Successful"]) == 9
    assert [(one["Id"], one["Code"]) for one in gone["Failed"]] == [("9", "ReceiptHandleIsInvalid")]
    live.clock.at += 30
    assert sorted(message["Body"] for message in received(live)) == ["9", "eleventh"]


@pytest.mark.parametrize(
    "url", ["{here}/aws-cn", "{here}/moon", "{here}", "", "http://elsewhere/111122223333/aws"]
)
def test_no_queue_is_reached_but_that_of_the_partition(live: LiveSandbox, url: str) -> None:
    sqs = live.aws("sqs")
    where = url.format(here=live.queue().removesuffix("/aws"))
    for ask in (
        lambda: sqs.receive_message(QueueUrl=where),
        lambda: sqs.delete_message(QueueUrl=where, ReceiptHandle="a"),
        lambda: sqs.get_queue_attributes(QueueUrl=where),
    ):
        with pytest.raises(sqs.exceptions.QueueDoesNotExist) as refused:
            ask()
        assert refused.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"


def test_a_queue_is_known_by_any_name_of_this_machine(live: LiveSandbox) -> None:
    live.buy()
    assert received(live, QueueUrl="http://sandbox.internal:5001/aws/api/queue/aws/")


def test_what_sqs_would_not_take_is_refused_as_sqs_refuses(live: LiveSandbox) -> None:
    sqs = live.aws("sqs")
    entry = {"Id": "a", "ReceiptHandle": "WzEsMV0="}
    for kind, ask in (
        ("InvalidParameterValue", lambda: received(live, MaxNumberOfMessages=11)),
        ("InvalidParameterValue", lambda: received(live, WaitTimeSeconds=21)),
        ("InvalidParameterValue", lambda: received(live, VisibilityTimeout=-1)),
        (
            "ReceiptHandleIsInvalid",
            lambda: sqs.delete_message(QueueUrl=live.queue(), ReceiptHandle="made-up"),
        ),
        ("EmptyBatchRequest", lambda: sqs.delete_message_batch(QueueUrl=live.queue(), Entries=[])),
        (
            "TooManyEntriesInBatchRequest",
            lambda: sqs.delete_message_batch(
                QueueUrl=live.queue(), Entries=[entry | {"Id": f"{n}"} for n in range(11)]
            ),
        ),
        (
            "BatchEntryIdsNotDistinct",
            lambda: sqs.delete_message_batch(QueueUrl=live.queue(), Entries=[entry, entry]),
        ),
        ("InvalidParameterValue", lambda: sqs.send_message(QueueUrl=live.queue(), MessageBody="")),
    ):
        with pytest.raises(ClientError) as refused:
            ask()
        assert refused.value.response["Error"]["Code"] == kind
