"""What every marketplace is to the wizard: a way to prove a purchase, the ways that can fail, and its words.

A provider is a module of this room that offers :class:`Marketplace`; ``create_app`` lists those there are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from flask import current_app

from wizard.billing.models import CloudAccount
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
class Words:
    """How a marketplace is spoken of, in the reader's language.

    ``cloud``: the short name in a sentence ("AWS"), the same in every language · ``title``: of the
    marketplace · ``account``, ``customer``: what the cloud calls the buyer by number, and by an identifier
    of the marketplace's own · ``subscribe``: the link to the listing · ``relink``: the steps to a new link
    once signed in there; they may name ``%(brand)s``.
    """

    cloud: str
    title: Any
    account: Any
    customer: Any
    subscribe: Any
    relink: tuple[Any, ...]


class Marketplace(Protocol):
    """One marketplace whose buyers land with a token.

    ``name``: in its landing's address, and the ``partition`` of its cloud accounts · ``provider``: the
    settlement method it is · ``token_field``: the form field of a landing · ``listing_url``: where a buyer
    subscribes, "" where none is configured · ``manage_url``: where a buyer finds a subscription again.
    """

    name: str
    provider: str
    words: Words
    token_field: str
    listing_url: str
    manage_url: str

    def resolve(self, token: str) -> Purchase:
        """What a token proves. Uses the network; raises a :class:`NotProven`."""

    def contact(self, purchase: Purchase) -> dict[str, str]:
        """What the marketplace knows of the buyer, as a suggestion by field name; {} where it says nothing.

        Any of ``email``, ``company_name``, ``region`` (ISO 3166-1 alpha-2) and ``contact_name``. Uses the
        network, shortly; raises nothing.
        """


def all_marketplaces() -> Mapping[str, Marketplace]:
    """Every marketplace there is a module for, by name, whether it is switched on or not."""
    found: Mapping[str, Marketplace] = current_app.extensions["marketplaces"]
    return found


def of_account(account: CloudAccount) -> Marketplace:
    """The marketplace a cloud account buys at."""
    return all_marketplaces()[account.partition]


def listed(provider: str | None = None) -> list[Marketplace]:
    """Those where a buyer can be sent to subscribe, of one provider or of all."""
    return [m for m in all_marketplaces().values() if m.listing_url and provider in (None, m.provider)]
