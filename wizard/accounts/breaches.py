"""Passwords that were stolen elsewhere, looked up at a service that never learns which one was meant.

The service is asked for all it knows of 5 of the 40 hexadecimal digits of the password's SHA-1
(https://haveibeenpwned.com/API/v3#PwnedPasswords): lines of ``SUFFIX:COUNT``, padded with made-up ones of
count 0 so that the length of an answer says nothing. A service that does not answer stops nobody.
"""

import hashlib
import logging
import re
import time

import requests
from flask import current_app
from urllib3.exceptions import HTTPError

from wizard import metrics
from wizard.accounts import passwords
from wizard.transactions import outside_transaction

SECONDS = 2.0
"""How long somebody who has chosen a password waits for this; a second more where the last read is slow."""
_MOST_BYTES = 1 << 20
_LINE = re.compile(r"([0-9A-F]{35}):(\d+)", re.IGNORECASE)

log = logging.getLogger("wizard.accounts")


def is_known(password: str) -> bool:
    """Whether a password is on the lists of stolen ones. False where that cannot be found out."""
    url = current_app.config["PASSWORD_BREACH_URL"]
    if not url:
        return False
    digest = hashlib.sha1(passwords.normalise(password).encode(), usedforsecurity=False).hexdigest().upper()
    try:
        found = digest[5:] in _suffixes(f"{url}/{digest[:5]}")
    except (requests.RequestException, HTTPError, ValueError) as error:
        metrics.BREACH_CHECKS.labels("failed").inc()
        # The error's own words would name the address that was asked, and that part of the password's hash.
        log.warning("stolen passwords could not be looked up", extra={"why": type(error).__name__})
        return False
    metrics.BREACH_CHECKS.labels("stolen" if found else "clear").inc()
    return found


@outside_transaction
def _suffixes(url: str) -> set[str]:
    """The rest of every digest the service knows there. Raises ``ValueError`` for what is no such list."""
    deadline = time.monotonic() + SECONDS
    headers = {"Add-Padding": "true", "User-Agent": "onboarding-wizard"}
    body = b""
    with requests.get(
        url, headers=headers, timeout=SECONDS / 2, stream=True, allow_redirects=False
    ) as answer:
        if answer.status_code != requests.codes.ok:
            raise ValueError(f"status {answer.status_code}")
        # Whatever is there, however little: a service that drips must not keep anybody waiting for a full chunk.
        while chunk := answer.raw.read1(1 << 14, decode_content=True):
            body += chunk
            if time.monotonic() > deadline or len(body) > _MOST_BYTES:
                raise ValueError("an answer without an end")
    lines = [_LINE.fullmatch(line.strip()) for line in body.decode("ascii").splitlines() if line.strip()]
    if not lines or not all(lines):
        raise ValueError("no list of digests")
    return {line[1].upper() for line in lines if line and int(line[2])}
