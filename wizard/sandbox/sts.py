"""The stand-in Security Token Service: ``AssumeRole`` over AWS's Query protocol, a form in and XML out.

Shapes and errors: *AWS Security Token Service* API reference, 2011-06-15. Sellers take a role of the account that
published the listing, with an external id that proves the request is theirs; a wrong one is refused as AWS refuses.
"""

import re
import uuid
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement, tostring

from flask import Blueprint, Response, current_app, request

from wizard.sandbox.credentials import EXTERNAL_ID, ROLE_ACCOUNT, ROLE_NAME, Caller, caller_of
from wizard.sandbox.errors import AwsError
from wizard.sandbox.web import sandbox

sts = Blueprint("sts", __name__)

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_HOUR = 3600
_SHORTEST, _LONGEST = 900, 12 * _HOUR
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)
_QUERY_ERRORS = {
    "ExpiredTokenException": "ExpiredToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
}
"""AWS's JSON and Query services name the same refusal differently."""


@sts.post("/aws/sts", strict_slashes=False)
def call() -> Response:
    """One call; ``AssumeRole`` is all there is."""
    answer_id = str(uuid.uuid4())
    try:
        if request.form.get("Action") != "AssumeRole":
            raise AwsError("InvalidAction", "The action names no operation that is here.")
        caller = caller_of(request)
        sandbox().sessions.check(caller)
        return _answer(_assume_role(caller, answer_id), 200, answer_id)
    except AwsError as error:
        return _answer(_error(error, answer_id), error.status, answer_id)
    except Exception:
        current_app.logger.exception("the stand-in STS failed")
        failed = AwsError("InternalFailure", "The sandbox failed.", 500)
        return _answer(_error(failed, answer_id), 500, answer_id)


def _assume_role(caller: Caller, answer_id: str) -> Element:
    role = request.form.get("RoleArn", "")
    session = request.form.get("RoleSessionName", "")
    if not role or not _SESSION_NAME.fullmatch(session):
        raise AwsError("ValidationError", "RoleArn and a RoleSessionName of 2 to 64 characters are needed.")
    duration = _duration(request.form.get("DurationSeconds", str(_HOUR)))
    known = caller.partition.arn(f"iam::{ROLE_ACCOUNT}:role/{ROLE_NAME}")
    if role != known or request.form.get("ExternalId") != EXTERNAL_ID:
        who = caller.partition.arn("iam::000000000000:user/sandbox")
        raise AwsError(
            "AccessDenied",
            f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {role}",
            403,
        )
    given = sandbox().sessions.give(caller.partition, duration)
    root = Element("AssumeRoleResponse", xmlns=_NAMESPACE)
    result = SubElement(root, "AssumeRoleResult")
    user = SubElement(result, "AssumedRoleUser")
    _text(user, "AssumedRoleId", f"AROA{given.access_key[4:]}:{session}")
    _text(user, "Arn", caller.partition.arn(f"sts::{ROLE_ACCOUNT}:assumed-role/{ROLE_NAME}/{session}"))
    credentials = SubElement(result, "Credentials")
    _text(credentials, "AccessKeyId", given.access_key)
    _text(credentials, "SecretAccessKey", given.secret_key)
    _text(credentials, "SessionToken", given.session_token)
    _text(
        credentials,
        "Expiration",
        datetime.fromtimestamp(given.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    _text(SubElement(root, "ResponseMetadata"), "RequestId", answer_id)
    return root


def _duration(given: str) -> int:
    seconds = int(given) if re.fullmatch(r"[0-9]{1,9}", given) else 0
    if not _SHORTEST <= seconds <= _LONGEST:
        raise AwsError("ValidationError", f"DurationSeconds is between {_SHORTEST} and {_LONGEST}.")
    return seconds


def _error(error: AwsError, answer_id: str) -> Element:
    root = Element("ErrorResponse", xmlns=_NAMESPACE)
    body = SubElement(root, "Error")
    _text(body, "Type", "Sender" if error.status < 500 else "Receiver")
    _text(body, "Code", _QUERY_ERRORS.get(error.kind, error.kind))
    _text(body, "Message", error.message)
    _text(root, "RequestId", answer_id)
    return root


def _text(parent: Element, name: str, text: str) -> None:
    SubElement(parent, name).text = text


def _answer(root: Element, status: int, answer_id: str) -> Response:
    response = Response(tostring(root, encoding="unicode"), status, content_type="text/xml; charset=utf-8")
    response.headers["x-amzn-RequestId"] = answer_id
    return response
