"""The stand-in Security Token Service: ``AssumeRole`` over AWS's Query protocol.

Shapes and errors: *AWS Security Token Service* API reference, 2011-06-15. Sellers take a role of the account that
published the listing, with an external id that proves the request is theirs; a wrong one is refused as AWS refuses.
"""

import re
from datetime import UTC, datetime
from xml.etree.ElementTree import Element, SubElement

from flask import Blueprint, Response, request

from wizard.sandbox.credentials import EXTERNAL_ID, ROLE_ACCOUNT, ROLE_NAME, Caller
from wizard.sandbox.errors import AwsError
from wizard.sandbox.query import put, respond
from wizard.sandbox.web import sandbox

sts = Blueprint("sts", __name__)

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_HOUR = 3600
_SHORTEST, _LONGEST = 900, 12 * _HOUR
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


@sts.post("/aws/sts", strict_slashes=False)
def call() -> Response:
    """One call; ``AssumeRole`` is all there is."""
    return respond(_NAMESPACE, {"AssumeRole": _assume_role})


def _assume_role(caller: Caller, result: Element) -> None:
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
    user = SubElement(result, "AssumedRoleUser")
    put(user, "AssumedRoleId", f"AROA{given.access_key[4:]}:{session}")
    put(user, "Arn", caller.partition.arn(f"sts::{ROLE_ACCOUNT}:assumed-role/{ROLE_NAME}/{session}"))
    credentials = SubElement(result, "Credentials")
    put(credentials, "AccessKeyId", given.access_key)
    put(credentials, "SecretAccessKey", given.secret_key)
    put(credentials, "SessionToken", given.session_token)
    put(
        credentials,
        "Expiration",
        datetime.fromtimestamp(given.expires_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def _duration(given: str) -> int:
    seconds = int(given) if re.fullmatch(r"[0-9]{1,9}", given) else 0
    if not _SHORTEST <= seconds <= _LONGEST:
        raise AwsError("ValidationError", f"DurationSeconds is between {_SHORTEST} and {_LONGEST}.")
    return seconds
