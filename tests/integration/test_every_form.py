"""What every page and every form of the way is held to beyond one answer, in both languages, errors and all."""

import re
from collections.abc import Callable, Iterator

import pytest
from bs4 import Tag
from flask import Flask

from tests.support.mailbox import Mailbox
from tests.support.page import Page, squeeze, visible_text
from tests.support.reader import Reader
from tests.support.sandbox import LiveSandbox
from tests.support.walk import Walk

pytestmark = pytest.mark.engines("sqlite")
"""How a form reads is the same whatever keeps it."""

WIZARD = re.compile(r"/(journeys|register|arrive)(/|$)")
STEPS = {
    "basic": 1, "register": 1, "code": 1, "username": 1, "company": 2, "activation": 3, "subscribe": 3, "making": 3,
    "successful": 4,
}  # fmt: skip
WORDS = {
    "en": {"error": "Error: ", "step": "Step {} of 4", "summary": "There is a problem", "help": "Get help"},
    "zh": {"error": "错误：", "step": "第 {} 步，共 4 步", "summary": "有内容需要修改", "help": "获取帮助"},
}
LEFT_TO_US = ("required", "maxlength", "minlength", "placeholder", "pattern", "min", "max")
"""The browser's own checks and hints, which say nothing anybody can act on."""

FIELDS = {
    "username": {"type": "text", "autocomplete": "username", "spellcheck": "false", "autocapitalize": "none"},
    "email": {"type": "email", "autocomplete": "email", "spellcheck": "false"},
    "password": {"type": "password"},
    "confirm_password": {"type": "password", "autocomplete": "new-password"},
    "phone": {"type": "tel", "autocomplete": "tel"},
    "code": {"type": "text", "inputmode": "numeric", "autocomplete": "one-time-code"},
    "company_name": {"autocomplete": "organization"},
    "contact_name": {"autocomplete": "name"},
    "region": {"autocomplete": "country"},
}
both_languages = pytest.mark.parametrize("language", ["en", "zh"])


@pytest.fixture
def walk(
    app: Flask, work: Callable[[], int], mailbox: Mailbox, marketplace: LiveSandbox, language: str
) -> Walk:
    return Walk(Reader(app, language=language), work, mailbox, marketplace)


@pytest.fixture(scope="module")
def ways() -> dict[tuple[str, str], list[Page]]:
    """What was seen on the way, by engine and language."""
    return {}


@pytest.fixture
def seen(
    ways: dict[tuple[str, str], list[Page]], engine: str, language: str, request: pytest.FixtureRequest
) -> list[Page]:
    """Every page somebody saw who made each mistake on the way once. All who only read them share one walk."""
    if (engine, language) not in ways:
        ways[engine, language] = every_page(request.getfixturevalue("walk"))
    return ways[engine, language]


def every_page(walk: Walk) -> list[Page]:
    walk.land()
    walk.page = walk.client.submit(walk.page, walk.word("Next"))
    walk.say_new()
    walk.page = walk.client.submit(walk.page, walk.word("Next"), email="nobody", phone="no number")
    walk.give_basics(password="password", confirm_password="password").give_basics(confirm_password="another")
    walk.give_basics(phone="").enter_code("12")
    walk.enter_code(walk.wrong_code())
    walk.enter_code()
    walk.give_company(company_name="", agree=None)
    walk.give_company()
    walk.activate(workspace_name="", language=None, agree=None)
    walk.activate()
    walk.wait_until_made()
    walk.sign_in(password="not the password")
    walk.sign_in()
    walk.client.get("/console/?q=harbour")
    for password in ("not the password", walk.person.password):
        typed = {"username": walk.person.username, "password": password}
        billing = walk.client.submit(walk.client.get("/billing/sign-in"), walk.word("Sign in"), typed)
    bought = walk.client.get("/billing/cloud-accounts")
    for path in (
        str(billing.soup.select("tbody a")[0]["href"]),
        f"{billing.path}?q=nothing&state=locked",
        str(bought.soup.select(".bought a")[0]["href"]),
        f"{bought.path}?q=nothing",
        "/billing/forgot-password",
    ):
        walk.client.get(path)
    for path in ("/", "/bind", "/nowhere", "/marketplaces/aws/landing", "/arrive/elsewhere"):
        walk.client.get(path)
    assert isinstance(walk.client, Reader)
    assert len(walk.client.pages) > 20
    return walk.client.pages


def step_of(page: Page) -> int | None:
    """The stage of the flow that a page belongs to, by its address; none where it is no step."""
    last = page.path.rstrip("/").rpartition("/")[2]
    return STEPS.get(last) if page.path.startswith(("/journeys/", "/register")) else None


@both_languages
def test_a_title_is_heading_step_and_service_and_says_error_first(seen: list[Page], language: str) -> None:
    for page in seen:
        title = page.title
        if page.soup.select('main [role="alert"]'):
            assert title.startswith(WORDS[language]["error"]), page
            title = title.removeprefix(WORDS[language]["error"])
        assert title.startswith(f"{page.h1} – "), page
        assert title.endswith(" – Skylark"), page
        if step := step_of(page):
            stated = WORDS[language]["step"].format(step)
            assert title == f"{page.h1} – {stated} – Skylark"
            assert stated in page.text or step == 4, page
        assert page.soup.html is not None
        assert page.soup.html["lang"] == {"en": "en", "zh": "zh-Hans"}[language]


@both_languages
def test_progress_is_stated_and_never_a_way_to_go(seen: list[Page]) -> None:
    assert not [page for page in seen if page.soup.select(".steps a, .steps button, .line a")]


@both_languages
def test_the_first_stop_of_the_keyboard_is_the_way_past_the_header(seen: list[Page]) -> None:
    for page in seen:
        first = page.soup.select("a[href], button, input:not([type=hidden]), select, textarea, summary")[0]
        assert (first["href"], first["class"]) == ("#main", ["skip"]), page
        assert page.soup.select_one("main#main") is not None


@both_languages
def test_help_is_in_the_same_place_on_every_page(seen: list[Page], language: str) -> None:
    places = {
        (visible_text(links[0]), str(links[0]["href"]), len(links))
        for page in seen
        if (links := page.soup.select("footer a"))
    }
    assert len(places) == 1
    assert next(iter(places))[0] == WORDS[language]["help"]
    assert all(page.soup.select("footer a") for page in seen)


@both_languages
def test_every_form_leaves_the_checking_to_our_sentences(seen: list[Page]) -> None:
    for page in seen:
        for form in page.soup.select("form"):
            assert form.has_attr("novalidate"), page
            # What is searched for changes nothing, and is an address that can be kept.
            assert form.get("method") == (None if form.get("role") == "search" else "post"), page
        found = [
            (tag.name, name) for tag in page.soup.select("input, select, textarea") for name in LEFT_TO_US
            if tag.has_attr(name)
        ]  # fmt: skip
        assert not found, page


@both_languages
def test_every_field_says_what_it_is_to_browsers_and_password_stores(seen: list[Page]) -> None:
    met = set()
    for page in seen:
        for control in page.soup.select("input, select"):
            name = str(control.get("name"))
            wanted = FIELDS.get(name, {})
            given = {key: control.get(key) for key in wanted}
            assert given == wanted, page
            met |= {name} & FIELDS.keys()
    assert met == FIELDS.keys()
    new, current = (
        {str(tag["autocomplete"]) for page in seen if there(page) for tag in page.soup.select("#password")}
        for there in (lambda page: bool(WIZARD.match(page.path)), lambda page: page.path.endswith("/sign-in"))
    )
    assert new == {"new-password"}
    assert current == {"current-password"}


@both_languages
def test_no_secret_is_filled_in_again_and_no_site_or_agreement_is_chosen_for_anybody(
    seen: list[Page],
) -> None:
    for page in seen:
        for control in page.soup.select('input[type="password"]'):
            assert not control.get("value"), page
    first = next(page for page in seen if page.soup.select('input[name="site"]'))
    assert not first.soup.select('input[name="site"][checked], input[type="checkbox"][checked]')
    choice = next(page for page in seen if page.soup.select('input[name="has_account"]'))
    assert not choice.soup.select("input[checked]")


@both_languages
def test_each_problem_is_said_alike_above_the_form_and_at_its_field(seen: list[Page], language: str) -> None:
    told = 0
    for page in seen:
        summary = page.soup.select_one('main [role="alert"]')
        if summary is None:
            assert not page.soup.select("[aria-invalid], p.error"), page
            continue
        assert first_in_main(page) is summary, page
        heading = page.soup.find(id=str(summary["aria-labelledby"]))
        assert isinstance(heading, Tag)
        assert visible_text(heading) == WORDS[language]["summary"]
        for field, said in page.errors.items():
            control = page.soup.find(id=field)
            assert isinstance(control, Tag)
            holder = holder_of(control)
            assert holder["aria-invalid"] == "true", (page, field)
            inline = {
                squeeze(tag.get_text())
                for name in str(holder["aria-describedby"]).split()
                if isinstance(tag := page.soup.find(id=name), Tag) and "error" in tag.get("class", [])
            }
            assert inline == {f"{WORDS[language]['error'].strip()} {said}"}, (page, field)
            told += 1
    assert told > 15


def first_in_main(page: Page) -> Tag | None:
    main = page.soup.select_one("main")
    assert main is not None
    return next((child for child in main.children if isinstance(child, Tag)), None)


def holder_of(control: Tag) -> Tag:
    """Who carries the error: the field itself, or the group a choice belongs to."""
    group = control.find_parent("fieldset") if control.get("type") == "radio" else None
    return group if isinstance(group, Tag) else control


@both_languages
def test_nothing_asks_anybody_to_prove_that_they_are_no_machine(seen: list[Page]) -> None:
    """No puzzle, no picture to read, no frame and no script of somebody else."""
    for page in seen:
        assert not page.soup.select("img, canvas, iframe, object, audio, video"), page
        assert len(page.soup.select("script")) == 1, page


@both_languages
def test_nobody_is_asked_the_same_thing_twice(seen: list[Page]) -> None:
    """Where a form came back, the answers were kept; apart from that each is asked on one page."""
    asked: dict[str, set[str]] = {}
    for page in seen:
        if step := step_of(page):
            for name in names_of(page):
                asked.setdefault(name, set()).add(str(step))
    assert {name: steps for name, steps in asked.items() if len(steps) > 1} == {"agree": {"2", "3"}}


def names_of(page: Page) -> Iterator[str]:
    for control in page.soup.select("main input:not([type=hidden]), main select, main textarea"):
        yield str(control["name"])


@both_languages
def test_the_last_page_says_what_was_made_what_comes_next_and_where_help_is(
    walk: Walk,
) -> None:
    last = walk.to_end().page
    reference = last.path.split("/")[2]
    assert reference in last.text
    assert {"Harbour", walk.person.username} <= set(re.findall(r"[\w.-]+", last.text))
    assert len(last.soup.select("main .after h2")) == 3
    again = walk.client.get(last.path)
    assert (again.status, again.h1) == (200, last.h1)


LONG = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 56}.test"


@both_languages
def test_an_address_of_any_length_is_taken_and_shown_where_it_can_be_changed(
    walk: Walk, language: str
) -> None:
    assert len(LONG) == 254
    page = walk.register().give_basics(email=LONG).page
    assert page.path.endswith("/code")
    assert LONG in page.text
    change, spam = {"en": ("Change email address", "spam folder"), "zh": ("更改邮箱", "垃圾邮件")}[language]
    assert spam in page.text
    back = walk.client.click(page, change)
    assert back.form(walk.word("Next")).fields["email"] == [LONG]


@both_languages
def test_what_is_charged_to_whom_stands_above_the_button(walk: Walk) -> None:
    page = walk.to_activation().page
    (charge,) = page.soup.select("form .charge")
    account = walk.bought["customerAWSAccountId"]
    assert " ".join(account[i : i + 4] for i in (0, 4, 8)) in visible_text(charge)
    after = charge.find_next_sibling()
    assert isinstance(after, Tag)
    assert after.select("button")
