"""Whatever is typed, pasted or forged into a form of the way: a clear error or acceptance, and nothing else is lost."""

import io
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from tests.support.checks import DOCUMENT
from tests.support.client import Client
from tests.support.factories import Person, rows_of
from tests.support.page import Page
from tests.support.walk import Walk

EXAMPLES = 30
"""How many texts hypothesis makes up for each field in the normal run."""

Another = Callable[..., Walk]
Sent = dict[str, list[bytes]]

HTML = "<script>alert(1)</script>\"'><b>&amp;"
SQL = "'; DROP TABLE journeys; -- \\"
GOOD = b"a good answer"

KINDS: dict[str, list[bytes]] = {
    "empty": [b""],
    "missing": [],
    "huge": [b"x" * 10_000],
    "control": [b"a\x00b\x01c\x1b[31md\x7fe\xc2\x85"],
    "NUL": [b"\x00"],
    "half a character": [b"a\xed\xa0\x80b"],
    "no UTF-8": [b"a\xff\xfeb\xc3"],
    "no character": ["a\ufffd\ufffeb\U0001ffffc".encode()],
    "right to left": ["abc\u202edef\u200b".encode()],
    "emoji": ["🚢🧑‍🚀 ahoy, über uns".encode()],
    "HTML": [HTML.encode()],
    "SQL": [SQL.encode()],
    "twice": [HTML.encode(), GOOD],
}
SEEN = tuple({*DOCUMENT, "weight"} - {"html"})
"""What does not depend on what was typed, and is looked at the first time a form comes back."""
UNHELD = [b"a\x00b\x01"]
TEXT = frozenset({"emoji", "HTML", "SQL", "twice", "half a character", "no UTF-8"})
"""What free text may be: bytes that are no text arrive as their percent signs. What cannot be seen is taken out,
and the customer asked to look at what is left."""
NOTHING = frozenset({"empty", "missing"})
ANYTHING = frozenset(KINDS)
SECRET = ("password", "confirm_password")


@dataclass(frozen=True)
class Place:
    """A form on the way. ``takes`` is which kinds each of its fields accepts; ``rounds`` which are filled badly
    together; ``stop`` an answer that another field refuses, so that the form comes back and can be tried again."""

    name: str
    reach: Callable[[Walk, Another], object]
    button: str
    takes: dict[str, frozenset[str]]
    rounds: tuple[tuple[str, ...], ...]
    good: dict[str, object] = field(default_factory=dict)
    stop: tuple[tuple[str, object], ...] = ()


def at_username(walk: Walk, another: Another) -> None:
    first = another()
    first.to_company()
    walk.land().say_new().give_basics(username=first.person.username)
    walk.enter_code()


def at_methods(walk: Walk, _another: Another) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()


def at_sign_in(walk: Walk, _another: Another) -> None:
    walk.page = walk.client.get("/sign-in")


PLACES = (
    Place("choice", lambda walk, _: walk.land(), "Next", {"has_account": frozenset()}, (("has_account",),)),
    Place(
        "basic",
        lambda walk, _: walk.land().say_new(),
        "Next",
        {
            "site": frozenset(),
            "username": frozenset(),
            "email": frozenset(),
            "password": ANYTHING - NOTHING - {"huge", "NUL", "no character"},
            "confirm_password": frozenset({"missing"}),
            "phone": NOTHING,
        },
        (("username", "email", "phone"), ("password",), ("confirm_password",), ("site",)),
        good={"site": "us1", **Person().answers, "phone": "+1 541-754-3010"},
        stop=(("site", None), ("phone", "no number")),
    ),
    Place("code", lambda walk, _: walk.to_code(), "Confirm", {"code": frozenset()}, (("code",),)),
    Place("username", at_username, "Next", {"username": frozenset()}, (("username",),)),
    Place(
        "company",
        lambda walk, _: walk.to_company(),
        "Register",
        {
            "company_name": TEXT,
            "industry": ANYTHING,
            "region": ANYTHING,
            "description": TEXT | NOTHING,
            "contact_name": TEXT | NOTHING,
            "agree": ANYTHING - NOTHING,
        },
        (("company_name", "region", "contact_name"), ("industry", "description"), ("agree",)),
        good={
            "company_name": "Lamps",
            "industry": "media",
            "region": "NZ",
            "contact_name": "Ada",
            "agree": "y",
        },
        stop=(("agree", None), ("company_name", "")),
    ),
    Place(
        "activation",
        at_methods,
        "Activate",
        {
            "method": frozenset(),
            "workspace_name": TEXT,
            "language": frozenset(),
            "agree": ANYTHING - NOTHING,
        },
        (("method", "language"), ("workspace_name",), ("agree",)),
        good={"method": "billing_center", "workspace_name": "Harbour", "language": "zh", "agree": "y"},
        stop=(("agree", None), ("workspace_name", "")),
    ),
    Place(
        "sign in",
        at_sign_in,
        "Sign in",
        {
            "site": frozenset(),
            "username": TEXT,
            "password": ANYTHING - NOTHING - {"huge"},
        },
        (("site", "password"), ("username",)),
        good={"site": "us1", "username": "nobody", "password": "nothing"},
    ),
)


def filled(place: Place, page: Page, *besides: str) -> Sent:
    """The form with good answers, but for what stops it; never in a field of ``besides``."""
    stop = next(([pair] for pair in place.stop if pair[0] not in besides), [])
    answers = page.form(place.button).filled({**place.good, **dict(stop)})
    return {name: [value.encode() for value in values] for name, values in answers.items()}


def post(client: Client, action: str, sent: Sent, without: tuple[str, ...] = ()) -> Page:
    """Send bytes as they are, which no browser would."""
    body = "&".join(f"{name}={quote_from_bytes(value)}" for name, values in sent.items() for value in values)
    kind = "application/x-www-form-urlencoded"
    return client.post(action, body.encode(), content_type=kind, without=without)


def lost(place: Place, page: Page, sent: Sent, besides: Iterable[str]) -> list[str]:
    """The answers that a page does not show as they were sent. Secrets it must not show at all."""
    form = page.form(place.button).fields
    found = []
    for name in set(place.takes) - set(besides):
        wanted = [value.decode() for value in sent.get(name, [])]
        if name in SECRET:
            wanted = [""]
        shown = [value.removeprefix("\r\n") for value in form.get(name, [])]
        if shown != wanted and (shown, wanted) not in (([""], []), ([], [""])):
            found.append(f"{name} was {wanted} and is {shown}")
    return found


def problems_of(place: Place, answer: Page, sent: Sent, kind: str, bad: tuple[str, ...]) -> Iterator[str]:
    if answer.status != 422 or not answer.soup.select('[role="alert"]'):
        yield "neither refuses nor accepts clearly"
        return
    for name in bad:
        refused = name in answer.errors or f"{name}-0" in answer.errors
        if refused != (kind not in place.takes[name]):
            yield f"{name} was {'refused' if refused else 'taken'}"
    yield from lost(place, answer, sent, bad)
    if "<script>alert" in answer.html:
        yield "is not escaped"


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@pytest.mark.engines("sqlite")
def test_each_field_takes_or_refuses_whatever_comes_and_keeps_the_rest(
    walk: Walk, another: Another, place: Place
) -> None:
    assert {name for names in place.rounds for name in names} == set(place.takes)
    place.reach(walk, another)
    before = rows_of(walk.client.app)
    action = walk.page.form(place.button).action
    good = {bad: filled(place, walk.page, *bad) for bad in place.rounds}
    wrong = []
    for kind, values in KINDS.items():
        for bad in place.rounds:
            sent = good[bad] | dict.fromkeys(bad, values)
            try:
                answer = post(walk.client, action, sent, without=() if kind == "empty" else SEEN)
            except AssertionError as problem:
                wrong.append(f"{kind} in {bad}: {problem}")
            else:
                problems = problems_of(place, answer, sent, kind, bad)
                wrong += [f"{kind} in {bad}: {problem}; {answer.errors}" for problem in problems]
    assert not wrong, "\n".join(wrong)
    assert rows_of(walk.client.app) == before


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@pytest.mark.engines("sqlite")
def test_any_text_in_all_fields_at_once_gets_an_answer(walk: Walk, another: Another, place: Place) -> None:
    place.reach(walk, another)
    action, good = walk.page.form(place.button).action, filled(place, walk.page)
    names = set(place.takes) - {name for name, _answer in place.stop[:1]}
    # A name that would do is no bad input: with fewer than three of its characters none can come of a text.
    few = st.text(max_size=200).filter(lambda text: len(re.findall(r"[\w.-]", text, re.ASCII)) < 3)
    text = few if place.name == "username" else st.text(max_size=200)
    texts = st.fixed_dictionaries(dict.fromkeys(sorted(names), text))

    # Not made smaller when one fails: a page is asked for each try, and that takes minutes.
    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @example(dict.fromkeys(names, "\u0660\u0661\u0662\u0663\u0664\u0665 \U0001d7d8"))
    @given(texts)
    def gets_an_answer(answers: dict[str, str]) -> None:
        sent = good | {name: [text.encode()] for name, text in answers.items()}
        answer = post(walk.client, action, sent, without=SEEN)
        assert answer.status == 422
        assert answer.soup.select('[role="alert"]')

    gets_an_answer()


@pytest.mark.engines("sqlite")
def test_a_body_that_is_no_form_is_no_answer(walk: Walk) -> None:
    walk.land().say_new()
    action, token = walk.page.form("Next").action, walk.page.form("Next").fields["csrf_token"][0]
    before = rows_of(walk.client.app)
    files = {
        name: (io.BytesIO(b"a file"), f"{name}.txt") for name in ("site", "username", "email", "password")
    }
    answer = walk.client.post(action, {"csrf_token": token, **files}, content_type="multipart/form-data")
    assert answer.status == 422
    assert {"site-0", "username", "email", "password"} <= set(answer.errors)
    for kind, body in (
        ("application/x-www-form-urlencoded", f"csrf_token={token}&username=".encode() + b"\xff\xfe\x00"),
        ("application/json", f'{{"csrf_token": "{token}", "username": ["ada"]}}'.encode()),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=username\r\n"),
        ("multipart/form-data", b"no boundary"),
        ("text/plain", b"\x00"),
    ):
        answer = walk.client.post(action, body, content_type=kind)
        assert answer.status in (400, 422), kind
    assert rows_of(walk.client.app) == before


# What was not meant ------------------------------------------------------------------------------------------


def refuses_what_was_not_meant(walk: Walk, place: Place, foreign: str) -> None:
    """A form with another browser's token or none changes nothing, and comes back as it was filled; and what no
    database holds is refused before one is asked."""
    before = rows_of(walk.client.app)
    form = walk.page.form(place.button)
    good = form.filled(place.good)
    for token in (None, foreign):
        sent = {name: [value.encode() for value in values] for name, values in good.items()}
        sent["csrf_token"] = [] if token is None else [token.encode()]
        answer = post(walk.client, form.action, sent)
        assert (answer.status, answer.h1) == (422, walk.page.h1), place.name
        assert "This page was open too long" in answer.text
        assert not list(lost(place, answer, sent, [])), place.name
        assert answer.form(place.button).fields["csrf_token"][0] != token
    unheld = filled(place, walk.page) | dict.fromkeys(place.takes, UNHELD)
    answer = post(walk.client, form.action, unheld, without=SEEN)
    assert answer.status == 422
    assert rows_of(walk.client.app) == before


def test_a_form_that_was_not_meant_changes_nothing_and_keeps_its_answers(
    walk: Walk, another: Another
) -> None:
    places = {place.name: place for place in PLACES}
    stranger = walk.client.other()
    foreign = stranger.get("/sign-in").form("Sign in").fields["csrf_token"][0]
    refuses_what_was_not_meant(walk.land(), places["choice"], foreign)
    refuses_what_was_not_meant(walk.say_new(), places["basic"], foreign)
    walk.give_basics()
    refuses_what_was_not_meant(walk, places["code"], foreign)
    before = rows_of(walk.client.app)
    for token in ("", "nonsense", foreign):
        answer = walk.client.post(f"{walk.page.path}/resend", {"csrf_token": token})
        assert answer.status == 422
        assert "This page was open too long" in answer.text
    assert rows_of(walk.client.app) == before
    walk.enter_code()
    refuses_what_was_not_meant(walk, places["company"], foreign)
    walk.give_company()
    arrived = places["activation"]
    without_method = {name: kinds for name, kinds in arrived.takes.items() if name != "method"}
    answers = {name: value for name, value in arrived.good.items() if name != "method"}
    refuses_what_was_not_meant(walk, replace(arrived, takes=without_method, good=answers), foreign)
    walk.activate()
    walk.wait_until_made()

    taken = another()
    at_username(taken, another)
    refuses_what_was_not_meant(taken, places["username"], foreign)
    walk.page = walk.client.get("/sign-in")
    refuses_what_was_not_meant(walk, places["sign in"], foreign)
    walk.sign_in()
    walk.client.post("/sign-out", {"csrf_token": foreign})
    assert walk.client.get("/console/", follow=True).h1 == "Harbour"


@pytest.mark.parametrize("place", ["choice", "company"])
@pytest.mark.engines("sqlite")
def test_more_than_anybody_types_is_a_page_that_says_so(walk: Walk, another: Another, place: str) -> None:
    where = next(each for each in PLACES if each.name == place)
    where.reach(walk, another)
    before = rows_of(walk.client.app)
    big = filled(where, walk.page) | {"company_name": [b"x" * 300_000]}
    answer = post(walk.client, walk.page.form(where.button).action, big)
    assert (answer.status, answer.h1) == (413, "That was too much to send")
    assert {"/", "/sign-in"} <= set(answer.links.values())
    assert rows_of(walk.client.app) == before


# What is strange and fine ------------------------------------------------------------------------------------


def test_strange_but_real_answers_go_all_the_way_and_are_shown_as_typed(walk: Walk) -> None:
    strange = f"🚢 {HTML} {SQL} 株式会社 مرحبا"
    password = f"nul\0 in it 🚢 {HTML}"
    walk.land().say_new().give_basics(password=password, confirm_password=password).enter_code()
    walk.give_company(company_name=strange, description=f"{strange}\nand a second line", contact_name=strange)
    assert walk.page.h1 == "Activation method"
    walk.activate(workspace_name=strange)
    pages = [walk.page, walk.wait_until_made(), walk.sign_in(password=password)]
    assert pages[1].h1 == "Activation successful"
    assert [page.path for page in pages if strange not in page.text] == []
    assert pages[2].h1 == strange
    assert not [page.path for page in pages if "<script>alert" in page.html]
    walk.work()
    mail = walk.mailbox.to(walk.person.email)[0]
    assert mail.subject == f"{strange} is ready"
    assert strange in mail.text
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
