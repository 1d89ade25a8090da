"""The walk holds: no step opens before its time, none is done twice, and what was answered is kept.

Wherever somebody can stand in *no Billing Center account*, every step is asked for.
"""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.client import Client
from tests.support.factories import Person, rows_of
from tests.support.page import Page
from tests.support.walk import Walk
from wizard import clock
from wizard.flows.no_billing_account import FLOW

pytestmark = pytest.mark.engines("sqlite")

STEPS = tuple(step.key for step in FLOW.steps)
Another = Callable[..., Walk]


def at_username(walk: Walk, another: Another) -> None:
    """The name somebody wanted went to somebody else while they looked for their code."""
    first = another()
    walk.land().say_new().give_basics(username=first.person.username)
    first.to_company()
    walk.enter_code()


def at_subscribe(walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()
    walk.activate(method="aws")


def url(walk: Walk, step: str) -> str:
    return f"{walk.page.path.rpartition('/')[0]}/{step}"


def csrf(client: Client) -> str:
    """A token of this browser's own, from a page that any state may open."""
    return client.get("/sign-in").form("Sign in").fields["csrf_token"][0]


def answers_to_everything() -> dict[str, object]:
    """What any step would accept, were it open."""
    return {
        **Person().answers,
        "site": "eu1",
        "code": "123456",
        "company_name": "Intruders",
        "method": "billing_center",
        "workspace_name": "Intruders",
        "language": "zh",
        "agree": "y",
    }


def is_here(walk: Walk, current: str, *reopened: str) -> None:
    """Of all steps only the one somebody stands at opens, and those that may be opened again. Whatever is asked of
    the others leads to where the walk is, and nothing in the database changes."""
    before = rows_of(walk.client.app)
    token = {"csrf_token": csrf(walk.client)}
    everything = answers_to_everything() | token
    wrong = []

    def expect(page: Page, status: int, location: str | None) -> None:
        if (page.status, page.location) != (status, location):
            wrong.append(f"{page} leads to {page.location}, wanted {status} {location}")

    for step in STEPS:
        if step in (current, *reopened):
            expect(walk.client.get(url(walk, step)), 200, None)
            continue
        expect(walk.client.get(url(walk, step)), 303, url(walk, current))
        expect(walk.client.post(url(walk, step), everything), 303, url(walk, current))
        expect(walk.client.post(url(walk, step)), 303, url(walk, current))
        expect(walk.client.post(url(walk, step) + "/resend", token), 303, url(walk, current))
    expect(walk.client.get(url(walk, "")[:-1]), 303, url(walk, current))
    assert not wrong, f"at {current}: {wrong}"
    assert rows_of(walk.client.app) == before
    assert walk.client.get(url(walk, "nowhere")).status == 404


def test_on_the_whole_way_a_closed_step_leads_to_the_open_one_and_changes_nothing(walk: Walk) -> None:
    walk.land().say_new()
    is_here(walk, "basic")
    walk.give_basics()
    is_here(walk, "code", "basic")
    walk.enter_code()
    is_here(walk, "company", "basic")
    walk.give_company()
    is_here(walk, "activation")
    walk.activate()
    is_here(walk, "making")
    walk.wait_until_made()
    is_here(walk, "successful")


def test_beside_the_way_a_closed_step_leads_to_the_open_one_and_changes_nothing(
    walk: Walk, another: Another
) -> None:
    at_username(walk, another)
    is_here(walk, "username", "basic")
    waiting = another()
    at_subscribe(waiting)
    is_here(waiting, "subscribe", "activation")


def look(walk: Walk, number: int, back: str | None = None) -> Page | None:
    """A page says its number and names no step by a link; the page that its *Back* leads to, if it has one."""
    page = walk.page
    assert f"Step {number} of 4" in page.title
    assert number == 4 or page.soup.select(".step")[0].get_text() == f"Step {number} of 4"
    assert len(page.soup.select(".steps .done")) == (number - 1 if number < 4 else 0)
    names = {str(title) for title in FLOW.stages}
    pressed = {*page.links, *page.buttons}
    assert not [text for text in pressed if text.startswith("Step ") or text in names]
    assert not page.soup.select(".steps a, .steps button, .step a, .step button")
    assert page.links.get("Back") == (url(walk, back) if back else None)
    return walk.client.click(page, "Back") if back else None


def shows_what_was_answered(walk: Walk, page: Page | None, **instead: str) -> None:
    assert page is not None
    wanted = {**walk.person.answers, "site": "us1", "password": "", "confirm_password": "", **instead}
    form = page.form("Next").fields
    assert {name: form[name] for name in wanted} == {name: [value] for name, value in wanted.items()}


def test_each_page_says_where_it_stands_and_leads_back_to_what_was_answered(walk: Walk) -> None:
    walk.land().say_new()
    look(walk, 1)
    walk.give_basics()
    code = walk.code()
    backs = [look(walk, 1, back="basic")]
    walk.enter_code(code)
    backs.append(look(walk, 2, back="basic"))
    for page in backs:
        shows_what_was_answered(walk, page)
        assert page is not None
        assert walk.person.password not in page.html
        assert code not in page.html
    walk.give_company()
    look(walk, 3)
    walk.activate()
    look(walk, 3)
    walk.wait_until_made()
    look(walk, 4)


def test_the_side_steps_say_where_they_stand_and_lead_back_too(walk: Walk, another: Another) -> None:
    at_username(walk, another)
    page = look(walk, 1, back="basic")
    assert page is not None
    shows_what_was_answered(walk, page, username=page.form("Next").fields["username"][0])
    waiting = another()
    at_subscribe(waiting)
    page = look(waiting, 3, back="activation")
    assert page is not None
    form = page.form("Activate").fields
    assert (form["method"], form["workspace_name"], form["language"]) == (["aws"], ["Harbour"], ["en"])


def test_a_page_sent_again_leads_forward_and_does_nothing_twice(walk: Walk) -> None:
    """Somebody presses the browser's own Back and then the button once more."""
    pages: list[tuple[Page, str, dict[str, object]]] = []

    def leave(button: str, **answers: object) -> None:
        pages.append((walk.page, button, answers))
        walk.page = walk.client.submit(walk.page, button, answers)

    walk.land()
    leave("Next", has_account="no")
    walk.give_basics()
    leave("Confirm", code=walk.code())
    leave("Register", company_name="Harbour Lamps", agree="y")
    leave("Activate", workspace_name="Harbour", language="en", agree="y")
    walk.wait_until_made()
    before = rows_of(walk.client.app)
    for page, button, answers in pages:
        again = walk.client.submit(page, button, answers)
        assert (again.status, again.h1) == (200, "Activation successful")
    assert rows_of(walk.client.app) == before
    assert len(walk.subjects()) == 3


# Basic information, opened again -----------------------------------------------------------------------------


def reopen(walk: Walk, **answers: object) -> Page:
    """Back to the first page, change something there, and on."""
    page = walk.client.click(walk.page, "Back")
    assert page.h1 == "Basic information"
    given = {"password": "", "confirm_password": "", **answers}
    walk.page = walk.client.submit(page, "Next", given)
    return walk.page


def finish(walk: Walk) -> Page:
    walk.give_company()
    walk.activate()
    return walk.wait_until_made()


def test_a_password_typed_again_replaces_the_one_before_and_one_left_empty_does_not(walk: Walk) -> None:
    walk.to_company()
    new = "nine loud lighthouse horns"
    assert reopen(walk, password=new, confirm_password=new).h1 == "Company information"
    assert reopen(walk, phone="+86 10 8888 8888").h1 == "Company information"
    finish(walk)
    assert walk.sign_in(walk.client.other(), password=new).h1 == "Harbour"
    assert walk.sign_in(walk.client.other()).status == 422


def test_another_address_wants_a_code_of_its_own_before_the_proof_and_after_it(walk: Walk) -> None:
    walk.to_code()
    code = walk.code()
    for address in (f"new-{walk.person.email}", f"newer-{walk.person.email}"):
        page = reopen(walk, email=address)
        assert page.h1 == "Enter the code from your email"
        assert address in page.text
        assert walk.enter_code(code).status == 422
        walk.work()
        (mail,) = walk.mailbox.to(address)
        code = next(word for word in mail.text.split() if word.isdigit() and len(word) == 6)
        assert walk.enter_code(code).h1 == "Company information"
    walk.give_company()
    walk.work()
    # Of the account's own mail the newest address alone hears.
    assert [len(walk.mailbox.to(f"{new}{walk.person.email}")) for new in ("", "new-", "newer-")] == [1, 1, 2]


@pytest.mark.engines("sqlite", "postgresql")
def test_another_username_is_held_and_the_one_before_is_free_again(walk: Walk, another: Another) -> None:
    walk.to_company()
    old, new = walk.person.username, f"{walk.person.username}.two"
    assert reopen(walk, username=new).h1 == "Company information"
    for name, heading in ((old, "Company information"), (new.upper(), "Choose another username")):
        somebody = another()
        somebody.land().say_new().give_basics(username=name).enter_code()
        assert somebody.page.h1 == heading
    # The name that was given up is somebody else's now.
    assert reopen(walk, username=old).h1 == "Choose another username"
    assert reopen(walk, username=new).h1 == "Company information"
    walk.give_company()
    assert walk.sign_in(walk.client.other()).status == 422
    answers = {"site": "us1", "username": new, "password": walk.person.password}
    assert walk.client.submit(walk.client.get("/sign-in"), "Sign in", answers).h1 == "Activation method"


@pytest.mark.engines("sqlite", "postgresql")
def test_a_taken_name_is_told_after_the_proof_and_a_suggestion_is_one_press_away(
    walk: Walk, another: Another
) -> None:
    first = another()
    first.to_company()
    walk.land().say_new().give_basics(username=first.person.username)
    assert walk.page.h1 == "Enter the code from your email"
    page = walk.enter_code()
    assert page.h1 == "Choose another username"
    assert first.person.username in page.text
    still = walk.client.submit(page, "Next", username=first.person.username.upper())
    assert still.status == 422
    assert "is taken" in still.errors["username"]
    assert still.form("Next").fields["username"] == [first.person.username.upper()]
    suggestions = [button for button in still.buttons if button != "Next"]
    assert 1 <= len(suggestions) <= 3
    walk.page = walk.client.submit(still, suggestions[0])
    assert walk.page.h1 == "Company information"
    assert walk.give_company().h1 == "Activation method"
    assert suggestions[0] in walk.page.text


# Too late ----------------------------------------------------------------------------------------------------


def says_it_is_over(walk: Walk, page: Page) -> None:
    """A page that helps: what became of it, and the ways on."""
    assert page.status in (404, 410)
    assert {"/", "/sign-in"} <= set(page.links.values())
    before = rows_of(walk.client.app)
    data = answers_to_everything() | {"csrf_token": csrf(walk.client)}
    for path in (walk.page.path, walk.page.path + "/resend"):
        assert walk.client.post(path, data).status in (404, 410)
    assert rows_of(walk.client.app) == before
    assert walk.client.get("/register", follow=True).h1 == "Basic information"


@pytest.mark.engines("sqlite", "postgresql")
def test_an_address_not_proven_within_a_day_ends_the_journey(walk: Walk, another: Another) -> None:
    by_aws = another()
    by_aws.to_code()
    walk.register().give_basics()
    with clock.later(timedelta(hours=23, minutes=59)):
        assert walk.client.get(walk.page.path).status == 200
    with clock.later(timedelta(hours=24, seconds=1)):
        for each in (walk, by_aws):
            page = each.client.get(each.page.path)
            assert page.h1 == "What you began here has run out"
            says_it_is_over(each, page)


@pytest.mark.engines("sqlite", "postgresql")
def test_a_proven_journey_waits_for_thirty_days(walk: Walk) -> None:
    walk.to_company()
    with clock.later(timedelta(days=29, hours=23)):
        assert walk.client.get(walk.page.path).h1 == "Company information"
    with clock.later(timedelta(days=30, seconds=1)):
        says_it_is_over(walk, walk.client.get(walk.page.path))
