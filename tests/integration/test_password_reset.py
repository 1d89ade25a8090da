"""A forgotten password: the address is proven by a code, and then one new password may be set, in one browser."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask

from tests.support.client import Client
from tests.support.factories import Person, count, recorded, rows_of, text_of
from tests.support.page import Page
from tests.support.races import race, results, tab
from tests.support.walk import Walk
from wizard import clock
from wizard.accounts import resets
from wizard.accounts.models import ConsoleAccount, PasswordReset, Session
from wizard.extensions import db
from wizard.outbox.models import OutboxEntry
from wizard.verification import codes
from wizard.verification.models import Challenge

pytestmark = pytest.mark.engines("sqlite")

START = datetime(2026, 4, 7, 14, 2, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)
NEW = "eleven brass lanterns swing"
SLOW = "twelve copper lanterns creep"
MANY = 16

READ_ALREADY = ("html", "heading", "language", "ids", "names", "inline", "words", "policy", "weight")
RACING = ("session", "statements", *READ_ALREADY)
"""Of sixteen at once, whoever comes second may take back what it began and look again."""


class Forgetful:
    """Somebody who has an account (with a workspace) and not its password, in a browser that knows nothing of it."""

    def __init__(self, walk: Walk, client: Client | None = None) -> None:
        self.walk = walk
        self.person = walk.person
        self.client = client or walk.client.other()
        self.page: Page

    def ask(self, **answers: object) -> Page:
        sign_in = self.client.get(f"/sign-in?site={self.walk.site}")
        form = self.client.click(sign_in, "Forgot your password?")
        given = {"Site": self.walk.site, "Email": self.person.email, **answers}
        self.page = self.client.submit(form, "Send code", given)
        return self.page

    def enter_code(self, code: str | None = None) -> Page:
        self.page = self.client.submit(self.page, "Confirm", code=code or self.walk.code())
        return self.page

    def choose(self, password: str = NEW, **options: object) -> Page:
        answers = {"New password": password, "Confirm password": password, **options}
        self.page = self.client.submit(self.page, "Save and sign in", answers)
        return self.page


@pytest.fixture
def forgetful(walk: Walk) -> Forgetful:
    return Forgetful(walk.to_end())


def signed_in(client: Client) -> bool:
    return client.get("/console/").location != "/sign-in?next=/console/"


def opens_with(walk: Walk, password: str) -> bool:
    return walk.sign_in(walk.client.other(), password).status == 200


# ── the way through ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite", "postgresql")
def test_a_code_and_a_new_password_sign_in_and_end_every_other_session(forgetful: Forgetful) -> None:
    walk, client = forgetful.walk, forgetful.client
    elsewhere = walk.client.other()
    walk.sign_in(elsewhere)
    assert forgetful.ask().h1 == "Enter the code from your email"
    assert forgetful.enter_code().h1 == "Choose a new password"
    assert walk.person.username in forgetful.page.text
    assert forgetful.choose().h1 == "Harbour"
    assert "every other browser is signed out" in forgetful.page.text
    assert signed_in(client)
    assert not signed_in(elsewhere)
    assert opens_with(walk, NEW)
    assert not opens_with(walk, walk.person.password)
    # The journey that made the account is not open any more to the browser that once walked it.
    assert walk.client.get(walk.page.path).status == 404


def test_the_owner_is_told_by_mail(forgetful: Forgetful) -> None:
    with clock.at(START):
        forgetful.ask()
        forgetful.enter_code()
        forgetful.choose()
        assert forgetful.walk.subjects()[0] == "Your Skylark password was changed"
    mail = forgetful.walk.mailbox.to(forgetful.person.email)[0]
    for fact in (
        forgetful.person.username,
        "us1 Oregon",
        "7 April 2026, 14:02 (UTC)",
        "/forgot-password?site=us1",
    ):
        assert fact in mail.text
        assert fact in mail.html.replace("&#43;", "+")
    assert NEW not in mail.text + mail.html


def test_who_stopped_half_way_goes_on_there(walk: Walk) -> None:
    forgetful = Forgetful(walk.to_activation())
    forgetful.ask()
    forgetful.enter_code()
    assert forgetful.choose().h1 == "Activation method"


def test_where_somebody_wanted_to_go_is_where_they_come_out(forgetful: Forgetful) -> None:
    home = forgetful.walk.sign_in().path
    door = forgetful.client.get(home, follow=True)
    form = forgetful.client.click(door, "Forgot your password?")
    forgetful.page = forgetful.client.submit(form, "Send code", site="us1", email=forgetful.person.email)
    forgetful.enter_code()
    assert forgetful.choose().path == home
    again = Forgetful(forgetful.walk)
    again.page = again.client.get("/forgot-password?next=//evil.test/console/")
    again.page = again.client.submit(again.page, "Send code", site="us1", email=again.person.email)
    with clock.later(codes.BETWEEN_MAILS):
        again.enter_code()
        assert again.choose("another eleven brass lanterns").path == home


def test_each_step_has_an_id_of_its_own_and_the_one_before_is_dead(forgetful: Forgetful) -> None:
    forgetful.client.http.set_cookie("reset", "an id that somebody chose for me", domain="127.0.0.1")
    ids = []
    forgetful.ask()
    for step in (forgetful.enter_code, forgetful.choose):
        ids.append(forgetful.client.cookie("reset"))
        before = tab(forgetful.client)
        step()
        if step == forgetful.enter_code:
            for page in (before.get("/forgot-password/new"), before.get("/forgot-password/code")):
                assert (page.status, page.h1) == (404, "This password reset is not open in this browser")
            # Even at once: what may set a password is not led on to by an id somebody may have planted.
            assert before.cookie("reset") == ids[0]
    assert len({*ids, "an id that somebody chose for me"}) == 3


# ── pages for what goes otherwise ───────────────────────────────────────────────────────────────────────────


def test_another_device_has_no_part_in_it(forgetful: Forgetful) -> None:
    forgetful.ask()
    other = forgetful.client.other()
    before = rows_of(other.app)
    for path in ("/forgot-password/code", "/forgot-password/new", "/forgot-password/code/resend"):
        for page in (other.get(path), other.post(path, {"code": forgetful.walk.code(), "password": NEW})):
            assert page.status == 404
            assert "Ask for a new code" in page.links
            assert "Sign in" in page.links
            assert forgetful.person.email not in page.html
    assert rows_of(other.app).keys() == before.keys()
    assert forgetful.enter_code().h1 == "Choose a new password"


def test_a_code_of_another_browser_is_useless(forgetful: Forgetful) -> None:
    forgetful.ask()
    code = forgetful.walk.code()
    other = Forgetful(forgetful.walk)
    other.ask()
    forgetful.walk.work()
    assert "That is not the code in the newest email" in other.enter_code(code).text
    assert forgetful.enter_code(code).h1 == "Choose a new password"


def test_a_proof_lasts_ten_minutes_and_then_says_so(forgetful: Forgetful) -> None:
    with clock.at(START):
        forgetful.ask()
        forgetful.enter_code()
    with clock.at(START + resets.PROOF_LIFE - TICK):
        assert forgetful.client.get("/forgot-password/new").status == 200
    with clock.at(START + resets.PROOF_LIFE):
        late = forgetful.choose()
        assert (late.status, late.h1) == (410, "Your time to choose a password has run out")
        assert forgetful.client.get("/forgot-password/code").status == 410
        assert opens_with(forgetful.walk, forgetful.person.password)
        again = forgetful.client.click(late, "Ask for a new code")
        forgetful.page = forgetful.client.submit(again, "Send code", email=forgetful.person.email)
        forgetful.enter_code()
        assert forgetful.choose().h1 == "Harbour"


@pytest.mark.engines("sqlite", "postgresql")
def test_a_reset_that_was_used_sets_no_second_password(forgetful: Forgetful) -> None:
    forgetful.ask()
    choose = forgetful.enter_code()
    forgetful.choose()
    back = forgetful.client.get("/forgot-password/new")
    assert (back.status, back.h1) == (410, "Your password is changed already")
    form, typed = choose.form("Save and sign in"), "a third one, by the back button"
    token = forgetful.client.get("/console/account").form("Change password").fields["csrf_token"]
    sent = {**form.filled({"password": typed, "confirm_password": typed}), "csrf_token": token}
    again = forgetful.client.post("/forgot-password/new", sent)
    assert (again.status, again.h1) == (410, "Your password is changed already")
    assert opens_with(forgetful.walk, NEW)


def test_the_back_button_to_the_code_leads_on_to_the_password(forgetful: Forgetful) -> None:
    code_page = forgetful.ask()
    code = forgetful.walk.code()
    forgetful.enter_code()
    assert forgetful.client.submit(code_page, "Confirm", code=code).h1 == "Choose a new password"
    assert forgetful.client.get("/forgot-password/code", follow=True).h1 == "Choose a new password"
    assert forgetful.client.get("/forgot-password/code/resend", follow=True).h1 == "Choose a new password"


def test_nobody_skips_the_code(forgetful: Forgetful) -> None:
    asked = forgetful.ask()
    token = asked.form("Confirm").fields["csrf_token"]
    for page in (
        forgetful.client.get("/forgot-password/new", follow=True),
        forgetful.client.post("/forgot-password/new", {"password": NEW, "csrf_token": token}, follow=True),
    ):
        assert page.h1 == "Enter the code from your email"
    assert opens_with(forgetful.walk, forgetful.person.password)


def test_another_address_voids_the_code_before(forgetful: Forgetful, another: Callable[..., Walk]) -> None:
    other = another().to_end().person
    page = forgetful.ask()
    first = forgetful.walk.code()
    form = forgetful.client.click(page, "Change email address")
    forgetful.page = forgetful.client.submit(form, "Send code", email=other.email)
    assert other.email in forgetful.page.text
    assert "That is not the code in the newest email" in forgetful.enter_code(first).text
    forgetful.walk.work()
    mailed = re.search(r"\b\d{6}\b", forgetful.walk.mailbox.to(other.email)[0].text)
    assert mailed
    assert other.username in forgetful.enter_code(mailed[0]).text


def test_a_code_proves_the_address_it_was_mailed_to_and_no_other(
    forgetful: Forgetful, another: Callable[..., Walk]
) -> None:
    """… not that of somebody whose mails are used up, so that the one to them was refused."""
    victim = another(person=Person()).to_end()
    for _mail in range(5):
        Forgetful(victim).ask()
    own = forgetful.walk
    forgetful.ask()
    code = own.code()
    forgetful.page = forgetful.client.click(forgetful.page, "Change email address")
    refused = forgetful.client.submit(
        forgetful.page, "Send code", {"Site": own.site, "Email": victim.person.email}
    )
    assert "Try again at" in refused.text
    forgetful.page = forgetful.client.get("/forgot-password/code")
    forgetful.enter_code(code)
    assert own.person.username in forgetful.page.text
    assert victim.person.username not in forgetful.page.text
    forgetful.choose()
    assert opens_with(own, NEW)
    assert opens_with(victim, victim.person.password)


def test_a_reset_that_changed_its_address_since_the_code_was_mailed_is_not_proven_by_it(
    app: Flask, forgetful: Forgetful
) -> None:
    forgetful.ask()
    code = forgetful.walk.code()
    with app.app_context():
        db.session.execute(
            sa.update(PasswordReset).values(named="x@harbour.test", named_key="x@harbour.test")
        )
        db.session.commit()
    assert forgetful.enter_code(code).h1 != "Choose a new password"
    with app.app_context():
        assert db.session.scalars(sa.select(PasswordReset.proven_at)).one() is None


def test_who_had_this_browsers_cookie_before_the_proof_has_no_part_in_it(forgetful: Forgetful) -> None:
    forgetful.client.get(f"/forgot-password?site={forgetful.walk.site}")
    copied = Forgetful(forgetful.walk, tab(forgetful.client))
    forgetful.ask()
    copied.ask()
    assert forgetful.enter_code().h1 == "Choose a new password"
    seen = copied.client.get("/forgot-password/new")
    assert (seen.status, seen.h1) != (200, "Choose a new password")
    assert "Choose a new password" not in seen.text


@pytest.mark.engines("sqlite", "postgresql")
def test_an_account_that_is_gone_meanwhile_is_told_to_its_owner(walk: Walk) -> None:
    forgetful = Forgetful(walk.to_activation())
    forgetful.ask()
    form = forgetful.enter_code()
    with walk.client.app.app_context():
        db.session.execute(sa.text("UPDATE journeys SET console_account_id = NULL"))
        db.session.execute(sa.delete(ConsoleAccount))
        db.session.commit()
    forgetful.page = form
    for page in (forgetful.choose(), forgetful.client.get("/forgot-password/new")):
        assert (page.status, page.h1) == (410, "This account no longer exists")
        assert "Register" in page.links


@pytest.mark.engines("sqlite", "postgresql")
def test_a_changed_password_voids_proofs_and_codes_of_other_browsers(forgetful: Forgetful) -> None:
    with clock.at(START):
        proven, coded = Forgetful(forgetful.walk), Forgetful(forgetful.walk)
        proven.ask()
        proven.enter_code()
        coded.ask()
        old_code = coded.walk.code()
        forgetful.ask()
        forgetful.enter_code()
        forgetful.choose()
        assert proven.choose("not by this one any more").h1 == "Your password is changed already"
        # Who only waits for a code is not told that anything happened: it may be a stranger.
        assert "That is not the code in the newest email" in coded.enter_code(old_code).text
        assert opens_with(forgetful.walk, NEW)
    with clock.at(START + codes.BETWEEN_MAILS):
        coded.page = coded.client.submit(coded.page, "Send code again")
        assert coded.enter_code().h1 == "Choose a new password"


def test_a_weak_password_is_refused_with_its_reason_and_costs_nothing(forgetful: Forgetful) -> None:
    forgetful.ask()
    forgetful.enter_code()
    for password, reason in (
        ("short", "at least 8 characters"),
        ("password1", "lists that guessers try first"),
        (forgetful.person.email, "does not contain your name"),
        ("", "Enter a password"),
    ):
        refused = forgetful.choose(password)
        assert refused.status == 422
        assert reason in refused.errors["password"]
    two = forgetful.client.submit(refused, "Save and sign in", password=NEW, confirm_password=NEW + "!")
    assert two.errors == {"confirm_password": "Type the same password twice"}
    forgetful.page = two
    assert forgetful.choose().h1 == "Harbour"


def test_five_wrong_codes_end_it_and_a_new_mail_helps(forgetful: Forgetful) -> None:
    with clock.at(START):
        forgetful.ask()
        wrong = f"{(int(forgetful.walk.code()) + 1) % 10**6:06d}"
        for left in ("4 tries", "3 tries", "2 tries", "1 try"):
            assert f"you have {left} left" in forgetful.enter_code(wrong).text
        dead = forgetful.enter_code(wrong)
        assert "Five codes were wrong" in dead.text
        assert "Confirm" not in dead.buttons
        assert "Your answers are kept" not in dead.text
    with clock.at(START + codes.BETWEEN_MAILS):
        forgetful.page = forgetful.client.submit(dead, "Send code again")
        assert forgetful.enter_code().h1 == "Choose a new password"


def test_a_minute_lies_between_two_mails(forgetful: Forgetful) -> None:
    with clock.at(START):
        forgetful.ask()
        again = forgetful.client.submit(forgetful.page, "Send code again")
        assert again.status == 422
        assert "You can send a new code in 60 seconds" in again.text
        assert (
            forgetful.client.get("/forgot-password/code/resend", follow=True).path == "/forgot-password/code"
        )


def test_an_address_that_had_all_its_mails_is_told_until_when_and_waits_for_none(
    forgetful: Forgetful,
) -> None:
    with clock.at(START):
        forgetful.ask()
    for minute in range(1, 5):
        with clock.at(START + minute * codes.BETWEEN_MAILS):
            forgetful.page = forgetful.client.submit(forgetful.page, "Send code again")
    with clock.at(START + 5 * codes.BETWEEN_MAILS):
        other = Forgetful(forgetful.walk)
        told = other.ask()
        assert told.status == 422
        assert "Try again at" in told.errors["email"]
        assert other.client.get("/forgot-password/code", follow=True).h1 == "Forgot your password?"


# ── too fast ────────────────────────────────────────────────────────────────────────────────────────────────


def press(forgetful: Forgetful, button: str, **answers: object) -> tuple[list[Client], list[Page]]:
    form = forgetful.page.form(button)
    tabs, sent = [tab(forgetful.client) for _ in range(MANY)], form.filled(answers)
    answered = results(race(MANY, lambda number: tabs[number].post(form.action, sent, without=RACING)))
    assert all(page.status < 500 for page in answered), sorted(map(str, answered))
    return tabs, answered


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_first_submits_begin_one_reset_and_mail_one_code(app: Flask, forgetful: Forgetful) -> None:
    forgetful.page = forgetful.client.get("/forgot-password")
    before = len(forgetful.walk.subjects())
    tabs, answered = press(forgetful, "Send code", site="us1", email=forgetful.person.email)
    assert {page.location for page in answered} == {"/forgot-password/code"}
    assert count(app, PasswordReset) == count(app, Challenge, Challenge.purpose == "reset") == 1
    assert len(forgetful.walk.subjects()) == before + 1
    assert {each.get("/forgot-password/code").status for each in tabs} == {200}


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_right_codes_prove_once_and_shut_nobody_out(app: Flask, forgetful: Forgetful) -> None:
    forgetful.ask()
    tabs, answered = press(forgetful, "Confirm", code=forgetful.walk.code())
    assert {page.location for page in answered} == {"/forgot-password/new"}
    assert {each.get("/forgot-password/new").h1 for each in tabs} == {"Choose a new password"}
    assert count(app, Challenge, Challenge.outcome == "proven", Challenge.purpose == "reset") == 1
    with clock.later(timedelta(minutes=1)):
        assert {each.get("/forgot-password/new").status for each in tabs} == {200}


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_times_the_same_password_set_it_once_and_sign_everybody_in(
    app: Flask, forgetful: Forgetful
) -> None:
    forgetful.ask()
    forgetful.enter_code()
    tabs, answered = press(forgetful, "Save and sign in", password=NEW, confirm_password=NEW)
    assert {page.status for page in answered} <= {303, 410}
    ours = [each for each, page in zip(tabs, answered, strict=True) if page.status == 303]
    assert ours
    assert all(signed_in(each) for each in ours)
    told = [text for text in forgetful.walk.subjects() if "password was changed" in text]
    assert len(told) == 1
    assert count(app, OutboxEntry, OutboxEntry.kind == "mail") >= 1
    assert opens_with(forgetful.walk, NEW)


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_different_passwords_leave_the_one_whose_browser_is_signed_in(
    app: Flask, forgetful: Forgetful
) -> None:
    forgetful.ask()
    form = forgetful.enter_code().form("Save and sign in")
    tabs = [tab(forgetful.client) for _ in range(MANY)]

    def send(number: int) -> Page:
        typed = f"{NEW} {number}"
        sent = form.filled({"password": typed, "confirm_password": typed})
        return tabs[number].post(form.action, sent, without=RACING)

    answered = results(race(MANY, send))
    (winner,) = [number for number, page in enumerate(answered) if page.status == 303]
    assert {page.status for page in answered} == {303, 410}
    assert signed_in(tabs[winner])
    assert count(app, Session, Session.kind == "console") == 1
    with clock.later(timedelta(minutes=6)):  # The other fifteen have used up the tries of signing in.
        assert opens_with(forgetful.walk, f"{NEW} {winner}")


@pytest.mark.engines("sqlite", "postgresql")
def test_a_slow_submit_does_not_undo_a_quick_one(
    forgetful: Forgetful, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were proven when they came; one proof sets one password."""
    forgetful.ask()
    page = forgetful.enter_code()
    there, go_on = threading.Event(), threading.Event()
    work = PasswordHasher.hash

    def wait(self: PasswordHasher, password: str) -> str:
        if password == SLOW:
            there.set()
            assert go_on.wait(60)
        return work(self, password)

    monkeypatch.setattr(PasswordHasher, "hash", wait)
    other, typed = tab(forgetful.client), {"password": SLOW, "confirm_password": SLOW}
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(other.submit, page, "Save and sign in", typed, without=RACING)
        try:
            assert there.wait(60)
            assert forgetful.choose().h1 == "Harbour"
        finally:
            go_on.set()
        late = slow.result(60)
    assert (late.status, late.h1) == (410, "Your password is changed already")
    assert not signed_in(other)
    assert opens_with(forgetful.walk, NEW)


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_passwords_and_codes_are_in_no_log_row_or_address(app: Flask, forgetful: Forgetful) -> None:
    with recorded() as log:
        forgetful.ask()
        code = forgetful.walk.code()
        forgetful.enter_code()
        addresses = [page.url for page in (forgetful.page, *forgetful.page.history)]
        forgetful.choose("tiny")
        forgetful.choose()
        addresses += [page.url for page in (forgetful.page, *forgetful.page.history)]
        forgetful.walk.work()
    kept = "".join("".join(rows) for rows in rows_of(app).values())
    lines = " ".join(text_of(record) for record in log)
    assert forgetful.person.email in kept
    for secret in (NEW, code):
        alone = re.compile(rf"(?<![0-9A-Za-z_.-]){re.escape(secret)}(?![0-9A-Za-z_-])")
        assert not alone.search(kept)
        assert not alone.search(lines)
        assert not [url for url in addresses if secret.replace(" ", "+") in url]


def test_an_unknown_address_gets_a_mail_without_a_code(app: Flask, forgetful: Forgetful) -> None:
    nobody = Person()
    forgetful.ask(Email=nobody.email)
    forgetful.walk.work()
    mail = forgetful.walk.mailbox.to(nobody.email)[0]
    assert mail.subject == "There is no Skylark account with this address"
    assert "us1 Oregon" in mail.text
    assert not re.search(r"\b\d{6}\b", mail.subject + mail.text + re.sub(r"#[0-9A-Fa-f]{6}\b", "", mail.html))
    with app.app_context():
        decoy = db.session.scalars(sa.select(Challenge).where(Challenge.address == nobody.email)).one()
        would_be = codes.code_of(decoy)
    assert "you have 4 tries left" in forgetful.enter_code(would_be).text


def test_an_address_of_another_site_is_unknown_here(forgetful: Forgetful) -> None:
    forgetful.ask(Site="eu1")
    assert forgetful.walk.subjects()[0] == "There is no Skylark account with this address"
