"""Texts, bytes and bodies nobody would think of, into every form of the way: an answer each time, and nothing lost.

The same examples are tried in every run. ``test_bad_input.py`` has the kinds that are known by name.
"""

from io import BytesIO
from urllib.parse import quote_from_bytes

import pytest
from bs4 import Tag
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from werkzeug import Request
from werkzeug.datastructures import MultiDict

from tests.support.checks import DOCUMENT
from tests.support.factories import rows_of
from tests.support.page import Form, Page
from tests.support.places import HTML, PLACES, SECRET, Another, Place, Sent
from tests.support.walk import Walk
from wizard import forms
from wizard.verification import codes

EXAMPLES = 200
"""How often each field is filled."""

URLENCODED, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data; boundary=fuzz-5d2g7h3j1k"
LOOKS = (*DOCUMENT, "weight")
"""What is looked at in every twentieth answer only: parsing a page strictly takes longer than making it."""

WRONG = (
    "a\x00b", "\u202eabc\u200f", "\u2066x\u2069", "A\u030a", "\ufffe", "\u2028", "\r\n", "\t", " ", "\u00a0",
    "x" * 9_000, HTML, "{{ 7 * 7 }}", "%(count)s %s %", "../../etc/passwd", "=1+1", "٣٤٥", "１２３", "on", "n", "0",
    "None", "us1 ",
)  # fmt: skip
SURROGATES = st.text(st.characters(), max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
VALUES = st.one_of(
    st.text(max_size=120).map(str.encode),
    st.text(min_size=45, max_size=120).map(str.encode),
    SURROGATES,
    st.binary(max_size=60),
    st.sampled_from(WRONG).map(str.encode),
)
FIELD = st.one_of(st.lists(VALUES, min_size=1, max_size=1), st.lists(VALUES, max_size=3))

# Not made smaller when one fails: a page is asked for each try, and that takes minutes.
fuzzed = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def body_of(sent: Sent, kind: str) -> bytes:
    """The form as it goes over the wire, bytes as they are."""
    pairs = [(name, value) for name, values in sent.items() for value in values]
    if kind == URLENCODED:
        return "&".join(f"{name}={quote_from_bytes(value)}" for name, value in pairs).encode()
    part = b'--fuzz-5d2g7h3j1k\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
    return b"".join(part % (name.encode(), value) for name, value in pairs) + b"--fuzz-5d2g7h3j1k--\r\n"


def received(body: bytes, kind: str) -> MultiDict[str, str]:
    """What a server reads in a body: how bytes become text is not ours to say."""
    length = str(len(body))
    return Request(
        {
            "REQUEST_METHOD": "POST",
            "wsgi.input": BytesIO(body),
            "CONTENT_TYPE": kind,
            "CONTENT_LENGTH": length,
        }
    ).form


def would_do(place: Place, name: str, text: str) -> bool:
    """The text is good input here after all, and so not what this is about."""
    if name == "code":
        return len(codes.normalise(text)) == codes.DIGITS
    if name == "username" and place.name == "username":
        return sum(c.isascii() and (c.isalnum() or c in "._-") for c in text) > 2
    return False


def to_be_shown(form: Form, name: str, got: list[str]) -> list[str]:
    """What the form must show of an answer: as it was typed, but for what ``forms.py`` says it takes out."""
    control: Tag = form.controls[name][0]
    if name in SECRET:
        return [""]
    if control.name == "select":
        known = [str(option["value"]) for option in control.select("option")]
        return [got[0] if got and got[0] in known else ""]
    if control.get("type") == "checkbox":
        return ["y"] if got and got[0] not in ("", "false") else []
    if control.get("type") == "radio":
        known = [str(tag["value"]) for tag in form.controls[name]]
        return [got[0]] if got and got[0] in known else []
    return [forms._UNSEEN.sub("", _tidy(name, got[0]) if got else "")]


def _tidy(name: str, text: str) -> str:
    return text if name == "code" else str(forms.tidy(text))


def as_typed(text: str) -> str:
    """HTML has one kind of line break, and a page leaves out the first one of a text area."""
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\n")


def lost(place: Place, answer: Page, got: MultiDict[str, str]) -> list[str]:
    """The answers that a form that came back does not show."""
    form, found = answer.form(place.button), []
    for name in form.controls.keys() & place.takes.keys():
        wanted = to_be_shown(form, name, got.getlist(name))
        shown = form.fields.get(name, [])
        accepted = name in ("email", "phone") and name not in answer.errors  # Kept in its normal spelling.
        if [as_typed(text) for text in shown] != [as_typed(text) for text in wanted] and not accepted:
            found.append(f"{name} was {got.getlist(name)!r}, is to be {wanted!r} and is {shown!r}")
    return found


CASES = [
    (place, stop)
    for place in PLACES
    for stop in (place.stop or (None,))  # In the second round the field is filled that stopped the first.
]


@pytest.mark.parametrize(
    ("place", "stop"),
    CASES,
    ids=[f"{place.name}{f', {stop[0]} wrong' if stop else ''}" for place, stop in CASES],
)
@pytest.mark.engines("sqlite")
def test_whatever_comes_gets_an_answer_that_loses_nothing(
    walk: Walk, another: Another, place: Place, stop: tuple[str, object] | None
) -> None:
    place.reach(walk, another)
    before = rows_of(walk.client.app)
    action = walk.page.form(place.button).action
    wrong = dict([stop]) if stop else {}
    good = {
        name: [value.encode() for value in values]
        for name, values in walk.page.form(place.button).filled({**place.good, **wrong}).items()
    }
    names = sorted(place.takes.keys() - wrong.keys())
    tried = 0

    @fuzzed
    @example({name: [b""] for name in names}, URLENCODED)
    @example({name: [] for name in names}, MULTIPART)
    @given(st.fixed_dictionaries(dict.fromkeys(names, FIELD)), st.sampled_from((URLENCODED, MULTIPART)))
    def gets_an_answer(answers: Sent, kind: str) -> None:
        nonlocal tried
        body = body_of(good | answers, kind)
        got = received(body, kind)
        if any(would_do(place, name, text) for name in answers for text in got.getlist(name)[:1]):
            return
        tried += 1
        without = LOOKS if tried % 20 else ()
        answer = walk.client.post(action, body, content_type=kind, without=without)
        assert answer.status == 422, answer
        assert any(tag.get("role") == "alert" for tag in answer.tags)
        assert lost(place, answer, got) == []

    gets_an_answer()
    assert tried > EXAMPLES / 3
    assert rows_of(walk.client.app) == before


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@pytest.mark.engines("sqlite")
def test_a_body_of_any_kind_is_answered_and_changes_nothing(
    walk: Walk, another: Another, place: Place
) -> None:
    place.reach(walk, another)
    before = rows_of(walk.client.app)
    action = walk.page.form(place.button).action
    token = walk.page.form(place.button).fields["csrf_token"][0].encode()
    kinds = (
        URLENCODED,
        MULTIPART,
        "multipart/form-data",
        "application/json",
        "text/plain",
        "",
        "a/b; charset=\xff",
    )
    anything = st.binary(max_size=200)
    bodies = st.one_of(anything, anything.map(lambda some: b"csrf_token=" + token + b"&" + some))

    @settings(fuzzed, max_examples=EXAMPLES // 4)
    @given(bodies, st.sampled_from(kinds))
    def is_answered(body: bytes, kind: str) -> None:
        answer = walk.client.post(action, body, content_type=kind, without=LOOKS)
        assert answer.status in (400, 413, 422), answer

    is_answered()
    assert rows_of(walk.client.app) == before
