"""What names a purchase at AWS: nothing that two purchases could share."""

from dataclasses import replace
from typing import Any

import pytest

from config import AWS_PARTITIONS
from tests.support.factories import alerts_in, recorded
from wizard.marketplaces.aws import AwsMarketplace
from wizard.marketplaces.protocol import OurFault

ARN = "arn:aws:license-manager::294406891311:license:l-9d01d15f86334a8894365cd7350556ff"
PRODUCT = {"ProductCode": "skylark"}
ACCOUNT = {"CustomerAWSAccountId": "782858285006"}
AGREEMENT = {"Metadata": {"AgreementId": "agmt-1"}}
LICENCE = {"LicenseArn": ARN}
CUSTOMER = {"CustomerIdentifier": "ifAPi5AcF3"}


def marketplace(identifiers: str) -> AwsMarketplace:
    return AwsMarketplace(replace(AWS_PARTITIONS[0], identifiers=identifiers))


@pytest.mark.parametrize(
    ("identifiers", "answer", "key"),
    [
        ("licence", AGREEMENT | LICENCE | ACCOUNT, "agreement:agmt-1"),
        ("licence", LICENCE | ACCOUNT, f"license:{ARN}"),
        ("licence", AGREEMENT | CUSTOMER | ACCOUNT, "agreement:agmt-1"),
        ("licence", CUSTOMER | ACCOUNT, "customer:skylark:ifAPi5AcF3"),
        ("legacy", CUSTOMER, "customer:skylark:ifAPi5AcF3"),
        ("legacy", CUSTOMER | AGREEMENT | LICENCE | ACCOUNT, "customer:skylark:ifAPi5AcF3"),
        ("legacy", AGREEMENT | LICENCE | ACCOUNT, "agreement:agmt-1"),
        ("legacy", LICENCE | ACCOUNT | {"CustomerIdentifier": " "}, f"license:{ARN}"),
    ],
    ids=str,
)
def test_the_style_decides_and_any_sure_name_will_do(
    identifiers: str, answer: dict[str, Any], key: str
) -> None:
    assert marketplace(identifiers).purchase_of(PRODUCT | answer).identity == f"aws:aws:{key}"


@pytest.mark.parametrize("identifiers", ["licence", "legacy"])
@pytest.mark.parametrize("answer", [{}, ACCOUNT, {"Metadata": {}}, {"CustomerIdentifier": ""}], ids=str)
def test_an_account_number_alone_names_no_purchase_and_somebody_is_called(
    identifiers: str, answer: dict[str, Any]
) -> None:
    with recorded() as log, pytest.raises(OurFault):
        marketplace(identifiers).purchase_of(PRODUCT | answer)
    assert set(alerts_in(log)) == {"aws_nameless"}
    assert not [record for record in log if "782858285006" in repr(vars(record))]


def test_partitions_never_share_a_name() -> None:
    answer = PRODUCT | CUSTOMER | AGREEMENT
    names = {AwsMarketplace(partition).purchase_of(answer).identity for partition in AWS_PARTITIONS}
    assert len(names) == len(AWS_PARTITIONS)
