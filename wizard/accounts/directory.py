"""Console accounts and Billing Center accounts: made once, found again, signed in."""

from dataclasses import dataclass
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from wizard import clock, limits, metrics
from wizard.accounts import addresses, passwords, usernames
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.extensions import change, db
from wizard.transactions import release

Account = TypeVar("Account", ConsoleAccount, BillingAccount)


class AccountExists(Exception):
    """The address or the name got an account meanwhile; the unique key decided."""


class SignInRefused(Exception):
    """The name and the password do not belong together. The same for known and unknown names."""


@dataclass(frozen=True)
class Person:
    """What a console account is made from. ``password_hash`` is argon2id; the rest is as typed and checked."""

    site_id: str
    username: str
    email: str
    password_hash: str
    locale: str
    company_name: str
    phone: str | None = None
    industry: str | None = None
    region: str | None = None
    description: str | None = None
    contact_name: str | None = None


def create_console_account(person: Person, origin: str) -> ConsoleAccount:
    """Make the account of ``origin`` on a site; its reserved name becomes its own.

    Raises :class:`AccountExists` when the address, the name or the origin has one.
    """
    account = ConsoleAccount(
        origin=origin,
        username_key=usernames.key_of(person.username),
        email_key=addresses.key_of(person.email),
        created_at=clock.now(),
        **vars(person),
    )
    _insert(account)
    return account


def create_billing_account(owner: ConsoleAccount, origin: str) -> BillingAccount:
    """Make a Billing Center account with a console account's name, address and password hash.

    From then on the two are independent. Raises :class:`AccountExists`.
    """
    account = BillingAccount(
        origin=origin,
        username=owner.username,
        username_key=owner.username_key,
        email=owner.email,
        email_key=owner.email_key,
        password_hash=owner.password_hash,
        company_name=owner.company_name,
        locale=owner.locale,
        created_at=clock.now(),
    )
    _insert(account)
    return account


def billing_account_of(email: str) -> BillingAccount | None:
    """The Billing Center account of a *proven* address, if it has one."""
    return db.session.scalar(
        sa.select(BillingAccount).where(BillingAccount.email_key == addresses.key_of(email))
    )


def console_account_of(site_id: str, email: str) -> ConsoleAccount | None:
    """The console account of a *proven* address on a site, if it has one there."""
    return db.session.scalar(
        sa.select(ConsoleAccount).where(
            ConsoleAccount.site_id == site_id, ConsoleAccount.email_key == addresses.key_of(email)
        )
    )


def billing_account_called(name: str) -> BillingAccount | None:
    """The Billing Center account with this username or address. Never say whether there is one."""
    called = sa.or_(
        BillingAccount.username_key == usernames.key_of(name),
        BillingAccount.email_key == addresses.key_of(name),
    )
    return db.session.scalar(sa.select(BillingAccount).where(called).limit(1))


def sign_in_console(site_id: str, name: str, password: str, client: str) -> ConsoleAccount:
    """The console account of a site with this username or address and password: see :func:`_sign_in`."""
    of_site = ConsoleAccount.site_id == site_id
    return _sign_in(ConsoleAccount, "console", site_id, name, password, client, of_site)


def sign_in_billing(name: str, password: str, client: str) -> BillingAccount:
    """The Billing Center account with this username or address and password: see :func:`_sign_in`."""
    return _sign_in(BillingAccount, "billing", usernames.BILLING, name, password, client)


def _sign_in(
    model: type[Account],
    area: str,
    scope: str,
    name: str,
    password: str,
    client: str,
    *only: sa.ColumnElement[bool],
) -> Account:
    """The account of a scope that a name (a username or an address) and a password open, asked for by a client address.

    Known and unknown names cost the same statements and the same verification, for which no transaction waits.
    Failures count by what was typed, so that no limit tells whose username belongs to which address.
    Raises :class:`SignInRefused`, or :class:`wizard.limits.LimitReached` after too many failures.
    """
    name = name.strip()
    account = db.session.scalar(
        sa.select(model).where(
            *only,
            sa.or_(model.username_key == usernames.key_of(name), model.email_key == addresses.key_of(name)),
        )
    )
    release()
    counted = ("sign-in", scope, name.casefold())
    limits.hit(limits.SIGN_IN_TRIES, *counted, client)
    limits.hit(limits.SIGN_IN_TRIES_OF_ALL, *counted)
    if not passwords.matches(account.password_hash if account else None, password) or account is None:
        metrics.SIGN_INS.labels(area, "refused").inc()
        raise SignInRefused
    verified = account.password_hash
    kept = passwords.hash_password(password) if passwords.needs_rehash(verified) else verified
    # Whoever changes a password signs everybody out: nobody may come in behind with the one before.
    if not change(
        sa.update(model)
        .where(model.id == account.id, model.password_hash == verified)
        .values(password_hash=kept)
    ):
        release()
        return _sign_in(model, area, scope, name, password, client, *only)
    metrics.SIGN_INS.labels(area, "accepted").inc()
    limits.clear(limits.SIGN_IN_TRIES, *counted, client)
    return account


def _insert(account: ConsoleAccount | BillingAccount) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(account)
    except IntegrityError:
        raise AccountExists from None
