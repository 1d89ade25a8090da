"""What the sandbox is told when it is made."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wizard.brand import Brand, Text
from wizard.sandbox.bought import Value
from wizard.sandbox.partitions import PARTITIONS, Partition


@dataclass(frozen=True)
class Dimension:
    """What a product is priced by: the API name AWS knows, how the product page shows it, what a unit of it costs in
    each partition, the default entitlement."""

    key: str
    name: Text
    unit: Text
    prices: Mapping[str, str]
    entitled: Value = 1


def _prices(dollars: str, yuan: str, euros: str) -> dict[str, str]:
    return {"aws": f"${dollars}", "aws-cn": f"¥{yuan}", "aws-eusc": f"€{euros}"}


DIMENSIONS = (
    Dimension(
        "logs", Text("Logs", "日志"), Text("million events", "百万条"), _prices("0.60", "4.20", "0.55")
    ),
    Dimension(
        "time_series",
        Text("Time series", "时间线"),
        Text("thousand a day", "千条／天"),
        _prices("0.70", "4.90", "0.65"),
    ),
    Dimension(
        "traces",
        Text("Traces", "链路"),
        Text("million spans", "百万个 Span"),
        _prices("0.90", "6.30", "0.85"),
    ),
)


@dataclass(frozen=True)
class SandboxSettings:
    """Everything the sandbox needs to know; it reads no environment.

    ``database``: path of its own SQLite file, made where it is missing · ``registration_urls``: for each
    partition, where *Set Up Your Account* posts the token, the fulfilment URL of the listing there ·
    ``wizard_origin``: the origin the buyer's browser is led through after that, ``http://127.0.0.1:5000`` ·
    ``product_codes``: for each partition, those of the listings on sale, the first is the default; a partition
    that is not a key here is not sold in · ``notification_urls``: for each partition, the seller's endpoint that has
    subscribed to SNS there, none where there is none · ``sns_url``: where that endpoint finds certificates, this
    sandbox's ``/aws/sns`` as seen from there · ``pace``: seconds between one message of a purchase and the next ·
    ``stylesheet_url``, ``script_url``: on the sandbox's own origin ·
    ``now``: Unix seconds, for tests.
    """

    database: str
    registration_urls: Mapping[str, str]
    wizard_origin: str
    product_codes: Mapping[str, tuple[str, ...]]
    stylesheet_url: str
    script_url: str
    brand: Brand
    dimensions: tuple[Dimension, ...] = DIMENSIONS
    notification_urls: Mapping[str, str] = field(default_factory=dict)
    sns_url: str = ""
    pace: float = 1.0
    now: Callable[[], float] = field(default=time.time, repr=False)

    def __post_init__(self) -> None:
        # Lists are what most callers have at hand; a frozen value should not change behind its back.
        codes = {name: tuple(given) for name, given in self.product_codes.items()}
        object.__setattr__(self, "product_codes", codes)
        object.__setattr__(self, "registration_urls", dict(self.registration_urls))
        object.__setattr__(self, "notification_urls", dict(self.notification_urls))
        if not codes or not all(codes.values()):
            raise ValueError("product_codes wants at least one product code for each partition.")
        if unknown := set(codes) - set(PARTITIONS):
            raise ValueError(f"product_codes knows no partition {', '.join(sorted(unknown))}.")
        for name in codes:
            if urlsplit(self.registration_urls.get(name, "")).scheme not in ("http", "https"):
                raise ValueError(
                    f"registration_urls wants an address for {name} that starts with https:// or http://."
                )
        if self.notification_urls and not self.sns_url:
            raise ValueError(
                "sns_url wants to be set where notification_urls are: messages name a certificate."
            )

    @property
    def partitions(self) -> tuple[Partition, ...]:
        """Where there is something on sale, always in the same order."""
        return tuple(partition for name, partition in PARTITIONS.items() if name in self.product_codes)

    def form_origins(self, partition: str) -> tuple[str, ...]:
        """The origins a form on the set-up page may lead to: where it posts, and where that answer redirects."""
        parts = urlsplit(self.registration_urls[partition])
        return tuple(dict.fromkeys([f"{parts.scheme}://{parts.netloc}", self.wizard_origin.rstrip("/")]))
