"""The stand-in SQS: one queue for each partition, into which EventBridge's rule puts every event.

Its address is ``…/aws/api/queue/<partition>``. Shapes and errors: *Amazon SQS* API reference (2012-11-05), JSON
protocol. Queues are told apart by the last part of ``QueueUrl`` alone, since the seller may know this machine under
another name.
"""

import base64
import binascii
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from flask import request as web_request

from wizard.sandbox.errors import AwsError, member
from wizard.sandbox.events import QUEUE, SELLER, Draft
from wizard.sandbox.messages import Message
from wizard.sandbox.partitions import Partition
from wizard.sandbox.web import Sandbox

HIDDEN_SECONDS = 30
LONGEST_WAIT, LONGEST_HIDDEN, MOST = 20, 43_200, 10

_Request = Mapping[str, Any]


def receive_message(here: Sandbox, partition: Partition, request: _Request) -> dict[str, Any]:
    """``{"QueueUrl", "MaxNumberOfMessages"? ≤ 10, "WaitTimeSeconds"? ≤ 20, "VisibilityTimeout"?}`` →
    ``{"Messages"?}``."""
    _queue(here, partition, request)
    found = here.messages.receive(
        partition.name,
        _number(request, "MaxNumberOfMessages", 1, 1, MOST),
        _number(request, "VisibilityTimeout", HIDDEN_SECONDS, 0, LONGEST_HIDDEN),
        _number(request, "WaitTimeSeconds", 0, 0, LONGEST_WAIT),
        # waitress knows when whoever asked has hung up; what is read for nobody would be hidden for nothing.
        web_request.environ.get("waitress.client_disconnected", lambda: False),
    )
    asked = {*(member(request, "AttributeNames", list) or [])}
    asked |= {*(member(request, "MessageSystemAttributeNames", list) or [])}
    return {"Messages": [_message(one, asked) for one in found]} if found else {}


def delete_message(here: Sandbox, partition: Partition, request: _Request) -> dict[str, Any]:
    """``{"QueueUrl", "ReceiptHandle"}`` → ``{}``."""
    _queue(here, partition, request)
    here.messages.remove(partition.name, *_receipt(member(request, "ReceiptHandle", str)))
    return {}


def delete_message_batch(here: Sandbox, partition: Partition, request: _Request) -> dict[str, Any]:
    """``{"QueueUrl", "Entries": [≤ 10 of {"Id", "ReceiptHandle"}]}`` → ``{"Successful", "Failed"}``."""
    _queue(here, partition, request)
    done, failed = [], []
    for entry in _entries(request):
        try:
            here.messages.remove(partition.name, *_receipt(member(entry, "ReceiptHandle", str)))
            done.append({"Id": entry["Id"]})
        except AwsError as error:
            failed.append(
                {"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message}
            )
    return {"Successful": done, "Failed": failed}


def change_message_visibility(here: Sandbox, partition: Partition, request: _Request) -> dict[str, Any]:
    """``{"QueueUrl", "ReceiptHandle", "VisibilityTimeout"}`` → ``{}``; 0 gives it back at once."""
    _queue(here, partition, request)
    hidden = _number(request, "VisibilityTimeout", HIDDEN_SECONDS, 0, LONGEST_HIDDEN)
    if not here.messages.hide(
        partition.name, *_receipt(member(request, "ReceiptHandle", str)), float(hidden)
    ):
        raise _error("MessageNotInflight", "The message is not with this reader.")
    return {}


def send_message(here: Sandbox, partition: Partition, request: _Request) -> dict[str, Any]:
    """``{"QueueUrl", "MessageBody"}`` → ``{"MessageId", "MD5OfMessageBody"}``: what no marketplace would say."""
    _queue(here, partition, request)
    return _send(here, partition, [request])[0]


def send_message_batch(here: Sandbox, partition: Partition, request: _Request) -> dict[str, Any]:
    """``{"QueueUrl", "Entries": [≤ 10 of {"Id", "MessageBody"}]}`` → ``{"Successful"}``."""
    _queue(here, partition, request)
    entries = _entries(request)
    sent = _send(here, partition, entries)
    return {"Successful": [{"Id": entry["Id"]} | one for entry, one in zip(entries, sent, strict=True)]}


def get_queue_attributes(here: Sandbox, partition: Partition, request: _Request) -> dict[str, Any]:
    """``{"QueueUrl", "AttributeNames"?}`` → ``{"Attributes"}``, all values strings."""
    _queue(here, partition, request)
    ready, held, coming = here.messages.depth(partition.name)
    attributes = {
        "QueueArn": partition.arn(f"sqs:{partition.region}:{SELLER}:{partition.name}"),
        "ApproximateNumberOfMessages": str(ready),
        "ApproximateNumberOfMessagesNotVisible": str(held),
        "ApproximateNumberOfMessagesDelayed": str(coming),
        "VisibilityTimeout": str(HIDDEN_SECONDS),
        "ReceiveMessageWaitTimeSeconds": "0",
        "DelaySeconds": "0",
    }
    asked = member(request, "AttributeNames", list) or []
    return {"Attributes": {k: v for k, v in attributes.items() if "All" in asked or k in asked}}


def _queue(here: Sandbox, partition: Partition, request: _Request) -> None:
    """Raises :class:`AwsError` unless the queue is the partition's own: no credentials reach across."""
    url = member(request, "QueueUrl", str) or ""
    known = partition.name in here.settings.product_codes
    if not known or url.rstrip("/").rsplit("/", 2)[-2:] != ["queue", partition.name]:
        raise _error(
            "QueueDoesNotExist",
            "The specified queue does not exist.",
            code="AWS.SimpleQueueService.NonExistentQueue",
        )


def _message(message: Message, asked: set[str]) -> dict[str, Any]:
    attributes = {
        "SenderId": SELLER,
        "SentTimestamp": _milliseconds(message.made_at),
        "ApproximateReceiveCount": str(message.tries),
        "ApproximateFirstReceiveTimestamp": _milliseconds(message.first_try_at or 0.0),
    }
    told = {name: value for name, value in attributes.items() if "All" in asked or name in asked}
    receipt = base64.urlsafe_b64encode(json.dumps([message.id, message.tries]).encode()).decode("ascii")
    shape: dict[str, Any] = {
        # Every delivery is a message of the queue's own, also where the event is one that came before.
        "MessageId": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{message.message_id}/{message.id}")),
        "ReceiptHandle": receipt,
        "MD5OfBody": _md5(message.body),
        "Body": message.body,
    }
    return shape | ({"Attributes": told} if told else {})


def _send(here: Sandbox, partition: Partition, entries: Sequence[_Request]) -> list[dict[str, Any]]:
    now = here.settings.now()
    bodies = [member(entry, "MessageBody", str) or "" for entry in entries]
    if not all(bodies):
        raise _error("InvalidParameterValue", "MessageBody wants at least one character.")
    drafts = [Draft(QUEUE, "", str(uuid.uuid4()), now, now, body) for body in bodies]
    here.messages.send(partition.name, drafts)
    return [{"MessageId": draft.message_id, "MD5OfMessageBody": _md5(draft.body)} for draft in drafts]


def _entries(request: _Request) -> list[dict[str, Any]]:
    entries = member(request, "Entries", list) or []
    if not entries:
        raise _error("EmptyBatchRequest", "There is no entry in the request.")
    if len(entries) > MOST:
        raise _error("TooManyEntriesInBatchRequest", f"There are more than {MOST} entries in the request.")
    if not all(isinstance(entry, dict) and isinstance(entry.get("Id"), str) for entry in entries):
        raise _error("InvalidBatchEntryId", "Every entry wants an Id.")
    if len({entry["Id"] for entry in entries}) < len(entries):
        raise _error("BatchEntryIdsNotDistinct", "Two entries have the same Id.")
    return entries


def _receipt(handle: str | None) -> tuple[int, int]:
    """``(number, tries)`` of the message a handle was given for."""
    try:
        number, tries = json.loads(base64.urlsafe_b64decode((handle or "").encode("ascii")))
        return int(number), int(tries)
    except (binascii.Error, ValueError, TypeError):
        raise _error("ReceiptHandleIsInvalid", "The input receipt handle is invalid.") from None


def _number(request: _Request, name: str, default: int, least: int, most: int) -> int:
    value = member(request, name, int)
    if value is None:
        return default
    if not least <= value <= most:
        raise _error(
            "InvalidParameterValueException",
            f"Value {value} for parameter {name} is invalid. Reason: Must be >= {least} and <= {most}.",
            code="InvalidParameterValue",
        )
    return int(value)


def _error(kind: str, message: str, code: str = "") -> AwsError:
    return AwsError(f"com.amazonaws.sqs#{kind}", message, code=code or kind)


def _md5(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
