"""What every marketplace is to the wizard: a way to prove a purchase, and the ways that can fail.

A provider is a module of this room that offers a :class:`Marketplace`; the registry in ``create_app``
lists those that are configured.
"""

from dataclasses import dataclass
from typing import Protocol

from wizard.billing.subscriptions import Purchase


class NotProven(Exception):
    """Base of the reasons why a landing proves no purchase. ``kind`` names the page that explains it."""

    kind = "unknown_token"
    status = 400


class TokenUnknown(NotProven):
    """The marketplace does not know the token."""


class TokenExpired(NotProven):
    """The token was good and is too old; the buyer fetches a new one at the marketplace."""

    kind = "expired"


class WrongProduct(NotProven):
    """The token is for another of the seller's products."""

    kind = "wrong_product"


class Busy(NotProven):
    """The marketplace asks to slow down or has trouble of its own; the same token works in a moment."""

    kind = "throttled"
    status = 503


class OurFault(NotProven):
    """Our credentials or configuration are not accepted. The buyer did nothing wrong; somebody must look."""

    kind = "unavailable"
    status = 503


@dataclass(frozen=True)
class Listing:
    """Where a buyer finds the product at a marketplace."""

    url: str


class Marketplace(Protocol):
    """One marketplace whose buyers land with a token."""

    name: str
    listing: Listing

    def resolve(self, token: str) -> Purchase:
        """What a token proves. Uses the network; raises a :class:`NotProven`."""
