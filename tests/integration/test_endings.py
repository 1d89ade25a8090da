"""A subscription that ends, comes back or is followed by another: what that does to the workspaces it paid for."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.support.races import race, results
from tests.support.statements import watch
from tests.support.world import World
from wizard import clock, worker
from wizard.billing import endings, locks, settlement, subscriptions, workspaces
from wizard.billing.models import (
    AWS,
    BILLING_CENTER,
    CANCELLED,
    CLOSED,
    DEPROVISIONED,
    DISSOLVED,
    ENDED,
    LOCKED,
    NONE,
    RENEWED,
    SETTLED,
    UNLOCKED,
    Settlement,
    Subscription,
    Workspace,
)
from wizard.extensions import db
from wizard.outbox.models import OutboxEntry
from wizard.sites.gateway import Access, SiteUnreachable

DAY = timedelta(days=1)


class Sites:
    """The sites as they were told, each workspace as of the newest revision."""

    def __init__(self) -> None:
        self.known: dict[str, Access] = {}
        self.calls = 0
        self.away = 0

    def create_workspace(self, site_id: str, workspace: Any) -> None:
        pass

    def set_access(self, site_id: str, accesses: Sequence[Access]) -> None:
        self.calls += 1
        if self.away:
            self.away -= 1
            raise SiteUnreachable("not now")
        for told in accesses:
            before = self.known.get(told.public_id)
            if before is None or before.revision < told.revision:
                self.known[told.public_id] = told

    def state(self, workspace: Workspace) -> str | None:
        told = self.known.get(workspace.public_id)
        return told and told.state


@pytest.fixture
def sites(app: Flask) -> Sites:
    told = Sites()
    app.extensions["console_gateway"] = told
    return told


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of two, so that a handful of workspaces is many."""
    monkeypatch.setattr(endings, "BATCH", 2)


def history(workspace: Workspace) -> list[tuple[str, str]]:
    rows = db.session.scalars(
        sa.select(Settlement).where(Settlement.workspace_id == workspace.id).order_by(Settlement.number)
    )
    return [(row.what, row.method) for row in rows]


def work(app: Flask) -> None:
    """Do what is due, and look at the rows anew."""
    db.session.commit()
    worker.run_once(app)
    db.session.expire_all()


def mails(what: str) -> list[tuple[str, int]]:
    """The mails of one kind that are on their way or gone: to whom."""
    entries = db.session.scalars(sa.select(OutboxEntry).where(OutboxEntry.kind == "billing.tell_ended"))
    return [(e.payload["area"], e.payload["account"]) for e in entries if e.payload["what"] == what]


# ── it ends ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_its_workspaces_are_locked_the_moment_it_ends_and_their_rows_follow(
    app: Flask, sites: Sites, small: None
) -> None:
    with app.app_context():
        world = World()
        bought, other = world.purchase("1"), world.purchase("2")
        mine = [world.workspace(bought, name=f"Harbour {n}") for n in range(5)]
        others = [world.workspace(other), world.workspace()]
        assert world.end(bought)
        for workspace in mine:
            assert settlement.is_locked(workspace)
            assert settlement.method(workspace) == NONE
            assert settlement.payer(workspace) is None
            assert workspace.locked_at is None, "no row of theirs was written yet"
        assert set(db.session.scalars(sa.select(Workspace.id).where(settlement.locked()))) == {
            workspace.id for workspace in mine
        }
        work(app)
        for workspace in mine:
            assert settlement.is_locked(workspace)
            assert workspace.locked_at == bought.stopped_at
            assert history(workspace) == [(SETTLED, AWS), (LOCKED, NONE)]
            assert sites.state(workspace) == "locked"
        for workspace in others:
            assert not settlement.is_locked(workspace)
            assert len(history(workspace)) == 1
            assert sites.state(workspace) is None


@pytest.mark.engines("sqlite")
def test_its_end_is_as_short_a_transaction_for_many_workspaces_as_for_one(app: Flask, sites: Sites) -> None:
    needed = []
    with app.app_context():
        world = World()
        for number, count in (("1", 1), ("2", 40)):
            bought = world.purchase(number)
            for _ in range(count):
                world.workspace(bought)
            with watch() as sql:
                world.end(bought)
            needed.append(len(sql.statements))
    assert needed[0] == needed[1] <= 4


def test_one_mail_goes_to_each_address_however_many_workspaces_and_accounts_it_has(
    app: Flask, sites: Sites, small: None
) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        people = [world.person(f"nora{n}") for n in range(3)]
        twice = world.person("nora0", "eu1", email=people[0].email)
        for owner in [world.owner, *people, *people, twice]:
            world.workspace(bought, owner=owner, site_id=owner.site_id)
        world.end(bought)
        work(app)
        told = mails("ended")
        assert ("billing", world.payer.id) in told, "whose address is that of an owner too"
        assert Counter(area for area, _account in told) == {"billing": 1, "console": 3}
        assert world.end(bought) is False
        work(app)
        assert mails("ended") == told


@pytest.mark.engines("sqlite")
def test_a_site_that_cannot_be_reached_is_told_later_what_is_true_then(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        workspace = world.workspace(bought)
        world.end(bought)
        sites.away = 1
        work(app)
        assert sites.state(workspace) is None
        settlement.settle([workspace], None, by="test")
        with clock.at(clock.now() + timedelta(minutes=1)):
            work(app)
        assert sites.state(workspace) == "open"
        told = sites.known[workspace.public_id]
        assert told.revision == workspace.settlement_number, "nothing older overtakes it"


@pytest.mark.engines("sqlite")
def test_a_workspace_its_site_has_not_made_yet_is_locked_when_it_is_made(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        workspace = world.workspace(bought, state="being_made")
        world.end(bought)
        db.session.execute(sa.delete(OutboxEntry).where(OutboxEntry.kind == "billing.make_workspace"))
        work(app)
        assert sites.state(workspace) is None
        workspaces.make({"workspace": workspace.id}, 1)
        work(app)
        workspace = db.session.get_one(Workspace, workspace.id)
        assert sites.state(workspace) == "locked"
        assert settlement.is_locked(workspace)


# ── it comes back, or another follows ───────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite")
def test_what_ended_by_mistake_goes_on_and_its_workspaces_with_it(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        told, untold = world.workspace(bought), world.workspace(bought, state="being_made")
        world.end(bought)
        work(app)
        assert world.revive(bought)
        for workspace in (told, untold):
            assert not settlement.is_locked(workspace)
            assert settlement.payer(workspace) is bought
        work(app)
        assert history(told) == [(SETTLED, AWS), (LOCKED, NONE), (UNLOCKED, AWS)]
        assert sites.state(told) == "open"
        assert told.settlement_changed_at is None, "none of it counts as a change"


def renewal(number: str) -> subscriptions.Purchase:
    return subscriptions.Purchase(
        AWS, "aws", f"aws:aws:agreement:agmt-{number}", "p", "1".zfill(12), f"agmt-{number}"
    )


@pytest.mark.parametrize("known", ["with its end", "later"])
def test_a_renewal_locks_nothing_and_takes_over(app: Flask, sites: Sites, small: None, known: str) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        mine = [world.workspace(bought) for _ in range(3)]
        follower = renewal("2") if known == "with its end" else None
        world.end(bought, RENEWED, successor=follower)
        work(app)
        if follower is None:
            for workspace in mine:
                assert not settlement.is_locked(workspace)
                assert settlement.payer(workspace) is bought, "until it is known they stay"
            world.end(bought, RENEWED, successor=renewal("2"))
        for workspace in mine:
            paying = settlement.payer(workspace)
            assert paying is not None
            assert paying.agreement_id == "agmt-2"
            assert paying.billing_account_id == world.payer.id
        work(app)
        for workspace in mine:
            assert workspace.subscription_id == bought.successor_id
            assert history(workspace) == [(SETTLED, AWS), (SETTLED, AWS)]
        assert mails("ended") == []
        second = db.session.get_one(Subscription, bought.successor_id)
        world.end(second)
        work(app)
        assert all(settlement.is_locked(workspace) for workspace in mine)


@pytest.mark.engines("sqlite")
def test_who_learns_first_that_the_licence_is_gone_and_then_that_it_was_renewed_unlocks(
    app: Flask, sites: Sites
) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        workspace = world.workspace(bought)
        world.end(bought, DEPROVISIONED)
        work(app)
        assert settlement.is_locked(workspace)
        world.end(bought, RENEWED, successor=renewal("2"))
        assert not settlement.is_locked(workspace)
        work(app)
        assert not settlement.is_locked(workspace)
        assert sites.state(workspace) == "open"


@pytest.mark.engines("sqlite")
def test_a_renewal_that_another_account_has_claimed_takes_over_nothing(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world, stranger = World(), World("mallory")
        bought = world.purchase("1")
        workspace = world.workspace(bought)
        stranger.purchase("2", account="1")
        world.end(bought, RENEWED, successor=renewal("2"))
        work(app)
        assert bought.successor_id is None
        assert settlement.payer(workspace) is bought


@pytest.mark.engines("sqlite")
def test_a_later_word_on_why_it_ended_tells_nobody_twice(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        world.workspace(bought)
        world.end(bought, DEPROVISIONED)
        work(app)
        stopped = bought.stopped_at
        with clock.at(clock.now() + DAY):
            assert world.end(bought, CANCELLED)
            work(app)
        assert bought.why == CANCELLED
        assert bought.stopped_at == stopped
        assert len(mails("ended")) == 1


def test_who_subscribes_again_gets_back_what_was_paid_for(app: Flask, sites: Sites, small: None) -> None:
    with app.app_context():
        world = World()
        bought, elsewhere = world.purchase("1", account="1"), world.purchase("2", account="2")
        mine, other = [world.workspace(bought) for _ in range(3)], world.workspace(elsewhere)
        left = world.workspace(bought)
        world.end(bought)
        world.end(elsewhere)
        settlement.settle([left], None, by="test")
        work(app)
        again = world.purchase("3", account="1")
        work(app)
        for workspace in mine:
            assert settlement.payer(workspace) is not None
            assert workspace.subscription_id == again.id
            assert workspace.locked_at is None
            assert sites.state(workspace) == "open"
            assert history(workspace)[-1] == (SETTLED, AWS)
        assert settlement.is_locked(other), "another cloud account paid for it"
        assert settlement.method(left) == BILLING_CENTER, "it was unlocked another way"


@pytest.mark.engines("sqlite")
def test_what_a_stranger_subscribes_to_with_the_same_cloud_account_brings_nothing_back(
    app: Flask, sites: Sites
) -> None:
    with app.app_context():
        world, stranger = World(), World("mallory")
        bought = world.purchase("1", account="1")
        workspace = world.workspace(bought)
        world.end(bought)
        stranger.purchase("2", account="1")
        work(app)
        assert settlement.is_locked(workspace)


@pytest.mark.engines("sqlite")
def test_a_purchase_that_was_claimed_before_takes_over_nothing_when_another_ends(
    app: Flask, sites: Sites
) -> None:
    with app.app_context():
        world = World()
        bought, beside = world.purchase("1", account="1"), world.purchase("2", account="1")
        workspace = world.workspace(bought)
        work(app)
        world.end(bought)
        work(app)
        subscriptions.claim(beside.id, world.payer.id)
        work(app)
        assert settlement.is_locked(workspace)


@pytest.mark.engines("sqlite")
def test_ended_renewed_and_ended_again_finds_the_last_of_the_chain(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        first = world.purchase("1", account="1")
        workspace = world.workspace(first)
        world.end(first)
        second = world.purchase("2", account="1")
        world.end(second)  # … before anything has followed.
        third = world.purchase("3", account="1")
        work(app)
        work(app)
        assert settlement.payer(workspace) is not None
        assert workspace.subscription_id == third.id
        assert sites.state(workspace) in (None, "open")


def heard(world: World, bought: Subscription, ended_at: datetime, why: str = CANCELLED) -> None:
    """Its marketplace says that it ended then."""
    subscriptions.hold(bought)
    endings.live(bought, endings.Life(ended_at, why))
    db.session.commit()


@pytest.mark.engines("sqlite")
def test_an_end_that_is_heard_of_after_the_re_subscription_locks_nothing(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1", account="1")
        workspace = world.workspace(bought)
        cancelled_at = clock.now()
        again = world.purchase("2", account="1")
        work(app)
        heard(world, bought, cancelled_at)
        assert settlement.payer(workspace) is not None
        work(app)
        assert workspace.subscription_id == again.id
        assert mails("ended") == []


@pytest.mark.engines("sqlite")
def test_another_renewal_of_the_same_cloud_account_brings_nothing_back_and_holds_no_closing_up(
    app: Flask, sites: Sites
) -> None:
    with app.app_context():
        world = World()
        bought, other = world.purchase("1", account="1"), world.purchase("5", account="1")
        workspace = world.workspace(bought)
        work(app)
        world.end(bought)
        start = bought.stopped_at
        assert start is not None
        with clock.at(start + DAY):
            world.end(other, RENEWED, successor=renewal("6"))
            work(app)
        assert settlement.is_locked(workspace)
        for days in (11, 14):
            calendar(app, start + days * DAY)
        assert workspace.state == CLOSED


@pytest.mark.engines("sqlite")
def test_what_goes_on_again_is_followed_by_nothing_any_more(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1", account="1")
        world.end(bought)
        world.purchase("2", account="1")
        work(app)
        assert bought.successor_id is not None
        world.revive(bought)
        workspace = world.workspace(bought)
        world.end(bought)
        work(app)
        assert settlement.is_locked(workspace), "the other one ran beside it"


@pytest.mark.engines("sqlite")
def test_what_was_renewed_as_nobody_has_told_what_stays_and_may_leave_at_any_time(
    app: Flask, sites: Sites
) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1", account="1")
        leaves, stays = world.workspace(bought), world.workspace(bought)
        world.end(bought, RENEWED)
        work(app)
        db.session.execute(sa.update(Workspace).values(settlement_changed_at=clock.now()))
        assert settlement.settle([leaves], None, by="test") == [leaves]
        work(app)
        other = world.purchase("2", account="1")
        work(app)
        assert leaves.subscription_id is None
        assert settlement.payer(stays) is not other, "its renewal may yet be told"
        assert settlement.settle([stays], other, by="test") == [stays]


@pytest.mark.engines("sqlite")
def test_where_the_policy_says_so_the_billing_center_account_pays_from_then_on(
    make_app: Callable[[Settings], Flask], settings: Settings
) -> None:
    app = make_app(replace(settings, aws_on_cancel="billing_center"))
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        workspace = world.workspace(bought)
        world.end(bought)
        assert not settlement.is_locked(workspace)
        assert settlement.method(workspace) == BILLING_CENTER
        work(app)
        assert history(workspace) == [(SETTLED, AWS), (SETTLED, BILLING_CENTER)]
        assert workspace.settlement_changed_at is None
        assert mails("switched") == [("billing", world.payer.id)]
        assert mails("ended") == []
        world.revive(bought)
        assert settlement.method(workspace) == BILLING_CENTER, "nobody moves a bill back without a word"
        work(app)
        assert history(workspace)[-1] == (SETTLED, BILLING_CENTER)


# ── locked: the days, the ways out ──────────────────────────────────────────────────────────────────────────


@pytest.mark.engines("sqlite")
def test_a_locked_workspace_has_fourteen_days_from_when_we_learned_it(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        workspace = world.workspace(bought)
        subscriptions.hold(bought)
        endings.live(bought, endings.Life(clock.now() - 5 * DAY, CANCELLED))
        assert locks.time_left(workspace) > 13 * DAY
        bought.warned_at = clock.now() + 11 * DAY
        with clock.at(clock.now() + 20 * DAY):
            assert locks.time_left(workspace) == timedelta()


def calendar(app: Flask, when: Any) -> None:
    with clock.at(when):
        db.session.commit()
        worker.keep_calendar(app)
        work(app)


@pytest.mark.engines("sqlite")
def test_what_was_unlocked_is_neither_warned_nor_closed(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1", account="1")
        mine = [world.workspace(bought) for _ in range(2)]
        world.end(bought)
        start = bought.stopped_at
        assert start is not None
        settlement.settle(mine[:1], None, by="test")
        calendar(app, start + 11 * DAY)
        again = world.purchase("2", account="1")
        calendar(app, start + 15 * DAY)
        assert settlement.method(mine[0]) == BILLING_CENTER
        assert settlement.payer(mine[1]) is not None
        assert again.id == mine[1].subscription_id
        assert mails("closed") == []


@pytest.mark.engines("sqlite")
def test_a_locked_workspace_can_be_dissolved_and_no_other(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        workspace, fine = world.workspace(bought), world.workspace()
        with pytest.raises(locks.CannotDissolve):
            locks.dissolve(fine, by="test")
        with pytest.raises(locks.CannotDissolve):
            locks.dissolve(workspace, by="test")
        world.end(bought)
        work(app)
        locks.dissolve(workspace, by="console account 1")
        work(app)
        assert workspace.state == DISSOLVED
        assert history(workspace)[-1] == (DISSOLVED, NONE)
        assert sites.state(workspace) == "dissolved"
        again = world.purchase("2", account="1")
        work(app)
        assert workspace.subscription_id != again.id, "what is dissolved does not come back"


# ── several workspaces at once, and several people ──────────────────────────────────────────────────────────


def test_several_workspaces_are_settled_together_or_not_at_all(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        first, second, gone = world.purchase("1"), world.purchase("2"), world.purchase("3")
        world.end(gone)
        free, also, paid = world.workspace(), world.workspace(), world.workspace(first)
        with pytest.raises(settlement.CannotSettle) as no:
            settlement.settle([free, paid], second, by="test")
        assert no.value.workspace is paid
        assert no.value.refusal.reason == settlement.OTHER_PAYS
        db.session.execute(
            sa.update(Workspace).where(Workspace.id == also.id).values(subscription_id=gone.id),
            execution_options={"synchronize_session": False},
        )
        with pytest.raises(settlement.CannotSettle) as no:
            settlement.settle([free, also], second, by="test")
        assert no.value.refusal.reason == settlement.CHANGED
        db.session.execute(sa.update(Workspace).where(Workspace.id == also.id).values(subscription_id=None))
        db.session.commit()
        db.session.expire_all()
        assert free.subscription_id is also.subscription_id is None
        needed = []
        for some in ([free, also], [world.workspace() for _ in range(9)]):
            read_already = [(w.name, w.billing_account.id, second.cloud_account.id) for w in some]
            with watch() as sql:
                assert settlement.settle(some, second, by="test") == some, read_already
            needed.append(len(sql.statements))
        assert needed[1] == 5, (
            "the subscription, the workspaces twice, two lines of their histories, however many"
        )
        db.session.commit()
        assert settlement.settle([free, also], second, by="test") == []


@pytest.mark.engines("sqlite")
def test_what_was_only_written_down_meanwhile_keeps_nobody_from_unlocking(app: Flask, sites: Sites) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        workspace = world.workspace(bought)
        world.end(bought)
        assert settlement.is_locked(workspace), "as somebody has just read it"
        db.session.commit()
        worker.run_once(app)
        assert settlement.settle([workspace], None, by="test") == [workspace]
        work(app)
        assert history(workspace) == [(SETTLED, AWS), (LOCKED, NONE), (SETTLED, BILLING_CENTER)]
        assert sites.state(workspace) == "open"


@pytest.mark.engines("sqlite")
def test_a_claim_of_a_process_of_the_version_before_is_no_first_claim(app: Flask) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1", account="1")
        beside = world.purchase("2", account="1", claimed=False)
        world.end(bought)
        beside.billing_account_id = world.payer.id
        db.session.commit()
        assert subscriptions.claim(beside.id, world.payer.id) == []
        db.session.refresh(beside)
        assert beside.claimed_at == beside.created_at


def test_an_end_and_a_binding_at_once_leave_no_workspace_that_nobody_looks_after(app: Flask) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        ids = [world.workspace().id for _ in range(8)]
        purchase = bought.id

    def run(number: int) -> str:
        with app.app_context():
            mine = db.session.get_one(Subscription, purchase)
            if number == 3:
                subscriptions.hold(mine)
                endings.live(mine, endings.Life(clock.now(), CANCELLED))
                db.session.commit()
                return "ended"
            workspace = db.session.get_one(Workspace, ids[number])
            try:
                settlement.settle([workspace], mine, by="test")
            except settlement.CannotSettle as no:
                db.session.rollback()
                return no.refusal.reason
            db.session.commit()
            return "bound"

    answers = results(race(8, run))
    assert set(answers) <= {"ended", "bound", settlement.SUBSCRIPTION_ENDED}
    with app.app_context():
        db.session.rollback()
        worker.run_once(app)
        for number, answer in enumerate(answers):
            workspace = db.session.get_one(Workspace, ids[number])
            assert settlement.is_locked(workspace) == (answer == "bound")
            assert (workspace.locked_at is not None) == (answer == "bound")


def test_an_unlock_and_the_closing_of_the_last_day_at_once_are_one_or_the_other(app: Flask) -> None:
    with app.app_context():
        world = World()
        bought = world.purchase("1")
        ids = [world.workspace(bought).id for _ in range(8)]
        world.end(bought)
        start = bought.stopped_at
        assert start is not None
        bought.warned_at = start
        db.session.commit()
    later = start + 14 * DAY

    def run(number: int) -> str:
        if number == 0:
            worker.keep_calendar(app)
            return "calendar"
        with app.app_context():
            workspace = db.session.get_one(Workspace, ids[number])
            try:
                settlement.settle([workspace], None, by="test")
            except settlement.CannotSettle as no:
                db.session.rollback()
                return no.refusal.reason
            db.session.commit()
            return "unlocked"

    with clock.at(later):  # Around them all: the clock is one for all threads.
        answers = results(race(8, run))
    with app.app_context():
        for number, answer in enumerate(answers[1:], start=1):
            workspace = db.session.get_one(Workspace, ids[number])
            assert (workspace.state, workspace.subscription_id is None) == (
                ("active", True) if answer == "unlocked" else (CLOSED, False)
            )
            assert answer in ("unlocked", CLOSED, settlement.CHANGED)
        assert db.session.get_one(Subscription, bought.id).state == ENDED
