"""A purchase and a half-done binding find whom they belong to: from which door, on which device, and until when."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.support.binding import Binding
from tests.support.factories import Person
from tests.support.owner import sign_in_to_billing
from tests.support.possessions import Owner
from tests.support.walk import Walk
from wizard import clock
from wizard.billing.models import ENDED, Subscription
from wizard.extensions import db

DAY = timedelta(days=1)

pytestmark = pytest.mark.engines("sqlite")


@pytest.mark.engines("sqlite", "postgresql")
def test_a_landing_of_what_is_bound_already_leads_its_owner_to_the_billing_center(binding: Binding) -> None:
    binding.to_workspaces()
    elsewhere = Binding.of(binding)
    elsewhere.bought = {"token": binding.marketplace.buy(agreementId=binding.bought["agreementId"])["token"]}
    page = elsewhere.land().page
    assert page.h1 == "This subscription is already set up"
    assert binding.person.username not in page.html
    door = elsewhere.client.click(page, "Sign in to the Billing Center")
    typed = {"username": binding.person.username, "password": binding.person.password}
    its_page = elsewhere.client.submit(door, "Sign in", typed)
    assert binding.bought["agreementId"] in its_page.text
    # Signed in, the next landing leads there at once.
    elsewhere.bought = {"token": binding.marketplace.buy(agreementId=binding.bought["agreementId"])["token"]}
    assert elsewhere.land().page.path == its_page.path


def test_who_has_no_account_after_all_goes_over_to_registering_and_back_with_the_purchase(
    binding: Binding,
) -> None:
    page = binding.land().say_have().page
    reference = binding.reference
    page = binding.client.submit(page, "Register one")
    assert (page.h1, binding.bought["customerAWSAccountId"][:4] in page.text) == ("Basic information", True)
    page = binding.client.submit(page, "Bind the purchase to it")
    assert page.path == f"/journeys/{reference}/account"


def test_the_front_door_says_where_to_buy_and_leads_on_with_what_was_bought(binding: Binding) -> None:
    page = binding.client.get("/bind")
    assert "Set Up Your Account" in page.text
    assert any("/sandbox/aws/" in link for link in page.links.values())
    binding.land()
    assert binding.client.get("/bind", follow=True).h1 == "Do you have a Billing Center account?"
    binding.say_have()
    assert binding.client.get("/bind", follow=True).path == f"/journeys/{binding.reference}/account"


def test_signing_in_to_the_billing_center_on_another_device_goes_on_where_one_stopped(
    binding: Binding, harbour: str
) -> None:
    binding.to_workspaces()
    elsewhere = binding.client.other()
    typed = {"username": binding.person.username, "password": binding.person.password}
    page = elsewhere.submit(elsewhere.get("/billing/sign-in"), "Sign in", typed)
    assert (page.h1, page.path) == ("Bind workspace", f"/journeys/{binding.reference}/workspaces")


def test_signing_in_to_the_billing_center_goes_on_with_the_purchase_this_browser_brought(
    binding: Binding, harbour: str
) -> None:
    binding.to_workspaces()  # … and stops there; then buys anew in another browser.
    anew = Binding.of(binding)
    anew.land().say_have()
    page = sign_in_to_billing(anew)
    assert page.path == f"/journeys/{anew.reference}/account"
    assert "signed in here" in page.text
    assert anew.bought["customerAWSAccountId"][:4] in page.text


def test_the_console_password_of_who_registered_does_not_open_what_another_account_was_bound_to(
    app: Flask, walk: Walk, owner: Owner, harbour: str
) -> None:
    """Two people: one registers with the purchase, the other's Billing Center account is then bound to it."""
    newcomer = Binding.of(walk, Person())
    newcomer.land().say_new().give_basics().enter_code()
    newcomer.give_company()
    reference = newcomer.reference
    newcomer.page = newcomer.client.submit(newcomer.page, "Bind the purchase to it")
    newcomer.name_account(owner.person.username)
    newcomer.page = newcomer.client.submit(newcomer.page, "Confirm", code=newcomer.code_of(owner.person))
    assert "Harbour" in newcomer.page.text
    elsewhere = newcomer.client.other()
    front = newcomer.sign_in(elsewhere)
    assert front.path.startswith("/console/")
    assert "Harbour" not in front.text
    assert elsewhere.get(f"/journeys/{reference}/workspaces").status == 404


@pytest.mark.engines("sqlite", "postgresql")
def test_who_registered_and_lost_the_purchase_goes_on_registering_and_pays_another_way(
    app: Flask, walk: Walk, binding: Binding
) -> None:
    newcomer = Binding.of(walk, Person())
    newcomer.land().say_new().give_basics().enter_code()
    newcomer.give_company()
    newcomer.page = newcomer.client.submit(newcomer.page, "Bind the purchase to it")
    binding.bought = {"token": walk.marketplace.buy(agreementId=newcomer.bought["agreementId"])["token"]}
    binding.land().say_have().name_account().enter_code()
    there = newcomer.client.other()
    back = newcomer.sign_in(there)
    assert back.h1 == "Activation method"
    told = there.submit(back, "Activate", {"workspace_name": "Beacon", "language": "en", "agree": "y"})
    assert (told.status, "Choose another way to pay" in told.text) == (422, True)
    newcomer.client, newcomer.page = there, told
    newcomer.activate(workspace_name="Beacon", method="billing_center")
    assert newcomer.wait_until_made().h1 == "Activation successful"


def test_who_registered_and_changed_over_without_binding_may_always_go_on(walk: Walk) -> None:
    newcomer = Binding.of(walk, Person())
    newcomer.land().say_new().give_basics().enter_code()
    newcomer.give_company()
    newcomer.client.submit(newcomer.page, "Bind the purchase to it")
    with clock.later(40 * DAY):
        assert newcomer.sign_in(newcomer.client.other()).h1 == "Bind Billing Center account"


def test_the_other_device_of_who_bound_it_is_led_to_what_it_pays_for(binding: Binding) -> None:
    late = Binding.of(binding)
    late.land().say_have()
    binding.bought = {"token": binding.marketplace.buy(agreementId=late.bought["agreementId"])["token"]}
    binding.land().say_have().name_account().enter_code()
    journey = late.page.path
    assert late.client.get(journey).status == 409
    sign_in_to_billing(late)
    assert late.bought["agreementId"] in late.client.get(journey, follow=True).text


def test_a_purchase_that_has_ended_leads_nobody_back_to_it(
    app: Flask, binding: Binding, harbour: str
) -> None:
    binding.to_workspaces()
    with app.app_context():
        db.session.execute(sa.update(Subscription).values(state=ENDED))
        db.session.commit()
    assert sign_in_to_billing(Binding.of(binding)).h1 == "Workspace management"


def test_binding_makes_the_journey_live_on_and_gives_this_browser_a_new_id(
    app: Flask, binding: Binding
) -> None:
    binding.land().say_have().name_account()
    cookie = f"journey-{binding.reference}"
    before = binding.client.cookie(cookie)
    stolen = binding.client.other()
    assert before is not None
    stolen.http.set_cookie(cookie, before, domain="127.0.0.1")
    binding.enter_code()
    assert binding.client.cookie(cookie) not in (None, before)
    with clock.later(timedelta(minutes=1)):
        assert stolen.get(f"/journeys/{binding.reference}/workspaces").status == 404
    with clock.later(29 * DAY):
        assert binding.client.get(f"/journeys/{binding.reference}/workspaces").h1 == "Bind workspace"
    with clock.later(31 * DAY):
        page = binding.client.get(f"/journeys/{binding.reference}/workspaces")
        assert page.status in (404, 410), "the journey and its session are over"
        assert sign_in_to_billing(Binding.of(binding)).h1 == "Workspace management", (
            "nobody is led to what is over"
        )


def test_a_journey_nobody_proved_anything_on_ends_after_a_day_and_says_how_to_start_again(
    binding: Binding,
) -> None:
    page = binding.land().say_have().page
    with clock.later(timedelta(hours=25)):
        gone = binding.client.get(page.url)
        assert gone.status == 410
        assert "open Set Up Your Account there once more" in gone.text


def test_what_is_bound_is_not_carried_over_to_registering(binding: Binding) -> None:
    page = binding.land().say_have().page
    switch = page.form("Register one")
    binding.name_account().enter_code()
    sent = binding.client.post(switch.action, switch.filled({}), follow=True)
    assert sent.h1 == "Bind workspace"
    assert "Register one" not in sent.text


def test_registering_begins_with_the_purchase_that_waits_in_this_browser(binding: Binding) -> None:
    binding.land()
    page = binding.client.get("/register", follow=True)
    assert page.h1 == "Do you have a Billing Center account?"
    front = binding.client.get("/billing/", follow=True)
    typed = {"username": binding.person.username, "password": binding.person.password}
    signed_in = binding.client.submit(front, "Sign in", typed)
    assert signed_in.h1.startswith("Choose workspaces for AWS account")
