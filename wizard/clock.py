"""The only source of "now". Every time in the product is an aware UTC datetime that came from here."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

_shift = timedelta(0)
_fixed: datetime | None = None


def now() -> datetime:
    """The present moment, UTC, to the microsecond."""
    return _fixed if _fixed is not None else datetime.now(UTC) + _shift


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """Stand still at a moment, for tests and reproductions. Not for production code."""
    global _fixed
    before, _fixed = _fixed, moment
    try:
        yield
    finally:
        _fixed = before


@contextmanager
def later(by: timedelta) -> Iterator[None]:
    """Run with the clock moved on, for tests and reproductions. Not for production code."""
    global _shift
    _shift += by
    try:
        yield
    finally:
        _shift -= by
