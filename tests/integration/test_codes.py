"""Email codes: six digits, ten minutes, five tries, a minute between mails; and who may not use them."""

import io
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.client import Client
from tests.support.page import Page, squeeze
from tests.support.walk import Walk
from wizard import clock, logs, outbox
from wizard.extensions import UtcDateTime, db
from wizard.flows.models import Journey
from wizard.outbox.entries import LADDER
from wizard.outbox.models import OutboxEntry
from wizard.verification import codes
from wizard.verification.models import Challenge

pytestmark = pytest.mark.engines("sqlite")

START = datetime(2026, 4, 7, 14, 2, 30, tzinfo=UTC)
"""Not on a full minute: a time that is told without seconds has to be a time at which it works."""

TICK = timedelta(microseconds=1)
MINUTE = timedelta(minutes=1)
AGAIN = "Send code again"


def mails(walk: Walk) -> int:
    return len(walk.mailbox.all())


def begin(walk: Walk, **answers: object) -> str:
    """To the code page at ``START``; the code that was mailed."""
    with clock.at(START):
        walk.register().give_basics(**answers)
        return walk.code()


def send_again(walk: Walk, after: timedelta) -> Page:
    """Ask for another mail so long after ``START``, and have it mailed where it may be."""
    with clock.at(START + after):
        walk.page = walk.client.submit(walk.page, AGAIN)
        walk.work()
    return walk.page


def summary(page: Page) -> str:
    """What the page says is wrong."""
    (found,) = page.soup.select(".summary")
    return squeeze(found.get_text())


def promised(page: Page, now: datetime) -> datetime:
    """The moment a refusal says to come back at: today's, unless it names another day."""
    told = re.search(r"(?:(\d{1,2}) April 2026, )?(\d\d):(\d\d) \(UTC\)", summary(page))
    assert told, summary(page)
    day, hour, minute = told.groups()
    return now.replace(day=int(day or now.day), hour=int(hour), minute=int(minute), second=0, microsecond=0)


def challenges(app: Flask) -> list[Challenge]:
    with app.app_context():
        return list(db.session.scalars(sa.select(Challenge).order_by(Challenge.created_at)))


# ── how long, how often ─────────────────────────────────────────────────────────────────────────────────────


def test_a_code_works_until_the_last_moment_of_ten_minutes(walk: Walk) -> None:
    code = begin(walk)
    with clock.at(START + codes.LIFE - TICK):
        assert walk.enter_code(code).h1 == "Company information"


def test_a_code_of_ten_minutes_ago_is_over_and_a_new_one_helps(walk: Walk) -> None:
    code = begin(walk)
    with clock.at(START + codes.LIFE):
        late = walk.client.submit(walk.page, "Confirm", code=code)
        assert late.status == 422
        assert "This code is older than 10 minutes" in late.text
        assert "Confirm" not in late.buttons
        walk.page = walk.client.submit(late, AGAIN)
        assert walk.enter_code().h1 == "Company information"


def test_a_code_has_six_digits_and_keeps_its_leading_zeros(app: Flask) -> None:
    with app.app_context():
        made = [
            codes.code_of(Challenge(id="one", purpose="register", generation=number)) for number in range(200)
        ]
    assert all(re.fullmatch(r"\d{6}", code, re.ASCII) for code in made)
    assert len(set(made)) > 190
    assert any(code.startswith("0") for code in made)


@pytest.mark.engines("sqlite", "postgresql")
def test_only_the_newest_code_works(walk: Walk) -> None:
    first = begin(walk)
    send_again(walk, MINUTE)
    with clock.at(START + MINUTE):
        assert walk.code() != first
        refused = walk.enter_code(first)
        assert refused.status == 422
        assert "That is not the code in the newest email" in refused.text
        assert walk.enter_code().h1 == "Company information"


def test_a_minute_lies_between_two_mails_of_a_challenge(walk: Walk) -> None:
    begin(walk)
    early = send_again(walk, MINUTE - TICK)
    assert early.status == 422
    assert re.search(r"You can send a new code in 1 second\b", summary(early))
    assert mails(walk) == 1
    with clock.at(START + MINUTE - TICK):
        in_chinese = walk.client.click(early, "简体中文")
        assert in_chinese.path.endswith("/code"), "the page of a refusal leads nowhere"
        walk.client.click(in_chinese, "English")
    assert send_again(walk, MINUTE).status == 200
    assert mails(walk) == 2


@pytest.mark.engines("sqlite", "postgresql")
def test_a_new_mail_gives_no_new_tries_and_the_fifth_wrong_one_ends_them(walk: Walk) -> None:
    begin(walk)
    with clock.at(START):
        wrong = walk.wrong_code()
        for left in (4, 3, 2):
            assert f"you have {left} tries left" in walk.enter_code(wrong).text
    assert "You have 2 tries" in send_again(walk, MINUTE).text
    with clock.at(START + MINUTE):
        right, before = walk.code(), walk.page
        wrong = walk.wrong_code()
        assert "you have 1 try left" in walk.enter_code(wrong).text
        dead = walk.enter_code(wrong)
        assert "Five codes were wrong" in dead.text
        assert "Confirm" not in dead.buttons
        assert walk.client.submit(before, "Confirm", code=right).status == 422, (
            "a dead challenge took its code"
        )
        # What helps is a new challenge, which has five tries again.
        walk.page = walk.client.submit(dead, AGAIN)
        assert "You have 5 tries" in walk.page.text
        assert walk.client.submit(walk.page, "Confirm", code=right).status == 422, "its code outlived it"
        assert walk.enter_code().h1 == "Company information"


@pytest.mark.engines("sqlite", "postgresql")
def test_an_address_gets_five_codes_an_hour_and_is_told_when_the_next(walk: Walk) -> None:
    begin(walk)
    for number in range(1, 5):
        assert send_again(walk, number * MINUTE).status == 200
    now = START + 5 * MINUTE
    refused = send_again(walk, 5 * MINUTE)
    assert refused.status == 422
    assert mails(walk) == 5
    then = promised(refused, now)
    assert then < START + timedelta(hours=1, minutes=1)
    assert send_again(walk, then - START).status == 200, "the time it told was not honest"
    assert mails(walk) == 6


def test_asking_too_often_does_not_use_up_the_codes_of_the_day(walk: Walk) -> None:
    begin(walk)
    for number in range(1, 5):
        send_again(walk, number * MINUTE)
    for number in range(5, 11):
        assert send_again(walk, number * MINUTE).status == 422
    assert send_again(walk, timedelta(hours=1, minutes=1)).status == 200
    assert mails(walk) == 6


def test_an_address_gets_ten_codes_a_day_whoever_asks_and_is_told_the_day(
    walk: Walk, another: Callable[..., Walk]
) -> None:
    begin(walk)
    for number in range(1, 5):
        send_again(walk, number * MINUTE)
    later = timedelta(hours=2)
    second = another()
    with clock.at(START + later):
        second.register().give_basics(email=walk.person.email.replace("ada", "ADA"))
        second.work()
    for number in range(1, 5):
        assert send_again(second, later + number * MINUTE).status == 200
    assert mails(walk) == 10
    now = START + timedelta(hours=6)
    refused = send_again(second, timedelta(hours=6))
    assert refused.status == 422
    then = promised(refused, now)
    assert START + timedelta(days=1) <= then < START + timedelta(days=1, minutes=1), refused.text
    assert send_again(second, then - START).status == 200, "the time it told was not honest"


# ── what is typed ───────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("typed", ["{0} {1}", " {0} - {1}\t", "{2}－{3}"])
def test_a_code_is_taken_the_way_people_type_it(walk: Walk, typed: str) -> None:
    walk.register().give_basics()
    code = walk.code()
    wide = code.translate({ord(digit): ord("０") + int(digit) for digit in "0123456789"})
    page = walk.enter_code(typed.format(code[:3], code[3:], wide[:3], wide[3:]))
    assert page.h1 == "Company information"


def test_what_cannot_be_a_code_is_no_try(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    for typed in ("", "12345", "1234567", "abcdef", "１２３"):
        page = walk.client.submit(walk.page, "Confirm", code=typed)
        assert page.errors == {"code": "Enter the 6 digits from the email"}
    assert [challenge.attempts for challenge in challenges(app)] == [0]


def test_opening_pages_spends_nothing(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    code = walk.code()
    path = walk.page.path
    for address in (path, f"{path}?code={code}", f"{path}/resend?code={code}", f"/register?code={code}"):
        walk.client.get(address)
    assert [(each.attempts, each.generation, each.outcome) for each in challenges(app)] == [(0, 1, None)]
    assert walk.enter_code(code).h1 == "Company information"


# ── whose it is ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_of_another_journey_is_useless_even_with_the_same_address(
    walk: Walk, another: Callable[..., Walk]
) -> None:
    code = begin(walk)
    second = another(person=walk.person)
    begin(second)
    assert second.code() != code
    with clock.at(START):
        assert "That is not the code in the newest email" in second.enter_code(code).text
        assert walk.enter_code(code).h1 == "Company information"


def test_a_code_of_another_purpose_is_useless(app: Flask, walk: Walk) -> None:
    walk.register().give_basics()
    right = walk.code()
    with app.app_context():
        other = codes.begin("another purpose", walk.person.email, walk.reference, "en", {})
        useless = codes.code_of(other)
        db.session.commit()
    assert "That is not the code in the newest email" in walk.enter_code(useless).text
    assert walk.enter_code(right).h1 == "Company information"


@pytest.mark.engines("sqlite", "postgresql")
def test_another_address_voids_the_code_and_the_proof(app: Flask, walk: Walk) -> None:
    def change_to(email: str) -> str:
        basics = walk.client.get(f"/journeys/{walk.reference}/basic")
        walk.page = walk.client.submit(basics, "Next", email=email)
        walk.work()
        found = re.search(r"\b\d{6}\b", walk.mailbox.to(email)[0].text)
        assert found
        return found[0]

    walk.register().give_basics()
    first = walk.code()
    second = change_to("other@harbour.test")
    assert "not the code in the newest" in walk.enter_code(first).text
    third = change_to(walk.person.email)
    for void in (first, second):
        assert "not the code in the newest" in walk.enter_code(void).text
    assert walk.enter_code(third).h1 == "Company information"

    last = change_to("last@harbour.test")
    company = walk.page.path.replace("/code", "/company")
    assert walk.client.get(company, follow=True).path == walk.page.path, "an unproven address went on"
    assert walk.enter_code(last).h1 == "Company information"
    with app.app_context():
        assert db.session.scalars(sa.select(Journey.verified_email)).all() == ["last@harbour.test"]


# ── where it is, and is not ─────────────────────────────────────────────────────────────────────────────────


def test_a_code_is_in_the_mail_and_nowhere_else(
    app: Flask, make_app: Callable[..., Flask], settings: Any, walk: Walk
) -> None:
    """Not in the database, not in the log (though sending failed first), not in a cookie."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logs.formatter("text"))
    logging.getLogger().addHandler(handler)
    try:
        _fail_once(app, "verification.mail")
        walk.register().give_basics()
        walk.work()
        with clock.later(LADDER[0]):
            code = walk.code()
        walk.enter_code(walk.wrong_code())
        kept = _texts(app) + [f"{cookie}" for cookie in _cookies(walk.client)]
        walk.enter_code(code)
        kept += _texts(app) + [f"{cookie}" for cookie in _cookies(walk.client)]
    finally:
        logging.getLogger().removeHandler(handler)
    assert walk.page.h1 == "Company information"
    assert "outbox entry failed" in log.getvalue(), "nothing was logged, so nothing was looked at"
    assert any(walk.person.email in text for text in kept), "nothing was kept, so nothing was looked at"
    alone = re.compile(rf"(?<![0-9A-Za-z_-]){code}(?![0-9A-Za-z_-])")
    assert not [text for text in [*kept, log.getvalue()] if alone.search(text)]


@pytest.mark.engines("sqlite", "postgresql")
def test_a_mail_that_is_sent_twice_carries_the_same_code(app: Flask, walk: Walk) -> None:
    """The mail server took it and the connection broke before it said so: nobody can know, so it goes again."""
    _fail_once(app, "verification.mail", after=True)
    walk.register().give_basics()
    walk.work()
    with clock.later(LADDER[0]):
        walk.work()
    first, second = walk.mailbox.to(walk.person.email)
    assert first.text == second.text
    assert walk.enter_code().h1 == "Company information"


def test_the_mail_of_a_code_that_has_expired_is_dropped(app: Flask, walk: Walk) -> None:
    with clock.at(START):
        walk.register().give_basics()
    with clock.at(START + codes.LIFE):
        walk.work()
    with app.app_context():
        (entry,) = db.session.scalars(sa.select(OutboxEntry)).all()
    assert not walk.mailbox.all()
    assert entry.done_at == START + codes.LIFE
    assert "no longer needed" in (entry.last_error or "")


def test_the_mail_of_a_code_that_is_not_the_newest_is_dropped(walk: Walk) -> None:
    with clock.at(START):
        walk.register().give_basics()
    assert send_again(walk, MINUTE).status == 200
    with clock.at(START + MINUTE):
        assert mails(walk) == 1
        assert walk.enter_code().h1 == "Company information"


def _fail_once(app: Flask, kind: str, after: bool = False) -> None:
    """The next time this is done it fails: before anything happened, or ``after`` everything did."""
    handler = app.extensions["outbox"][kind]

    def fails(payload: dict[str, Any], entry_id: int) -> None:
        outbox.register(app, {kind: handler})
        if after:
            handler(payload, entry_id)
        raise OSError("the connection is gone")

    outbox.register(app, {kind: fails})


def _texts(app: Flask) -> list[str]:
    """Everything in the database that is not a time, as text."""
    found: list[str] = []
    with app.app_context():
        for table in db.metadata.sorted_tables:
            columns = [column for column in table.columns if not isinstance(column.type, UtcDateTime)]
            found += [repr(row) for row in db.session.execute(sa.select(*columns))]
    return found


def _cookies(client: Client) -> list[object]:
    """What a browser holds, and what our own signed cookie says to whoever unpacks it."""
    held: list[object] = [(cookie.key, cookie.value) for cookie in (client.http._cookies or {}).values()]
    serializer = client.app.session_interface.get_signing_serializer(client.app)  # type: ignore[attr-defined]
    return [*held, serializer.loads(client.cookie("wizard"))]
