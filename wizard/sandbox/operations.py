"""AWS operations of the sandbox: what each answers, as plain dictionaries, and the table of them.

Adding an operation is one function ``(marketplace, request) -> response`` and one entry in :data:`OPERATIONS`.
Shapes and errors: *AWS Marketplace Metering Service* (2016-01-14) and *AWS Marketplace Entitlement Service*
(2017-01-11) API references, and the service models in botocore 1.44.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from wizard.sandbox.purchases import Entitlement, Marketplace, Purchase, Value


class AwsError(Exception):
    """An answer that is an error: ``kind`` is what AWS puts in ``__type``, ``status`` the HTTP status."""

    def __init__(self, kind: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status


_FAULTS = {
    "invalid": ("InvalidTokenException", "Registration token is invalid.", 400),
    "expired": ("ExpiredTokenException", "Registration token has expired.", 400),
    "throttled": ("ThrottlingException", "Rate exceeded", 400),
    "internal": ("InternalServiceErrorException", "An internal error has occurred. Retry your request.", 500),
    "disabled": ("DisabledApiException", "The API is disabled in the Region.", 400),
    "access_denied": (
        "AccessDeniedException",
        "User: arn:aws:iam::000000000000:user/sandbox is not authorized to perform: "
        "aws-marketplace:ResolveCustomer because no identity-based policy allows the "
        "aws-marketplace:ResolveCustomer action",
        400,
    ),
}


def resolve_customer(marketplace: Marketplace, request: Mapping[str, Any]) -> dict[str, Any]:
    """``{"RegistrationToken": str}`` → who bought what, in the style of the purchase."""
    token = _member(request, "RegistrationToken", str) or ""
    purchase, fault = marketplace.redeem(token)
    if purchase is None:
        raise AwsError(*_FAULTS[fault or "invalid"])
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


def get_entitlements(marketplace: Marketplace, request: Mapping[str, Any]) -> dict[str, Any]:
    """``{"ProductCode", "Filter"?, "MaxResults"? 1–25, "NextToken"?}`` → ``{"Entitlements", "NextToken"?}``.

    A product code nobody bought has no entitlements; it is not an error. ``NextToken`` belongs to one
    product code and filter.
    """
    product_code = _member(request, "ProductCode", str)
    if not product_code:
        raise _bad_parameter("ProductCode is required.")
    filters = _filters(_member(request, "Filter", dict) or {})
    limit = _member(request, "MaxResults", int)
    if limit is None:
        limit = _PAGE
    if not 1 <= limit <= _PAGE:
        raise _bad_parameter(f"MaxResults must be between 1 and {_PAGE}.")
    question = hashlib.sha256(json.dumps([product_code, filters], sort_keys=True).encode()).hexdigest()[:16]
    after = _read_next_token(_member(request, "NextToken", str), question)
    found = marketplace.entitlements(product_code, filters, after, limit + 1)
    answer: dict[str, Any] = {"Entitlements": [_entitlement(e) for e in found[:limit]]}
    if len(found) > limit:
        answer["NextToken"] = _next_token(found[limit - 1].id, question)
    return answer


Operation = Callable[[Marketplace, Mapping[str, Any]], dict[str, Any]]

OPERATIONS: dict[str, Operation] = {
    "AWSMPMeteringService.ResolveCustomer": resolve_customer,
    "AWSMPEntitlementService.GetEntitlements": get_entitlements,
}
"""``X-Amz-Target`` → operation."""


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
    for kind, member in ((bool, "BooleanValue"), (int, "IntegerValue"), (float, "DoubleValue")):
        if isinstance(value, kind):
            return {member: value}
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


def _member(request: Mapping[str, Any], name: str, kind: type) -> Any:
    """A member of the request, None where it is absent or null; AWS refuses a wrong JSON type before all else."""
    value = request.get(name)
    if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
        raise AwsError("SerializationException", f"{name} has the wrong type.")
    return value


def _bad_parameter(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)
