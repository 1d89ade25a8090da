"""Usage to report to a sandbox, reporting it, and reading what was counted."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.sandbox import LiveSandbox

ACCOUNT = "782858285006"
NOON = datetime(2026, 4, 7, 12, tzinfo=UTC).timestamp()
"""Where the clock of these tests stands, Unix seconds."""

HOUR = 3600


def usage(bought: dict[str, Any], at: float = NOON, **changes: Any) -> dict[str, Any]:
    """A record by licence; a change to None leaves a member out."""
    record = {
        "Timestamp": datetime.fromtimestamp(at, UTC),
        "Dimension": "logs",
        "CustomerAWSAccountId": bought["customerAWSAccountId"],
        "LicenseArn": bought["licenseArn"],
        "Quantity": 3,
    } | changes
    return {name: value for name, value in record.items() if value is not None}


def legacy(bought: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A record by customer identifier."""
    return (
        usage(
            bought,
            LicenseArn=None,
            CustomerAWSAccountId=None,
            CustomerIdentifier=bought["customerIdentifier"],
        )
        | changes
    )


def meter(
    live: LiveSandbox, *records: dict[str, Any], product: str | None = None, partition: str = "aws"
) -> dict[str, Any]:
    asked = {"UsageRecords": list(records)} | ({"ProductCode": product} if product else {})
    answer: dict[str, Any] = live.aws("meteringmarketplace", partition).batch_meter_usage(**asked)
    return answer


def statuses(answer: dict[str, Any]) -> list[str]:
    return [result["Status"] for result in answer["Results"]]


def counted(live: LiveSandbox, bought: dict[str, Any]) -> dict[str, Any]:
    status, answer = live.get(f"/aws/purchases/{bought['agreementId']}/metering")
    assert status == 200
    found: dict[str, Any] = answer
    return found


def refused(live: LiveSandbox, *records: dict[str, Any], product: str | None = None) -> str:
    """The name of the error a call is refused with, which boto3 knows wherever the service models it."""
    with pytest.raises(ClientError) as caught:
        meter(live, *records, product=product)
    answer = caught.value.response
    assert answer["Error"]["Message"]
    code: str = answer["Error"]["Code"]
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == (500 if "Internal" in code else 400)
    modelled = live.aws("meteringmarketplace").exceptions
    if code not in ("ValidationException", "AccessDeniedException", "SerializationException"):
        assert isinstance(caught.value, getattr(modelled, code))
    return code


def tagged(quantity: int, **tags: str) -> dict[str, Any]:
    """An allocation to the bucket of these tags."""
    return {
        "AllocatedUsageQuantity": quantity,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }


def script(live: LiveSandbox, bought: dict[str, Any], **wish: Any) -> tuple[int, Any]:
    """Make the next calls for a purchase go wrong → status and answer."""
    return live.post(f"/aws/purchases/{bought['agreementId']}/metering", wish)
