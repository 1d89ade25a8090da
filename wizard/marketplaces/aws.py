"""AWS Marketplace: SaaS listings, partition ``aws``.

Facts are from the AWS Marketplace Metering Service API (2016-01-14, ResolveCustomer) and the SaaS
customer onboarding chapter of the seller guide.
"""

import logging
import threading
from typing import Any

import boto3
import botocore.config
from botocore.exceptions import BotoCoreError, ClientError

from config import Settings
from wizard.billing.subscriptions import Purchase
from wizard.marketplaces.protocol import Busy, Listing, OurFault, TokenExpired, TokenUnknown, WrongProduct
from wizard.transactions import outside_transaction

TOKEN_FIELD = "x-amzn-marketplace-token"
MOST_TOKEN = 4096

MARKETPLACE_URL = "https://aws.amazon.com/marketplace/management"
"""Where a buyer manages subscriptions ("Manage subscriptions"), if the configuration names no listing."""

_BUSY = {"ThrottlingException", "InternalServiceErrorException", "ServiceUnavailable", "RequestTimeout"}

_PATIENCE = botocore.config.Config(
    connect_timeout=3,
    read_timeout=8,
    retries={"total_max_attempts": 2, "mode": "standard"},
    max_pool_connections=64,
)

log = logging.getLogger("wizard.marketplaces.aws")


class AwsMarketplace:
    """The listings of one seller account in partition ``aws``."""

    name = "aws"

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._making = threading.Lock()
        self._made: Any = None
        self.product_codes = settings.aws_product_codes
        self.listing = Listing(url=settings.aws_marketplace_url or MARKETPLACE_URL)

    @outside_transaction
    def resolve(self, token: str) -> Purchase:
        """Redeem a registration token (``ResolveCustomer``), at once and without keeping it.

        The token may expire within the hour or four, the documents differ, so it is never redeemed later.
        """
        if not self.product_codes:
            log.error("a buyer landed while AWS_PRODUCT_CODES lists no product", extra={"alert": "aws_off"})
            raise OurFault
        try:
            answer = self._client().resolve_customer(RegistrationToken=token)
        except ClientError as error:
            raise self._meaning(error) from None
        except BotoCoreError as error:
            # No connection, no credentials, a time-out: the buyer can only try again, and we must look.
            log.error("AWS could not be asked", extra={"alert": "aws_unreachable", "error": str(error)[:300]})
            raise OurFault from None
        purchase = Purchase(
            provider=self.name,
            partition="aws",
            product_code=answer.get("ProductCode", "").strip(),
            account_id=answer.get("CustomerAWSAccountId", "").strip(),
            agreement_id=answer.get("Metadata", {}).get("AgreementId", "").strip(),
            license_arn=answer.get("LicenseArn", "").strip(),
            customer_identifier=answer.get("CustomerIdentifier", "").strip(),
        )
        if not any(
            (purchase.agreement_id, purchase.license_arn, purchase.customer_identifier, purchase.account_id)
        ):
            log.error("AWS named no buyer", extra={"alert": "aws_nameless"})
            raise OurFault
        if purchase.product_code not in self.product_codes:
            log.warning("a token of another product", extra={"product_code": purchase.product_code})
            raise WrongProduct
        return purchase

    def _meaning(self, error: ClientError) -> Exception:
        told = error.response.get("Error", {})
        code, message = told.get("Code", ""), told.get("Message", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        # STS says the same of our own expired credentials ("The security token included in the request…").
        if code == "ExpiredTokenException" and "security token" not in message.lower():
            return TokenExpired()
        if code == "InvalidTokenException":
            return TokenUnknown()
        if code in _BUSY or status >= 500:
            return Busy()
        # DisabledApi, AccessDenied, UnrecognizedClient and what we do not know: our own configuration.
        log.error("AWS refused us", extra={"alert": "aws_refused", "code": code})
        return OurFault()

    def _client(self) -> Any:
        """The one client: boto3's may be used by many threads, and made by one at a time."""
        with self._making:
            if self._made is None:
                settings = self._settings
                session = boto3.session.Session(
                    aws_access_key_id=settings.aws_access_key_id or None,
                    aws_secret_access_key=settings.aws_secret_access_key or None,
                    region_name=settings.aws_region,
                )
                self._made = session.client(
                    "meteringmarketplace", endpoint_url=settings.aws_endpoint_url or None, config=_PATIENCE
                )
        return self._made
