"""Changing what settles a workspace: each way, each refusal with its reason on the page, in both languages."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support import rows
from tests.support.binding import Binding
from tests.support.client import Client
from tests.support.established import landed_before
from tests.support.factories import Person
from tests.support.page import Page
from tests.support.possessions import Owner, accounts_of, change_all, purchases, sign_in, workspaces
from tests.support.walk import Walk
from wizard import clock
from wizard.billing.models import BEING_MADE, CLOSED, ENDED, LOCK, Subscription, Workspace
from wizard.extensions import db
from wizard.flows.models import Journey, JourneyEvent

pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture
def owner(app: Flask) -> Owner:
    return accounts_of(app, Person())


def public_id(app: Flask, workspace: int) -> str:
    with app.app_context():
        return db.session.get_one(Workspace, workspace).public_id


def settled(app: Flask, *ids: int) -> list[tuple[str, int | None]]:
    with app.app_context():
        found = db.session.scalars(sa.select(Workspace).where(Workspace.id.in_(ids)).order_by(Workspace.id))
        return [(one.settlement_method, one.subscription_id) for one in found]


def events(app: Flask) -> list[tuple[str, str]]:
    with app.app_context():
        found = db.session.scalars(sa.select(JourneyEvent).order_by(JourneyEvent.id))
        return [(one.step, one.what) for one in found]


def opened(app: Flask, client: Client, workspace: int) -> Page:
    return client.get(f"/billing/workspaces/{public_id(app, workspace)}/settlement")


def landed(app: Flask, client: Client, token: str = "a token", **facts: Any) -> tuple[int, Page]:
    """A purchase nobody has claimed, and where it leads this browser."""
    bought = rows.purchase(app, **facts)
    door = "/marketplaces/aws/landing"
    token = landed_before(app, bought, token)
    answer = client.post(door, {"x-amzn-marketplace-token": token}, cross_site=True)
    return bought, client.get(answer.location, follow=True)


def buyer_of(app: Flask, subscription: int) -> int | None:
    with app.app_context():
        return db.session.get_one(Subscription, subscription).billing_account_id


# One workspace, with what is there -------------------------------------------------------------------------


def test_a_registered_cloud_account_settles_at_once(app: Flask, client: Client, owner: Owner) -> None:
    [harbour], [bought] = workspaces(app, owner), purchases(app, owner, cloud_account="782858285006")
    sign_in(client, owner)
    page = opened(app, client, harbour)
    assert page.h1 == "Change settlement method"
    assert "Registered cloud account settlement" in page.text
    assert "Settles this workspace now." in page.text
    page = client.submit(page, "Confirm", method=str(bought))
    assert page.path == f"/billing/workspaces/{public_id(app, harbour)}"
    assert "From now on AWS account 7828 5828 5006 pays for Harbour 1." in page.text
    assert settled(app, harbour) == [("aws", bought)]
    assert events(app) == [("method", "settled")]


def test_the_billing_center_account_settles_what_a_cloud_account_may_leave(
    app: Flask, client: Client, owner: Owner
) -> None:
    app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"] = True
    [bought] = purchases(app, owner)
    [harbour] = workspaces(app, owner, subscription_id=bought)
    sign_in(client, owner)
    client.submit(opened(app, client, harbour), "Confirm", method="billing_center")
    assert settled(app, harbour) == [("billing_center", None)]


def test_nothing_chosen_is_asked_for_and_what_is_not_offered_is_not_taken(
    app: Flask, client: Client, owner: Owner
) -> None:
    [harbour] = workspaces(app, owner)
    [theirs] = purchases(app, accounts_of(app, Person()))
    sign_in(client, owner)
    page = opened(app, client, harbour)
    for method in ("", str(theirs), "x", "999999"):
        sent = {**page.form("Confirm").filled({}), "method": method}
        page = client.post(page.path, sent)
        assert page.status == 422
        assert "Choose what pays for this workspace" in page.text
    assert settled(app, harbour) == [("billing_center", None)]
    assert events(app) == []


@pytest.mark.parametrize("way", ["registered", "billing_center"])
@pytest.mark.parametrize("is_locked", [False, True])
def test_a_second_click_ends_where_the_first_did_and_changes_nothing_more(
    app: Flask, client: Client, owner: Owner, way: str, is_locked: bool
) -> None:
    [harbour] = [locked(app, owner)[1]] if is_locked else workspaces(app, owner)
    [bought] = purchases(app, owner)
    if not is_locked and way == "billing_center":
        app.config["SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION"] = True
        change_all(app, Workspace, [harbour], subscription_id=bought, settlement_method="aws")
    sign_in(client, owner)
    page = opened(app, client, harbour)
    for _ in range(2):
        method = str(bought) if way == "registered" else "billing_center"
        answer = client.submit(page, "Unlock" if is_locked else "Confirm", method=method)
        assert answer.path == f"/billing/workspaces/{public_id(app, harbour)}"
        assert answer.status == 200
    with app.app_context():
        assert db.session.get_one(Workspace, harbour).settlement_number == 2


def test_a_registered_subscription_that_ended_since_the_page_was_opened_says_so(
    app: Flask, client: Client, owner: Owner
) -> None:
    [harbour], [bought] = workspaces(app, owner), purchases(app, owner)
    sign_in(client, owner)
    page = opened(app, client, harbour)
    change_all(app, Subscription, [bought], state=ENDED, why="cancelled", ended_at=clock.now(), on_end=LOCK)
    page = client.submit(page, "Confirm", method=str(bought))
    assert page.status == 422
    assert "This subscription has ended. Subscribe at AWS once more" in page.text
    assert "Choose what pays for this workspace" not in page.text
    assert settled(app, harbour) == [("billing_center", None)]


def test_waiting_for_aws_is_refused_like_everything_else(app: Flask, client: Client, owner: Owner) -> None:
    [harbour] = workspaces(app, owner)
    sign_in(client, owner)
    page = opened(app, client, harbour)
    change_all(app, Workspace, [harbour], settlement_changed_at=clock.now() - timedelta(days=1))
    page = client.submit(page, "Confirm", method="aws")
    assert page.status == 422
    assert "It can change again after" in page.text
    with app.app_context():
        assert db.session.scalars(sa.select(Journey.awaits)).all() == [None]


@pytest.mark.parametrize("state", ["dissolved", "closed"])
def test_what_is_over_is_not_headed_as_if_it_could_be_unlocked(
    app: Flask, client: Client, owner: Owner, state: str
) -> None:
    _ended, harbour = locked(app, owner)
    change_all(app, Workspace, [harbour], state=state)
    sign_in(client, owner)
    page = opened(app, client, harbour)
    assert page.h1 == "Change settlement method"
    assert "Nothing can settle Harbour 1 any more." in page.text
    page = client.get(f"/billing/workspaces/{public_id(app, harbour)}")
    assert "has nothing to settle with" not in page.text


def test_a_change_that_is_possible_later_today_says_at_what_time(
    app: Flask, client: Client, owner: Owner
) -> None:
    [harbour] = workspaces(app, owner)
    now = clock.now()
    change_all(app, Workspace, [harbour], settlement_changed_at=now - timedelta(days=30, seconds=-1))
    sign_in(client, owner)
    time = f"{now + timedelta(seconds=1):%H:%M} (UTC)"
    assert f"You can change this again on {now:%-d %B %Y}, {time}." in opened(app, client, harbour).text
    assert f"Can change on {now:%-d %B %Y}, {time}" in client.get("/billing/workspaces").text


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_rule_refuses_on_the_page_with_its_reason_and_when_it_ends(
    app: Flask, client: Client, owner: Owner, language: str
) -> None:
    client = client.other(language)
    [bought, _other] = purchases(app, owner, 2)
    [young, paid, making, closed] = workspaces(app, owner, 4)
    [elsewhere] = workspaces(app, owner, site_id="cn4")
    now = clock.now()
    change_all(app, Workspace, [young], settlement_changed_at=now - timedelta(days=10))
    change_all(app, Workspace, [paid], subscription_id=bought, settlement_method="aws")
    change_all(app, Workspace, [making], state=BEING_MADE)
    change_all(app, Workspace, [closed], state=CLOSED)
    sign_in(client, owner)
    words = {
        young: {"en": "You can change this again on", "zh": "起可再次更改"},
        paid: {"en": "is still subscribed. Cancel that subscription at AWS first.", "zh": "且该订阅仍然有效"},
        making: {"en": "It is still being made", "zh": "仍在创建中"},
        closed: {"en": "is closed: it cannot be used any more", "zh": "已关闭"},
    }
    for workspace, said in words.items():
        page = opened(app, client, workspace)
        assert said[language] in page.text, workspace
        assert not page.soup.select("main form"), "there is nothing to send"
    page = opened(app, client, elsewhere)
    assert {"en": "AWS cannot pay for workspaces on cn4", "zh": "AWS 不能为"}[language] in page.text
    assert len(page.soup.select("main input[type=radio]:not([disabled])")) == 0


def test_what_another_tab_changed_meanwhile_is_refused_in_words(
    app: Flask, client: Client, owner: Owner
) -> None:
    [harbour], [first, second] = workspaces(app, owner), purchases(app, owner, 2)
    sign_in(client, owner)
    left_open = opened(app, client, harbour)
    client.submit(opened(app, client, harbour), "Confirm", method=str(first))
    page = client.submit(left_open, "Confirm", method=str(second))
    assert page.status == 422
    assert "is still subscribed" in page.text
    assert settled(app, harbour) == [("aws", first)]


def test_a_workspace_of_somebody_else_is_not_there(app: Flask, client: Client, owner: Owner) -> None:
    [theirs] = workspaces(app, accounts_of(app, Person()))
    sign_in(client, owner)
    assert opened(app, client, theirs).status == 404
    assert client.get("/billing/workspaces/wksp_0/settlement").status == 404


# Unlocking --------------------------------------------------------------------------------------------------


def locked(app: Flask, owner: Owner) -> tuple[int, int]:
    now = clock.now()
    facts = {"state": ENDED, "on_end": LOCK, "why": "cancelled", "ended_at": now, "stopped_at": now}
    [ended] = purchases(app, owner, cloud_account="441722908813", **facts)
    [harbour] = workspaces(app, owner, subscription_id=ended, locked_at=now, settlement_changed_at=now)
    return ended, harbour


@pytest.mark.parametrize("way", ["registered", "billing_center"])
def test_a_locked_workspace_is_unlocked_whenever_it_was_changed(
    app: Flask, client: Client, owner: Owner, way: str
) -> None:
    _ended, harbour = locked(app, owner)
    [bought] = purchases(app, owner)
    sign_in(client, owner)
    page = opened(app, client, harbour)
    assert page.h1 == "Unlock Harbour 1"
    assert "AWS account 4417 2290 8813 no longer pays for it" in page.text
    assert "once in" not in page.text
    method = str(bought) if way == "registered" else "billing_center"
    page = client.submit(page, "Unlock", method=method)
    assert "Harbour 1 is unlocked" in page.text
    assert settled(app, harbour) == [("aws", bought) if way == "registered" else ("billing_center", None)]


def test_a_locked_workspace_is_unlocked_by_subscribing_again(
    app: Flask, client: Client, owner: Owner
) -> None:
    _ended, harbour = locked(app, owner)
    sign_in(client, owner)
    client.submit(opened(app, client, harbour), "Unlock", method="aws")
    bought, page = landed(app, client)
    page = client.submit(page, "Confirm submission")
    assert page.h1.endswith("pays for 1 workspace now")
    assert settled(app, harbour) == [("aws", bought)]


def test_who_subscribes_again_is_told_what_else_comes_back(
    app: Flask, client: Client, owner: Owner, work: Callable[[], int]
) -> None:
    ended, _harbour = locked(app, owner)
    with app.app_context():
        account = db.session.get_one(Subscription, ended).cloud_account_id
    [lantern] = workspaces(app, owner)
    sign_in(client, owner)
    _bought, page = landed(app, client, cloud_account_id=account)
    page = client.click(page, "choose the workspaces it pays for")
    page = client.submit(page, "Confirm", workspaces=[public_id(app, lantern)])
    assert page.h1.endswith("pays for 1 workspace now")
    assert "1 locked workspace that it paid for before comes back in a moment, too." in page.text
    work()
    page = client.get(page.url)
    assert page.h1.endswith("pays for 2 workspaces now")
    assert "comes back in a moment" not in page.text


# A new subscription -----------------------------------------------------------------------------------------


def waiting(app: Flask, client: Client, owner: Owner, count: int = 2) -> list[int]:
    """Workspaces, the first of which waits for a subscription at AWS."""
    ids = workspaces(app, owner, count)
    sign_in(client, owner)
    page = client.submit(opened(app, client, ids[0]), "Confirm", method="aws")
    assert page.h1 == "AWS account settlement"
    assert page.link("Subscribe to AWS").startswith("http")
    return ids


def test_a_new_purchase_comes_back_to_the_change_that_waits_and_pays_for_what_is_chosen(
    app: Flask, client: Client, owner: Owner
) -> None:
    [harbour, lantern] = waiting(app, client, owner)
    bought, page = landed(app, client)
    assert page.h1.startswith("Choose workspaces for AWS account")
    boxes = {box["value"]: box.has_attr("checked") for box in page.soup.select("main input[type=checkbox]")}
    assert boxes == {public_id(app, harbour): True, public_id(app, lantern): False}
    assert buyer_of(app, bought) is None, "nothing is claimed before it is confirmed"
    both = [public_id(app, harbour), public_id(app, lantern)]
    page = client.submit(page, "Confirm submission", workspaces=both)
    assert page.h1.endswith("pays for 2 workspaces now")
    assert settled(app, harbour, lantern) == [("aws", bought)] * 2
    assert buyer_of(app, bought) == owner.billing_id
    assert events(app) == [("method", "waits for a subscription"), ("choose", "settled")]


def test_one_that_may_not_be_chosen_stops_them_all_and_says_why(
    app: Flask, client: Client, owner: Owner
) -> None:
    [harbour, lantern] = waiting(app, client, owner)
    bought, page = landed(app, client)
    change_all(app, Workspace, [lantern], settlement_changed_at=clock.now())
    both = [public_id(app, harbour), public_id(app, lantern)]
    page = client.submit(page, "Confirm submission", workspaces=both)
    assert page.status == 422
    assert "Nothing was changed, because of Harbour 2: Its settlement method changed" in page.text
    assert settled(app, harbour, lantern) == [("billing_center", None)] * 2
    assert buyer_of(app, bought) is None
    shut = page.soup.select("main input[type=checkbox][disabled]")
    assert [box["value"] for box in shut] == [public_id(app, lantern)]
    page = client.submit(page, "Confirm submission", workspaces=[public_id(app, harbour)])
    assert settled(app, harbour, lantern) == [("aws", bought), ("billing_center", None)]


def test_no_workspace_chosen_and_none_of_somebody_else(app: Flask, client: Client, owner: Owner) -> None:
    waiting(app, client, owner)
    [theirs] = workspaces(app, accounts_of(app, Person()))
    bought, page = landed(app, client)
    for chosen in ([], [public_id(app, theirs)], ["x"]):
        answer = client.submit(page, "Confirm submission", workspaces=chosen)
        assert answer.status == 422
        assert "Choose at least one workspace" in answer.text
    assert buyer_of(app, bought) is None
    assert settled(app, theirs) == [("billing_center", None)]


def test_a_second_submission_says_what_is_so(app: Flask, client: Client, owner: Owner) -> None:
    [harbour, _lantern] = waiting(app, client, owner)
    bought, page = landed(app, client)
    client.submit(page, "Confirm submission")
    again = client.submit(page, "Confirm submission")
    assert again.path == f"/billing/cloud-accounts/{bought}"
    assert settled(app, harbour) == [("aws", bought)]
    assert client.get(page.path, follow=True).path == again.path


def test_a_purchase_that_another_account_claimed_meanwhile_is_told_as_elsewhere(
    app: Flask, client: Client, owner: Owner
) -> None:
    [harbour, _lantern] = waiting(app, client, owner)
    bought, page = landed(app, client)
    change_all(app, Subscription, [bought], billing_account_id=accounts_of(app, Person()).billing_id)
    page = client.submit(page, "Confirm submission")
    assert page.h1 == "This subscription is already set up"
    assert f"another Billing Center account than {owner.person.username}" in page.text
    assert page.link("Open the Billing Center").endswith("/billing/")
    assert "Sign in to the Billing Center" not in page.links
    assert settled(app, harbour) == [("billing_center", None)]


def test_who_leaves_it_as_it_is_waits_for_nothing_any_more(app: Flask, client: Client, owner: Owner) -> None:
    [harbour, _lantern] = waiting(app, client, owner)
    page = sign_in(client, owner)
    assert page.h1 == "AWS account settlement", "signing in leads back to what waits"
    page = client.submit(page, "Keep it as it is")
    assert page.path == f"/billing/workspaces/{public_id(app, harbour)}"
    _bought, page = landed(app, client)
    assert page.h1 == "Do you have a Billing Center account?"


def test_another_account_sees_nothing_of_a_change(app: Flask, client: Client, owner: Owner) -> None:
    waiting(app, client, owner)
    with app.app_context():
        reference = db.session.scalars(sa.select(Journey.reference)).one()
    other = client.other()
    assert other.get(f"/journeys/{reference}/subscribe").status == 404
    sign_in(other, accounts_of(app, Person()))
    assert other.get(f"/journeys/{reference}/subscribe").status == 404
    assert client.get(f"/journeys/{reference}/subscribe").status == 200


# The older order --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["en", "zh"])
def test_who_bought_and_then_signs_in_chooses_workspaces(
    app: Flask, client: Client, owner: Owner, language: str
) -> None:
    client = client.other(language)
    [harbour] = workspaces(app, owner)
    bought, _page = landed(app, client)
    page = sign_in(client, owner)
    assert {"en": "Choose workspaces for AWS account", "zh": "选择工作空间"}[language] in page.text
    assert buyer_of(app, bought) is None
    confirm = {"en": "Confirm", "zh": "确认"}[language]
    page = client.submit(page, confirm, workspaces=[public_id(app, harbour)])
    assert settled(app, harbour) == [("aws", bought)]
    assert page.path.endswith("/changed")


def test_who_has_no_workspace_creates_one(app: Flask, client: Client, owner: Owner) -> None:
    bought, _page = landed(app, client)
    page = sign_in(client, owner)
    assert "has no workspace yet" in page.text
    assert buyer_of(app, bought) is None
    page = client.submit(page, "Create workspace")
    assert page.h1 == "Create workspace"
    assert buyer_of(app, bought) == owner.billing_id


def test_who_is_signed_in_and_lands_is_offered_to_choose(app: Flask, client: Client, owner: Owner) -> None:
    workspaces(app, owner)
    sign_in(client, owner)
    _bought, page = landed(app, client)
    assert page.h1 == "Do you have a Billing Center account?"
    page = client.click(page, "choose the workspaces it pays for")
    assert page.h1.startswith("Choose workspaces for AWS account")


def test_an_arrival_of_another_browser_is_not_there(app: Flask, client: Client, owner: Owner) -> None:
    _bought, _page = landed(app, client.other())
    with app.app_context():
        arrival = db.session.scalars(sa.text("SELECT id FROM arrivals ORDER BY created_at")).first()
    workspaces(app, owner)
    sign_in(client, owner)
    assert client.get(f"/billing/arrived/{arrival}", follow=True).status == 404


# It ends on the way ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", ["failed", "cancelled"])
def test_a_purchase_that_ends_while_it_waits_to_be_chosen_for_says_so(
    app: Flask, client: Client, owner: Owner, why: str
) -> None:
    [harbour, _lantern] = waiting(app, client, owner)
    bought, page = landed(app, client)
    change_all(app, Subscription, [bought], state=ENDED, why=why, ended_at=clock.now(), on_end=LOCK)
    page = client.submit(page, "Confirm submission")
    said = {"failed": "AWS reported that this subscription failed", "cancelled": "was cancelled"}
    assert said[why] in page.text
    assert settled(app, harbour) == [("billing_center", None)]
    assert page.link("Subscribe to AWS")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_purchase_that_fails_on_the_way_is_told_wherever_its_buyer_goes_next(
    app: Flask, client: Client, owner: Owner, language: str
) -> None:
    client = client.other(language)
    ids = workspaces(app, owner, 2)
    sign_in(client, owner)
    confirm = {"en": "Confirm", "zh": "确认"}[language]
    waits = client.submit(opened(app, client, ids[0]), confirm, method="aws")
    said = {"en": "failed, so it pays for nothing. Check that account", "zh": "的订阅未成功"}[language]
    assert said not in waits.text
    bought, _page = landed(app, client)
    assert said not in client.get(waits.url).text
    change_all(app, Subscription, [bought], state=ENDED, why="failed", ended_at=clock.now(), on_end=LOCK)
    assert said in client.get(waits.url).text
    assert said in client.get("/billing/workspaces").text
    landed(app, client, "another token")
    assert said not in client.get("/billing/workspaces").text


def ends(app: Flask, walk: Walk, why: str) -> None:
    """AWS says that this customer's purchase has ended."""
    with app.app_context():
        agreement = Subscription.agreement_id == walk.bought["agreementId"]
        facts = {"state": ENDED, "why": why, "ended_at": clock.now(), "on_end": LOCK}
        db.session.execute(sa.update(Subscription).where(agreement).values(**facts))
        db.session.commit()


def test_who_registers_when_the_subscription_fails_is_told_and_goes_on_without_it(
    app: Flask, walk: Walk
) -> None:
    """Whatever they send next is kept: the page after it says what AWS reported."""
    walk.to_company()
    ends(app, walk, "failed")
    walk.give_company()
    assert walk.page.h1 == "AWS reported that this subscription failed"
    assert walk.page.link("Subscribe to AWS")
    walk.page = walk.client.submit(walk.page, "Go on without it")
    assert walk.page.h1 == "Activation method"
    walk.activate(method="billing_center")
    walk.wait_until_made()
    assert walk.page.h1 == "Activation successful"


def test_activating_with_a_subscription_that_was_cancelled_keeps_what_was_typed(
    app: Flask, walk: Walk
) -> None:
    walk.to_activation()
    ends(app, walk, "cancelled")
    walk.activate(workspace_name="Beacon")
    assert walk.page.h1 == "AWS reported that this subscription was cancelled"
    walk.page = walk.client.submit(walk.page, "Go on without it")
    assert walk.page.form("Activate").fields["workspace_name"] == ["Beacon"]
    with app.app_context():
        assert db.session.scalars(sa.select(Workspace)).all() == []


def test_who_subscribes_again_goes_on_where_they_stopped(app: Flask, walk: Walk) -> None:
    walk.to_activation()
    ends(app, walk, "failed")
    stopped = walk.reference
    walk.bought = {}
    walk.land()
    assert walk.page.h1 == "How do you want to go on?"
    assert "Your answers are kept" in walk.page.text
    walk.page = walk.client.submit(walk.page, "Next")
    assert walk.page.h1 == "Activation method"
    assert walk.reference == stopped
    assert walk.bought["customerAWSAccountId"][:4] in walk.page.text


def test_who_binds_and_subscribes_again_goes_on_with_the_same_billing_account(
    app: Flask, walk: Walk, owner: Owner
) -> None:
    workspaces(app, owner)
    bind = Binding.of(walk, owner.person)
    bind.to_workspaces()
    ends(app, bind, "cancelled")
    stopped = bind.reference
    bind.bought = {}
    bind.land()
    assert f"your Billing Center account {owner.person.username}" in bind.page.text
    bind.page = bind.client.submit(bind.page, "Next")
    assert (bind.page.h1, bind.reference) == ("Bind workspace", stopped)
    assert bind.bought["customerAWSAccountId"][:4] in bind.page.text
    with app.app_context():
        agreement = Subscription.agreement_id == bind.bought["agreementId"]
        assert db.session.scalars(sa.select(Subscription.billing_account_id).where(agreement)).one()


def test_who_has_bound_a_workspace_when_it_is_cancelled_is_told_that_it_is_locked(
    app: Flask, walk: Walk, owner: Owner
) -> None:
    workspaces(app, owner)
    bind = Binding.of(walk, owner.person)
    bind.to_workspaces()
    bind.page = bind.client.submit(bind.client.get(bind.bind_url("Harbour 1")), "Confirm")
    ends(app, bind, "cancelled")
    page = bind.client.get(bind.page.url)
    assert "It paid for Harbour 1, which is locked until something else pays for it." in page.text
    assert "Subscribe again and come back: you go on here" in page.text


def test_a_new_buyer_whose_purchase_has_ended_is_not_led_to_an_account_they_do_not_have(
    app: Flask, walk: Walk
) -> None:
    walk.land()
    ends(app, walk, "cancelled")
    page = walk.client.get(walk.page.url)
    assert page.h1 == "AWS reported that this subscription was cancelled"
    assert "Open the Billing Center" not in page.links


@pytest.mark.parametrize("language", ["en", "zh"])
def test_who_binds_when_the_subscription_is_cancelled_is_told(
    app: Flask, walk: Walk, owner: Owner, language: str
) -> None:
    workspaces(app, owner)
    bind = Binding.of(walk, owner.person, language=language)
    bind.to_workspaces()
    ends(app, bind, "cancelled")
    page = bind.client.get(bind.page.url, follow=True)
    said = {"en": "AWS reported that this subscription was cancelled", "zh": "AWS 通知：此订阅已取消"}
    assert page.h1 == said[language]
    assert "Harbour 1" not in page.text
    bind.land()  # Once more with the same link: it leads to the same.
    assert bind.page.h1 == said[language]


def test_the_right_code_for_a_purchase_that_has_ended_is_not_called_wrong(
    app: Flask, walk: Walk, owner: Owner
) -> None:
    bind = Binding.of(walk, owner.person)
    bind.land().say_have().name_account()
    ends(app, bind, "cancelled")
    assert bind.enter_code().h1 == "AWS reported that this subscription was cancelled"
    assert "Send a new code" not in bind.page.text


def test_what_a_renewal_pays_for_is_shown_as_before(app: Flask, walk: Walk) -> None:
    walk.to_end()
    ends(app, walk, "renewed")
    with app.app_context():
        db.session.execute(sa.update(Subscription).values(on_end="stay"))
        db.session.commit()
    assert walk.client.get(walk.page.url).h1 == "Activation successful"


# Many -------------------------------------------------------------------------------------------------------


def test_with_five_thousand_workspaces_and_three_hundred_purchases_the_pages_keep_their_budgets(
    app: Flask, client: Client, owner: Owner
) -> None:
    purchases(app, owner, 300)
    many = workspaces(app, owner, 5_000)
    sign_in(client, owner)
    page = opened(app, client, many[0])
    page = client.submit(page, "Confirm", method="aws")
    _bought, page = landed(app, client)
    first = page.soup.select_one("main input[type=checkbox]")
    assert first
    assert first["value"] == public_id(app, many[0]), "the one it began at is there, however long the list"
    page = client.click(page, "Next page")
    assert len(page.soup.select("main input[type=checkbox]")) == 21
