"""AWS operations of the sandbox: what each answers, as plain dictionaries, and the table of them.

Adding an operation is one function ``(sandbox, partition, request) -> response`` and one entry in
:data:`OPERATIONS`. Shapes and errors: *AWS Marketplace Metering Service* (2016-01-14), *AWS Marketplace Entitlement
Service* (2017-01-11) and *AWS Marketplace Agreement Service* (2020-03-01) API references, and the service models in
botocore 1.44.
"""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from wizard.sandbox import sqs
from wizard.sandbox.bought import Entitlement, Purchase, Value
from wizard.sandbox.errors import AwsError, UnknownPurchase, access_denied, fault_error, member
from wizard.sandbox.events import NEVER, SELLER
from wizard.sandbox.partitions import Partition
from wizard.sandbox.usage import usages
from wizard.sandbox.web import Sandbox


def resolve_customer(here: Sandbox, partition: Partition, request: Mapping[str, Any]) -> dict[str, Any]:
    """``{"RegistrationToken": str}`` → who bought what, in the style of the purchase."""
    token = member(request, "RegistrationToken", str) or ""
    purchase, fault = here.marketplace.redeem(token, partition.name)
    if purchase is None:
        raise fault_error(fault or "invalid", partition, "aws-marketplace:ResolveCustomer")
    answer: dict[str, Any] = {
        "CustomerIdentifier": purchase.customer_identifier,
        "ProductCode": purchase.product_code,
    }
    if purchase.style != "legacy_minimal":
        answer["CustomerAWSAccountId"] = purchase.account
    if purchase.style == "licence":
        answer["LicenseArn"] = purchase.license_arn
        answer["Metadata"] = {"AgreementId": purchase.agreement_id}
    return answer


_FILTERS = {
    "CUSTOMER_IDENTIFIER": "customer_identifier",
    "CUSTOMER_AWS_ACCOUNT_ID": "account",
    "DIMENSION": "dimension",
    "LICENSE_ARN": "license_arn",
}
_PAGE = 25
_RESOURCE_ID = re.compile(r"[A-Za-z0-9_/-]{1,64}")


def get_entitlements(here: Sandbox, partition: Partition, request: Mapping[str, Any]) -> dict[str, Any]:
    """``{"ProductCode", "Filter"?, "MaxResults"? 1–25, "NextToken"?}`` → ``{"Entitlements", "NextToken"?}``.

    A product code nobody bought has no entitlements; it is not an error. ``NextToken`` belongs to one
    product code and filter.
    """
    product_code = member(request, "ProductCode", str)
    if not product_code:
        raise _bad_parameter("ProductCode is required.")
    filters = _filters(member(request, "Filter", dict) or {})
    limit = member(request, "MaxResults", int)
    if limit is None:
        limit = _PAGE
    if not 1 <= limit <= _PAGE:
        raise _bad_parameter(f"MaxResults must be between 1 and {_PAGE}.")
    question = hashlib.sha256(json.dumps([product_code, filters], sort_keys=True).encode()).hexdigest()[:16]
    after = _read_next_token(member(request, "NextToken", str), question)
    found = here.marketplace.entitlements(partition.name, product_code, filters, after, limit + 1)
    answer: dict[str, Any] = {"Entitlements": [_entitlement(e) for e in found[:limit]]}
    if len(found) > limit:
        answer["NextToken"] = _next_token(found[limit - 1].id, question)
    return answer


def get_agreement_contacts(here: Sandbox, partition: Partition, request: Mapping[str, Any]) -> dict[str, Any]:
    """``{"agreementId": str}`` → ``{"acceptorContact"?}``, which is left out where the buyer gave none and once the
    agreement is over."""
    purchase = _agreement(here, partition, request, "GetAgreementContacts")
    if purchase.contact is None or purchase.cancelled_at is not None:
        return {}
    return {"acceptorContact": purchase.contact.shape()}


def describe_agreement(here: Sandbox, partition: Partition, request: Mapping[str, Any]) -> dict[str, Any]:
    """``{"agreementId": str}`` → the agreement and how it stands. Where contacts are not told, this is not either."""
    purchase = _agreement(here, partition, request, "DescribeAgreement")
    return {
        "agreementId": purchase.agreement_id,
        "agreementType": "PurchaseAgreement",
        "status": "CANCELLED" if purchase.status == "FAILED" else purchase.status,
        "acceptor": {"accountId": purchase.account},
        "proposer": {"accountId": SELLER},
        "acceptanceTime": purchase.created_at,
        "startTime": purchase.created_at,
        "endTime": int(NEVER.timestamp() if purchase.cancelled_at is None else purchase.cancelled_at),
        "initialAgreementId": here.marketplace.first_of(purchase).agreement_id,
        "proposalSummary": {
            "offerId": purchase.offer_id,
            "resources": [{"id": purchase.product_id, "type": "SaaSProduct"}],
        },
    }


def batch_meter_usage(here: Sandbox, partition: Partition, request: Mapping[str, Any]) -> dict[str, Any]:
    """``{"UsageRecords": [≤ 25], "ProductCode"?}`` → ``{"Results", "UnprocessedRecords"}``: what became of each
    record, and those to send again."""
    results, unprocessed = here.meter.report(partition, *usages(request))
    return {"Results": results, "UnprocessedRecords": unprocessed}


def unknown_operation() -> AwsError:
    """For a target that is not in the table, or not in a partition."""
    return AwsError("UnknownOperationException", "The X-Amz-Target header names no operation that is here.")


Operation = Callable[[Sandbox, Partition, Mapping[str, Any]], dict[str, Any]]

OPERATIONS: dict[str, Operation] = {
    "AWSMPMeteringService.ResolveCustomer": resolve_customer,
    "AWSMPMeteringService.BatchMeterUsage": batch_meter_usage,
    "AWSMPEntitlementService.GetEntitlements": get_entitlements,
    "AWSMPCommerceService_v20200301.DescribeAgreement": describe_agreement,
    "AWSMPCommerceService_v20200301.GetAgreementContacts": get_agreement_contacts,
    "AmazonSQS.ChangeMessageVisibility": sqs.change_message_visibility,
    "AmazonSQS.DeleteMessage": sqs.delete_message,
    "AmazonSQS.DeleteMessageBatch": sqs.delete_message_batch,
    "AmazonSQS.GetQueueAttributes": sqs.get_queue_attributes,
    "AmazonSQS.ReceiveMessage": sqs.receive_message,
    "AmazonSQS.SendMessage": sqs.send_message,
    "AmazonSQS.SendMessageBatch": sqs.send_message_batch,
}
"""``X-Amz-Target`` → operation."""


def _agreement(here: Sandbox, partition: Partition, request: Mapping[str, Any], operation: str) -> Purchase:
    """The purchase asked for. AWS China has no such service; in the sovereign cloud nobody is allowed to ask."""
    if partition.contacts == "absent":
        raise unknown_operation()
    if partition.contacts == "denied":
        raise access_denied(partition, f"aws-marketplace:{operation}", 403)
    agreement_id = member(request, "agreementId", str)
    if not agreement_id or not _RESOURCE_ID.fullmatch(agreement_id):
        raise AwsError("ValidationException", "agreementId is 1 to 64 letters, digits and _/- characters.")
    try:
        return here.marketplace.find(agreement_id, partition.name)
    except UnknownPurchase:
        raise AwsError(
            "ResourceNotFoundException",
            f"Agreement {agreement_id} was not found.",
            404,
            {"resourceId": agreement_id, "resourceType": "Agreement"},
        ) from None


def _filters(asked: Mapping[str, Any]) -> dict[str, list[str]]:
    if "CUSTOMER_IDENTIFIER" in asked and "CUSTOMER_AWS_ACCOUNT_ID" in asked:
        raise _bad_parameter("CUSTOMER_IDENTIFIER and CUSTOMER_AWS_ACCOUNT_ID cannot be used in one filter.")
    filters = {}
    for key, values in asked.items():
        if key not in _FILTERS:
            raise _bad_parameter(f"Filter keys are: {', '.join(_FILTERS)}.")
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise AwsError("SerializationException", f"Filter.{key} is a list of strings.")
        if not values or not all(values):
            raise _bad_parameter(f"Filter.{key} needs at least one value, and none of them empty.")
        filters[_FILTERS[key]] = values
    return filters


def _entitlement(entitlement: Entitlement) -> dict[str, Any]:
    purchase: Purchase = entitlement.purchase
    shape: dict[str, Any] = {
        "ProductCode": purchase.product_code,
        "Dimension": entitlement.dimension,
        "CustomerIdentifier": purchase.customer_identifier,
        "Value": _value(entitlement.value),
        "ExpirationDate": int(entitlement.expires_at),
    }
    if purchase.style != "legacy_minimal":
        shape["CustomerAWSAccountId"] = purchase.account
    if purchase.license_arn is not None:
        shape["LicenseArn"] = purchase.license_arn
    return shape


def _value(value: Value) -> dict[str, Value]:
    """AWS's union: exactly one member says which kind the value is. A bool is an int to Python, so it goes first."""
    for kind, name in ((bool, "BooleanValue"), (int, "IntegerValue"), (float, "DoubleValue")):
        if isinstance(value, kind):
            return {name: value}
    return {"StringValue": value}


def _next_token(after: int, question: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([after, question]).encode()).decode("ascii")


def _read_next_token(token: str | None, question: str) -> int:
    if token is None:
        return 0
    try:
        after, asked = json.loads(base64.urlsafe_b64decode(token.encode("ascii")))
    except (binascii.Error, ValueError, TypeError):
        after, asked = None, None
    if not isinstance(after, int) or asked != question:
        raise _bad_parameter("NextToken is not one this request was given.")
    return after


def _bad_parameter(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)
