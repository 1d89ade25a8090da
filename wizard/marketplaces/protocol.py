"""What every marketplace is to the wizard: a way to prove a purchase, the ways that can fail, and its words.

A provider is a module of this room that offers :class:`Marketplace`; ``create_app`` lists those there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from flask import current_app
from werkzeug.datastructures import Headers

from wizard import clock
from wizard.billing.endings import Life
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


class Denied(Exception):
    """The marketplace does not let us ask. Somebody has been alarmed; asking again changes nothing."""


class Unreadable(Exception):
    """A message that is none of those we know; the reason is a few words of ours."""


class Refused(Exception):
    """A notification that is not proven to be meant for us. ``reason`` is a word for the log, ``status`` the answer."""

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


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


@dataclass(frozen=True)
class Said:
    """One message of a marketplace, as the inbox keeps it; "" where it names no such thing.

    ``message_id``: the source's own, so that it is kept once whatever roads it took · ``at``: its own time ·
    ``agreement_id`` … ``customer_key``: the purchase it is of, by whatever names it · ``why``: of an end, in the words
    of :mod:`wizard.billing.models` · ``problem``: why nothing can be done about it.
    """

    message_id: str
    marketplace: str
    road: str
    kind: str
    at: datetime
    agreement_id: str = ""
    previous_agreement_id: str = ""
    license_key: str = ""
    customer_key: str = ""
    why: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    problem: str = ""


MOST_BODY = 64 * 1024
"""Characters kept of a message that cannot be read."""


def unreadable(marketplace: str, road: str, message_id: str, body: str, problem: str) -> Said:
    """A message that is set aside as it is, for staff."""
    return Said(
        message_id=message_id,
        marketplace=marketplace,
        road=road,
        kind="unreadable",
        at=clock.now(),
        payload={"body": body[:MOST_BODY]},
        problem=problem,
    )


@dataclass(frozen=True)
class Brought:
    """What a queue gave out: a message, and the handle to delete it by."""

    said: Said
    handle: str


class Queue(Protocol):
    """Where messages wait. Both use the network, and raise whatever goes wrong."""

    name: str

    def receive(self, wait: int) -> list[Brought]:
        """What is there, or comes within ``wait`` seconds."""

    def delete(self, brought: list[Brought]) -> None:
        """It is kept here now."""


class Marketplace(Protocol):
    """One marketplace whose buyers land with a token.

    ``name``: in its landing's address, and the ``partition`` of its cloud accounts · ``provider``: the
    settlement method it is · ``token_field``: the form field of a landing · ``listing_url``: where a buyer
    subscribes, "" where none is configured · ``manage_url``: where a buyer finds a subscription again · ``sells``:
    whether it is switched on.
    """

    name: str
    provider: str
    words: Words
    token_field: str
    listing_url: str
    manage_url: str
    sells: bool

    def resolve(self, token: str) -> Purchase:
        """What a token proves. Uses the network; raises a :class:`NotProven`."""

    def contact(self, purchase: Purchase) -> dict[str, str]:
        """What the marketplace knows of the buyer, as a suggestion by field name; {} where it says nothing.

        Any of ``email``, ``company_name``, ``region`` (ISO 3166-1 alpha-2) and ``contact_name``. Uses the
        network, shortly; raises nothing.
        """

    def notified(self, body: bytes, headers: Headers) -> Said | None:
        """What a notification over HTTPS says, once it is proven. None where nothing is left to be done about it.

        Uses the network; raises :class:`Refused`.
        """

    def read(self, road: str, body: str, message_id: str, at: datetime) -> Said:
        """What a message says. ``message_id`` and ``at`` are the road's, for what brings none. Raises nothing."""

    def queues(self) -> Sequence[Queue]:
        """The queues that bring its messages to a worker (:mod:`wizard.marketplaces.queues`)."""

    def learn(self, purchase: Purchase, said: Iterable[Said]) -> dict[str, str]:
        """What messages add to the names of a purchase, by column."""

    def life(self, purchase: Purchase, said: Iterable[Said]) -> Life:
        """What all messages of a purchase say together: whether it ended, why, and what came in its place."""

    def entitlements(self, purchase: Purchase) -> list[dict[str, Any]]:
        """What the buyer is entitled to now: ``[{"dimension", "value", "expires_at"}]``.

        Uses the network; raises :class:`Denied`, and anything where another try may do.
        """

    def status(self, purchase: Purchase) -> str:
        """ "ACTIVE", or what else the marketplace says of the purchase now; "" where it says nothing.

        Uses the network; raises as :meth:`entitlements` does.
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
