"""How times are written for people."""

from datetime import UTC, datetime

from babel.dates import format_date
from flask_babel import get_locale


def time_of_day(moment: datetime) -> str:
    """ "14:32 (UTC)": the zone is said because the server cannot know the reader's."""
    return f"{moment.astimezone(UTC):%H:%M} (UTC)"


def date_and_time(moment: datetime) -> str:
    """ "7 April 2026, 18:40 (UTC)" or "2026年4月7日 18:40 (UTC)"."""
    if str(get_locale()).startswith("zh"):
        return f"{format_date(moment, 'y年M月d日', locale='zh')} {time_of_day(moment)}"
    return f"{format_date(moment, 'd MMMM y', locale='en')}, {time_of_day(moment)}"
