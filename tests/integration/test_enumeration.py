"""Whether an address or a name is known is told to nobody who has not proven that the address is theirs."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count, zip_longest
from typing import Any

import argon2
import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.support import rows
from tests.support.binding import Binding
from tests.support.client import Client
from tests.support.established import Customer, established, landed_before
from tests.support.factories import Person
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.possessions import accounts_of
from tests.support.walk import Walk
from wizard import clock
from wizard.accounts import resets
from wizard.extensions import db
from wizard.verification import codes
from wizard.verification.models import Challenge

pytestmark = pytest.mark.engines("sqlite")

_never_used = count(9)
"""Settings of argon2 for which this process has kept nothing yet."""

READ_ALREADY = ("html", "heading", "language", "ids", "names", "inline", "words", "policy", "weight")
"""The checks of what a page looks like, where the same page comes many times."""

NOON = datetime(2026, 4, 7, 12, 0, tzinfo=UTC)
NEW = "eleven brass lanterns swing"
SITE = "us1"
ELSEWHERE = "eu1"

OWN = {
    "a reference": r"\b[A-Z]{2}-[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}\b",
    "a request id": r"\b[0-9a-f]{16}\b",
    "a csrf token": r'(?<=value=")[\w.-]{80,}(?=")',
    "a typed code": r'(?<=value=")\d{6}(?=")',
    "a cloud account": r"\b7828\xa0\d{4}\xa0\d{4}\b",
    "a time": r"\b\d\d:\d\d \(UTC\)",
    "an address": r"\bada-\d+(?:@|&#64;|%40)harbour\.test",
    "a name": r"\bada-\d+\b",
}
"""What may differ between two people's pages, in the order in which it is taken out."""


def without_own(text: str) -> str:
    for what, pattern in OWN.items():
        text = re.sub(pattern, f"<{what}>", text)
    return text


def headers_of(page: Page) -> list[str]:
    """Every header; of a cookie its name and attributes without its value."""
    found = []
    for name, value in page.headers:
        if name == "Set-Cookie":
            value = re.sub(r"(^[^=]*|Expires)=[^;]*", r"\1=…", value)
        found.append(f"{name}: {without_own(value)}")
    return found


@contextmanager
def hashing() -> Iterator[list[str]]:
    """What argon2 is asked to do meanwhile."""
    calls: list[str] = []
    patch = pytest.MonkeyPatch()
    for name in ("hash", "verify"):
        work = getattr(argon2.PasswordHasher, name)

        def counted(
            self: object, *args: object, name: str = name, work: Callable[..., object] = work
        ) -> object:
            calls.append(name)
            return work(self, *args)

        patch.setattr(argon2.PasswordHasher, name, counted)
    try:
        yield calls
    finally:
        patch.undo()


class Seen:
    """All that answers let somebody see or measure, line by line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def add(self, what: str, page: Page, hashed: list[str]) -> Page:
        """What was seen when this was done: each answer, the work for it, and what argon2 did meanwhile."""
        for answer in [*page.history, page]:
            where = f"{what}, {answer.method}"
            self.lines += [f"{where}: {answer.status}", *(f"{where}: {line}" for line in headers_of(answer))]
            self.lines += [f"{where}: {line}" for line in without_own(answer.html).splitlines()]
            self.lines += [f"{where}: {' '.join(statement.split())}" for statement in answer.statements]
        self.lines.append(f"{what}: argon2 {hashed}")
        hashed.clear()
        return page

    def differs_from(self, other: "Seen") -> list[tuple[str, str]]:
        assert self.lines
        return [pair for pair in zip_longest(self.lines, other.lines, fillvalue="") if pair[0] != pair[1]]


@pytest.fixture
def customer(app: Flask) -> Callable[[str, int], Person]:
    """``customer(site, number)``: somebody who has a console account there, and a Billing Center account."""

    def make(site: str, number: int) -> Person:
        return accounts_of(app, Person(number=number), site).person

    return make


# ── addresses ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite", "postgresql")
def test_an_address_that_is_known_answers_like_one_that_is_not(
    app: Flask, customer: Callable[[str, int], Person], another: Callable[..., Walk]
) -> None:
    """… at the first submit, on the page after it, at wrong codes, at a new mail and when the tries are used up."""
    at_site, in_billing, nobody = customer(SITE, 9001), customer(ELSEWHERE, 9002), Person(number=9003)
    seen = {person.email: Seen() for person in (nobody, at_site, in_billing)}
    for number, person in enumerate((nobody, at_site, in_billing)):
        walk, saw = another(site=SITE, person=person), seen[person.email]
        with hashing() as hashed, clock.at(NOON):
            free = {"username": f"ada-900{number + 4}"}
            saw.add("basics", walk.register().give_basics(**free).page, hashed)
            walk.work()
        with hashing() as hashed, clock.at(NOON + codes.BETWEEN_MAILS):
            saw.add("again", walk.client.submit(walk.page, "Send code again"), hashed)
            wrong = _unlike(app, walk.reference)
            for _try in range(codes.TRIES):
                dead = walk.client.submit(walk.page, "Confirm", code=wrong, without=READ_ALREADY)
                saw.add("wrong", dead, hashed)
            saw.add("anew", walk.client.submit(dead, "Send code again"), hashed)
    assert not seen[at_site.email].differs_from(seen[nobody.email])
    assert not seen[in_billing.email].differs_from(seen[nobody.email])


@pytest.mark.engines("sqlite", "postgresql")
def test_what_is_kept_and_queued_for_a_known_address_is_as_much(
    app: Flask, customer: Callable[[str, int], Person], another: Callable[..., Walk]
) -> None:
    known = customer(SITE, 9001)

    def grown(person: Person) -> dict[str, int]:
        before = _sizes(app)
        another(site=SITE, person=person).register().give_basics(username=f"{person.username}-too")
        return {name: size - before[name] for name, size in _sizes(app).items()}

    assert grown(known) == grown(Person(number=9002))


def test_the_mail_tells_the_owner_and_carries_a_code_only_where_one_may_register(
    app: Flask, customer: Callable[[str, int], Person], another: Callable[..., Walk]
) -> None:
    at_site, in_billing = customer(SITE, 9001), customer(ELSEWHERE, 9002)

    told = another(site=SITE, person=at_site).register().give_basics(username="somebody-else")
    told.work()
    mail = told.mailbox.to(at_site.email)[0]
    assert "already have" in mail.subject
    assert f"/sign-in?site={SITE}" in mail.text
    assert not re.search(r"\b\d{6}\b", mail.subject + mail.text + re.sub(r"#[0-9A-Fa-f]{6}\b", "", mail.html))
    with app.app_context():
        decoy = db.session.scalars(sa.select(Challenge).where(Challenge.bound_to == told.reference)).one()
        would_be = codes.code_of(decoy)
    refused = told.enter_code(would_be)
    assert refused.status == 422, "the code of a decoy was accepted"
    assert "you have 4 tries left" in refused.text

    invited = another(site=SITE, person=in_billing).register().give_basics(username="one-more")
    invited.work()
    assert re.match(r"\d{6} is your", invited.mailbox.to(in_billing.email)[0].subject)
    assert invited.enter_code().h1 == "Company information"


def test_a_proven_address_is_told_that_it_is_known_there(
    customer: Callable[[str, int], Person], another: Callable[..., Walk]
) -> None:
    """The other side of the promise: to its owner the page says so, without another mail."""
    owner = customer(SITE, 9001)
    walk = another(site=ELSEWHERE, person=owner).register().give_basics()
    walk.enter_code()
    before = len(walk.subjects())
    basics = walk.client.click(walk.page, "Back")
    answered = walk.client.submit(basics, "Next", site=SITE)
    assert answered.status == 422
    assert "has an account on this site already" in answered.errors["email"]
    assert len(walk.subjects()) == before


# ── usernames ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite", "postgresql")
def test_a_taken_username_is_told_only_after_the_code(
    app: Flask, customer: Callable[[str, int], Person], another: Callable[..., Walk]
) -> None:
    taken = customer(SITE, 9001).username
    seen = {}
    for number, username in ((9002, "ada-9003"), (9004, taken), (9005, taken.upper())):
        walk, saw = another(site=SITE, person=Person(number=number)), Seen()
        with hashing() as hashed:
            saw.add("basics", walk.register().give_basics(username=username).page, hashed)
            saw.add(
                "wrong", walk.client.submit(walk.page, "Confirm", code=_unlike(app, walk.reference)), hashed
            )
        seen[username] = saw
        assert "taken" not in walk.page.text.lower()
        walk.enter_code()
        assert walk.page.h1 == (
            "Choose another username" if username.lower() == taken else "Company information"
        )
    assert not seen[taken].differs_from(seen["ada-9003"])
    assert not seen[taken.upper()].differs_from(seen["ada-9003"])


# ── sign-in ─────────────────────────────────────────────────────────────────────────────────────────────────


DOORS: dict[str, dict[str, object]] = {f"/sign-in?site={SITE}": {"site": SITE}, "/billing/sign-in": {}}
"""Each area's door, and what is typed there besides a name and a password."""


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("by", ["username", "email"])
def test_signing_in_answers_alike_for_known_and_unknown(
    make_app: Callable[..., Flask],
    settings: Settings,
    customer: Callable[[str, int], Person],
    by: str,
    door: str,
) -> None:
    """… from the first try on, in a process that has just started."""
    known, unknown = customer(SITE, 9001), Person(number=9002)
    seen = []
    for person in (unknown, known):
        fresh = make_app(replace(settings, argon2_memory_kib=next(_never_used)))
        browser, saw = Client(fresh, origin=settings.public_url), Seen()
        page = browser.get(door)
        form = {**DOORS[door], "username": getattr(person, by), "password": "not this one, surely"}
        with hashing() as hashed:
            for _try in range(11):  # One more than the failures a name is let through with.
                saw.add("sign in", browser.submit(page, "Sign in", form, without=READ_ALREADY), hashed)
        seen.append(saw)
    assert not seen[0].differs_from(seen[1])


@pytest.mark.parametrize("door", DOORS)
def test_no_limit_tells_which_address_belongs_to_a_username(
    client: Client, customer: Callable[[str, int], Person], door: str
) -> None:
    """… nor that anybody has either: each is given as many tries as a name that nobody has."""
    person = customer(SITE, 9001)
    page = client.get(door)
    for name in (person.username, person.email, "nobody-here"):
        wrong = {**DOORS[door], "password": "not this one, surely", "username": name}
        told = [client.submit(page, "Sign in", wrong, without=READ_ALREADY).text for _try in range(11)]
        assert all("do not belong together" in each for each in told[:10])
        assert "tried too often" in told[10]


# ── binding a purchase ──────────────────────────────────────────────────────────────────────────────────────


def _at_account(app: Flask, walk: Walk, token: str) -> Binding:
    """Somebody who has landed with a purchase of their own and says that they have an account."""
    bind = Binding.of(walk, Person())
    bind.bought = {"token": landed_before(app, rows.purchase(app), token)}
    bind.land()
    return bind.say_have()


def test_a_billing_center_username_that_is_known_answers_like_one_that_is_not(
    app: Flask, walk: Walk, customer: Callable[[str, int], Person]
) -> None:
    """… by name and by address: when it is named, at new mails and wrong codes, and when tries or mails are used up."""
    known, unknown = customer(SITE, 9001), Person(number=9002)
    for by in ("username", "email"):
        seen = []
        for person in (unknown, known):
            bind, saw = _at_account(app, walk, f"{by} {person.number}"), Seen()
            form, name = bind.page, getattr(person, by)
            before = len(walk.mailbox.all())
            with hashing() as hashed, clock.at(NOON):
                page = saw.add("named", bind.client.submit(form, "Next", username=name), hashed)
                walk.work()
                saw.add("named twice", bind.client.submit(form, "Next", username=name), hashed)
                saw.add("at once", bind.client.submit(page, "Send code again"), hashed)
                wrong = _unlike(app, bind.reference)
                for _try in range(codes.TRIES):
                    saw.add(
                        "wrong", bind.client.submit(page, "Confirm", code=wrong, without=READ_ALREADY), hashed
                    )
                dead = saw.add("dead", bind.client.get(page.path), hashed)
            for minute in range(1, 7):  # Two more than there are mails.
                with hashing() as hashed, clock.at(NOON + minute * codes.BETWEEN_MAILS):
                    button = "Send code again"
                    dead = saw.add("again", bind.client.submit(dead, button, without=READ_ALREADY), hashed)
            with hashing() as hashed, clock.at(NOON + 7 * codes.BETWEEN_MAILS):
                other = _at_account(app, walk, f"{by} {person.number}, elsewhere")
                saw.add("limit", other.client.submit(other.page, "Next", username=name), hashed)
                saw.add("late", bind.client.get(page.path), hashed)
            assert (len(walk.mailbox.all()) > before) == (person is known)
            seen.append(saw)
        assert not seen[0].differs_from(seen[1]), by
        with app.app_context():  # What the first way of asking has used up is given back to the second.
            db.session.execute(sa.text("DELETE FROM rate_limits"))
            db.session.commit()


def test_no_limit_tells_whose_address_belongs_to_a_billing_center_username(
    app: Flask, walk: Walk, customer: Callable[[str, int], Person], another: Callable[..., Walk]
) -> None:
    """… who has had a name's mails used up is told the same of its address as of any other, at every form for one."""
    known = customer(ELSEWHERE, 9001)
    for number in range(6):
        bind = _at_account(app, walk, f"token {number}")
        bind.page = bind.client.submit(bind.page, "Next", username=known.username)
    assert "has had all the codes" in bind.page.errors["username"]
    for person in (known, Person(number=9002)):
        assert (
            another(site=SITE, person=person).register().give_basics(username="free-name").page.status == 200
        )
        assert _ask_for_a_password(walk.client.other(), person).status == 200
    by_address = _at_account(app, walk, "by its address")
    assert by_address.name_account(known.email).page.status == 200


@pytest.mark.parametrize("registers", [False, True], ids=["have an account", "have none"])
def test_an_address_for_a_new_workspace_answers_alike_whether_it_is_known_at_the_site_or_not(
    app: Flask, walk: Walk, registers: bool
) -> None:
    payer: Customer = established(app, "payer")
    at_site, elsewhere = established(app, "at-here", SITE), established(app, "at-else", ELSEWHERE)
    people = (Person(called="no-body"), at_site.person, elsewhere.person)
    deed = "Register and create workspace" if registers else "Create"
    seen = []
    for number, person in enumerate(people):
        bind, saw = _at_account(app, walk, f"token {number}"), Seen()
        bind.page = bind.client.submit(bind.page, "Next", username=payer.payer.username)
        code = _code_of(app, bind.reference)
        bind.enter_code(code)
        form = bind.open_create(registers, SITE)
        answers = {"workspace_name": "Lantern", "language": "en", "email": person.email}
        secrets = {}
        if registers:
            answers["username"] = "one-more-name"
            secrets = {"password": NEW, "confirm_password": NEW}
        with hashing() as hashed, clock.at(NOON):
            sent = saw.add("send", bind.client.submit(form, "Send code", {**answers, **secrets}), hashed)
            saw.add("twice", bind.client.submit(sent, "Send code", secrets), hashed)
            wrong = {"code": _unlike(app, bind.reference), "agree": "y", **secrets}
            for _try in range(codes.TRIES):
                dead = bind.client.submit(sent, deed, wrong, without=READ_ALREADY)
                saw.add("wrong", dead, hashed)
        with hashing() as hashed, clock.at(NOON + codes.BETWEEN_MAILS):
            saw.add("anew", bind.client.submit(dead, "Send code", secrets), hashed)
        for line, text in enumerate(saw.lines):
            saw.lines[line] = text.replace(person.username, "<a name>")
        seen.append(saw)
    assert not seen[1].differs_from(seen[0])
    assert not seen[2].differs_from(seen[0])


def _code_of(app: Flask, reference: str) -> str:
    with app.app_context():
        open_ = (Challenge.bound_to == reference, Challenge.closed_at.is_(None))
        return codes.code_of(db.session.scalars(sa.select(Challenge).where(*open_)).one())


# ── a forgotten password ────────────────────────────────────────────────────────────────────────────────────


def _ask_for_a_password(client: Client, person: Person, **options: Any) -> Page:
    form = client.get(f"/forgot-password?site={SITE}")
    return client.submit(form, "Send code", site=SITE, email=person.email, **options)


def test_asking_for_a_new_password_answers_alike_for_known_and_unknown(
    app: Flask, client: Client, work: Callable[[], int], customer: Callable[[str, int], Person]
) -> None:
    """… at the first submit and the second, at new mails and wrong codes, and when tries or mails are used up."""
    known, elsewhere, unknown = customer(SITE, 9001), customer(ELSEWHERE, 9002), Person(number=9003)
    seen = []
    for person in (unknown, known, elsewhere):
        browser, saw = client.other(), Seen()
        with hashing() as hashed, clock.at(NOON):
            page = saw.add("ask", _ask_for_a_password(browser, person), hashed)
            saw.add("ask twice", _ask_for_a_password(browser, person), hashed)
            saw.add("at once", browser.submit(page, "Send code again"), hashed)
            work()
        for minute in range(1, 5):
            with hashing() as hashed, clock.at(NOON + minute * codes.BETWEEN_MAILS):
                saw.add("again", browser.submit(page, "Send code again"), hashed)
        with hashing() as hashed, clock.at(NOON + 5 * codes.BETWEEN_MAILS):
            saw.add("a sixth", browser.submit(page, "Send code again"), hashed)
            saw.add("from elsewhere", _ask_for_a_password(client.other(), person), hashed)
            wrong = _unlike_the_code_for(app, person.email)
            for _try in range(codes.TRIES):
                saw.add("wrong", browser.submit(page, "Confirm", code=wrong, without=READ_ALREADY), hashed)
            saw.add("dead", browser.get("/forgot-password/code"), hashed)
            saw.add("skip", browser.get("/forgot-password/new", follow=True), hashed)
        with hashing() as hashed, clock.at(NOON + 2 * resets.UNPROVEN_LIFE):
            saw.add("late", browser.get("/forgot-password/code"), hashed)
        seen.append(saw)
    assert not seen[0].differs_from(seen[1])
    assert not seen[0].differs_from(seen[2])


@pytest.mark.engines("sqlite", "postgresql")
def test_what_is_kept_and_mailed_when_a_password_is_asked_for_is_as_much(
    app: Flask,
    client: Client,
    work: Callable[[], int],
    mailbox: Mailbox,
    customer: Callable[[str, int], Person],
) -> None:
    def grown(person: Person) -> dict[str, int]:
        before = {**_sizes(app), "mails": len(mailbox.all())}
        _ask_for_a_password(client.other(), person)
        work()
        return {
            name: size - before[name] for name, size in {**_sizes(app), "mails": len(mailbox.all())}.items()
        }

    known, unknown = grown(customer(SITE, 9001)), grown(Person(number=9002))
    assert known == unknown
    assert known["mails"] == known["challenges"] == known["password_resets"] == 1


def test_who_waits_for_a_code_does_not_see_that_the_owner_changed_the_password(
    client: Client, customer: Callable[[str, int], Person]
) -> None:
    owner = customer(SITE, 9001)
    stranger = client.other()
    with clock.at(NOON):
        page = _ask_for_a_password(stranger, owner)
        before = Seen()
        before.add("look", stranger.get(page.path), [])
        signed_in = client.submit(
            client.get(f"/sign-in?site={SITE}"),
            "Sign in",
            site=SITE,
            username=owner.email,
            password=owner.password,
        )
        answers = {"current_password": owner.password, "password": NEW, "confirm_password": NEW}
        account = client.click(signed_in, owner.username)
        assert "Your password is changed" in client.submit(account, "Change password", answers).text
        after = Seen()
        after.add("look", stranger.get(page.path), [])
    assert not before.differs_from(after)


def test_a_name_of_another_site_is_unknown_here(
    client: Client, customer: Callable[[str, int], Person]
) -> None:
    person = customer(ELSEWHERE, 9001)
    page = client.get(f"/sign-in?site={SITE}")
    form = {"site": SITE, "username": person.username, "password": person.password}
    refused = client.submit(page, "Sign in", form)
    assert refused.status == 422
    assert "do not belong together on this site" in refused.text
    assert client.cookie("console") is None


def _unlike(app: Flask, reference: str) -> str:
    """Six digits that are not the code of this journey's challenge, nor of the next mail of it."""
    with app.app_context():
        challenge = db.session.scalars(
            sa.select(Challenge).where(Challenge.bound_to == reference, Challenge.closed_at.is_(None))
        ).one()
        return f"{(int(codes.code_of(challenge)) + 1) % 10**codes.DIGITS:06d}"


def _unlike_the_code_for(app: Flask, email: str) -> str:
    """Six digits that are the code of no challenge for this address."""
    with app.app_context():
        right = {
            codes.code_of(c)
            for c in db.session.scalars(sa.select(Challenge).where(Challenge.address == email))
        }
    return next(digits for digits in ("135790", "246801", "975310", "864209") if digits not in right)


def _sizes(app: Flask) -> dict[str, int]:
    """Table → how many rows it has; without the limiter's, which remember both for the same time."""
    with app.app_context():
        rows = sa.func.count()
        return {
            table.name: db.session.scalar(sa.select(rows).select_from(table)) or 0
            for table in db.metadata.sorted_tables
            if table.name != "rate_limits"
        }
