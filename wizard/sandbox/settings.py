"""What the sandbox is told when it is made."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from wizard.brand import Brand, Text
from wizard.sandbox.purchases import Value


@dataclass(frozen=True)
class Dimension:
    """What a product is priced by: the API name AWS knows, how the product page shows it, the default entitlement."""

    key: str
    name: Text
    unit: Text
    price: str
    entitled: Value = 1


DIMENSIONS = (
    Dimension("logs", Text("Logs", "日志"), Text("million events", "百万条"), "$0.60"),
    Dimension("time_series", Text("Time series", "时间线"), Text("thousand a day", "千条／天"), "$0.70"),
    Dimension("traces", Text("Traces", "链路"), Text("million spans", "百万个 Span"), "$0.90"),
)


@dataclass(frozen=True)
class SandboxSettings:
    """Everything the sandbox needs to know; it reads no environment.

    ``database``: path of its own SQLite file, made where it is missing · ``registration_url``: where *Set Up
    Your Account* posts the token, the fulfilment URL of the listing · ``wizard_origin``: the origin the buyer's
    browser is led through after that, ``http://127.0.0.1:5000`` · ``product_codes``: of the listings on sale,
    the first is the default · ``stylesheet_url``, ``script_url``: on the sandbox's own origin · ``now``: Unix
    seconds, for tests.
    """

    database: str
    registration_url: str
    wizard_origin: str
    product_codes: tuple[str, ...]
    stylesheet_url: str
    script_url: str
    brand: Brand
    dimensions: tuple[Dimension, ...] = DIMENSIONS
    now: Callable[[], float] = field(default=time.time, repr=False)

    def __post_init__(self) -> None:
        if not self.product_codes:
            raise ValueError("product_codes wants at least one product code.")
        if urlsplit(self.registration_url).scheme not in ("http", "https"):
            raise ValueError("registration_url wants an address that starts with https:// or http://.")
        # A list is what most callers have at hand; a frozen value should not change behind its back.
        object.__setattr__(self, "product_codes", tuple(self.product_codes))

    @property
    def form_origins(self) -> tuple[str, ...]:
        """The origins a form on the set-up page may lead to: where it posts, and where that answer redirects."""
        parts = urlsplit(self.registration_url)
        return tuple(dict.fromkeys([f"{parts.scheme}://{parts.netloc}", self.wizard_origin.rstrip("/")]))
