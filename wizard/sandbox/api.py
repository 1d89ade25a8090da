"""The AWS endpoint: JSON 1.1 over one URL, so that unmodified AWS SDKs can be pointed at it.

The wire as botocore speaks it: ``POST``, ``X-Amz-Target: <Service>.<Operation>``, an
``application/x-amz-json-1.1`` body; errors are ``{"__type", "message"}``. Signatures are not checked.
"""

import json
import uuid
from typing import Any

from flask import Blueprint, Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

from wizard.sandbox.operations import OPERATIONS, AwsError
from wizard.sandbox.web import json_object, sandbox

api = Blueprint("api", __name__)

CONTENT_TYPE = "application/x-amz-json-1.1"


@api.post("/aws/api", strict_slashes=False)
def call() -> Response:
    """One API call."""
    try:
        operation = OPERATIONS.get(request.headers.get("X-Amz-Target", ""))
        if operation is None:
            raise AwsError(
                "UnknownOperationException", "The X-Amz-Target header names no operation that is here."
            )
        return _answer(operation(sandbox().marketplace, _body()), 200)
    except AwsError as error:
        return _answer({"__type": error.kind, "message": error.message}, error.status)
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
    response = Response(json.dumps(body), status, content_type=CONTENT_TYPE)
    response.headers["x-amzn-RequestId"] = str(uuid.uuid4())
    return response
