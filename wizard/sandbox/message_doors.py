"""Doors for programs to AWS's messages: what was sent and what the seller said, how they travel, send one again."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from wizard.sandbox.errors import Refused
from wizard.sandbox.events import iso, topic_of
from wizard.sandbox.messages import Message, Switches
from wizard.sandbox.web import sandbox
from wizard.sandbox.wishes import only, partition_of, refused, text, wish_of

message_doors = Blueprint("message_doors", __name__)
message_doors.register_error_handler(Refused, refused)


@message_doors.get("/aws/messages")
def listed() -> Response:
    """How messages travel, and the newest 200 deliveries, newest first; ``?agreementId=`` those of one purchase."""
    return _answer(request.args.get("agreementId", "").strip() or None)


@message_doors.post("/aws/messages")
def switch() -> Response:
    """How messages travel where a purchase has no switches of its own:
    ``{"duplicates": int, "delay": seconds, "disorder": bool, "silence": bool}``, what is left out is off."""
    sandbox().messages.switch(Switches.of(wish_of()))
    return _answer(None)


@message_doors.get("/aws/purchases/<agreement_id>/messages")
def of_purchase(agreement_id: str) -> Response:
    """The same for one purchase. 404 where no purchase has this agreement id."""
    return _answer(sandbox().marketplace.find(agreement_id).agreement_id)


@message_doors.post("/aws/purchases/<agreement_id>/messages")
def switch_purchase(agreement_id: str) -> Response:
    """How the messages of one purchase travel from now on."""
    found = sandbox().marketplace.find(agreement_id)
    sandbox().messages.switch(Switches.of(wish_of()), found.agreement_id)
    return _answer(found.agreement_id)


@message_doors.post("/aws/messages/<int:number>/again")
def again(number: int) -> tuple[Response, int]:
    """201: send a message once more, at once, with the id and the time it has. 404 for a number that is none."""
    return jsonify(_shape(sandbox().messages.again(number))), 201


@message_doors.post("/aws/topics/confirm")
def confirm() -> tuple[Response, int]:
    """202: ask the seller's endpoint to confirm its subscription: ``{"partition"?, "productCode"?}``."""
    wish = wish_of()
    only(wish, ("partition", "productCode"), "Known members: partition, productCode.")
    partition = partition_of(wish)
    code = text(wish, "productCode") or sandbox().settings.product_codes[partition][0]
    if code not in sandbox().settings.product_codes[partition]:
        raise Refused(f"productCode is one of: {', '.join(sandbox().settings.product_codes[partition])}.")
    sandbox().topics.ask(partition, code)
    return jsonify(topicArn=topic_of(partition, code)), 202


def _answer(agreement_id: str | None) -> Response:
    found = sandbox().messages.newest(agreement_id)
    return jsonify(
        switches=sandbox().messages.switches(agreement_id).shape(), messages=[_shape(one) for one in found]
    )


def _shape(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "messageId": message.message_id,
        "partition": message.partition,
        "agreementId": message.agreement_id,
        "road": message.road,
        "kind": message.kind,
        "at": iso(message.at),
        "nextAt": None if message.next_at is None else iso(message.next_at),
        "lastTryAt": None if message.last_try_at is None else iso(message.last_try_at),
        "tries": message.tries,
        "answer": message.answer,
        "fate": message.fate,
        "body": message.body,
    }
