"""A locked workspace at its own address: what its owner reads, the way to unlock it, and dissolving it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import rows
from tests.support.client import Client
from tests.support.established import Customer, established
from tests.support.factories import rows_of
from tests.support.page import Page
from tests.support.races import tab
from wizard import clock, worker
from wizard.billing import endings, settlement, subscriptions, tickets
from wizard.billing.models import CANCELLED, DISSOLVED, Subscription, Workspace
from wizard.extensions import db

pytestmark = pytest.mark.engines("sqlite")

START = datetime(2026, 3, 24, 18, 40, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
NBSP = "\N{NO-BREAK SPACE}"


class Locked:
    """Somebody whose workspace Harbour was paid for by a purchase that was cancelled at START."""

    def __init__(self, app: Flask, client: Client) -> None:
        self.app, self.client = app, client
        with clock.at(START):
            self.bought = rows.purchase(app)
            self.customer: Customer = established(app, subscription=self.bought)
            self._claim_and_end()
            worker.run_once(app)
        self.public_id = self.customer.workspaces["Harbour"]
        self.console = f"/console/workspaces/{self.public_id}"
        self.billing = f"/billing/workspaces/{self.public_id}"

    def _claim_and_end(self) -> None:
        with self.app.app_context():
            subscriptions.claim(self.bought, self.customer.billing_id)
            bought = db.session.get_one(Subscription, self.bought)
            subscriptions.hold(bought)
            endings.live(bought, endings.Life(START, CANCELLED))
            db.session.commit()

    def sign_in(self, language: str = "en") -> Page:
        """To the console, in English, and then to the workspace in this language."""
        self.customer.sign_in(self.client)
        return self.client.get(f"{self.console}?lang={language}", follow=True)

    def settle(self) -> None:
        with self.app.app_context():
            workspace = db.session.scalars(sa.select(Workspace)).one()
            settlement.settle([workspace], None, by="test")
            db.session.commit()

    def set(self, **values: Any) -> None:
        with self.app.app_context():
            db.session.execute(sa.update(Workspace).values(**values))
            db.session.commit()

    def state(self) -> str:
        with self.app.app_context():
            return db.session.scalars(sa.select(Workspace.state)).one()


@pytest.fixture
def locked(app: Flask, client: Client) -> Locked:
    return Locked(app, client)


def said(page: Page) -> str:
    return page.text.replace(NBSP, " ")


# ── the lock page ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_locked_workspace_says_at_its_address_why_for_how_long_and_what_unlocks_it(locked: Locked) -> None:
    with clock.at(START + 2 * DAY + 20 * HOUR):
        page = locked.sign_in()
        assert page.h1 == "Harbour is locked"
        for sentence in (
            "cancelled its subscription, so nothing pays for this workspace.",
            "11 days and 4 hours left, until 7 April 2026, 18:40 (UTC)",
            "You can look at and analyse everything already there.",
            "New data stops and what is there is cleared. It cannot be brought back.",
            "Bind another cloud account, subscribe again at AWS, or settle from the Billing Center account.",
            f"Sign in there as {locked.customer.payer.username}",
            "Cancelled 24 March 2026 no longer pays",
            "Locked, still readable",
        ):
            assert sentence in said(page)
        data = locked.client.get(page.links["Look at the data"])
        assert data.h1 == "Harbour"
        assert "Locked, 11 days left" in data.text
        assert data.links["How to unlock it"] == locked.console


def test_it_says_so_in_chinese(locked: Locked) -> None:
    with clock.at(START + 2 * DAY + 20 * HOUR):
        page = locked.sign_in("zh")
        assert page.h1 == "Harbour 已锁定"
        assert "11 天 零 4 小时，截止到 2026年4月8日 02:40（UTC+8）" in page.text
        assert page.form("立即解锁").action == "/billing/unlock"


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (DAY, "1 day left"),
        (DAY - timedelta(seconds=1), "23 hours left"),
        (HOUR, "1 hour left"),
        (timedelta(seconds=1), "Less than an hour left"),
    ],
)
def test_the_last_day_is_told_in_hours(locked: Locked, left: timedelta, words: str) -> None:
    locked.customer.sign_in(locked.client)
    with locked.app.app_context():
        db.session.execute(sa.update(Subscription).values(warned_at=START + 11 * DAY))
        db.session.commit()
    with clock.at(START + 14 * DAY - left):
        assert f"{words}, until" in locked.client.get(locked.console).text
        in_short = locked.client.get(f"{locked.console}/data").text
        assert f"Locked, {words[0].lower()}{words[1:]}" in in_short


def test_what_pays_again_is_a_workspace_like_any_other(locked: Locked) -> None:
    locked.settle()
    with clock.at(START + DAY):
        home = locked.sign_in()
        assert home.h1 == "Harbour"
        assert "Locked" not in home.text
        assert "Start by installing the agent" in home.links
        assert locked.client.get(f"{locked.console}/data").location == locked.console


@pytest.mark.parametrize(("language", "heading"), [("en", "Harbour is closed"), ("zh", "Harbour 已关闭")])
def test_a_closed_workspace_says_what_happened_and_what_remains(
    locked: Locked, language: str, heading: str
) -> None:
    for days in (11, 14):
        with clock.at(START + days * DAY):
            worker.keep_calendar(locked.app)
    with clock.at(START + 15 * DAY):
        page = locked.sign_in(language)
        assert page.h1 == heading
        assert locked.customer.payer.username in page.text
        assert "/billing/" in page.links.values()
        assert not page.soup.select("main form")
        assert locked.client.get(f"{locked.console}/data").location == locked.console
        dissolve = locked.client.get(f"{locked.console}/dissolve")
        assert not dissolve.soup.select("main form")


def test_the_billing_page_tells_what_settles_it_and_what_did(locked: Locked) -> None:
    locked.settle()
    with clock.at(START + DAY):
        locked.sign_in()
        page = locked.client.get(locked.client.get(locked.console).links["Billing"])
    assert page.h1 == "Billing of Harbour"
    lines = [said_of.replace(NBSP, " ") for said_of in map(_text, page.soup.select("main ol.rows > li"))]
    assert [line.split(" 2")[0][:9] for line in lines] == ["Settled b", "Locked: A", "Settled b"]
    assert "Billing Center account" in lines[0]
    assert page.links["Go to the Billing Center"] == "/billing/"


def _text(tag: Any) -> str:
    return " ".join(tag.get_text(" ").split())


# ── unlock now ──────────────────────────────────────────────────────────────────────────────────────────────


def test_unlock_now_leads_by_way_of_sign_in_to_where_it_is_unlocked_and_is_in_no_address(
    locked: Locked,
) -> None:
    with clock.at(START + DAY):
        page = locked.sign_in()
        ticket = page.form("Unlock now").fields["ticket"][0]
        before = rows_of(locked.app)
        asked = locked.client.submit(page, "Unlock now")
        assert asked.path == "/billing/sign-in"
        assert rows_of(locked.app) == before
        payer = locked.customer.payer
        there = locked.client.submit(asked, "Sign in", username=payer.username, password=payer.password)
        assert (there.path, there.h1) == (f"{locked.billing}/settlement", "Unlock Harbour")
        assert ticket not in asked.url + there.url
        # Signed in there already, it leads on at once.
        assert locked.client.submit(page, "Unlock now").path == f"{locked.billing}/settlement"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_who_signed_in_as_another_account_than_its_own_is_told_so(
    locked: Locked, app: Flask, language: str
) -> None:
    other = established(app, workspaces=())
    with clock.at(START + DAY):
        other.sign_in_to_billing(locked.client)
        page = locked.sign_in(language)
        told = locked.client.submit(page, {"en": "Unlock now", "zh": "立即解锁"}[language])
        assert told.status == 404
        assert (
            told.h1
            == {
                "en": "This account does not settle that workspace",
                "zh": "此账号不结算该工作空间",
            }[language]
        )
        assert other.payer.username in told.text
        assert "Harbour" not in told.text
        out = locked.client.submit(told, {"en": "Sign out", "zh": "退出登录"}[language])
        assert out.path == "/billing/sign-in"


def _forged(locked: Locked, ticket: str) -> str:
    return ticket[:-2] + ("AA" if ticket[-2:] != "AA" else "BB")


def _of_another_key(locked: Locked, ticket: str) -> str:
    locked.app.config["SECRET_KEY"] = "another"
    with locked.app.app_context():
        made = tickets.ticket_for(db.session.scalars(sa.select(Workspace)).one())
    locked.app.config["SECRET_KEY"] = "a key for tests only, known to everybody"
    return made


def _not_the_owners(locked: Locked, ticket: str) -> str:
    """… any more: it was somebody else's when the ticket was made."""
    with locked.app.app_context(), db.session.no_autoflush:
        workspace = db.session.scalars(sa.select(Workspace)).one()
        workspace.owner_id += 1
        made = tickets.ticket_for(workspace)
        db.session.rollback()
    return made


@pytest.mark.parametrize(
    "other",
    [
        lambda locked, ticket: "",
        lambda locked, ticket: "\x00",
        _forged,
        _of_another_key,
        _not_the_owners,
        lambda locked, ticket: ticket.rpartition(".")[0],
        lambda locked, ticket: "W10.aaaa.bbbb",
    ],
)
def test_a_ticket_that_is_not_ours_or_not_for_its_owner_leads_nowhere(
    locked: Locked, other: Callable[[Locked, str], str]
) -> None:
    with clock.at(START + DAY):
        page = locked.sign_in()
        ticket = page.form("Unlock now").fields["ticket"][0]
        before = rows_of(locked.app)
        told = locked.client.post("/billing/unlock", {"ticket": other(locked, ticket)})
        assert (told.status, told.h1) == (400, "Open the workspace again")
        assert "Harbour" not in told.text
        assert rows_of(locked.app) == before


def test_a_ticket_works_for_a_quarter_of_an_hour(locked: Locked, monkeypatch: pytest.MonkeyPatch) -> None:
    with clock.at(START + DAY):
        ticket = {"ticket": locked.sign_in().form("Unlock now").fields["ticket"][0]}
        assert locked.client.post("/billing/unlock", ticket).status == 303
    with clock.at(START + DAY + timedelta(seconds=tickets.LIFE)):
        assert locked.client.post("/billing/unlock", ticket).status == 303
    with clock.at(START + DAY + timedelta(seconds=tickets.LIFE + 1)):
        assert locked.client.post("/billing/unlock", ticket).status == 400


# ── dissolve ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("area", ["console", "billing"])
def test_a_locked_workspace_is_dissolved_by_whoever_types_its_name(locked: Locked, area: str) -> None:
    with clock.at(START + DAY):
        if area == "console":
            locked.customer.sign_in(locked.client)
        else:
            locked.customer.sign_in_to_billing(locked.client)
        page = locked.client.get(f"{getattr(locked, area)}/dissolve")
        assert page.h1 == "Dissolve Harbour"
        assert "at once and for good" in page.text
        for wrong in ("", "harbour", "Harbour 2"):
            refused = locked.client.submit(page, "Dissolve", name=wrong)
            assert refused.errors == {"name": "Type the name of the workspace exactly as it stands above"}
        assert locked.state() != DISSOLVED
        done = locked.client.submit(page, "Dissolve", name=" Harbour ")
        assert "Harbour is dissolved. It and its data are deleted." in done.text
        assert locked.state() == DISSOLVED
        assert done.h1 == {"console": "You have no workspace yet", "billing": "Workspace management"}[area]
        again = locked.client.submit(page, "Dissolve", name="Harbour")  # The second click.
        assert "Harbour is dissolved." in again.text
        if area == "console":
            assert locked.client.get(locked.console).h1 == "Harbour is dissolved"
            assert "Dissolved" in locked.client.get(f"{locked.console}/billing").text


def test_what_was_unlocked_in_another_tab_is_not_dissolved(locked: Locked) -> None:
    with clock.at(START + DAY):
        locked.sign_in()
        page = locked.client.get(f"{locked.console}/dissolve")
        other = tab(locked.client)
        locked.settle()
        told = other.submit(page, "Dissolve", name="Harbour")
        assert told.h1 == "Harbour cannot be dissolved"
        assert "Only a locked workspace can be dissolved. Billing Center account" in told.text
        assert locked.state() != DISSOLVED
