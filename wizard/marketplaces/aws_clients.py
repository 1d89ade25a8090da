"""How AWS is asked: botocore's clients of one partition, signed with the seller account's identity.

A role is taken on with STS ``AssumeRole`` and an external id (*AWS Marketplace seller guide*, cross-account access),
and renewed by botocore before its credentials are over.
"""

import threading
from functools import cache, partial
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleCredentialFetcher,
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
)
from botocore.loaders import Loader

from config import AwsPartition


def _patience(connect: int, read: int, attempts: int) -> Config:
    """Seconds to connect and to hear something, each time. All that one landing may wait for together stays
    below what a process that is stopped gives to the requests it still has (``wizard.run.STOP_SECONDS``)."""
    return Config(
        connect_timeout=connect,
        read_timeout=read,
        retries={"total_max_attempts": attempts, "mode": "standard"},
        max_pool_connections=64,
    )


_FOR_PURCHASES = _patience(2, 6, attempts=2)
_FOR_ROLE = _patience(2, 6, attempts=1)
_FOR_CONTACTS = _patience(1, 2, attempts=1)
"""For what a landing can do without."""

_FOR_MESSAGES = _patience(2, 30, attempts=1)
"""For a queue that answers when something comes, for :data:`wizard.marketplaces.queues.WAIT` seconds at most."""

_SESSION_NAME = "onboarding"


class Clients:
    """One client for each service: botocore's may be used by many threads, and made by one at a time.

    Asking for one raises ``RuntimeError`` while there is no identity to sign with. That is not kept: the machine's
    own may only be late.
    """

    def __init__(self, partition: AwsPartition) -> None:
        self._partition = partition
        self._making = threading.Lock()
        self._session: Any = None
        self._made: dict[tuple[str, str], Any] = {}

    def metering(self) -> Any:
        of = self._partition
        return self._client("meteringmarketplace", of.region, of.metering_endpoint, _FOR_PURCHASES)

    def agreements(self) -> Any:
        of = self._partition
        return self._client(
            "marketplace-agreement", of.agreement_region, of.agreement_endpoint, _FOR_CONTACTS
        )

    def entitlements(self) -> Any:
        of = self._partition
        return self._client(
            "marketplace-entitlement", _entitlement_region(of.name), of.entitlement_endpoint, _FOR_PURCHASES
        )

    def topics(self, region: str) -> Any:
        return self._client("sns", region, self._partition.sns_endpoint, _FOR_PURCHASES)

    def queues(self, region: str) -> Any:
        return self._client("sqs", region, self._partition.sqs_endpoint, _FOR_MESSAGES)

    def _client(self, service: str, region: str, endpoint: str, patience: Config) -> Any:
        key = (service, region)
        with self._making:
            if key not in self._made:
                self._session = self._session or _session(self._partition)
                self._made[key] = self._session.create_client(
                    service, region_name=region, endpoint_url=endpoint or None, config=patience
                )
        return self._made[key]


class _Role(CredentialProvider):
    """The seller account's role, taken on with our own identity and renewed by botocore before it is over."""

    METHOD = "assume-role"

    def __init__(self, fetcher: AssumeRoleCredentialFetcher) -> None:
        super().__init__()
        self._fetcher = fetcher

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(self._fetcher.fetch_credentials, self.METHOD)


@cache
def _entitlement_region(partition: str) -> str:
    """Where the entitlement service answers in a partition: one region, wherever usage is metered."""
    regions = botocore.session.Session().get_available_regions("marketplace-entitlement", partition)
    return str(regions[0])


@cache
def _descriptions() -> Loader:
    """AWS's descriptions of its services, a megabyte each time they are read: once for all sessions."""
    return Loader()


def _new_session() -> Any:
    session = botocore.session.Session()
    session.register_component("data_loader", _descriptions())
    return session


def _session(partition: AwsPartition) -> Any:
    """A session that signs as the configuration says: keys or the machine's identity, and the role on top."""
    session = _new_session()
    if partition.access_key_id:
        session.set_credentials(partition.access_key_id, partition.secret_access_key)
    own = session.get_credentials()
    if own is None:
        raise RuntimeError("there is no identity to ask with")
    if partition.role_arn:
        session = _new_session()
        # STS of the partition's own region: the global address knows one partition, and is one more to fail.
        make_client = partial(
            _new_session().create_client,
            region_name=partition.region,
            endpoint_url=partition.sts_endpoint or None,
            config=_FOR_ROLE,
        )
        wanted = {"RoleSessionName": _SESSION_NAME}
        if partition.external_id:
            wanted["ExternalId"] = partition.external_id
        role = _Role(AssumeRoleCredentialFetcher(make_client, own, partition.role_arn, wanted))
        session.register_component("credential_provider", CredentialResolver([role]))
    return session
