"""Who a buyer is: the contact somebody gave AWS when they accepted an agreement, and people to play it."""

import hashlib
import re
from dataclasses import asdict, dataclass
from typing import Any

from wizard.sandbox.errors import Refused

_PATTERNS = {
    "firstName": re.compile(r".{1,80}"),
    "lastName": re.compile(r".{1,80}"),
    "emailAddress": re.compile(r"(?=.{1,255}$)[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}"),
    "companyName": re.compile(r".{1,256}"),
    "countryCode": re.compile(r"[A-Z]{2}"),
}
"""``AcceptorContact`` of the AWS Marketplace Agreement Service, 2020-03-01."""


@dataclass(frozen=True)
class Contact:
    """AWS's five members, under AWS's names."""

    firstName: str
    lastName: str
    emailAddress: str
    companyName: str
    countryCode: str

    @property
    def name(self) -> str:
        """As their country writes it: the family name first in China."""
        if self.countryCode == "CN":
            return self.lastName + self.firstName
        return f"{self.firstName} {self.lastName}"

    def shape(self) -> dict[str, str]:
        """As AWS answers it."""
        return asdict(self)


def contact_of(given: Any) -> Contact:
    """A contact from a program's JSON. Raises :class:`Refused` for one AWS would not hold."""
    if not isinstance(given, dict) or set(given) != set(_PATTERNS):
        raise Refused(f"contact is null or an object with {', '.join(_PATTERNS)}.")
    for name, pattern in _PATTERNS.items():
        if not isinstance(given[name], str) or not pattern.fullmatch(given[name]):
            raise Refused(f"contact.{name} is not one AWS would hold.")
    return Contact(**given)


_PEOPLE = {
    "aws": (
        ("Mira", "Lindqvist", "mira", "SE"),
        ("Daniel", "Okafor", "daniel", "US"),
        ("Priya", "Raman", "priya", "IN"),
        ("Tomás", "Herrera", "tomas", "MX"),
        ("Grace", "Whitfield", "grace", "GB"),
        ("Kenji", "Morita", "kenji", "JP"),
    ),
    "aws-cn": (
        ("晓雯", "陈", "xiaowen", "CN"),
        ("建国", "李", "jianguo", "CN"),
        ("思远", "王", "siyuan", "CN"),
        ("雨桐", "赵", "yutong", "CN"),
    ),
    "aws-eusc": (
        ("Hanna", "Vogel", "hanna", "DE"),
        ("Matthieu", "Renard", "matthieu", "FR"),
        ("Sofia", "Conti", "sofia", "IT"),
        ("Jurre", "de Wit", "jurre", "NL"),
    ),
}
_COMPANIES = {
    "aws": (
        ("Harbourline Freight", "harbourline"),
        ("Copperfield Analytics", "copperfield"),
        ("Bluefinch Health", "bluefinch"),
        ("Tallgrass Energy Systems", "tallgrass"),
        ("Marlow & Reed Retail", "marlowreed"),
    ),
    "aws-cn": (
        ("杭州云栈信息技术有限公司", "yunzhan"),
        ("宁夏星河数据有限公司", "xinghe-data"),
        ("上海远帆物流科技有限公司", "yuanfan"),
    ),
    "aws-eusc": (
        ("Nordkap Versicherung AG", "nordkap"),
        ("Lumière Énergie SAS", "lumiere-energie"),
        ("Kanaal Logistiek B.V.", "kanaal"),
    ),
}


def person_of(partition: str, account: str) -> Contact:
    """Somebody believable, always the same one for an account. Their address is under ``.example``."""
    draw = hashlib.sha256(f"{partition}/{account}".encode()).digest()
    people, companies = _PEOPLE[partition], _COMPANIES[partition]
    first, last, box, country = people[draw[0] % len(people)]
    company, host = companies[draw[1] % len(companies)]
    # Two accounts may draw the same person; they must not share a mailbox.
    return Contact(first, last, f"{box}.{account[-4:]}@{host}.example", company, country)
