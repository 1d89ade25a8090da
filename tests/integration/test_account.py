"""Somebody's own account page: another password, and where they are signed in."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from argon2 import PasswordHasher
from flask import Flask

from tests.support.client import Client
from tests.support.factories import recorded, rows_of, text_of
from tests.support.page import Page
from tests.support.races import race, results
from tests.support.walk import Walk
from wizard import clock
from wizard.accounts.models import Session
from wizard.extensions import db

pytestmark = pytest.mark.engines("sqlite")

PAGE = "/console/account"
NEW = "eleven brass lanterns swing"
MANY = 16
RACING = (
    "session",
    "statements",
    "html",
    "heading",
    "language",
    "ids",
    "names",
    "inline",
    "words",
    "policy",
    "weight",
)
HALF_A_MINUTE_PAST_NOON = datetime(2026, 4, 7, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
def owner(walk: Walk) -> Walk:
    """Somebody with a workspace, who has just signed in."""
    walk.to_end()
    walk.sign_in()
    return walk


def change(owner: Walk, current: str, new: str = NEW, client: Client | None = None) -> Page:
    client = client or owner.client
    answers = {"Current password": current, "New password": new, "Confirm password": new}
    return client.submit(client.get(PAGE), "Change password", answers)


def signed_in(client: Client) -> bool:
    return client.get("/console/").location != "/sign-in?next=/console/"


def opens_with(owner: Walk, password: str) -> bool:
    return owner.sign_in(owner.client.other(), password).status == 200


def copy_of(client: Client) -> Client:
    same = client.other()
    same.http._cookies = dict(client.http._cookies or {})
    return same


def test_the_way_to_it_is_on_every_page_of_the_console(owner: Walk) -> None:
    home = owner.client.get("/console/", follow=True)
    page = owner.client.click(home, owner.person.username)
    assert page.h1 == "Your account"
    for fact in (owner.person.username, owner.person.email, "us1 Oregon", "Only in this browser."):
        assert fact in page.text


def test_a_wizard_page_after_registering_says_who_is_there_and_has_the_way_out(walk: Walk) -> None:
    walk.to_company()
    assert "Sign out" not in walk.page.buttons
    activation = walk.give_company()
    assert walk.person.username in activation.soup.select_one(".who").text  # type: ignore[union-attr]
    assert walk.client.submit(activation, "Sign out").h1 == "Sign in"
    assert walk.client.get(activation.path).status == 404


@pytest.mark.engines("sqlite", "postgresql")
def test_another_password_ends_every_other_session_and_gives_this_one_a_new_id(owner: Walk) -> None:
    elsewhere, old = owner.client.other(), copy_of(owner.client)
    owner.sign_in(elsewhere)
    changed = change(owner, owner.person.password)
    assert (changed.status, changed.path) == (200, PAGE)
    assert "Your password is changed" in changed.text
    assert "Your password is changed" not in owner.client.get(PAGE).text, "it is said once"
    assert owner.client.cookie("console") != old.cookie("console")
    assert signed_in(owner.client)
    assert not signed_in(elsewhere)
    assert not signed_in(old), "the id before still opens the console"
    assert opens_with(owner, NEW)
    assert not opens_with(owner, owner.person.password)
    assert owner.subjects()[0] == "Your Skylark password was changed"


def test_a_form_from_before_the_change_is_not_believed_after_it(owner: Walk) -> None:
    before = owner.client.get(PAGE)
    change(owner, owner.person.password)
    owner.client.submit(before, "Sign out everywhere")
    assert signed_in(owner.client)


def test_without_the_current_password_nothing_changes(app: Flask, owner: Walk) -> None:
    before = rows_of(app)
    for current, said in (
        ("", "Enter your current password"),
        ("not this one", "That is not your current password"),
    ):
        refused = change(owner, current)
        assert refused.status == 422
        assert said in refused.errors["current_password"]
    assert rows_of(app) == before


def test_a_new_password_is_held_to_the_same_as_the_first(owner: Walk) -> None:
    for new, said in (("short", "at least 8"), (owner.person.email, "does not contain your name")):
        refused = change(owner, owner.person.password, new)
        assert said in refused.errors["password"]
    assert opens_with(owner, owner.person.password)


def test_ten_guesses_of_the_current_password_are_all_there_are(owner: Walk) -> None:
    with clock.at(HALF_A_MINUTE_PAST_NOON):
        owner.sign_in()
        for _try in range(10):
            assert "not your current password" in change(owner, "a guess").errors["current_password"]
        stopped = change(owner, owner.person.password)
        assert "Try again at 12:06 (UTC)" in stopped.errors["current_password"]
    with clock.at(HALF_A_MINUTE_PAST_NOON + timedelta(minutes=6)):
        assert "Your password is changed" in change(owner, owner.person.password).text


@pytest.mark.engines("sqlite", "postgresql")
def test_signing_out_everywhere_ends_all_of_ones_own_and_nobody_elses(
    owner: Walk, another: Callable[..., Walk]
) -> None:
    neighbour = another()
    neighbour.to_end()
    neighbour.sign_in()
    others = [owner.client.other() for _ in range(2)]
    for each in others:
        owner.sign_in(each)
    page = owner.client.get(PAGE)
    assert "Here, and in 2 other browsers. You can" in page.text
    journey = owner.page.path
    assert owner.client.get(journey).status == 200
    signed_out = owner.client.submit(page, "Sign out everywhere")
    assert signed_out.h1 == "Sign in"
    assert "You are signed out everywhere." in signed_out.text
    assert not any(signed_in(each) for each in (owner.client, *others))
    assert owner.client.get(journey).status == 404
    assert signed_in(neighbour.client)
    assert "Only in this browser." in neighbour.client.get(PAGE).text
    assert opens_with(owner, owner.person.password)


def test_the_page_belongs_to_whoever_is_signed_in(owner: Walk, another: Callable[..., Walk]) -> None:
    neighbour = another()
    neighbour.to_end()
    neighbour.sign_in()
    theirs = neighbour.client.get(PAGE)
    assert owner.person.email not in theirs.html
    # Whatever is sent along, it is one's own password that is asked for and changed.
    form = theirs.form("Change password")
    sent = form.filled(
        {"current_password": owner.person.password + "!", "password": NEW, "confirm_password": NEW}
    )
    neighbour.client.post(
        PAGE, {**sent, "username": owner.person.username, "id": "1", "email": owner.person.email}
    )
    assert opens_with(owner, owner.person.password)
    neighbour.client.post(PAGE, {**sent, "current_password": neighbour.person.password, "id": "1"})
    assert opens_with(owner, owner.person.password)
    assert opens_with(neighbour, NEW)
    assert signed_in(owner.client)


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_changes_at_once_make_one(app: Flask, owner: Walk) -> None:
    form = owner.client.get(PAGE).form("Change password")
    tabs = [copy_of(owner.client) for _ in range(MANY)]

    def send(number: int) -> Page:
        new = f"{NEW} {number}"
        sent = form.filled(
            {"current_password": owner.person.password, "password": new, "confirm_password": new}
        )
        return tabs[number].post(form.action, sent, without=RACING)

    answered = results(race(MANY, send))
    assert {page.status for page in answered} <= {
        303,
        422,
    }  # Ten tries of the current password are let through.
    (winner,) = [number for number, each in enumerate(tabs) if signed_in(each)]
    with app.app_context():
        assert (
            db.session.scalar(
                sa.select(sa.func.count()).select_from(Session).where(Session.kind == "console")
            )
            == 1
        )
    assert opens_with(owner, f"{NEW} {winner}")
    assert len([subject for subject in owner.subjects() if "password was changed" in subject]) == 1


@pytest.mark.engines("sqlite", "postgresql")
def test_nobody_comes_in_with_the_old_password_behind_the_change(
    owner: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hash was read, then the password changed and everybody was signed out, and then it was found to fit."""
    there, go_on = threading.Event(), threading.Event()
    work, here = PasswordHasher.verify, threading.get_ident()

    def wait(self: PasswordHasher, kept: str, password: str) -> bool:
        if threading.get_ident() != here and not there.is_set():
            there.set()
            assert go_on.wait(60)
        return work(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", wait)
    late = owner.client.other()
    door = late.get("/sign-in?site=us1")
    old = {"username": owner.person.username, "password": owner.person.password}
    with ThreadPoolExecutor(1) as pool:
        signing_in = pool.submit(late.submit, door, "Sign in", old, without=RACING)
        try:
            assert there.wait(60)
            assert "Your password is changed" in change(owner, owner.person.password).text
        finally:
            go_on.set()
        answer = signing_in.result(60)
    assert answer.status == 422
    assert not signed_in(late)
    assert signed_in(owner.client)


def test_no_password_is_in_a_log_line_or_a_row(app: Flask, owner: Walk) -> None:
    with recorded() as log:
        change(owner, "a wrong current password")
        change(owner, owner.person.password, "tiny")
        change(owner, owner.person.password)
        owner.sign_in(owner.client.other(), "a wrong password at the door")
        owner.work()
    kept = "".join("".join(rows) for rows in rows_of(app).values()) + " ".join(map(text_of, log))
    assert owner.person.email in kept
    for secret in (NEW, owner.person.password, "a wrong current password", "a wrong password at the door"):
        assert secret not in kept


@pytest.mark.engines("sqlite", "postgresql")
def test_no_transaction_waits_while_a_password_is_hashed(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """… on SQLite, where every other write would wait with it."""
    waited: list[bool] = []
    for name in ("hash", "verify"):
        work = getattr(PasswordHasher, name)

        def watched(self: object, *args: object, work: Callable[..., object] = work) -> object:
            waited.append(db.session().in_transaction())
            return work(self, *args)

        monkeypatch.setattr(PasswordHasher, name, watched)
    walk.register().give_basics()
    basics = walk.client.get(walk.page.path.replace("/code", "/basic"))
    walk.page = walk.client.submit(basics, "Next", password=NEW, confirm_password=NEW)
    walk.enter_code()
    walk.give_company()
    walk.sign_in(password=NEW)
    walk.sign_in(walk.client.other(), "not this one")
    change(walk, NEW, NEW + " again")
    browser = walk.client.other()
    with clock.later(timedelta(minutes=2)):
        page = browser.submit(
            browser.get("/forgot-password"), "Send code", site="us1", email=walk.person.email
        )
        page = browser.submit(page, "Confirm", code=walk.code())
        browser.submit(page, "Save and sign in", password=NEW, confirm_password=NEW)
    assert len(waited) >= 7
    assert not any(waited)


def test_a_session_ends_thirty_days_after_it_began_whatever_was_done_in_it(owner: Walk) -> None:
    began = clock.now()
    with clock.at(began + timedelta(days=29)):
        assert signed_in(owner.client)
        change(owner, "a wrong current password")
    with clock.at(began + timedelta(days=30, minutes=1)):
        assert not signed_in(owner.client)


def test_proving_an_address_makes_a_session_no_longer(app: Flask, walk: Walk) -> None:
    walk.to_code()
    with app.app_context():
        before = db.session.scalars(sa.select(Session.expires_at)).all()
    with clock.later(timedelta(minutes=5)):
        walk.enter_code()
        with app.app_context():
            assert db.session.scalars(sa.select(Session.expires_at)).all() == before
        set_now = [
            h for page in walk.page.history for h in page.headers.getlist("Set-Cookie") if "journey-" in h
        ]
        left = (before[0] - clock.now()).total_seconds()
        assert [abs(int(h.split("Max-Age=")[1].split(";")[0]) - left) < 60 for h in set_now] == [True]
