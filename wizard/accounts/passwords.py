"""Passwords: what is accepted, and how they are kept (argon2id)."""

import unicodedata
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
from flask import current_app
from flask_babel import gettext as _
from zxcvbn import zxcvbn

LEAST = 8
MOST = 1024
_SCORED = 72
"""zxcvbn raises above 72 characters; what follows can only make a password stronger."""
_ACCEPTED_SCORE = 2


def problem_with(password: str, about: list[str]) -> str | None:
    """Why a password is not accepted, as one sentence for the page, or None.

    ``about`` are words a guesser would try first (the username, the address, the company, the brand).
    """
    if len(normalise(password)) < LEAST:
        return _("Use at least %(count)s characters in your password", count=LEAST)
    if len(password) > MOST:
        return _("Use at most %(count)s characters in your password", count=MOST)
    result = zxcvbn(normalise(password)[:_SCORED], user_inputs=[word for word in about if word])
    if result["score"] >= _ACCEPTED_SCORE:
        return None
    return _reason(result["sequence"])


def _reason(sequence: list[dict[str, object]]) -> str:
    """The weakest thing about a guessable password, in words."""
    longest = max(sequence, key=lambda match: len(str(match.get("token", ""))))
    pattern = longest.get("pattern")
    if pattern == "dictionary" and longest.get("dictionary_name") == "user_inputs":
        return _("Choose a password that does not contain your name, your address or ours")
    if pattern == "dictionary":
        return _("Choose another password: this one is on the lists that guessers try first")
    if pattern in ("repeat", "sequence", "spatial"):
        return _("Choose another password: rows and repeats of keys are guessed first")
    if pattern == "date":
        return _("Choose another password: dates are guessed first")
    return _("Choose a longer password: a few unrelated words work well")


def normalise(password: str) -> str:
    """One spelling for what looks the same whatever keyboard typed it (Unicode NFC, as RFC 8265 has it)."""
    return unicodedata.normalize("NFC", password)


def hash_password(password: str) -> str:
    return _hasher().hash(normalise(password))


def matches(password_hash: str | None, password: str) -> bool:
    """Whether a password is the one that was hashed.

    Without a hash (nobody of that name) the same work is done on a stand-in, so that the answer takes
    as long for an unknown name as for a known one. What was set before passwords were normalised still fits
    as it was typed then.
    """
    stand_in = _stand_in()  # Made in any case: the first unknown name must not cost a hash more.
    kept = password_hash or stand_in
    spellings = dict.fromkeys((normalise(password[:MOST]), password[:MOST]))
    right = any([_verifies(kept, spelling) for spelling in spellings])  # All of them: the work shows nothing.
    return right and password_hash is not None


def _verifies(kept: str, password: str) -> bool:
    try:
        return _hasher().verify(kept, password)
    except (Argon2Error, InvalidHashError):
        return False


def needs_rehash(password_hash: str) -> bool:
    """Whether the hash was made with weaker settings than today's."""
    return _hasher().check_needs_rehash(password_hash)


def _hasher() -> PasswordHasher:
    return _make_hasher(current_app.config["ARGON2_TIME_COST"], current_app.config["ARGON2_MEMORY_KIB"])


@lru_cache
def _make_hasher(time_cost: int, memory_kib: int) -> PasswordHasher:
    return PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)


def _stand_in() -> str:
    return _make_stand_in(current_app.config["ARGON2_TIME_COST"], current_app.config["ARGON2_MEMORY_KIB"])


@lru_cache
def _make_stand_in(time_cost: int, memory_kib: int) -> str:
    return _make_hasher(time_cost, memory_kib).hash("nobody has this password")
