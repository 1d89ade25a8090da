"""What can be refused: to a program of AWS's, and to somebody who plays the marketplace."""

from collections.abc import Mapping
from typing import Any

from wizard.sandbox.partitions import Partition


class AwsError(Exception):
    """An answer that is an error: ``kind`` is what AWS puts in ``__type``, ``status`` the HTTP status,
    ``details`` the error's other members, ``code`` what a service that once spoke another protocol called it there."""

    def __init__(
        self,
        kind: str,
        message: str,
        status: int = 400,
        details: Mapping[str, Any] | None = None,
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.details = dict(details or {})
        self.code = code


class Refused(Exception):
    """A wish the marketplace does not grant; the message says what to do instead."""


class UnknownPurchase(Refused):
    """No purchase has this agreement id."""


class PurchaseCancelled(Refused):
    """The purchase is cancelled, so it can no longer be set up."""


FAULTS = ("expired", "throttled", "internal", "disabled", "access_denied", "invalid")
"""What a registration token can be scripted to answer."""

METERING_FAULTS = ("unprocessed", "throttled", "internal", "disabled", "access_denied")
"""What metering a purchase can be scripted to answer; ``unprocessed`` is no error but a list in the answer."""

PASSING_FAULTS = ("throttled", "internal", "unprocessed")

DEFAULT_FAULT_COUNT = 3
"""How often a passing fault shows when nobody says: enough to be seen through a client that retries once or
twice, few enough that a person's second try gets through."""

MOST_FAULTS = 1000


def fault_count(fault: str | None, count: int | None, known: tuple[str, ...]) -> int | None:
    """How many calls a fault spoils, None for every call. Raises :class:`Refused`."""
    if fault is None and count is not None:
        raise Refused("faultCount goes with a fault.")
    if fault is not None and fault not in known:
        raise Refused(f"fault is one of: {', '.join(known)}.")
    if count is not None and not 1 <= count <= MOST_FAULTS:
        raise Refused(f"faultCount is a whole number from 1 to {MOST_FAULTS}.")
    return DEFAULT_FAULT_COUNT if fault in PASSING_FAULTS and count is None else count


_FAULTS = {
    "invalid": ("InvalidTokenException", "Registration token is invalid.", 400),
    "expired": ("ExpiredTokenException", "Registration token has expired.", 400),
    "throttled": ("ThrottlingException", "Rate exceeded", 400),
    "internal": ("InternalServiceErrorException", "An internal error has occurred. Retry your request.", 500),
    "disabled": ("DisabledApiException", "The API is disabled in the Region.", 400),
}


def fault_error(fault: str, partition: Partition, action: str) -> AwsError:
    """A fault as AWS words it. ``action``: the call it spoils, ``aws-marketplace:ResolveCustomer``."""
    if fault == "access_denied":
        return access_denied(partition, action)
    return AwsError(*_FAULTS[fault])


def access_denied(partition: Partition, action: str, status: int = 400) -> AwsError:
    """What somebody hears whom no policy allows an action."""
    who = partition.arn("iam::000000000000:user/sandbox")
    return AwsError(
        "AccessDeniedException",
        f"User: {who} is not authorized to perform: {action} because no identity-based policy allows the "
        f"{action} action",
        status,
    )


def member(request: Mapping[str, Any], name: str, kind: type) -> Any:
    """A member of a request, None where it is absent or null; AWS refuses a wrong JSON type before all else."""
    value = request.get(name)
    if value is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise serialization_error(name)
    return value


def serialization_error(name: str) -> AwsError:
    """A member of a JSON type the service does not read, which AWS says before all else."""
    return AwsError("SerializationException", f"{name} has the wrong type.")
