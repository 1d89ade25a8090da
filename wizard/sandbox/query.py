"""AWS's Query protocol: a form in, XML out. STS and SNS speak it."""

import uuid
from collections.abc import Callable, Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

from flask import Response, current_app, request

from wizard.sandbox.credentials import Caller, caller_of
from wizard.sandbox.errors import AwsError
from wizard.sandbox.web import sandbox

_ERRORS = {
    "ExpiredTokenException": "ExpiredToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
}
"""AWS's JSON and Query services name the same refusal differently."""

Operation = Callable[[Caller, Element], None]
"""``(caller, result)``: puts the answer into the result. Raises :class:`AwsError`."""


def respond(namespace: str, operations: Mapping[str, Operation]) -> Response:
    """Answer this request. ``operations``: what can be asked, by ``Action``."""
    answer_id = str(uuid.uuid4())
    try:
        action = request.values.get("Action", "")
        operation = operations.get(action)
        if operation is None:
            raise AwsError("InvalidAction", "The action names no operation that is here.")
        caller = caller_of(request)
        sandbox().sessions.check(caller)
        root = Element(f"{action}Response", xmlns=namespace)
        operation(caller, SubElement(root, f"{action}Result"))
        put(SubElement(root, "ResponseMetadata"), "RequestId", answer_id)
        return _answer(root, 200, answer_id)
    except AwsError as error:
        return _answer(_error(error, namespace, answer_id), error.status, answer_id)
    except Exception:
        current_app.logger.exception("a stand-in of AWS failed")
        failed = AwsError("InternalFailure", "The sandbox failed.", 500)
        return _answer(_error(failed, namespace, answer_id), 500, answer_id)


def put(parent: Element, name: str, text: str) -> None:
    """A member with a text."""
    SubElement(parent, name).text = text


def _error(error: AwsError, namespace: str, answer_id: str) -> Element:
    root = Element("ErrorResponse", xmlns=namespace)
    body = SubElement(root, "Error")
    put(body, "Type", "Sender" if error.status < 500 else "Receiver")
    put(body, "Code", _ERRORS.get(error.kind, error.kind))
    put(body, "Message", error.message)
    put(root, "RequestId", answer_id)
    return root


def _answer(root: Element, status: int, answer_id: str) -> Response:
    response = Response(tostring(root, encoding="unicode"), status, content_type="text/xml; charset=utf-8")
    response.headers["x-amzn-RequestId"] = answer_id
    return response
