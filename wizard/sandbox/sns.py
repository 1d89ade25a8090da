"""The stand-in SNS: ``ConfirmSubscription`` over AWS's Query protocol, and the certificate its messages name.

Shapes and errors: *Amazon SNS* API reference, 2010-03-31. A visit to a message's ``SubscribeURL`` confirms too.
"""

from xml.etree.ElementTree import Element

from flask import Blueprint, Response, abort, request

from wizard.sandbox.credentials import Caller
from wizard.sandbox.partitions import of_region
from wizard.sandbox.query import put, respond
from wizard.sandbox.web import sandbox

sns = Blueprint("sns", __name__)

_NAMESPACE = "http://sns.amazonaws.com/doc/2010-03-31/"


@sns.route("/aws/sns", methods=["GET", "POST"], strict_slashes=False)
def call() -> Response:
    """One call; ``ConfirmSubscription`` is all there is."""
    return respond(_NAMESPACE, {"ConfirmSubscription": _confirm})


@sns.get("/aws/sns/SimpleNotificationService-<word>.pem")
def certificate(word: str) -> Response:
    """The certificate that messages are signed with; 404 for any other."""
    signer = sandbox().signer
    if signer.certificate_file != f"SimpleNotificationService-{word}.pem":
        abort(404)
    return Response(signer.certificate, content_type="application/x-pem-file")


def _confirm(caller: Caller, result: Element) -> None:
    topic = request.values.get("TopicArn", "")
    # A SubscribeURL is visited without a signature; the topic says which partition it is of.
    partition = caller.partition if caller.access_key else of_region((topic.split(":") + [""] * 4)[3])
    confirmed = sandbox().topics.confirm(partition, topic, request.values.get("Token", ""))
    put(result, "SubscriptionArn", confirmed)
