"""Doors for programs: make and cancel purchases, read the mailbox. JSON in, JSON out, errors as ``{"error"}``."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from wizard.sandbox import purchases
from wizard.sandbox.contacts import Contact, contact_of, person_of
from wizard.sandbox.errors import MOST_FAULTS, PurchaseCancelled, Refused, UnknownPurchase
from wizard.sandbox.metering import Metered, plain, totals
from wizard.sandbox.purchases import Purchase, Token
from wizard.sandbox.web import json_object, sandbox

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
)
_AGAIN = ("agreementId", "fault", "faultCount")


@doors.errorhandler(Refused)
def refused(error: Refused) -> tuple[Response, int]:
    status = (
        404 if isinstance(error, UnknownPurchase) else 409 if isinstance(error, PurchaseCancelled) else 400
    )
    return jsonify(error=str(error)), status


@doors.post("/aws/purchases")
def purchase() -> tuple[Response, int]:
    """201 and a token. All members are optional:

    ``partition`` aws (when not given) | aws-cn | aws-eusc · ``customerAWSAccountId`` 12 digits · ``productCode`` ·
    ``style`` licence | legacy | legacy_minimal, the partition's own when not given · ``contact`` who buys, with
    AWS's members ``{firstName, lastName, emailAddress, companyName, countryCode}``, null for somebody who did not
    say, a believable person when not given · ``entitlements`` ``{dimension: int | float | bool | str}`` ·
    ``fault`` expired | throttled | internal | disabled | access_denied | invalid · ``faultCount`` how many calls
    fail before the token works (3 for throttled and internal when not given, every call for the others) ·
    ``agreementId`` of an earlier purchase for a fresh token of that one, with nothing but a fault beside it.
    """
    wish = _wish()
    count, fault = _count(wish), _text(wish, "fault")
    agreement_id = _text(wish, "agreementId")
    marketplace = sandbox().marketplace
    if agreement_id is not None:
        _only(wish, _AGAIN, "Beside agreementId only fault and faultCount can be given.")
        return jsonify(_made(*marketplace.set_up(agreement_id, fault, count))), 201
    _only(wish, _NEW, f"Known members: {', '.join([*_NEW, 'agreementId'])}.")
    account = _text(wish, "customerAWSAccountId")
    number = purchases.random_account() if account is None else purchases.account_number(account)
    if number is None:
        raise Refused("customerAWSAccountId is a string of 12 digits.")
    partition = _partition(wish)
    made = marketplace.buy(
        account=number,
        product_code=_text(wish, "productCode") or sandbox().settings.product_codes[partition][0],
        style=_text(wish, "style"),
        partition=partition,
        contact=_contact(wish, partition, number),
        entitlements=_entitlements(wish),
        fault=fault,
        count=count,
    )
    return jsonify(_made(*made)), 201


@doors.post("/aws/purchases/<agreement_id>/cancel")
def cancel(agreement_id: str) -> Response:
    """Cancel a purchase; again is the same answer. 404 where no purchase has this agreement id."""
    cancelled = sandbox().marketplace.cancel(agreement_id)
    return jsonify(
        agreementId=cancelled.agreement_id,
        customerAWSAccountId=cancelled.account,
        status="cancelled",
        cancelledAt=iso(cancelled.cancelled_at or 0.0),
    )


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
    wish = _wish()
    _only(wish, ("fault", "faultCount"), "Known members: fault, faultCount.")
    fault, count = sandbox().meter.script(agreement_id, _text(wish, "fault"), _count(wish))
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


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 in UTC with milliseconds: ``2026-11-20T18:11:57.208Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _wish() -> dict[str, Any]:
    try:
        return json_object(request.get_data())
    except ValueError as error:
        raise Refused(str(error)) from None


def _only(wish: dict[str, Any], known: tuple[str, ...], message: str) -> None:
    if unknown := [name for name in wish if name not in known]:
        raise Refused(f"{', '.join(unknown)}: not used here. {message}")


def _text(wish: dict[str, Any], name: str) -> str | None:
    value = wish.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(f"{name} is a string.")
    return value


def _count(wish: dict[str, Any]) -> int | None:
    count = wish.get("faultCount")
    if count is not None and type(count) is not int:
        raise Refused(f"faultCount is a whole number from 1 to {MOST_FAULTS}.")
    return count


def _partition(wish: dict[str, Any]) -> str:
    known = sandbox().settings.product_codes
    partition = _text(wish, "partition") or ("aws" if "aws" in known else next(iter(known)))
    if partition not in known:
        raise Refused(f"partition is one of: {', '.join(known)}.")
    return partition


def _contact(wish: dict[str, Any], partition: str, account: str) -> Contact | None:
    if "contact" not in wish:
        return person_of(partition, account)
    return None if wish["contact"] is None else contact_of(wish["contact"])


def _entitlements(wish: dict[str, Any]) -> dict[str, purchases.Value] | None:
    asked = wish.get("entitlements")
    if asked is None:
        return None
    kinds = int | float | bool | str
    if not isinstance(asked, dict) or not all(name and isinstance(v, kinds) for name, v in asked.items()):
        raise Refused("entitlements is an object of dimension names and numbers, strings, true or false.")
    return asked


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
