"""Rate limits, counted in our own database so that every process counts together.

The ``limits`` package has no SQL storage; this is a small one: a fixed window per key, counted by one
upsert. Where the request already has a transaction open the count belongs to it (and is committed even
when the answer is a refusal); otherwise it takes a short transaction of its own, so that a limit kept
before the view holds no lock while a password is hashed.
"""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

import sqlalchemy as sa
from flask import Flask, Response, current_app, request
from flask_limiter import Limiter
from limits import parse_many
from limits.storage import Storage
from sqlalchemy.orm import Mapped, mapped_column

from wizard import clock, metrics
from wizard.extensions import Base, change, db, insert

PER_CLIENT = {
    "start": "60 per hour",
    "code": "120 per hour",
    "landing": "120 per hour",
    "sign_in": "60 per 5 minutes",
    "account": "60 per hour",
    "forged": "30 per hour",
}
"""Per client address and kind of request. Only POSTs count. Under the sandbox each is a thousand times looser."""

ADDRESS_MAILS = "5 per hour; 10 per day"
"""Code mails to one address."""

USERNAME_TRIES = "20 per hour"
"""Names one journey may ask about, once its address is proven."""

SIGN_IN_TRIES = "10 per 5 minutes"
"""Sign-ins that failed with one name, known or not, from one client address; one that succeeds forgets them."""

PASSWORD_TRIES = "10 per 5 minutes"
"""Present passwords typed by somebody signed in who wants another."""

SIGN_IN_TRIES_OF_ALL = "200 per 5 minutes"
"""Sign-ins with one name from everywhere: far above what a person needs, so that no stranger locks the owner out."""


class RateLimit(Base):
    """One window of one key. ``count`` hits since the window began; it ends at ``expires_at``."""

    __tablename__ = "rate_limits"

    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class DatabaseStorage(Storage):
    """A ``limits`` storage over the product's database (fixed windows only)."""

    STORAGE_SCHEME = ["wizard-db"]  # noqa: RUF012  the base class reads a list

    @property
    def base_exceptions(self) -> type[Exception]:
        return sa.exc.SQLAlchemyError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        return _count({key: expiry}, amount)[key][0]

    def _live(self, key: str) -> tuple[int, datetime] | None:
        """``(count, end)`` of a window that has not ended. Asked only before the request's own transaction."""
        with db.engine.connect() as connection:
            row = connection.execute(
                sa.select(RateLimit.count, RateLimit.expires_at).where(
                    RateLimit.key == key, RateLimit.expires_at > clock.now()
                )
            ).first()
        return (row[0], row[1]) if row else None

    def get(self, key: str) -> int:
        row = self._live(key)
        return row[0] if row else 0

    def get_expiry(self, key: str) -> float:
        row = self._live(key)
        return (row[1] if row else clock.now()).timestamp()

    def check(self) -> bool:
        return True

    def reset(self) -> int | None:
        with _connection() as connection:
            return connection.execute(sa.delete(RateLimit)).rowcount

    def clear(self, key: str) -> None:
        with _connection() as connection:
            connection.execute(sa.delete(RateLimit).where(RateLimit.key == key))


def _count(windows: dict[str, int], amount: int = 1) -> dict[str, tuple[int, datetime]]:
    """Count ``amount`` in each window (key → seconds it lasts); key → (count now, when the window ends)."""
    now = clock.now()
    rows = [{"key": k, "count": amount, "expires_at": now + timedelta(seconds=s)} for k, s in windows.items()]
    ended = RateLimit.expires_at <= now
    statement = insert(RateLimit).values(rows)
    statement = statement.on_conflict_do_update(
        index_elements=["key"],
        set_={
            "count": sa.case((ended, amount), else_=RateLimit.count + amount),
            "expires_at": sa.case((ended, statement.excluded.expires_at), else_=RateLimit.expires_at),
        },
    ).returning(RateLimit.key, RateLimit.count, RateLimit.expires_at)
    with _connection() as connection:
        return {row[0]: (row[1], row[2]) for row in connection.execute(statement)}


@contextmanager
def _connection() -> Iterator[sa.Connection]:
    if db.session().in_transaction():
        yield db.session.connection()
    else:
        with db.engine.begin() as connection:
            yield connection


class LimitReached(Exception):
    """Too many of something. ``until`` is when the window that refused it ends (aware UTC)."""

    def __init__(self, until: datetime) -> None:
        super().__init__(f"until {until.isoformat()}")
        self.until = until


def hit(limit: str, *names: str, also: tuple[str, ...] = ()) -> bool:
    """Count one against each window of ``limit`` ("5 per hour; 10 per day") under these names, in one statement.

    The first name is a word of ours: what is being limited. ``also`` are names counted beside them of which nothing
    may be told: False is returned where *they* have had enough, and what they have had is counted all the same.
    Raises :class:`LimitReached` with the end of the longest window that refused.
    """
    if not current_app.config["RATELIMIT_ENABLED"]:
        return True
    told = {item.key_for(*names): item for item in parse_many(limit)}
    untold = {item.key_for(*also): item for item in parse_many(limit)} if also else {}
    windows = {**untold, **told}
    counted = _count({key: item.get_expiry() for key, item in windows.items()})
    over = {key: end for key, (count, end) in counted.items() if count > windows[key].amount}
    if ends := [end for key, end in over.items() if key in told]:
        # What is refused has not happened: it must not use up the longer windows.
        with _connection() as connection:
            connection.execute(
                sa.update(RateLimit).where(RateLimit.key.in_(windows)).values(count=RateLimit.count - 1)
            )
        metrics.LIMITS.labels(names[0]).inc()
        raise LimitReached(max(ends))
    return not over


def clear(limit: str, *names: str) -> None:
    """Forget what was counted under these names (a success ends a run of failures)."""
    storage = DatabaseStorage()
    for item in parse_many(limit):
        storage.clear(item.key_for(*names))


def client_address() -> str:
    """Who asks, as far as limits go: an IPv4 address, or the /64 of IPv6 that one line has all of."""
    try:
        address = ipaddress.ip_address(request.remote_addr or "")
    except ValueError:
        return request.remote_addr or "unknown"
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


limiter = Limiter(
    key_func=client_address, storage_uri="wizard-db://", strategy="fixed-window", headers_enabled=False
)


def per_client(name: str) -> str:
    """The limit of one kind of request for one client address, as this installation has it."""
    count, _, window = PER_CLIENT[name].partition(" per ")
    factor = 1000 if current_app.config["SANDBOX"] else 1
    return f"{int(count) * factor} per {window}"


def limited(name: str, only: Callable[[Response], bool] | None = None):  # type: ignore[no-untyped-def]
    """Decorate a view: its POSTs count against the limit of this name; where ``only`` is given those whose answer it
    says so of. The decorator's type is Flask-Limiter's own.
    """
    return limiter.shared_limit(lambda: per_client(name), scope=name, methods=["POST"], deduct_when=only)


def init_limits(app: Flask) -> None:
    limiter.init_app(app)


def sweep() -> None:
    """Forget windows that have ended."""
    change(sa.delete(RateLimit).where(RateLimit.expires_at < clock.now()))
