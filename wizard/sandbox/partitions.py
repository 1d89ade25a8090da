"""The three worlds AWS sells in. They share no account, no listing and no purchase.

Facts: botocore's endpoint data (names and regions), the *AWS Marketplace* guides of the AWS China regions (their
marketplace is operated by NWCD, prices are in CNY, ``ResolveCustomer`` promises a customer identifier) and of the
AWS European Sovereign Cloud (prices in EUR).
"""

from dataclasses import dataclass

from wizard.brand import Text


@dataclass(frozen=True)
class Partition:
    """One of them.

    ``name``: as it stands in ARNs and in the sandbox's addresses · ``region``: where its marketplace services
    answer · ``style``: what its purchases look like when nobody says · ``account``: whom a visitor plays there ·
    ``contacts``: whether the seller can ask who a buyer is, ``"told"``, ``"denied"``, or ``"absent"`` where
    there is no such service.
    """

    name: str
    region: str
    marketplace: Text
    hint: Text
    style: str
    account: str
    contacts: str
    operator: Text | None = None

    def arn(self, rest: str) -> str:
        """``arn("iam::111122223333:role/marketplace")`` → the full name in this partition."""
        return f"arn:{self.name}:{rest}"


PARTITIONS: dict[str, Partition] = {
    partition.name: partition
    for partition in (
        Partition(
            "aws",
            "us-east-1",
            Text("AWS Marketplace", "AWS Marketplace"),
            Text(
                "Everywhere but China and the sovereign cloud; in US dollars.",
                "除中国区和主权云外的所有地区，以美元计价。",
            ),
            style="licence",
            account="782858285006",
            contacts="told",
        ),
        Partition(
            "aws-cn",
            "cn-northwest-1",
            Text("AWS Marketplace in China", "AWS Marketplace 中国区"),
            Text(
                "Accounts of their own, a customer identifier instead of a licence; in yuan.",
                "使用独立的账号，以客户标识符代替许可证，以人民币计价。",
            ),
            style="legacy_minimal",
            account="473081256394",
            contacts="absent",
            operator=Text(
                "Ningxia Western Cloud Data Technology Co., Ltd. (NWCD)",
                "宁夏西云数据科技有限公司（西云数据）",
            ),
        ),
        Partition(
            "aws-eusc",
            "eusc-de-east-1",
            Text("AWS Marketplace in the European Sovereign Cloud", "AWS Marketplace 欧洲主权云"),
            Text(
                "Accounts of their own; the seller is not told who buys; in euros.",
                "使用独立的账号，卖家无法得知买家是谁，以欧元计价。",
            ),
            style="licence",
            account="615027394810",
            contacts="denied",
        ),
    )
}


def of_region(region: str) -> Partition:
    """The partition a region belongs to; ``aws`` for every name that is not of another one."""
    for name, prefix in (("aws-cn", "cn-"), ("aws-eusc", "eusc-")):
        if region.startswith(prefix):
            return PARTITIONS[name]
    return PARTITIONS["aws"]
