"""Whatever two people do in four browsers, in whatever order: each purchase, workspace and journey keeps its word.

The steps are those of the pages, sent as a browser sends them but for the looks: older pages, second tabs, other
devices and lost cookies are all just steps at a time when nobody expects them. What happens at the very same moment is
in ``test_binding_races.py``.
"""

import re
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.support import rows
from tests.support.established import Customer, established, landed_before
from tests.support.walk import LANDING, TOKEN
from wizard import clock
from wizard.billing.models import ACTIVE, BEING_MADE, Settlement, Subscription, Workspace
from wizard.extensions import db
from wizard.flows import resumption
from wizard.flows.models import Journey, JourneyEvent
from wizard.verification import codes
from wizard.verification.models import Challenge

EXAMPLES, STEPS = 20, 30
PASSWORD = "seven quiet harbour lamps"
SITES = ("us1", "eu1")

walked = settings(
    max_examples=EXAMPLES,
    stateful_step_count=STEPS,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

BROWSERS = st.integers(0, 3)
"""Two for each of two people."""
ANY = st.integers(0, 7)
MINE = st.sampled_from(("mine", "mine", "mine", "theirs", "nobodys"))
CODES = st.sampled_from(("right", "right", "right", "wrong", "old", "theirs"))
ASKS = st.sampled_from((True, True, False))
INSTEAD = st.sampled_from(("", "", "theirs"))
"""Whose address is in the form when it is sent, if not the one that was asked for a code."""
PURPOSES = ("bind", "register", "create")


class World:
    """What is there before anybody comes: two customers and three purchases, two of them by one cloud account."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        self.people = [
            established(app, name, workspaces=(f"{name} quay", f"{name} pier"))
            for name in ("zorana", "quentin")
        ]
        bought = [rows.purchase(app) for _ in range(3)]
        with app.app_context():
            first = db.session.get_one(Subscription, bought[0]).cloud_account_id
            db.session.get_one(Subscription, bought[1]).cloud_account_id = first
            db.session.commit()
        # The first was set up twice at its marketplace: two tokens for one purchase.
        self.tokens = [
            landed_before(app, each, f"token {n}") for n, each in enumerate([*bought, bought[0]], start=1)
        ]
        self.start = self._read()

    def _read(self) -> dict[sa.Table, list[dict[str, Any]]]:
        with self.app.app_context(), db.engine.connect() as connection:
            return {
                table: [dict(row._mapping) for row in connection.execute(sa.select(table))]
                for table in db.metadata.sorted_tables
            }

    def reset(self) -> None:
        """As it was before anybody came."""
        with self.app.app_context(), db.engine.begin() as connection:
            for table in reversed(db.metadata.sorted_tables):
                connection.execute(sa.delete(table))
            for table, kept in self.start.items():
                if kept:
                    connection.execute(sa.insert(table), kept)


class Browser:
    """One of a person's browsers, and the journeys and arrivals it has seen the addresses of."""

    def __init__(self, world: World, whose: int) -> None:
        self.world, self.whose = world, whose
        self.arrivals: list[str] = []
        self.journeys: list[str] = []
        self.lose_cookies()

    def lose_cookies(self) -> None:
        self.http = self.world.app.test_client()
        self.csrf = ""

    @property
    def me(self) -> Customer:
        return self.world.people[self.whose]

    @property
    def other(self) -> Customer:
        return self.world.people[1 - self.whose]

    def get(self, path: str) -> Any:
        return self._held_to(self.http.get(path, follow_redirects=True))

    def post(self, path: str, **form: Any) -> Any:
        if not self.csrf:
            found = re.search(
                r'name="csrf_token"[^>]*value="([^"]+)"', self.http.get("/billing/sign-in").text
            )
            assert found
            self.csrf = found[1]
        answer = self._held_to(self.http.post(path, data={"csrf_token": self.csrf, **form}))
        if answer.status_code in (400, 403):
            self.csrf = ""
        if found := re.match(r"/journeys/([^/?]+)", answer.headers.get("Location", "")):
            self.know(found[1])
        return answer

    def know(self, reference: str) -> None:
        if reference not in self.journeys:
            self.journeys.append(reference)

    def _held_to(self, answer: Any) -> Any:
        assert answer.status_code < 500, answer.request
        for secret in (*self.other.workspaces, self.other.payer.email, self.other.payer.company):
            assert secret not in answer.text, f"{answer.request} shows what is another's: {secret}"
        return answer


class Binding(RuleBasedStateMachine):
    world: World

    @initialize(
        tokens=st.tuples(*[st.sampled_from((0, 3, 0, 1, 2))] * 4),
        far=st.integers(0, 15),
        new=st.integers(0, 4),
        known=st.booleans(),
        finishes=st.booleans(),
    )
    def begin(self, tokens: tuple[int, ...], far: int, new: int, known: bool, finishes: bool) -> None:
        """Each browser has landed, some are at their workspaces already; one, ``new``, registers."""
        self.world.reset()
        self.time = ExitStack()
        self.browsers = [Browser(self.world, n // 2) for n in range(4)]
        self.claimed: dict[int, int] = {}
        self.settled: dict[tuple[int, int], tuple[Any, ...]] = {}
        for who, token in enumerate(tokens):
            self.land(who, token)
            self.choose(who, 0, "no" if who == new else "yes")
            if who == new:
                self.register_and_prove(who, 0, "payer" if known else "new", "eu1")
            elif far >> who & 1:
                self.name(who, 0, "mine", "other")
                self.enter_code(who, 0, "right")
        if finishes and new < len(tokens):
            self.complete(new, 0)

    def teardown(self) -> None:
        if hasattr(self, "time"):
            self.time.close()

    # ── the doors ───────────────────────────────────────────────────────────────────────────────────────────

    @rule(who=BROWSERS, which=ANY)
    def land(self, who: int, which: int) -> None:
        browser = self.browsers[who]
        token = self.world.tokens[which % len(self.world.tokens)]
        answer = browser.http.post(LANDING, data={TOKEN: token})
        assert answer.status_code == 303
        browser.arrivals.append(answer.headers["Location"].rpartition("/")[2])
        browser.get(answer.headers["Location"])

    @rule(who=BROWSERS, which=ANY, has=st.sampled_from(("yes", "yes", "no")))
    def choose(self, who: int, which: int, has: str) -> None:
        browser = self.browsers[who]
        if browser.arrivals:
            path = f"/arrive/{browser.arrivals[-1 - which % len(browser.arrivals)]}"
            browser.post(path, has_account=has)

    @rule(who=BROWSERS)
    def come_to_the_front_door(self, who: int) -> None:
        self.browsers[who].get("/bind")

    @rule(who=BROWSERS, which=ANY)
    def change_over(self, who: int, which: int) -> None:
        self._on(who, which, "other")

    @rule(who=BROWSERS, which=ANY)
    def hurry(self, who: int, which: int) -> None:
        """Straight to the workspaces, as most people go."""
        self.land(who, which)
        self.choose(who, 0, "yes")
        self.name(who, 0, "mine", "other")
        self.enter_code(who, 0, "right")

    @rule(who=BROWSERS, which=ANY)
    def lose_cookies_and_come_again(self, who: int, which: int) -> None:
        self.browsers[who].lose_cookies()
        self.land(who, which)
        self.choose(who, 0, "yes")

    @rule(by=st.sampled_from((61, 61, 61, 61, 61, 601, 601, 90_000, 2_700_000)))
    def time_passes(self, by: int) -> None:
        self.time.enter_context(clock.later(timedelta(seconds=by)))

    # ── whose account ───────────────────────────────────────────────────────────────────────────────────────

    @rule(who=BROWSERS, which=ANY, whose=MINE, how=st.sampled_from(("other", "other", "same", "here")))
    def name(self, who: int, which: int, whose: str, how: str) -> None:
        browser = self.browsers[who]
        names = {"mine": browser.me, "theirs": browser.other}
        username = names[whose].payer.username if whose in names else "nobody-at-all"
        self._on(who, which, "account", which=how, username=username if how == "other" else "")

    @rule(who=BROWSERS, which=ANY)
    def resend(self, who: int, which: int) -> None:
        self._on(who, which, "code/resend")

    @rule(who=BROWSERS, which=ANY, kind=CODES)
    def enter_code(self, who: int, which: int, kind: str) -> None:
        self._on(who, which, "code", code=self._code(who, which, kind))

    @rule(who=BROWSERS, which=ANY)
    def sign_in_and_bind_more(self, who: int, which: int) -> None:
        browser = self.browsers[who]
        payer = browser.me.payer
        browser.post("/billing/sign-in", username=payer.username, password=payer.password)
        browser.csrf = ""
        browser.post(f"/billing/cloud-accounts/{self._purchase(which)}/bind")

    @rule(who=BROWSERS, which=ANY, kind=CODES)
    def go_on_on_another_device(self, who: int, which: int, kind: str) -> None:
        """Anybody may have the link of any journey; the code goes to one address."""
        known = sorted({reference for browser in self.browsers for reference in browser.journeys})
        if not known:
            return
        browser, reference = self.browsers[who], known[which % len(known)]
        with self.world.app.app_context():
            journey = db.session.scalar(sa.select(Journey).where(Journey.reference == reference))
            if journey is None or resumption.address_of(journey) is None:
                return
            link = resumption.url_of(journey).removeprefix(self.world.app.config["PUBLIC_URL"])
        browser.post(link)
        answer = browser.post(f"{link}/code", code=self._code_for(who, f"{reference}:", ("resume",), kind))
        if "Location" in answer.headers:
            browser.csrf = ""

    # ── somebody who has none ───────────────────────────────────────────────────────────────────────────────

    @rule(who=BROWSERS, which=ANY, whose=MINE, site=st.sampled_from(SITES))
    def register(self, who: int, which: int, whose: str, site: str) -> None:
        person = self._address(who, whose)
        self._on(who, which, "basic", site=site, **self._new_account(who, which, person))

    @rule(who=BROWSERS, which=ANY, step=st.sampled_from(("bind", "register")))
    def answer_offer(self, who: int, which: int, step: str) -> None:
        self._on(who, which, "offer", offer=step)

    @rule(who=BROWSERS, which=ANY, whose=st.sampled_from(("new", "payer")), site=st.sampled_from(SITES))
    def register_and_prove(self, who: int, which: int, whose: str, site: str) -> None:
        self.register(who, which, whose, site)
        self.enter_code(who, which, "right")

    @rule(who=BROWSERS, which=ANY)
    def complete(self, who: int, which: int) -> None:
        self._on(who, which, "company", company_name="Ships and more", agree="y")
        self._on(who, which, "activation", workspace_name="mast", language="en", agree="y", method="aws")

    # ── workspaces ──────────────────────────────────────────────────────────────────────────────────────────

    @rule(who=BROWSERS, which=ANY, workspace=ANY, done=st.booleans())
    def bind(self, who: int, which: int, workspace: int, done: bool) -> None:
        browser = self.browsers[who]
        with self.world.app.app_context():
            made = sa.select(Workspace.public_id).where(Workspace.billing_account_id == browser.me.billing_id)
            ids = [*sorted(db.session.scalars(made)), next(iter(browser.other.workspaces.values()))]
        self._on(who, which, f"bind?workspace={ids[workspace % len(ids)]}")
        if done:
            self._on(who, which, "workspaces")

    @rule(who=BROWSERS, which=ANY, site=st.sampled_from(SITES))
    def choose_site(self, who: int, which: int, site: str) -> None:
        self._on(who, which, "site", site=site)

    @rule(who=BROWSERS, which=ANY, whose=MINE, kind=CODES, asks=ASKS, instead=INSTEAD)
    def create(self, who: int, which: int, whose: str, kind: str, asks: bool, instead: str) -> None:
        form = {
            "site": "us1", "workspace_name": "mast", "language": "en", "agree": "y",
            "email": self._address(who, whose),
        }  # fmt: skip
        if asks:
            self._on(who, which, "site", site="us1")
            self._on(who, which, "create/code", **form)
        form["email"] = self._address(who, instead) if instead else form["email"]
        self._on(who, which, "create", code=self._code(who, which, kind), **form)

    @rule(who=BROWSERS, which=ANY, whose=MINE, kind=CODES, asks=ASKS, instead=INSTEAD)
    def register_and_create(
        self, who: int, which: int, whose: str, kind: str, asks: bool, instead: str
    ) -> None:
        form = {
            "site": "us1", "workspace_name": "mast", "language": "en", "agree": "y",
            **self._new_account(who, which, self._address(who, whose, new=True)),
        }  # fmt: skip
        if asks:
            self._on(who, which, "site", site="us1")
            self._on(who, which, "create-account/code", **form)
        form["email"] = self._address(who, instead) if instead else form["email"]
        self._on(who, which, "create-account", code=self._code(who, which, kind), **form)

    @rule(who=BROWSERS, which=ANY, n=ANY, step=st.sampled_from(("create-username", "username")))
    def choose_username(self, who: int, which: int, n: int, step: str) -> None:
        self._on(who, which, step, username=f"deckhand-{n}")

    @rule()
    def sites_make_what_was_ordered(self) -> None:
        with self.world.app.app_context(), db.engine.begin() as connection:
            being_made = sa.update(Workspace).where(Workspace.state == BEING_MADE)
            connection.execute(being_made.values(state=ACTIVE, made_at=clock.now()))

    @rule(who=BROWSERS, which=ANY)
    def confirm(self, who: int, which: int) -> None:
        self._on(who, which, "workspaces")

    @rule(who=BROWSERS, which=ANY, step=st.sampled_from(("", "/workspaces", "/create", "/code", "/account")))
    def look(self, who: int, which: int, step: str) -> None:
        browser = self.browsers[who]
        if browser.journeys:
            browser.get(f"/journeys/{self._journey(who, which)}{step}")

    # ── what is needed for that ─────────────────────────────────────────────────────────────────────────────

    def _journey(self, who: int, which: int) -> str:
        """One that this browser knows the address of, most of the time the newest; now and then another's."""
        known = self.browsers[who].journeys
        if which == 7:
            known = self.browsers[who - 2].journeys or known
        return known[-1 - max(0, which - 4) % len(known)]

    def _on(self, who: int, which: int, step: str, /, **form: Any) -> None:
        """Send a step's form, whatever the journey says to that."""
        if self.browsers[who].journeys:
            self.browsers[who].post(f"/journeys/{self._journey(who, which)}/{step}", **form)

    def _address(self, who: int, whose: str, new: bool = False) -> str:
        browser, new = self.browsers[who], new or whose == "new"
        if whose == "theirs":
            return browser.other.person.email
        if whose == "payer":
            return browser.me.payer.email
        if whose == "nobodys":
            return "nobody@harbour.test"
        return f"crew-{browser.whose}@harbour.test" if new else browser.me.person.email

    @staticmethod
    def _new_account(who: int, which: int, email: str) -> dict[str, str]:
        secret = {"password": PASSWORD, "confirm_password": PASSWORD}
        return {"username": f"sailor-{who}-{which}", "email": email, "phone": "", **secret}

    def _code(self, who: int, which: int, kind: str) -> str:
        if not self.browsers[who].journeys:
            return "000000"
        return self._code_for(who, self._journey(who, which), PURPOSES, kind)

    def _code_for(self, who: int, bound_to: str, purposes: tuple[str, ...], kind: str) -> str:
        """A code that was mailed to this person for a journey; ``kind`` may ask for one that must not work."""
        whose = self.browsers[who].whose
        with self.world.app.app_context():
            sent = db.session.scalars(
                sa.select(Challenge)
                .where(Challenge.bound_to.startswith(bound_to), Challenge.purpose.in_(purposes))
                .order_by(Challenge.sent_at.desc())
            ).all()
            mine = [each for each in sent if self._reads(whose, each.address) and not each.decoy]
            if kind == "theirs":
                other = sa.select(Challenge).where(~Challenge.bound_to.startswith(bound_to))
                mine = [each for each in db.session.scalars(other) if self._reads(whose, each.address)]
            if not mine or kind == "wrong":
                return "000000"
            if kind == "old":
                mine[-1].generation = max(1, mine[-1].generation - 1)
                return codes.code_of(mine[-1])
            return codes.code_of(mine[0])

    def _reads(self, whose: int, address: str) -> bool:
        me = self.world.people[whose]
        return address in (me.person.email, me.payer.email, f"crew-{whose}@harbour.test")

    def _purchase(self, which: int) -> int:
        ids = sorted({row["id"] for row in self.world.start[Subscription.__table__]})  # type: ignore[index]
        return int(ids[which % len(ids)])

    # ── what always holds ───────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def holds(self) -> None:
        if not hasattr(self, "claimed"):
            return
        with self.world.app.app_context():
            journeys = {each.id: each for each in db.session.scalars(sa.select(Journey))}
            events = db.session.scalars(sa.select(JourneyEvent)).all()
            subscriptions = db.session.scalars(sa.select(Subscription)).all()
            workspaces = db.session.scalars(sa.select(Workspace)).all()
            history = db.session.scalars(sa.select(Settlement).order_by(Settlement.number)).all()
            proven = db.session.scalars(sa.select(Challenge).where(Challenge.outcome == "proven")).all()
            db.session.expunge_all()
        noted = [(journeys[each.journey_id].reference, each) for each in events]
        self._claims(subscriptions, journeys, noted)
        self._settlements(workspaces, history, {each.id: each for each in subscriptions}, noted)
        self._proofs(journeys, proven, workspaces)

    def _claims(self, subscriptions: Any, journeys: dict[int, Journey], noted: Any) -> None:
        for one in subscriptions:
            before = self.claimed.get(one.id)
            assert before in (None, one.billing_account_id), "a purchase changed its Billing Center account"
            if one.billing_account_id is None:
                continue
            self.claimed[one.id] = one.billing_account_id
            told = [
                each
                for _reference, each in noted
                if (each.step, each.what) in (("account", "bound"), ("activation", "ordered"))
                and journeys[each.journey_id].subscription_id == one.id
                and journeys[each.journey_id].billing_account_id == one.billing_account_id
            ]
            assert told, f"a purchase was bound without an event: {one.id}"
        owner = {one.id: one.billing_account_id for one in subscriptions}
        for journey in journeys.values():
            if journey.flow == "existing_account" and journey.billing_account_id is not None:
                assert owner[journey.subscription_id] == journey.billing_account_id, "bound without a claim"

    def _settlements(self, workspaces: Any, history: Any, subscriptions: Any, noted: Any) -> None:
        told = {
            (reference, each.what, each.detail.get("workspace"))
            for reference, each in noted
            if each.step in ("bind", "create")
        }
        activated = {
            reference for reference, each in noted if (each.step, each.what) == ("activation", "ordered")
        }
        for workspace in workspaces:
            lines = [each for each in history if each.workspace_id == workspace.id]
            assert [each.number for each in lines] == list(range(1, workspace.settlement_number + 1))
            last = lines[-1]
            assert (last.method, last.subscription_id) == (
                workspace.settlement_method,
                workspace.subscription_id,
            )
            if workspace.subscription_id is not None:
                payer = subscriptions[workspace.subscription_id].billing_account_id
                assert payer == workspace.billing_account_id, "somebody else's purchase pays for a workspace"
            for each in lines:
                key = (each.workspace_id, each.number)
                now = (each.method, each.subscription_id, each.by)
                assert self.settled.setdefault(key, now) == now, "history was rewritten"
                who = each.by.removeprefix("journey ").partition(" ")[0]
                if each.by == "established" or who in activated:
                    continue
                assert any(
                    (who, what, workspace.public_id) in told
                    for what in ("bound", "ordered", "registered and ordered")
                ), f"settled without an event: {each.by}"
        told_of = [each for _reference, each in noted if (each.step, each.what) == ("bind", "bound")]
        bound = [each for each in history if each.number > 1]
        assert len(told_of) == len(bound), "an event too many"

    def _proofs(self, journeys: dict[int, Journey], proven: Any, workspaces: Any) -> None:
        whose = {reference: browser.whose for browser in self.browsers for reference in browser.journeys}
        for challenge in proven:
            if challenge.purpose in PURPOSES:
                assert self._reads(whose[challenge.bound_to], challenge.address), (
                    "proved for another's address"
                )
        paid = {each.subscription_id for each in workspaces}
        for journey in journeys.values():
            actor = whose.get(journey.reference)
            if journey.verified_email:
                assert actor is not None
                assert self._reads(actor, journey.verified_email)
            if journey.flow == "existing_account":
                assert journey.finished_at is None or journey.subscription_id in paid, "finished with nothing"
                if journey.billing_account_id is not None:
                    assert actor is not None
                    assert journey.billing_account_id == self.world.people[actor].billing_id, (
                        "another's account"
                    )


@pytest.mark.engines("postgresql")  # The stricter of the two; the way takes half a minute.
def test_in_any_order_every_purchase_workspace_and_journey_keeps_its_word(app: Flask) -> None:
    world = World(app)
    machine = type("Walked", (Binding,), {"world": world})
    run_state_machine_as_test(machine, settings=walked)
