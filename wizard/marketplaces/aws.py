"""AWS Marketplace: SaaS listings, in one partition of AWS.

Facts are from the AWS Marketplace Metering Service API (2016-01-14, ResolveCustomer), the Agreement Service
API (2020-03-01, GetAgreementContacts) and the SaaS customer onboarding chapter of the seller guide.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import Headers

from config import LEGACY, AwsPartition
from wizard import clock, metrics
from wizard.billing.endings import Life
from wizard.billing.models import AWS
from wizard.billing.subscriptions import Purchase
from wizard.marketplaces import aws_messages, sns
from wizard.marketplaces.aws_clients import Clients
from wizard.marketplaces.protocol import (
    Busy,
    Denied,
    NotProven,
    OurFault,
    Said,
    TokenExpired,
    TokenUnknown,
    Unreadable,
    Words,
    WrongProduct,
    unreadable,
)
from wizard.marketplaces.queues import SqsQueue
from wizard.transactions import outside_transaction

TOKEN_FIELD = "x-amzn-marketplace-token"

_BUSY = {"ThrottlingException", "InternalServiceErrorException", "ServiceUnavailable", "RequestTimeout"}

_RELINK = (
    _l("Choose <b>Manage subscriptions</b>."),
    _l("In the row for <b>%(brand)s</b>, choose <b>Set up product</b>."),
    _l("Choose <b>Click here to set up your account</b>. You land back here, one step further."),
)

WORDS = {
    "aws": Words(
        cloud="AWS",
        title="AWS Marketplace",
        account=_l("AWS account"),
        customer=_l("AWS customer"),
        subscribe=_l("Subscribe to AWS"),
        relink=_RELINK,
    ),
    "aws-cn": Words(
        cloud="AWS",
        title=_l("AWS Marketplace China"),
        account=_l("AWS China account"),
        customer=_l("AWS China customer"),
        subscribe=_l("Subscribe to AWS China"),
        relink=(
            _l("At the top right choose your account name, then <b>Your Marketplace Software</b>."),
            _l("Under <b>Manage subscriptions</b>, find <b>%(brand)s</b> and choose <b>Set up product</b>."),
            _RELINK[-1],
        ),
    ),
    "aws-eusc": Words(
        cloud="AWS",
        title=_l("AWS European Sovereign Cloud Marketplace"),
        account=_l("AWS European Sovereign Cloud account"),
        customer=_l("AWS European Sovereign Cloud customer"),
        subscribe=_l("Subscribe to AWS European Sovereign Cloud"),
        relink=_RELINK,
    ),
}

log = logging.getLogger("wizard.marketplaces.aws")


class AwsMarketplace:
    """The listings of one seller account in one partition."""

    provider = AWS
    token_field = TOKEN_FIELD

    def __init__(self, partition: AwsPartition) -> None:
        self._partition = partition
        self._clients = Clients(partition)
        self.certificates = sns.Certificates()
        self.name = partition.name
        self.words = WORDS[partition.name]
        self.listing_url = partition.marketplace_url if partition.product_codes else ""
        self.manage_url = partition.manage_url
        self.sells = bool(partition.product_codes)

    # ── what a token proves ─────────────────────────────────────────────────────────────────────────────────

    @outside_transaction
    def resolve(self, token: str) -> Purchase:
        """Redeem a registration token (``ResolveCustomer``), at once and without keeping it.

        The token may expire within the hour or four, the documents differ, so it is never redeemed later.
        """
        product_codes = self._partition.product_codes
        if not product_codes:
            self._alarm("aws_off", "a buyer landed where no product is listed")
            raise OurFault
        try:
            purchase = self.purchase_of(self._clients.metering().resolve_customer(RegistrationToken=token))
        except ClientError as error:
            raise self._meaning(error) from None
        except NotProven:
            raise
        except Exception as error:
            # No connection, no credentials, a time-out, or something on the way that answers in AWS's place and
            # in no shape botocore knows. The buyer can only try again, and we must look.
            told = str(error)[:300] if isinstance(error, (BotoCoreError, RuntimeError)) else ""
            self._alarm("aws_unreachable", "AWS could not be asked", kind=type(error).__name__, error=told)
            raise OurFault from None
        if purchase.product_code not in product_codes:
            log.warning("a token of another product", extra={"product_code": purchase.product_code})
            raise WrongProduct
        return purchase

    def purchase_of(self, answer: dict[str, Any]) -> Purchase:
        """The purchase an answer of ``ResolveCustomer`` speaks of. Raises :class:`OurFault` where it names none."""
        found = {
            "product_code": answer.get("ProductCode", "").strip(),
            "account_id": answer.get("CustomerAWSAccountId", "").strip(),
            "agreement_id": answer.get("Metadata", {}).get("AgreementId", "").strip(),
            "license_arn": answer.get("LicenseArn", "").strip(),
            "customer_identifier": answer.get("CustomerIdentifier", "").strip(),
        }
        key = self._key(found)
        if key is None:
            self._alarm("aws_nameless", "AWS named no purchase", named=sorted(k for k in found if found[k]))
            raise OurFault
        return Purchase(
            provider=self.provider,
            partition=self.name,
            identity=f"{self.provider}:{self.name}:{key}",
            **found,
        )

    def _key(self, found: dict[str, str]) -> str | None:
        """What AWS calls this purchase and no other, or None.

        With both kinds of identifier there, the partition's style decides. With one it is that one, in either
        style: an agreement and its licence name one purchase always, and a customer identifier is given for
        listings without concurrent agreements only, where customer and product name one. An account number names
        none: since concurrent agreements it may have bought the product twice (docs/decisions/0011).
        """
        customer = agreement = None
        if found["customer_identifier"]:
            customer = f"customer:{found['product_code']}:{found['customer_identifier']}"
        if found["agreement_id"]:
            agreement = f"agreement:{found['agreement_id']}"
        elif found["license_arn"]:
            agreement = f"license:{found['license_arn']}"
        legacy = self._partition.identifiers == LEGACY
        return (customer or agreement) if legacy else (agreement or customer)

    def _meaning(self, error: ClientError) -> Exception:
        told = error.response.get("Error", {})
        code, message = told.get("Code", ""), told.get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if error.operation_name == "AssumeRole":
            # Whatever STS says is between AWS and us; some of its codes are those of a bad token.
            self._alarm("aws_role_refused", "AWS does not give us our role", code=code)
            return OurFault()
        # AWS says the same of our own expired credentials ("The security token included in the request…").
        if code == "ExpiredTokenException" and "security token" not in message.lower():
            return TokenExpired()
        if code == "InvalidTokenException":
            return TokenUnknown()
        if code in _BUSY or status >= 500:
            return Busy()
        # DisabledApi, AccessDenied, UnrecognizedClient and what we do not know: our own configuration.
        self._alarm("aws_refused", "AWS refused us", code=code)
        return OurFault()

    def _alarm(self, alert: str, what: str, **more: Any) -> None:
        log.error(what, extra={"alert": alert, "marketplace": self.name, **more})

    # ── who bought it ───────────────────────────────────────────────────────────────────────────────────────

    @outside_transaction
    def contact(self, purchase: Purchase) -> dict[str, str]:
        """The person and company behind an agreement (``GetAgreementContacts``), as a suggestion by field name.

        Asked once and shortly; whatever goes wrong, a suggestion is not worth a landing.
        """
        if not purchase.agreement_id or not self._partition.tells_contacts:
            return {}
        try:
            answer = self._clients.agreements().get_agreement_contacts(agreementId=purchase.agreement_id)
            suggestion = _suggestion(answer.get("acceptorContact") or {})
        except Exception as error:
            told = error.response.get("Error", {}) if isinstance(error, ClientError) else {}
            code = told.get("Code") or type(error).__name__
            log.warning("an agreement told no contact", extra={"marketplace": self.name, "code": code})
            metrics.CONTACTS.labels(self.name, "failed").inc()
            return {}
        metrics.CONTACTS.labels(self.name, "given" if suggestion else "none").inc()
        return suggestion

    # ── what became of it ───────────────────────────────────────────────────────────────────────────────────────

    def notified(self, body: bytes, headers: Headers) -> Said | None:
        """A message of SNS. A subscription is confirmed, one that was ended is an alarm: nobody here ends one."""
        envelope = sns.verify(
            self._partition, self.certificates, body, headers.get("x-amz-sns-message-type", "")
        )
        if envelope.type == sns.NOTIFICATION:
            return self.read("https", envelope.body, envelope.message_id, clock.now())
        if envelope.type == sns.CONFIRMATION:
            sns.confirm(self._clients.topics, envelope)
        else:
            self._alarm("sns_unsubscribed", "a topic does not reach us any more", topic=envelope.topic)
        return None

    def read(self, road: str, body: str, message_id: str, at: datetime) -> Said:
        try:
            topics = self._partition.sns_topics
            return aws_messages.read(self.name, road, body, message_id, at, topics)
        except Unreadable as reason:
            return unreadable(self.name, road, f"{self.name}:{message_id}", body, str(reason))

    def queues(self) -> list[SqsQueue]:
        """Those that bring its messages, none while nothing is sold there."""
        of = self._partition
        urls = of.sqs_queues if self.sells else ()
        return [SqsQueue(url, of.region, self._clients.queues, self.read) for url in urls]

    def learn(self, purchase: Purchase, said: Iterable[Said]) -> dict[str, str]:
        return aws_messages.learn(purchase, said)

    def life(self, purchase: Purchase, said: Iterable[Said]) -> Life:
        outcome = aws_messages.fold(purchase, said)
        successor = self._renewal(purchase, outcome.successor) if outcome.successor else None
        end = outcome.end
        return Life(end.at, end.why, successor) if end else Life(successor=successor)

    def _renewal(self, of: Purchase, agreement_id: str) -> Purchase:
        """What an agreement was renewed as: another agreement, of the same buyer for the same product."""
        return replace(
            of,
            identity=f"{of.provider}:{of.partition}:agreement:{agreement_id}",
            agreement_id=agreement_id,
            license_arn="",
            customer_identifier="",
        )

    @outside_transaction
    def entitlements(self, purchase: Purchase) -> list[dict[str, Any]]:
        """What the buyer is entitled to (``GetEntitlements``), by the strongest name this purchase has there.

        A page may be empty and not be the last. What has expired and is still listed counts for nothing.
        """
        keys = {
            "LICENSE_ARN": purchase.license_arn,
            "CUSTOMER_IDENTIFIER": purchase.customer_identifier,
            "CUSTOMER_AWS_ACCOUNT_ID": purchase.account_id,
        }
        key = next(name for name, value in keys.items() if value)
        asked: dict[str, Any] = {"ProductCode": purchase.product_code, "Filter": {key: [keys[key]]}}
        found, now = [], clock.now()
        while True:
            with self._letting_us_ask():
                answer = self._clients.entitlements().get_entitlements(**asked)
            found += [e for e in answer.get("Entitlements", []) if e.get("ExpirationDate", now) >= now]
            if not answer.get("NextToken"):
                return [_entitlement(e) for e in found]
            asked["NextToken"] = answer["NextToken"]

    @outside_transaction
    def status(self, purchase: Purchase) -> str:
        """The status of the agreement (``DescribeAgreement``), "UNKNOWN" for none. "" where AWS tells nothing."""
        if not purchase.agreement_id or not self._partition.tells_contacts:
            return ""
        with self._letting_us_ask():
            try:
                answer = self._clients.agreements().describe_agreement(agreementId=purchase.agreement_id)
            except ClientError as error:
                if error.response.get("Error", {}).get("Code") == "ResourceNotFoundException":
                    return "UNKNOWN"
                raise
        return str(answer.get("status", ""))

    @contextmanager
    def _letting_us_ask(self) -> Iterator[None]:
        """A refusal is for whoever wrote the role's policy; whatever else goes wrong may pass."""
        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _BUSY or error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= 500:
                raise
            self._alarm("aws_refused", "AWS refused us", code=code, operation=error.operation_name)
            raise Denied from None


def _entitlement(told: dict[str, Any]) -> dict[str, Any]:
    """``Value`` is a union of four types with one member."""
    expires = told.get("ExpirationDate")
    return {
        "dimension": told.get("Dimension", ""),
        "value": next(iter((told.get("Value") or {}).values()), None),
        "expires_at": expires.isoformat() if expires else None,
    }


def _suggestion(contact: dict[str, Any]) -> dict[str, str]:
    """AWS's ``acceptorContact`` by the wizard's field names; only what says something and can be seen."""

    def said(name: str) -> str:
        return "".join(c for c in str(contact.get(name) or "") if c.isprintable()).strip()

    first, last = said("firstName"), said("lastName")
    name = f"{last}{first}" if _is_han(first + last) else f"{first} {last}".strip()
    found = {
        "email": said("emailAddress"),
        "company_name": said("companyName"),
        "region": said("countryCode").upper(),
        "contact_name": name,
    }
    return {field: text for field, text in found.items() if text}


def _is_han(name: str) -> bool:
    """Whether a name is written in Chinese characters alone; then the family name comes first, unspaced."""
    return bool(name) and all("\u4e00" <= c <= "\u9fff" for c in name)
