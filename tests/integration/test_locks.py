"""Two weeks of a lock: who is written to on which day, who is closed and who is not, whenever the calendar runs."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_babel import force_locale

from config import Settings
from tests.support.mailbox import Mailbox
from tests.support.races import race, results
from tests.support.world import World
from wizard import clock, outbox, worker
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing import locks, notices, settlement
from wizard.billing.models import (
    ACTIVE,
    CANCELLED,
    CLOSED,
    DEPROVISIONED,
    DISSOLVED,
    EXPIRED,
    FAILED,
    LOCKED,
    SETTLED,
    TERMINATED,
    Settlement,
    Subscription,
    Workspace,
)
from wizard.billing.wording import end_of
from wizard.extensions import db
from wizard.outbox.models import OutboxEntry
from wizard.sites.gateway import Access, LocalConsole

START = datetime(2026, 3, 24, 18, 40, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(seconds=1)
MANY = 8


class Site(LocalConsole):
    """A site that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def set_access(self, site_id: str, accesses: Sequence[Access]) -> None:
        super().set_access(site_id, accesses)
        self.told += [(access.public_id, access.state) for access in accesses]


class Company:
    """Ada's company: her Billing Center account pays for Harbour and Pier, which are hers, and for Quay, which is
    Zoe's, by one purchase at AWS."""

    def __init__(self, app: Flask, work: Callable[[], int]) -> None:
        self.app, self._work = app, work
        app.extensions["console_gateway"] = self.site = Site()
        self._rows: tuple[int, int, int] | None = None
        with self.at(START):
            self.world = World()
            self.bought = self.world.purchase("1", account="441722908813")
            zoe = self.world.person("zoe", "us1")
            owners = {"Harbour": self.world.owner, "Pier": self.world.owner, "Quay": zoe}
            made = {
                name: self.world.workspace(self.bought, name=name, owner=owner)
                for name, owner in owners.items()
            }
            self.ids = {name: workspace.id for name, workspace in made.items()}
            self.public_ids = {name: workspace.public_id for name, workspace in made.items()}
            self._rows = (self.world.owner.id, self.world.payer.id, self.bought.id)

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        """Inside the application, at a moment that stands still."""
        with clock.at(moment), self.app.app_context():
            if self._rows:
                owner, payer, bought = self._rows
                self.world.owner = db.session.get_one(ConsoleAccount, owner)
                self.world.payer = db.session.get_one(BillingAccount, payer)
                self.bought = db.session.get_one(Subscription, bought)
            yield

    def end(self, why: str = CANCELLED, moment: datetime = START) -> None:
        with self.at(moment):
            self.world.end(self.bought, why)

    def work(self, moment: datetime) -> None:
        """Everything that is due at this moment is done, nobody's calendar is looked at."""
        with clock.at(moment):
            self._work()

    def day(self, moment: datetime) -> None:
        """What a worker does at this moment, its calendar included."""
        with clock.at(moment):
            worker.keep_calendar(self.app)
            self._work()

    def settle(self, name: str, moment: datetime) -> None:
        """Its Billing Center account pays for this workspace from now on: that unlocks it."""
        with self.at(moment):
            settlement.settle([self.workspace(name)], None, by="test")
            db.session.commit()

    def workspace(self, name: str) -> Workspace:
        return db.session.get_one(Workspace, self.ids[name])

    def states(self) -> dict[str, str]:
        with self.app.app_context():
            rows = db.session.execute(sa.select(Workspace.name, Workspace.state))
            return {row.name: row.state for row in rows}

    def history(self, name: str) -> list[str]:
        with self.app.app_context():
            lines = sa.select(Settlement.what).where(Settlement.workspace_id == self.ids[name])
            return list(db.session.scalars(lines.order_by(Settlement.number)))


@pytest.fixture
def company(app: Flask, work: Callable[[], int]) -> Company:
    return Company(app, work)


def due(kind: str) -> int:
    """How many side effects of a kind there are."""
    wanted = sa.select(sa.func.count()).select_from(OutboxEntry).where(OutboxEntry.kind == kind)
    return db.session.scalar(wanted) or 0


def subjects(mailbox: Mailbox) -> list[tuple[str, str]]:
    """Who was written what, oldest first."""
    return [(mail.to, mail.subject) for mail in reversed(mailbox.all())]


# ── the day it ends ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite")
def test_everybody_concerned_is_written_to_once_about_what_is_theirs(
    company: Company, mailbox: Mailbox
) -> None:
    company.end()
    company.work(START)
    company.work(START + DAY)
    (to_payer,), (to_owner,) = mailbox.to("ada@harbour.test"), mailbox.to("zoe@harbour.test")
    assert len(mailbox.all()) == 2
    assert to_payer.subject == "3 of your Skylark workspaces are locked"
    for said in (
        "AWS account 4417 2290 8813 cancelled its subscription on 24 March 2026",
        "us1 Oregon: Harbour, Pier, Quay\n",
        "Unlock by: 7 April 2026, 18:40 (UTC)",
        "Bind another cloud account, subscribe again at AWS, or settle from the Billing Center account.",
        "http://127.0.0.1:5000/billing/workspaces\n",
    ):
        assert said in to_payer.text.replace("\N{NO-BREAK SPACE}", " ")
    assert to_owner.subject == "Your Skylark workspace is locked"
    assert "us1 Oregon: Quay\n" in to_owner.text
    assert "Harbour" not in to_owner.text
    assert "Billing Center account ada unlocks there" in to_owner.text
    assert f"http://127.0.0.1:5000/console/workspaces/{company.public_ids['Quay']}\n" in to_owner.text


@pytest.mark.engines("sqlite")
def test_who_owns_workspaces_on_several_sites_gets_one_mail_and_who_reads_chinese_a_chinese_one(
    app: Flask, work: Callable[[], int], mailbox: Mailbox
) -> None:
    company = Company(app, work)
    with company.at(START):
        abroad = company.world.person("zoe", "eu1")
        company.world.workspace(company.bought, name="Mole", owner=abroad, site_id="eu1")
        db.session.execute(sa.update(ConsoleAccount).values(locale="zh"))
        db.session.commit()
    company.end()
    company.work(START)
    (mail,) = mailbox.to("zoe@harbour.test")
    assert mail.subject == "您的 Skylark 工作空间已锁定（2 个）"
    for said in ("us1 俄勒冈：Quay\n", "eu1 法兰克福：Mole\n", "2026年4月8日 02:40（UTC+8）", "/console/\n"):
        assert said in mail.text


@pytest.mark.engines("sqlite")
def test_a_mail_names_ten_and_counts_the_others(
    app: Flask, work: Callable[[], int], mailbox: Mailbox
) -> None:
    company = Company(app, work)
    with company.at(START):
        for number in range(9):
            company.world.workspace(company.bought, name=f"Buoy {number}")
    company.end()
    company.work(START)
    (mail,) = mailbox.to("ada@harbour.test")
    assert mail.subject.startswith("12 of your")
    assert len(re.findall(r"Harbour|Pier|Quay|Buoy \d", mail.text)) == notices.NAMED == 10
    assert "Others: 2\n" in mail.text


@pytest.mark.parametrize(
    ("why", "said"),
    [
        (CANCELLED, "AWS account 4417 2290 8813 cancelled its subscription"),
        (EXPIRED, "The subscription of AWS account 4417 2290 8813 expired"),
        (TERMINATED, "The subscription of AWS account 4417 2290 8813 was terminated"),
        (FAILED, "The subscription of AWS account 4417 2290 8813 failed"),
        (DEPROVISIONED, "The subscription of AWS account 4417 2290 8813 ended"),
    ],
)
@pytest.mark.engines("sqlite")
def test_what_is_said_is_true_for_every_reason_of_an_end(company: Company, why: str, said: str) -> None:
    company.end(why)
    with company.at(START), force_locale("en"):
        assert end_of(company.bought).replace("\N{NO-BREAK SPACE}", " ") == said


@pytest.mark.engines("sqlite")
def test_a_mail_says_what_is_true_when_it_is_sent(company: Company, mailbox: Mailbox) -> None:
    company.end()
    for name in ("Harbour", "Quay"):
        company.settle(name, START)
    company.work(START)
    (mail,) = mailbox.all()  # Nothing of Zoe's is locked any more.
    assert mail.subject == "Your Skylark workspace is locked"
    assert "us1 Oregon: Pier\n" in mail.text


@pytest.mark.engines("sqlite")
def test_nobody_is_written_to_about_an_end_that_was_taken_back(company: Company, mailbox: Mailbox) -> None:
    company.end()
    with company.at(START):
        while not due("billing.tell_ended"):
            assert outbox.run_due("once", most=1)
    with company.at(START):
        company.world.revive(company.bought)
    company.work(START)
    assert not mailbox.all()
    with company.app.app_context():
        assert not settlement.is_locked(company.workspace("Harbour"))


@pytest.mark.engines("sqlite")
def test_where_the_billing_center_account_pays_on_nothing_locks_and_a_mail_says_who_pays_now(
    make_app: Any, settings: Settings, mailbox: Mailbox
) -> None:
    app = make_app(replace(settings, aws_on_cancel="billing_center"))

    def work() -> int:
        return worker.run_once(app)

    company = Company(app, work)
    company.end()
    company.work(START)
    assert sorted(subjects(mailbox)) == [
        ("ada@harbour.test", "What pays for 3 Skylark workspaces has changed"),
        ("zoe@harbour.test", "What pays for your Skylark workspace has changed"),
    ]
    assert "Pays now: Billing Center account ada\n" in mailbox.to("zoe@harbour.test")[0].text
    company.day(START + 30 * DAY)
    assert set(company.states().values()) == {ACTIVE}
    assert company.history("Quay") == [SETTLED, SETTLED]
    assert len(mailbox.all()) == 2


# ── the calendar ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_warning_comes_on_the_eleventh_day_and_the_end_on_the_fourteenth_each_once(
    company: Company, mailbox: Mailbox
) -> None:
    company.end()
    company.day(START)
    told = subjects(mailbox)
    company.day(START + 11 * DAY - TICK)
    assert subjects(mailbox) == told
    for _twice in range(2):
        company.day(START + 11 * DAY)
    warned = subjects(mailbox)[len(told) :]
    assert sorted(warned) == [
        ("ada@harbour.test", "Unlock 3 Skylark workspaces by 7 April 2026"),
        ("zoe@harbour.test", "Unlock your Skylark workspace by 7 April 2026"),
    ]
    company.day(START + 14 * DAY - TICK)
    assert set(company.states().values()) == {ACTIVE}
    for _twice in range(2):
        company.day(START + 14 * DAY)
    assert set(company.states().values()) == {CLOSED}
    assert company.history("Quay") == [SETTLED, LOCKED, CLOSED]
    assert company.site.told[-3:] == [(company.public_ids[name], "closed") for name in company.ids]
    closed = subjects(mailbox)[len(told) + len(warned) :]
    assert sorted(closed) == [
        ("ada@harbour.test", "3 of your Skylark workspaces are closed"),
        ("zoe@harbour.test", "Your Skylark workspace is closed"),
    ]
    company.day(START + 40 * DAY)
    assert len(mailbox.all()) == 6


@pytest.mark.engines("sqlite")
def test_however_late_the_calendar_runs_nobody_is_closed_unwarned(company: Company, mailbox: Mailbox) -> None:
    company.end()
    company.work(START)
    late = START + 19 * DAY
    company.day(late)
    assert set(company.states().values()) == {ACTIVE}
    (_first, warning) = reversed(mailbox.to("zoe@harbour.test"))
    assert warning.subject == "Unlock your Skylark workspace by 15 April 2026"
    assert "Unlock by: 15 April 2026, 18:40 (UTC)" in warning.text
    company.day(late + 3 * DAY - TICK)
    assert set(company.states().values()) == {ACTIVE}
    company.day(late + 3 * DAY)
    assert set(company.states().values()) == {CLOSED}


@pytest.mark.engines("sqlite")
def test_before_the_late_warning_a_page_promises_the_three_days_too(company: Company) -> None:
    company.end()
    with company.at(START + 20 * DAY):
        assert locks.time_left(company.workspace("Quay")) == 3 * DAY


@pytest.mark.engines("sqlite")
def test_what_is_unlocked_after_the_warning_stays_and_only_the_others_are_closed(
    company: Company, mailbox: Mailbox
) -> None:
    company.end()
    company.day(START + 11 * DAY)
    company.settle("Quay", START + 13 * DAY)
    company.day(START + 14 * DAY)
    assert company.states() == {"Harbour": CLOSED, "Pier": CLOSED, "Quay": ACTIVE}
    assert company.history("Quay") == [SETTLED, LOCKED, SETTLED]
    assert (company.public_ids["Quay"], "open") in company.site.told
    (closed,) = (mail for mail in mailbox.all() if "closed" in mail.subject)
    assert "us1 Oregon: Harbour, Pier\n" in closed.text


@pytest.mark.engines("sqlite")
def test_closing_goes_by_batches_and_is_told_once(
    company: Company, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks.endings, "BATCH", 2)
    company.end()
    company.day(START + 11 * DAY)
    company.day(START + 14 * DAY)
    assert set(company.states().values()) == {CLOSED}
    assert sorted(told for _to, told in subjects(mailbox) if "closed" in told) == [
        "3 of your Skylark workspaces are closed",
        "Your Skylark workspace is closed",
    ]


def test_workers_at_the_same_moment_warn_once_and_close_once(company: Company, mailbox: Mailbox) -> None:
    company.end()
    company.work(START)
    for moment in (START + 11 * DAY, START + 14 * DAY):
        with clock.at(moment):
            results(race(MANY, lambda _number: worker.keep_calendar(company.app)))
        company.work(moment)
    assert len(mailbox.all()) == 6
    assert company.history("Pier") == [SETTLED, LOCKED, CLOSED]


# ── dissolving ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def locked(company: Company) -> Company:
    company.end()
    company.work(START)
    return company


def test_a_locked_workspace_is_dissolved_once_and_is_no_longer_closed(locked: Company) -> None:
    for _twice in range(2):
        with locked.at(START + DAY):
            locks.dissolve(locked.workspace("Quay"), by="console account 2")
            db.session.commit()
    locked.work(START + DAY)
    assert locked.history("Quay") == [SETTLED, LOCKED, DISSOLVED]
    assert locked.site.told[-1] == (locked.public_ids["Quay"], "dissolved")
    locked.day(START + 11 * DAY)
    locked.day(START + 14 * DAY)
    assert locked.states() == {"Harbour": CLOSED, "Pier": CLOSED, "Quay": DISSOLVED}


@pytest.mark.engines("sqlite")
def test_what_is_not_locked_is_not_dissolved(locked: Company) -> None:
    with locked.at(START + DAY):
        free = locked.world.workspace(name="Free")
        with pytest.raises(locks.CannotDissolve):
            locks.dissolve(free, by="test")


def test_what_was_unlocked_since_it_was_looked_at_is_not_dissolved(locked: Company) -> None:
    with locked.at(START + DAY):
        seen = locked.workspace("Quay")
        assert settlement.is_locked(seen)
        db.session.commit()
        with locked.app.app_context():
            settlement.settle([locked.workspace("Quay")], None, by="test")
            db.session.commit()
        with pytest.raises(locks.CannotDissolve):
            locks.dissolve(seen, by="test")
    assert locked.history("Quay") == [SETTLED, LOCKED, SETTLED]
