"""Going on in another browser: a mailed link tells and opens nothing, the code mailed to the proven address does."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask
from itsdangerous import URLSafeSerializer

from tests.support import rows
from tests.support.client import Client
from tests.support.factories import Person, count, recorded, text_of
from tests.support.page import Page
from tests.support.races import race, results, tab
from tests.support.walk import Walk
from wizard import clock
from wizard.accounts.models import Session
from wizard.extensions import db
from wizard.flows import journeys, resumption
from wizard.flows.models import Journey, JourneyEvent
from wizard.outbox.models import OutboxEntry
from wizard.verification import codes
from wizard.verification.models import Challenge
from wizard.worker import sweep

pytestmark = pytest.mark.engines("sqlite")

START = datetime(2026, 4, 7, 14, 2, 30, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MANY = 16
BEGIN, CODE = "Go on where you stopped", "Enter the code from your email"

READ_ALREADY = ("html", "heading", "language", "ids", "names", "inline", "words", "policy", "weight")
RACING = ("session", "statements", *READ_ALREADY)
"""Of sixteen at once, whoever comes second may take back what it began and look again."""


def link_to(app: Flask, reference: str) -> str:
    """The path of the link that is mailed for a journey."""
    with app.app_context():
        journey = db.session.scalars(sa.select(Journey).where(Journey.reference == reference)).one()
        return resumption.url_of(journey).removeprefix(app.config["PUBLIC_URL"])


class Device:
    """Another browser, with the link of somebody's journey."""

    def __init__(self, walk: Walk, link: str | None = None, client: Client | None = None) -> None:
        self.walk = walk
        self.client = client or walk.client.other()
        self.link = link or link_to(walk.client.app, walk.reference)
        self.page: Page

    def ask(self) -> Page:
        self.page = self.client.submit(self.client.get(self.link), "Send code")
        return self.page

    def enter_code(self, code: str | None = None) -> Page:
        self.page = self.client.submit(self.page, "Confirm", code=code or self.walk.code())
        return self.page


@pytest.fixture
def device(walk: Walk) -> Device:
    """… of a customer who stopped at the company's name."""
    return Device(walk.to_company())


def set_journey(app: Flask, reference: str, **values: object) -> None:
    with app.app_context():
        db.session.execute(sa.update(Journey).where(Journey.reference == reference).values(**values))
        db.session.commit()


# ── the way through ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite", "postgresql")
def test_the_link_and_a_code_open_the_journey_with_its_answers_and_no_secret(device: Device) -> None:
    walk, person = device.walk, device.walk.person
    assert device.client.get(device.link).h1 == BEGIN
    assert device.ask().h1 == CODE
    code = walk.code()
    assert device.enter_code(code).h1 == "Company information"
    basics = device.client.click(device.page, "Back")
    assert basics.h1 == "Basic information"
    form = basics.form("Next").fields
    assert (form["username"], form["email"], form["site"]) == ([person.username], [person.email], ["us1"])
    with device.client.app.app_context():
        hashed = db.session.scalars(sa.select(Journey.password_hash)).one()
    for secret in (person.password, code, hashed):
        assert secret
        assert secret not in device.page.html + basics.html
    walk.client, first = device.client, walk.client
    walk.page = device.client.get(device.page.path)
    walk.give_company()
    walk.activate()
    assert walk.wait_until_made().h1 == "Activation successful"
    # The browser it was begun in went along.
    assert first.get(f"/journeys/{walk.reference}", follow=True).h1 == "Activation successful"


@pytest.mark.engines("sqlite", "postgresql")
def test_a_bound_journey_is_opened_by_the_address_of_its_billing_center_account(
    app: Flask, walk: Walk
) -> None:
    payer = rows.billing_account(app, walk.person)
    bought = rows.purchase(app, billing_account_id=payer)
    # An address somebody proved on the way, for a console account, is not the Billing Center account's.
    journey = rows.journey(
        app, billing_account_id=payer, subscription_id=bought, verified_email=Person().email
    )
    device = Device(walk, link_to(app, journey.reference))
    device.ask()
    form = device.page.form("Confirm")
    answer = device.client.post(form.action, form.filled({"code": walk.code()}))
    assert answer.location == f"/journeys/{journey.reference}"
    assert device.client.cookie(f"journey-{journey.reference}")


def test_the_code_says_what_it_is_for(device: Device) -> None:
    device.ask()
    device.walk.code()
    mail = device.walk.mailbox.to(device.walk.person.email)[0]
    for text in (mail.text, mail.html):
        assert "Going on where you stopped" in text
        assert device.walk.reference in text


def test_support_sees_that_another_browser_went_on(app: Flask, device: Device) -> None:
    device.ask()
    device.enter_code()
    assert count(app, JourneyEvent, JourneyEvent.step == "resume") == 1


def test_after_the_end_it_leads_to_the_last_page(walk: Walk) -> None:
    device = Device(walk.to_end())
    device.ask()
    assert device.enter_code().h1 == "Activation successful"


def test_a_browser_that_is_on_the_journey_is_led_straight_on(device: Device) -> None:
    """… wherever it comes in, whatever it sends, and without a mail."""
    begin = device.client.get(device.link)
    code_page = device.ask()
    device.enter_code()
    known = len(device.walk.subjects())
    for paths in ("", "/code", "/code/resend"):
        page = device.client.get(device.link + paths, follow=True)
        assert page.h1 == "Company information"
    assert device.client.submit(begin, "Send code").h1 == "Company information"
    assert device.client.submit(code_page, "Confirm", code="000000").h1 == "Company information"
    assert len(device.walk.subjects()) == known
    assert device.walk.client.get(device.link, follow=True).h1 == "Company information"


def test_whoever_is_signed_in_with_its_console_account_is_led_straight_on(walk: Walk) -> None:
    device = Device(walk.to_activation())
    walk.sign_in(device.client)
    assert device.client.get(device.link, follow=True).h1 == "Activation method"


# ── a stranger ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stranger_with_the_link_learns_nothing(
    app: Flask, walk: Walk, another: Callable[..., Walk]
) -> None:
    """Whoever's journey it is, the pages are the same to the last byte, but for the link and what is the browser's."""
    bought = walk.to_activation()
    unbought = another(site="eu1")
    unbought.register().give_basics()
    unbought.enter_code()
    payer = rows.billing_account(app, Person())
    paid = rows.purchase(app, billing_account_id=payer)
    bound = rows.journey(app, billing_account_id=payer, subscription_id=paid, locale="zh")
    seen: list[list[tuple[object, ...]]] = []
    for reference in (bought.reference, unbought.reference, bound.reference):
        link, stranger, saw = link_to(app, reference), walk.client.other(), []

        def add(page: Page, link: str = link, saw: list[tuple[object, ...]] = saw) -> Page:
            for each in [*page.history, page]:
                own = r'(?<=value=")(?:[\w.-]{80,}|\d{6})(?=")'  # The browser's token, and what it typed.
                html = re.sub(own, "<own>", each.html.replace(link, "<link>"))
                location = (each.location or "").replace(link, "<link>")
                saw.append((each.status, location, html, len(each.statements)))
            return page

        with clock.at(START):
            add(stranger.get(f"{link}/code", follow=True))
            add(stranger.post(f"{link}/code/resend"))
            page = add(stranger.submit(add(stranger.get(link)), "Send code"))
            add(stranger.submit(page, "Send code again"))
            wrong = _unlike(app, reference)
            for _try in range(codes.TRIES):
                page = add(stranger.submit(page, "Confirm", code=wrong))
        with clock.at(START + codes.BETWEEN_MAILS):
            page = add(stranger.submit(page, "Send code again"))
        with clock.at(START + codes.BETWEEN_MAILS + codes.LIFE):
            add(stranger.get(f"{link}/code"))
        for one in (reference, "ada-", "@harbour", "7828", "AWS", "Lamps", "us1", "eu1"):
            assert not [html for _status, _location, html, _count in saw if one in str(html)], one
        assert not stranger.cookie(f"journey-{reference}")
        seen.append(saw)
    assert seen[0] == seen[1] == seen[2]


def _unlike(app: Flask, reference: str) -> str:
    """A code that none of a journey's challenges takes."""
    with app.app_context():
        challenge = db.session.scalars(
            sa.select(Challenge).where(Challenge.bound_to.startswith(f"{reference}:"))
        ).one()
        return f"{(int(codes.code_of(challenge)) + 1) % 10**6:06d}"


def test_the_link_itself_has_no_secret_in_it(device: Device) -> None:
    said = URLSafeSerializer("another key").load_payload  # Without the key anybody can read it …
    payload = device.link.removeprefix("/go-on/").rpartition(".")[0]
    assert said(payload.encode()) == device.walk.reference
    with device.client.app.app_context():  # … and nobody can make one.
        forged = URLSafeSerializer("another key", salt="go-on").dumps(device.walk.reference)
    assert device.client.get(f"/go-on/{forged}").status == 404


@pytest.mark.parametrize("spoil", ["cut", "other reference", "other use", "no signature", "odd"])
def test_a_link_we_did_not_make_is_no_page(app: Flask, device: Device, spoil: str) -> None:
    opaque = device.link.removeprefix("/go-on/")
    payload, _, signature = opaque.rpartition(".")
    key = app.config["SECRET_KEY"]
    spoilt = {
        "cut": opaque[:-5],
        "other reference": "IlNLLTAwMDAtMDAwMCI." + signature,
        "other use": URLSafeSerializer(key, salt="another use").dumps(device.walk.reference),
        "no signature": payload,
        "odd": "%00%FF.%F0%9F%9A%A2",
    }[spoil]
    for path in ("", "/code", "/code/resend"):
        for page in (
            device.client.get(f"/go-on/{spoilt}{path}"),
            device.client.post(f"/go-on/{spoilt}{path}"),
        ):
            assert (page.status, page.h1) == (404, "There is no page here")


def test_a_journey_without_a_proven_address_has_no_link(app: Flask, walk: Walk) -> None:
    walk.to_code()
    mails = len(walk.subjects())
    with app.app_context(), pytest.raises(AssertionError):
        resumption.url_of(db.session.scalars(sa.select(Journey)).one())
    with app.app_context():
        link = f"/go-on/{resumption._signer().dumps(walk.reference)}"
    stranger = walk.client.other()
    assert stranger.get(link).status == stranger.post(link).status == 404
    assert stranger.get(f"{link}/code").status == 404
    assert len(walk.subjects()) == mails


@pytest.mark.engines("sqlite", "postgresql")
def test_a_journey_that_is_over_says_how_to_start_again(app: Flask, device: Device) -> None:
    code_page = device.ask()
    set_journey(app, device.walk.reference, expires_at=clock.now())
    for page in (
        device.client.get(device.link),
        device.client.get(f"{device.link}/code"),
        device.client.submit(code_page, "Confirm", code=device.walk.code()),
    ):
        assert (page.status, page.h1) == (410, "What you began here has run out")
        assert "open Set Up Your Account there once more" in page.text
    with clock.later(journeys.AFTERLIFE + timedelta(minutes=1)):
        sweep(app)
    assert count(app, Journey) == 0
    assert device.client.get(device.link).status == 410


@pytest.mark.engines("sqlite", "postgresql")
def test_what_opened_a_journey_goes_with_it(app: Flask, device: Device) -> None:
    """… because SQLite may give the next one the same id."""
    device.ask()
    with clock.later(timedelta(days=29)):
        device.ask()
        device.enter_code()
    with clock.later(timedelta(days=40)):
        assert count(app, Session, Session.kind == "journey", Session.expires_at > clock.now()) == 1
        sweep(app)
        assert count(app, Session, Session.kind == "journey") == 0


# ── its code ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_code_works_in_the_browser_that_asked_for_it(device: Device) -> None:
    """… once, while another's goes its own way: a stranger neither uses up its tries nor sees that it was sent."""
    with clock.at(START):
        device.ask()
        code = device.walk.code()
        stranger = Device(device.walk)
        assert stranger.client.get(f"{stranger.link}/code", follow=True).h1 == BEGIN
        stranger.ask()
        device.walk.work()
        for _try in range(codes.TRIES):
            assert "Company" not in stranger.enter_code(code if _try == 0 else "000000").h1
        assert "Confirm" not in stranger.page.buttons
        assert device.enter_code(code).h1 == "Company information"
        assert not stranger.client.cookie(f"journey-{device.walk.reference}")


def test_a_code_that_was_accepted_opens_nothing_more(device: Device) -> None:
    """… not even to who has a copy of the browser's cookies, but for the second submit of a double click."""
    with clock.at(START):
        page = device.ask()
        before, much_later = tab(device.client), tab(device.client)
        code = device.walk.code()
        assert device.enter_code(code).h1 == "Company information"
        assert before.submit(page, "Confirm", code=code).h1 == "Company information"
    with clock.at(START + codes.DOUBLE_CLICK):
        assert much_later.submit(page, "Confirm", code=code).h1 == BEGIN


def test_a_code_mailed_to_the_address_before_is_void(app: Flask, device: Device) -> None:
    device.ask()
    code = device.walk.code()
    set_journey(app, device.walk.reference, verified_email=Person().email)
    assert device.enter_code(code).h1 == BEGIN
    assert not device.client.cookie(f"journey-{device.walk.reference}")


def test_wrong_codes_new_mails_and_waiting_are_as_everywhere(device: Device) -> None:
    with clock.at(START):
        device.ask()
        again = device.client.submit(device.page, "Send code again")
        assert (again.status, "You can send a new code in 60 seconds" in again.text) == (422, True)
        wrong = f"{(int(device.walk.code()) + 1) % 10**6:06d}"
        for left in ("4 tries", "3 tries", "2 tries", "1 try"):
            assert f"you have {left} left" in device.enter_code(wrong).text
        dead = device.enter_code(wrong)
        assert "Five codes were wrong" in dead.text
        assert "Your answers are kept" in dead.text
    with clock.at(START + codes.BETWEEN_MAILS):
        device.page = device.client.submit(dead, "Send code again")
        code = device.walk.code()
    with clock.at(START + codes.BETWEEN_MAILS + codes.LIFE):
        late = device.enter_code(code)
        assert (late.status, "Send a new code" in late.text) == (422, True)
        device.page = device.client.submit(late, "Send code again")
        assert device.enter_code().h1 == "Company information"


def test_a_stranger_with_the_link_causes_no_more_than_the_usual_mails(walk: Walk) -> None:
    with clock.at(START):
        link = link_to(walk.client.app, walk.to_company().reference)
        asked = [Device(walk, link).ask() for _browser in range(7)]
        assert [page.status for page in asked] == [200] * 4 + [422] * 3, (
            "the registration's own code was the first"
        )
        assert "Try again at 15:03 (UTC)" in asked[-1].text
        walk.work()
    for hour in range(1, 24, 2):
        with clock.at(START + timedelta(hours=hour)):
            asked += [Device(walk, link).ask() for _browser in range(2)]
            walk.work()
    assert sum(page.status == 200 for page in asked) == 9
    assert len(walk.subjects()) == 10


# ── too fast ────────────────────────────────────────────────────────────────────────────────────────────────


def press(device: Device, button: str, **answers: object) -> tuple[list[Client], list[Page]]:
    form = device.page.form(button)
    tabs, sent = [tab(device.client) for _ in range(MANY)], form.filled(answers)
    answered = results(race(MANY, lambda number: tabs[number].post(form.action, sent, without=RACING)))
    assert all(page.status < 500 for page in answered), sorted(map(str, answered))
    return tabs, answered


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_first_presses_mail_one_code(app: Flask, device: Device) -> None:
    device.page = device.client.get(device.link)
    before = len(device.walk.subjects())
    tabs, answered = press(device, "Send code")
    assert {page.location for page in answered} == {f"{device.link}/code"}
    assert count(app, Challenge, Challenge.purpose == "resume") == 1
    assert len(device.walk.subjects()) == before + 1
    assert {each.get(f"{device.link}/code").status for each in tabs} == {200}


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_presses_for_a_new_one_mail_one(app: Flask, device: Device) -> None:
    with clock.at(START):
        device.ask()
        before = len(device.walk.subjects())
    with clock.at(START + codes.BETWEEN_MAILS):
        _tabs, answered = press(device, "Send code again")
        assert {page.status for page in answered} <= {303, 422}
        assert len(device.walk.subjects()) == before + 1
    assert count(app, OutboxEntry, OutboxEntry.dead_at.is_not(None)) == 0


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_right_codes_spend_it_once_and_shut_nobody_out(app: Flask, device: Device) -> None:
    device.ask()
    tabs, answered = press(device, "Confirm", code=device.walk.code())
    assert {page.location for page in answered} == {f"/journeys/{device.walk.reference}"}
    assert {each.get(answered[0].location, follow=True).h1 for each in tabs} == {"Company information"}
    accepted = (Challenge.outcome == "proven", Challenge.purpose == "resume")
    assert count(app, Challenge, *accepted) == 1
    assert count(app, JourneyEvent, JourneyEvent.step == "resume") == 1


@pytest.mark.engines("sqlite", "postgresql")
def test_sixteen_browsers_with_one_code_are_one_too_few(app: Flask, device: Device) -> None:
    """Only the browser that asked for it is let in."""
    device.ask()
    code = device.walk.code()
    form = device.page.form("Confirm")
    others = [Device(device.walk).client for _ in range(MANY)]
    tokens = [other.get(device.link).form("Send code").fields["csrf_token"] for other in others]

    def send(number: int) -> Page:
        sent = {"code": code, "csrf_token": tokens[number]}
        return others[number].post(form.action, sent, without=RACING)

    assert {page.location for page in results(race(MANY, send))} == {device.link}
    assert count(app, Challenge, Challenge.outcome == "proven", Challenge.purpose == "resume") == 0
    assert device.enter_code(code).h1 == "Company information"


# ── secrets ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_neither_link_nor_code_is_in_the_log(device: Device) -> None:
    with recorded() as log:
        device.ask()
        code = device.walk.code()
        device.enter_code(code)
        device.walk.work()
    lines = " ".join(text_of(record) for record in log)
    assert "wizard.access" in lines
    assert device.link.removeprefix("/go-on/") not in lines
    assert not re.search(rf"(?<![0-9A-Za-z_.-]){code}(?![0-9A-Za-z_-])", lines)
    assert device.walk.person.email not in lines
