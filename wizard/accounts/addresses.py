"""Email addresses: their shape, the key two spellings share, and what is known of one."""

from dataclasses import dataclass

import sqlalchemy as sa
from email_validator import EmailNotValidError, validate_email

from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.extensions import db


def normalise(typed: str) -> str:
    """An address as it is shown and mailed to. Raises ``ValueError`` for what is not one.

    The part before the @ must be ASCII: few mail servers take another, and a code that cannot be delivered
    is worse than a clear no.
    """
    try:
        checked = validate_email(
            typed.strip(), check_deliverability=False, test_environment=True, allow_smtputf8=False
        )
    except EmailNotValidError:
        raise ValueError("not an address") from None
    return str(checked.normalized)


def key_of(address: str) -> str:
    """What two spellings of one address share."""
    return address.casefold()


@dataclass(frozen=True)
class Known:
    """Where an address has an account already. Never shown to somebody who has not proven it."""

    at_site: bool
    billing_account_id: int | None


def masked(address: str) -> str:
    """An address for people who must not learn it: "a…@example.com"."""
    local, _at, domain = address.rpartition("@")
    return f"{local[:1]}…@{domain}"


def known(site_id: str, address: str) -> Known:
    """Look an address up on one site and in the Billing Center, in one statement."""
    key = key_of(address)
    at_site = sa.exists().where(ConsoleAccount.site_id == site_id, ConsoleAccount.email_key == key)
    in_billing = sa.select(BillingAccount.id).where(BillingAccount.email_key == key).scalar_subquery()
    row = db.session.execute(sa.select(at_site, in_billing)).one()
    return Known(at_site=bool(row[0]), billing_account_id=row[1])
