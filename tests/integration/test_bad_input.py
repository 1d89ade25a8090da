"""Whatever is typed, pasted or forged into a form of the way: a clear error or acceptance, and nothing else is lost.

Each kind of bad input by name; ``test_fuzz.py`` has what nobody would think of.
"""

import io
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.checks import DOCUMENT
from tests.support.factories import rows_of
from tests.support.page import Page
from tests.support.places import (
    HTML,
    KINDS,
    PLACES,
    SQL,
    Another,
    Place,
    Sent,
    at_username,
    filled,
    lost,
    post,
)
from tests.support.walk import Walk

pytestmark = pytest.mark.engines("sqlite")

SEEN = tuple({*DOCUMENT, "weight"} - {"html"})
"""What does not depend on what was typed, and is looked at the first time a form comes back."""
UNHELD = [b"a\x00b\x01"]


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
    walk.page = walk.client.get("/billing/sign-in")
    refuses_what_was_not_meant(walk, places["billing sign in"], foreign)
    walk.sign_in()
    walk.client.post("/sign-out", {"csrf_token": foreign})
    assert walk.client.get("/console/", follow=True).h1 == "Harbour"


@pytest.mark.parametrize("place", ["choice", "company"])
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


@pytest.mark.engines("sqlite", "postgresql")
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
