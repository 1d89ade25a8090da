"""Doors for programs: make, renew and cancel purchases, read the mailbox. JSON in, JSON out, and ``{"error"}``."""

from typing import Any

from flask import Blueprint, Response, jsonify, request

from wizard.sandbox import names
from wizard.sandbox.bought import Purchase, Token, Value
from wizard.sandbox.contacts import Contact, contact_of, person_of
from wizard.sandbox.errors import MOST_FAULTS, Refused
from wizard.sandbox.events import iso
from wizard.sandbox.messages import Switches
from wizard.sandbox.metering import Metered, plain, totals
from wizard.sandbox.web import sandbox
from wizard.sandbox.wishes import flag, only, partition_of, refused, text, wish_of

doors = Blueprint("doors", __name__)

_NEW = (
    "partition",
    "customerAWSAccountId",
    "productCode",
    "style",
    "contact",
    "entitlements",
    "fault",
    "faultCount",
    "fails",
    "messages",
)
_AGAIN = ("agreementId", "fault", "faultCount")


doors.register_error_handler(Refused, refused)


@doors.post("/aws/purchases")
def purchase() -> tuple[Response, int]:
    """201 and a token. All members are optional:

    ``partition`` aws (when not given) | aws-cn | aws-eusc · ``customerAWSAccountId`` 12 digits · ``productCode`` ·
    ``style`` licence | legacy | legacy_minimal, the partition's own when not given · ``contact`` who buys, with
    AWS's members ``{firstName, lastName, emailAddress, companyName, countryCode}``, null for somebody who did not
    say, a believable person when not given · ``entitlements`` ``{dimension: int | float | bool | str}`` ·
    ``fault`` expired | throttled | internal | disabled | access_denied | invalid · ``faultCount`` how many calls
    fail before the token works (3 for throttled and internal when not given, every call for the others) ·
    ``fails`` true: the buyer cannot pay, which AWS says of legacy purchases once the token is out · ``messages`` how
    AWS's messages of this purchase travel from now on: ``{"duplicates": int, "delay": seconds, "disorder": bool,
    "silence": bool}`` · ``agreementId`` of an earlier purchase for a fresh token of that one, with nothing but a
    fault beside it.
    """
    wish = wish_of()
    count, fault = _count(wish), text(wish, "fault")
    agreement_id = text(wish, "agreementId")
    marketplace = sandbox().marketplace
    if agreement_id is not None:
        only(wish, _AGAIN, "Beside agreementId only fault and faultCount can be given.")
        return jsonify(_made(*marketplace.set_up(agreement_id, fault, count))), 201
    only(wish, _NEW, f"Known members: {', '.join([*_NEW, 'agreementId'])}.")
    account = text(wish, "customerAWSAccountId")
    number = names.random_account() if account is None else names.account_number(account)
    if number is None:
        raise Refused("customerAWSAccountId is a string of 12 digits.")
    partition = partition_of(wish)
    made = marketplace.buy(
        account=number,
        product_code=text(wish, "productCode") or sandbox().settings.product_codes[partition][0],
        style=text(wish, "style"),
        partition=partition,
        contact=_contact(wish, partition, number),
        entitlements=_entitlements(wish),
        fault=fault,
        count=count,
        fails=flag(wish, "fails"),
        switches=_switches(wish),
    )
    return jsonify(_made(*made)), 201


@doors.post("/aws/purchases/<agreement_id>/cancel")
def cancel(agreement_id: str) -> Response:
    """Cancel a purchase; again is the same answer. 404 where no purchase has this agreement id.

    ``messages``: how AWS's messages of it travel, as when it is made.
    """
    wish = wish_of()
    only(wish, ("messages",), "Known members: messages.")
    cancelled = sandbox().marketplace.cancel(agreement_id, _switches(wish))
    return jsonify(
        agreementId=cancelled.agreement_id,
        customerAWSAccountId=cancelled.account,
        status=cancelled.status.lower(),
        cancelledAt=iso(cancelled.cancelled_at or 0.0),
    )


@doors.post("/aws/purchases/<agreement_id>/renew")
def renew(agreement_id: str) -> tuple[Response, int]:
    """201 and what a purchase gives: the agreement that comes in the place of this one, with a licence of its own;
    again is the same one. 409 where it is cancelled. ``messages`` as when a purchase is cancelled."""
    wish = wish_of()
    only(wish, ("messages",), "Known members: messages.")
    made = _made(*sandbox().marketplace.renew(agreement_id, _switches(wish)))
    return jsonify(made | {"previousAgreementId": agreement_id}), 201


@doors.post("/aws/purchases/<agreement_id>/entitlements")
def entitle(agreement_id: str) -> Response:
    """Entitle a purchase to something else, ``{"entitlements": {dimension: int | float | bool | str}}``; to nothing
    where it is empty, as when a contract has run out. 404 for no purchase, 409 for one that is over."""
    wish = wish_of()
    only(wish, ("entitlements",), "Known members: entitlements.")
    asked = _entitlements(wish) or {}
    sandbox().marketplace.entitle(agreement_id, asked)
    return jsonify(agreementId=agreement_id, entitlements=asked)


@doors.get("/aws/purchases/<agreement_id>/metering")
def metering(agreement_id: str) -> Response:
    """What was counted for a purchase, the latest hour first, and all of it by dimension. 404 for no purchase."""
    found = sandbox().marketplace.find(agreement_id)
    records = sandbox().meter.of(agreement_id)
    return jsonify(
        agreementId=found.agreement_id,
        totals={dimension: plain(total) for dimension, total in totals(records).items()},
        records=[_metered(record) for record in records],
    )


@doors.post("/aws/purchases/<agreement_id>/metering")
def script_metering(agreement_id: str) -> Response:
    """Make the next calls that meter a purchase go wrong: ``{"fault", "faultCount"?}``.

    ``fault`` unprocessed (its records come back in ``UnprocessedRecords``) | throttled | internal | disabled |
    access_denied, or null to end it · ``faultCount`` how many calls (3 for the first three when not given, every
    call for the others).
    """
    wish = wish_of()
    only(wish, ("fault", "faultCount"), "Known members: fault, faultCount.")
    fault, count = sandbox().meter.script(agreement_id, text(wish, "fault"), _count(wish))
    return jsonify(agreementId=agreement_id, fault=fault, faultCount=count)


@doors.get("/mailbox.json")
def mailbox() -> Response:
    """The newest 200 mails, newest first, optionally only those ``?to=`` one address."""
    found = sandbox().mails.newest(request.args.get("to", "").strip() or None)
    return jsonify(
        [
            {
                "id": mail.id,
                "to": mail.to,
                "subject": mail.subject,
                "text": mail.text,
                "html": mail.html,
                "sent_at": iso(mail.sent_at),
            }
            for mail in found
        ]
    )


def _count(wish: dict[str, Any]) -> int | None:
    count = wish.get("faultCount")
    if count is not None and type(count) is not int:
        raise Refused(f"faultCount is a whole number from 1 to {MOST_FAULTS}.")
    return count


def _contact(wish: dict[str, Any], partition: str, account: str) -> Contact | None:
    if "contact" not in wish:
        return person_of(partition, account)
    return None if wish["contact"] is None else contact_of(wish["contact"])


def _entitlements(wish: dict[str, Any]) -> dict[str, Value] | None:
    asked = wish.get("entitlements")
    if asked is None:
        return None
    kinds = int | float | bool | str
    if not isinstance(asked, dict) or not all(name and isinstance(v, kinds) for name, v in asked.items()):
        raise Refused("entitlements is an object of dimension names and numbers, strings, true or false.")
    return asked


def _switches(wish: dict[str, Any]) -> Switches | None:
    asked = wish.get("messages")
    return None if asked is None else Switches.of(asked)


def _metered(record: Metered) -> dict[str, Any]:
    return {
        "meteringRecordId": record.record_id,
        "dimension": record.dimension,
        "quantity": plain(record.quantity),
        "hour": iso(record.hour),
        "timestamp": iso(record.at),
        "receivedAt": iso(record.received_at),
        "by": "licence" if record.licence else "productCode",
        "billedTwice": record.twice,
        "allocations": [{"quantity": plain(a.quantity), "tags": a.tags} for a in record.allocations],
    }


def _made(bought: Purchase, token: Token) -> dict[str, Any]:
    return {
        "token": token.token,
        "customerAWSAccountId": bought.account,
        "productCode": bought.product_code,
        "agreementId": bought.agreement_id,
        "licenseArn": bought.license_arn,
        "customerIdentifier": bought.customer_identifier,
        "partition": bought.partition,
    }
