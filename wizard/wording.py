"""How times and numbers are written for people."""

from datetime import UTC, datetime

from babel.dates import format_date
from flask_babel import get_locale
from flask_babel import gettext as _

NBSP = "\N{NO-BREAK SPACE}"


def time_of_day(moment: datetime) -> str:
    """ "14:32 (UTC)": the zone is said because the server cannot know the reader's."""
    return f"{moment.astimezone(UTC):%H:%M} (UTC)"


def date_and_time(moment: datetime) -> str:
    """ "7 April 2026, 18:40 (UTC)" or "2026年4月7日 18:40 (UTC)"."""
    if str(get_locale()).startswith("zh"):
        return f"{format_date(moment, 'y年M月d日', locale='zh')} {time_of_day(moment)}"
    return f"{format_date(moment, 'd MMMM y', locale='en')}, {time_of_day(moment)}"


def account_number(number: str) -> str:
    """A cloud account's number in fours, unbreakable: 782858285006 → 7828 5828 5006. Other ids as they are."""
    if not number.isdigit() or len(number) % 4:
        return number
    return NBSP.join(number[i : i + 4] for i in range(0, len(number), 4))


def try_again_at(until: datetime) -> str:
    """What somebody is told whom a limit has stopped."""
    return _("That was tried too often. Try again at %(time)s", time=time_of_day(until))
