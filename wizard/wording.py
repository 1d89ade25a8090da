"""How times and numbers are written for people."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

from babel.dates import format_date
from flask_babel import get_locale
from flask_babel import gettext as _

from wizard import clock
from wizard.i18n import language_of

NBSP = "\N{NO-BREAK SPACE}"


ZONES = {"zh": (timezone(timedelta(hours=8)), "UTC+8"), "en": (UTC, "UTC")}
"""The zone a time is written in, and its name, by language: the server cannot know where a reader is, but who
reads Simplified Chinese is nearly always in China's one zone. The zone is always said; script makes it local."""


def time_of_day(moment: datetime, pattern: str = "%H:%M") -> str:
    """ "14:32 (UTC)", and in Chinese "22:32（UTC+8）"."""
    language = language_of(str(get_locale()))
    zone, name = ZONES[language]
    brackets = f"（{name}）" if language == "zh" else f" ({name})"
    return f"{moment.astimezone(zone):{pattern}}{brackets}"


def second_of_day(moment: datetime) -> str:
    """ "14:32:05 (UTC)", where somebody watches it change."""
    return time_of_day(moment, "%H:%M:%S")


def date_and_time(moment: datetime) -> str:
    """ "7 April 2026, 18:40 (UTC)" or "2026年4月8日 02:40（UTC+8）"."""
    between = " " if language_of(str(get_locale())) == "zh" else ", "
    return f"{date_of(moment)}{between}{time_of_day(moment)}"


def date_of(moment: datetime) -> str:
    """ "7 April 2026" or "2026年4月8日", in the zone its time of day would be written in."""
    language = language_of(str(get_locale()))
    pattern = "y年M月d日" if language == "zh" else "d MMMM y"
    return str(format_date(moment.astimezone(ZONES[language][0]), pattern, locale=language))


def time_to_come(until: datetime) -> str:
    """When a limit ends, as somebody can rely on it: rounded up to the minute, with the day if it is not today."""
    until = (until + timedelta(seconds=59, microseconds=999_999)).replace(second=0, microsecond=0)
    zone, _name = ZONES[language_of(str(get_locale()))]
    today = clock.now().astimezone(zone).date() == until.astimezone(zone).date()
    return time_of_day(until) if today else date_and_time(until)


def day_to_come(moment: datetime) -> str:
    """The day from which on something is possible again, with the time where that is today."""
    return date_and_time(moment) if date_of(moment) == date_of(clock.now()) else date_of(moment)


def account_number(number: str) -> str:
    """A cloud account's number in fours, unbreakable: 782858285006 → 7828 5828 5006. Other ids as they are."""
    if not number.isdigit() or len(number) % 4:
        return number
    return NBSP.join(number[i : i + 4] for i in range(0, len(number), 4))


def sentence(text: str) -> str:
    """What an error summary says without its full stop, as it stands in running text."""
    return text + ("。" if language_of(str(get_locale())) == "zh" else ".")


def enumerated(names: Iterable[str]) -> str:
    """ "Harbour, Lantern" or "Harbour、Lantern"."""
    return ("、" if language_of(str(get_locale())) == "zh" else ", ").join(names)


def try_again_at(until: datetime) -> str:
    """What somebody is told whom a limit has stopped."""
    return _("That was tried too often. Try again at %(time)s", time=time_to_come(until))
