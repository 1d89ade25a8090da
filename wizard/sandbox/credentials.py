"""Who calls: the access key and the region of a signed request, and the temporary credentials STS gave out.

Signatures are not checked and any access key will do, but for those that begin with ``ASIA``: AWS gives these
for a while only, together with a session token, and so does the sandbox.
"""

import re
import secrets
import string
from collections.abc import Callable
from dataclasses import dataclass

from flask import Request

from wizard.sandbox.errors import AwsError
from wizard.sandbox.partitions import Partition, of_region
from wizard.sandbox.store import Store

ROLE_ACCOUNT = "111122223333"
ROLE_NAME = "marketplace"
EXTERNAL_ID = "sandbox-external-id"
"""The one role STS knows in each partition, and what to say to become it."""

_SCOPE = re.compile(r"Credential=([^/,\s]+)/[0-9]+/([^/,\s]+)/[^/,\s]+/aws4_request")
_TEMPORARY = "ASIA"
_KEY = string.ascii_uppercase + string.digits


@dataclass(frozen=True)
class Caller:
    """What a request says of its sender. ``access_key`` and ``session_token`` are empty where it says nothing."""

    partition: Partition
    access_key: str
    session_token: str


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials; ``expires_at`` in Unix seconds."""

    access_key: str
    secret_key: str
    session_token: str
    expires_at: float


def caller_of(request: Request) -> Caller:
    """Signature version 4: ``Authorization: AWS4-HMAC-SHA256 Credential=KEY/DATE/REGION/SERVICE/aws4_request, …``."""
    scope = _SCOPE.search(request.headers.get("Authorization", ""))
    access_key, region = scope.groups() if scope else ("", "")
    return Caller(of_region(region), access_key, request.headers.get("X-Amz-Security-Token", ""))


class Sessions:
    """Temporary credentials over a :class:`Store`: given by STS, checked at every call."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def give(self, partition: Partition, seconds: int) -> Credentials:
        """Fresh ones for a partition, good for so many seconds."""
        given = Credentials(
            _TEMPORARY + "".join(secrets.choice(_KEY) for _ in range(16)),
            secrets.token_urlsafe(30),
            secrets.token_urlsafe(240),
            self._now() + seconds,
        )
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO sessions (access_key_id, session_token, partition, expires_at) VALUES (?, ?, ?, ?)",
                [given.access_key, given.session_token, partition.name, given.expires_at],
            )
        return given

    def check(self, caller: Caller) -> None:
        """Raises :class:`AwsError` for a temporary key without its own session token, and for one that is over."""
        if not caller.access_key.startswith(_TEMPORARY):
            return
        with self._store.reading() as db:
            row = db.execute(
                "SELECT expires_at FROM sessions WHERE access_key_id = ? AND session_token = ? AND partition = ?",
                [caller.access_key, caller.session_token, caller.partition.name],
            ).fetchone()
        if row is None:
            raise AwsError(
                "UnrecognizedClientException", "The security token included in the request is invalid."
            )
        if row["expires_at"] <= self._now():
            raise AwsError("ExpiredTokenException", "The security token included in the request is expired")
