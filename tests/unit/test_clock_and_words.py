"""Time has one source, and times and numbers are written as people in each language read them."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta, timezone

import pytest
from flask import Flask
from markupsafe import Markup

from wizard import clock, wording
from wizard.i18n import PoBabel, closed_up, init_languages

MOMENT = datetime(2026, 4, 7, 18, 40, 59, tzinfo=UTC)
NEW_YEARS_EVE = datetime(2026, 12, 31, 23, 5, tzinfo=UTC)
ODD_ZONE = timezone(timedelta(hours=5, minutes=45))


@pytest.fixture
def speaking(request: pytest.FixtureRequest) -> Iterator[None]:
    """A request in the language of the parameter."""
    app = Flask(__name__)
    init_languages(app, PoBabel())
    with app.test_request_context(headers={"Accept-Language": request.param}):
        yield


# The clock ---------------------------------------------------------------------------------------------------


def test_now_is_a_moment_in_utc_that_goes_on() -> None:
    first, second = clock.now(), clock.now()
    assert first.utcoffset() == timedelta(0)
    assert first <= second


def test_the_clock_stands_still_where_it_is_told_to_and_goes_on_after() -> None:
    with clock.at(MOMENT):
        assert clock.now() == clock.now() == MOMENT
        with clock.at(NEW_YEARS_EVE):
            assert clock.now() == NEW_YEARS_EVE
        assert clock.now() == MOMENT
    assert clock.now() != MOMENT


def test_later_is_as_much_later_as_was_said_and_adds_up() -> None:
    before = clock.now()
    with clock.later(timedelta(hours=1)):
        with clock.later(timedelta(minutes=30)):
            assert clock.now() - before >= timedelta(minutes=90)
        assert timedelta(hours=1) <= clock.now() - before < timedelta(minutes=90)
    assert clock.now() - before < timedelta(hours=1)


@pytest.mark.parametrize("moved", [clock.later(timedelta(days=9)), clock.at(MOMENT)], ids=["later", "at"])
def test_a_test_that_fails_leaves_the_clock_right(moved: AbstractContextManager[None]) -> None:
    with pytest.raises(LookupError), moved:
        raise LookupError
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)


# Times -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("speaking", "time", "date"),
    [
        ("en", "18:40 (UTC)", "7 April 2026, 18:40 (UTC)"),
        ("zh-CN", "02:40（UTC+8）", "2026年4月8日 02:40（UTC+8）"),
        ("fr", "18:40 (UTC)", "7 April 2026, 18:40 (UTC)"),
    ],
    indirect=["speaking"],
)
@pytest.mark.usefixtures("speaking")
def test_a_time_says_its_zone_in_each_language(time: str, date: str) -> None:
    for moment in (MOMENT, MOMENT.astimezone(ODD_ZONE)):
        assert wording.time_of_day(moment) == time
        assert wording.date_and_time(moment) == date


@pytest.mark.parametrize(
    ("speaking", "date"),
    [("en", "31 December 2026, 23:05 (UTC)"), ("zh", "2027年1月1日 07:05（UTC+8）")],
    indirect=["speaking"],
)
@pytest.mark.usefixtures("speaking")
def test_the_day_is_the_one_of_the_zone_that_is_said(date: str) -> None:
    assert wording.date_and_time(NEW_YEARS_EVE) == date


@pytest.mark.parametrize(
    ("speaking", "soon", "tomorrow"),
    [
        ("en", "18:41 (UTC)", "8 April 2026, 02:30 (UTC)"),
        ("zh", "02:41（UTC+8）", "10:30（UTC+8）"),
    ],
    indirect=["speaking"],
)
@pytest.mark.usefixtures("speaking")
def test_whoever_has_to_wait_is_told_a_minute_that_holds_and_the_day_if_it_is_another(
    soon: str, tomorrow: str
) -> None:
    """At 17:00 in UTC it is one in the morning in China: there, half past ten is still today."""
    with clock.at(MOMENT - timedelta(minutes=100)):
        assert wording.time_to_come(MOMENT) == soon
        assert wording.time_to_come(MOMENT.replace(minute=41, second=0)) == soon
        assert soon in wording.try_again_at(MOMENT)
        assert wording.time_to_come(MOMENT.replace(day=8, hour=2, minute=30, second=0)) == tomorrow


# Account numbers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("782858285006", "7828 5828 5006"),
        ("000000000001", "0000 0000 0001"),
        ("12345678", "1234 5678"),
        ("1234567890", "1234567890"),
        ("cust-2nehijlqfz9g", "cust-2nehijlqfz9g"),
        ("AbCdEfGhIjKl", "AbCdEfGhIjKl"),
        ("", ""),
    ],
)
def test_an_account_number_is_written_in_fours_that_stay_on_one_line(number: str, shown: str) -> None:
    assert wording.account_number(number) == shown.replace(" ", "\N{NO-BREAK SPACE}")


def test_a_number_written_in_fours_is_left_as_it_is() -> None:
    once = wording.account_number("782858285006")
    assert wording.account_number(once) == once


@pytest.mark.parametrize(
    ("message", "read"),
    [
        ("自今日起由 费用中心账号 wei.chen 付款", "自今日起由费用中心账号 wei.chen 付款"),
        ("在 us1 俄勒冈 注册", "在 us1 俄勒冈注册"),
        ("将 <b>尾号 5846 的 AWS 账号</b> 绑定到", "将<b>尾号 5846 的 AWS 账号</b>绑定到"),
        ("2026年4月8日 02:40（UTC+8） 之后", "2026年4月8日 02:40（UTC+8）之后"),
        ("pays for it, from today", "pays for it, from today"),
    ],
)
def test_what_is_set_into_a_chinese_sentence_stands_close_where_it_is_chinese_too(
    message: str, read: str
) -> None:
    assert closed_up(message) == read
    marked = closed_up(Markup(message))
    assert (marked, type(marked)) == (read, Markup)
