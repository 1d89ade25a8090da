"""The AWS endpoint: JSON over one URL, so that unmodified AWS SDKs can be pointed at it.

The wire as botocore speaks it: ``POST``, ``X-Amz-Target: <Service>.<Operation>``, an ``application/x-amz-json-1.1``
(or ``-1.0``) body; errors are ``{"__type", "message"}``. The region in the signature's credential scope says which
partition is meant; the signature itself is not checked.
"""

import json
import uuid
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from wizard.sandbox.credentials import caller_of
from wizard.sandbox.errors import AwsError
from wizard.sandbox.operations import OPERATIONS, unknown_operation
from wizard.sandbox.web import json_object, sandbox

api = Blueprint("api", __name__)

CONTENT_TYPES = ("application/x-amz-json-1.1", "application/x-amz-json-1.0")


@api.post("/aws/api", strict_slashes=False)
@api.post("/aws/api/queue/<_name>", endpoint="queue")
def call(_name: str = "") -> Response:
    """One API call. Some SDKs send those about a queue to its own address; which one is meant is in the body too."""
    try:
        operation = OPERATIONS.get(request.headers.get("X-Amz-Target", ""))
        if operation is None:
            raise unknown_operation()
        caller = caller_of(request)
        sandbox().sessions.check(caller)
        return _answer(operation(sandbox(), caller.partition, _body()), 200)
    except AwsError as error:
        response = _answer({"__type": error.kind, "message": error.message} | error.details, error.status)
        if error.code:
            response.headers["x-amzn-query-error"] = f"{error.code};Sender"
        return response
    except Exception:
        # A client that speaks AWS can do nothing with a web page, so a defect too answers in AWS's words.
        current_app.logger.exception("the stand-in AWS API failed")
        return _answer({"__type": "InternalServiceErrorException", "message": "The sandbox failed."}, 500)


def _body() -> dict[str, Any]:
    try:
        return json_object(request.get_data())
    except ValueError as error:
        raise AwsError("SerializationException", str(error)) from None
    except RequestEntityTooLarge:
        raise AwsError("RequestEntityTooLargeException", "The body is larger than 1 MB.", 413) from None


def _answer(body: dict[str, Any], status: int) -> Response:
    # Answered in the version that was spoken.
    spoken = request.mimetype if request.mimetype in CONTENT_TYPES else CONTENT_TYPES[0]
    response = Response(json.dumps(body), status, content_type=spoken)
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return response
