"""Passwords: long is enough, guessable is refused with the reason, and what is kept is argon2id."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from wizard.accounts import passwords
from wizard.i18n import PoBabel, init_languages

GOOD = "seven quiet harbour lamps"


@pytest.fixture(autouse=True)
def speaking_english() -> Iterator[None]:
    app = Flask(__name__)
    app.config.update(ARGON2_TIME_COST=1, ARGON2_MEMORY_KIB=8)
    init_languages(app, PoBabel())
    with app.test_request_context(headers={"Accept-Language": "en"}):
        yield


def said_of(password: str, *about: str) -> str:
    problem = passwords.problem_with(password, list(about))
    assert problem is not None, f"{password!r} was accepted"
    return problem


def test_eight_characters_are_the_least() -> None:
    assert said_of("x7#Kq9!") == "Use at least 8 characters in your password"
    assert said_of("") == "Use at least 8 characters in your password"
    assert passwords.problem_with("x7#Kq9!z", []) is None


@pytest.mark.parametrize("length", [64, 72, 73, 200, passwords.MOST])
def test_long_passwords_are_welcome(length: int) -> None:
    assert passwords.problem_with((GOOD + " " + "and one more lamp " * 60)[:length], []) is None


def test_there_is_an_end_that_keeps_hashing_cheap() -> None:
    assert said_of("a long story " * 100).startswith("Use at most 1024 characters")


@pytest.mark.parametrize(
    "password",
    [
        "correcthorsebatterystaple",
        "739150284617",
        "QZXJKVBWPLMT",
        "灯塔港口安静七盏",
        "пять тихих маяков",
        "🚢🗼⚓🌊🦞🐚🛟🧭",
    ],
)
def test_no_mixture_of_kinds_of_characters_is_asked_for(password: str) -> None:
    assert passwords.problem_with(password, []) is None


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("password1", "lists that guessers try first"),
        ("iloveyou", "lists that guessers try first"),
        ("qwertyuiop[]", "rows and repeats"),
        ("aaaaaaaaaaaa", "rows and repeats"),
        ("abcdefgh", "rows and repeats"),
        ("19840523", "dates are guessed first"),
    ],
)
def test_a_password_that_is_guessed_first_is_refused_with_the_reason(password: str, reason: str) -> None:
    assert reason in said_of(password)


def test_ones_own_name_and_ours_are_guessed_first_too() -> None:
    for about, password in (
        ("ada.lovelace", "ada.lovelace"),
        ("Skylark", "Skylark1"),
        ("harbour", "harbour12"),
    ):
        assert "does not contain your name" in said_of(password, about, "somebody@else.test")


def test_what_comes_after_the_scored_part_cannot_make_a_password_weaker() -> None:
    assert passwords.problem_with(GOOD.ljust(72, "x") + "password", []) is None


@given(st.text(max_size=100), st.lists(st.text(max_size=20), max_size=3))
def test_any_text_gets_an_answer(password: str, about: list[str]) -> None:
    problem = passwords.problem_with(password, about)
    assert problem is None or problem.strip()
    assert len(password) >= passwords.LEAST or problem


# What is kept ------------------------------------------------------------------------------------------------


def test_a_password_is_kept_as_argon2id_with_a_salt_of_its_own() -> None:
    one, other = passwords.hash_password(GOOD), passwords.hash_password(GOOD)
    assert one.startswith("$argon2id$")
    assert one != other
    assert GOOD not in one
    assert passwords.matches(one, GOOD)
    assert passwords.matches(other, GOOD)


def test_every_character_of_a_long_password_counts() -> None:
    long = GOOD.ljust(400, "!")
    kept = passwords.hash_password(long)
    assert passwords.matches(kept, long)
    for near in (long[:-1], long[:72], long[:-1] + "?", long + "!", long.upper(), " " + long):
        assert not passwords.matches(kept, near)


@pytest.mark.parametrize(
    "password", ["nul\0in the middle", "密码 with 空格", "🚢" * 8, " spaces around them "]
)
def test_a_password_is_kept_exactly_as_it_was_typed(password: str) -> None:
    kept = passwords.hash_password(password)
    assert passwords.matches(kept, password)
    assert not passwords.matches(kept, password.strip().replace("\0", "") + "x")
    assert passwords.matches(kept, password.strip()) is (password == password.strip())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("d\u00e9j\u00e0 vu caf\u00e9", "de\u0301ja\u0300 vu cafe\u0301"),
        (
            "\ud55c\uad6d\uc5b4 \uc554\ud638",
            "\u1112\u1161\u11ab\u1100\u116e\u11a8\u110b\u1165 \u110b\u1161\u11b7\u1112\u1169",
        ),
    ],
)
def test_a_password_is_the_same_whatever_keyboard_spelt_it(one: str, other: str) -> None:
    assert one != other
    assert passwords.matches(passwords.hash_password(one), other)
    assert passwords.matches(passwords.hash_password(other), one)


def test_what_was_set_before_there_was_one_spelling_still_opens() -> None:
    typed = "de\u0301ja\u0300 vu cafe\u0301"
    kept = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(typed)
    assert passwords.matches(kept, typed)
    assert not passwords.matches(kept, typed + "!")


def test_what_only_looks_alike_is_not_the_same() -> None:
    """NFKC would make these one, and passwords weaker."""
    for one, other in (
        ("area 10 m\u00b2 harbour", "area 10 m2 harbour"),
        ("\uff48arbour lamps", "harbour lamps"),
    ):
        assert not passwords.matches(passwords.hash_password(one), other)


def test_length_is_counted_in_one_spelling() -> None:
    assert "at least 8" in said_of("e\u0301a\u0300o\u0302u\u0308")


def test_nobody_has_the_password_that_stands_in_for_nobody() -> None:
    assert not passwords.matches(None, GOOD)
    assert not passwords.matches(None, "nobody has this password")
    assert not passwords.matches("not a hash", GOOD)


def test_a_hash_made_with_weaker_settings_is_made_anew() -> None:
    from flask import current_app

    kept = passwords.hash_password(GOOD)
    assert not passwords.needs_rehash(kept)
    current_app.config["ARGON2_TIME_COST"] = 2
    assert passwords.needs_rehash(kept)
    assert passwords.matches(kept, GOOD)
