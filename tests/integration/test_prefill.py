"""What AWS knows of a buyer is a start for their answers: shown as a suggestion, never believed, never in the way."""

import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from prometheus_client import REGISTRY

from config import Settings
from tests.support.client import Client
from tests.support.factories import recorded, rows_of, text_of
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.sandbox import LiveSandbox, in_partition
from tests.support.sockets import answering, http
from tests.support.walk import LANDING, TOKEN, Walk, walk_in
from wizard import clock
from wizard.extensions import db
from wizard.flows import journeys
from wizard.marketplaces.models import Arrival

pytestmark = pytest.mark.engines("sqlite")
"""What a marketplace suggests is the same whatever keeps it."""

MakeApp = Callable[[Settings], Flask]
Another = Callable[..., Walk]

CHOICE = "Do you have a Billing Center account?"
MIRA = {
    "firstName": "Mira",
    "lastName": "Lindqvist",
    "emailAddress": "mira.lindqvist@fjord.example",
    "companyName": "Fjord Analytics AB",
    "countryCode": "SE",
}
HINT = "From your AWS agreement"


def value(page: Page, name: str) -> str:
    """What a field of a page holds."""
    tag = page.soup.select(f"[name={name}]")[0]
    if tag.name == "select":
        chosen = tag.select("option[selected]")
        return str(chosen[0]["value"]) if chosen else ""
    return tag.get_text().strip() if tag.name == "textarea" else str(tag.get("value") or "")


def hint(page: Page, name: str) -> str:
    """What is said under the label of a field."""
    found = page.soup.select(f"#{name}-hint")
    return found[0].get_text() if found else ""


def about_company(page: Page) -> dict[str, str]:
    return {name: value(page, name) for name in ("company_name", "region", "contact_name")}


def counted(outcome: str, marketplace: str = "aws") -> float:
    labels = {"marketplace": marketplace, "outcome": outcome}
    return REGISTRY.get_sample_value("wizard_agreement_contacts_total", labels) or 0.0


def contacts(app: Flask) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(sa.select(Arrival.contact).order_by(Arrival.created_at)))


def at_company(walk: Walk) -> Page:
    walk.say_new().give_basics().enter_code()
    assert walk.page.h1 == "Company information"
    return walk.page


# Shown ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "said"), [("en", HINT), ("zh", "来自您的 AWS 协议")], ids=["English", "Chinese"]
)
def test_what_the_agreement_says_is_filled_in_and_said_to_come_from_there(
    another: Another, language: str, said: str
) -> None:
    walk = another(language)
    given = counted("given")
    walk.land(contact=MIRA).say_new()
    assert counted("given") == given + 1
    assert value(walk.page, "email") == MIRA["emailAddress"]
    assert said in hint(walk.page, "email")
    assert value(walk.page, "username") == ""
    assert said not in hint(walk.page, "username")
    walk.give_basics().enter_code()
    assert about_company(walk.page) == {
        "company_name": "Fjord Analytics AB",
        "region": "SE",
        "contact_name": "Mira Lindqvist",
    }
    for name in ("company_name", "region", "contact_name"):
        assert said in hint(walk.page, name)
    assert walk.page.soup.select("details[open] [name=region]"), "what is filled in can be seen"


def test_a_suggested_address_is_mailed_a_code_like_any_other(walk: Walk) -> None:
    address = f"mira-{walk.person.number}@fjord.example"
    walk.land(contact={**MIRA, "emailAddress": address}).say_new()
    answers = {name: given for name, given in walk.person.answers.items() if name != "email"}
    walk.page = walk.client.submit(walk.page, "Next", {"site": "us1", **answers})
    assert walk.page.h1 == "Enter the code from your email"
    walk.work()
    assert [mail.to for mail in walk.mailbox.to(address)]
    assert walk.client.get(walk.page.path.replace("/code", "/company"), follow=True).path == walk.page.path


@pytest.mark.parametrize(
    ("first", "last", "shown"),
    [("晓雯", "陈", "陈晓雯"), ("Ana", "Ruiz", "Ana Ruiz"), ("Ana\u202e", " Ruiz ", "Ana Ruiz")],
)
def test_a_name_is_written_as_its_owner_writes_it(walk: Walk, first: str, last: str, shown: str) -> None:
    walk.land(contact={**MIRA, "firstName": first, "lastName": last})
    assert value(at_company(walk), "contact_name") == shown


def test_a_contact_that_fits_no_field_is_left_out(walk: Walk) -> None:
    walk.land(contact={**MIRA, "countryCode": "XX", "emailAddress": "mira@fjord.invalid"}).say_new()
    assert value(walk.page, "email") == ""
    assert HINT not in walk.page.text
    walk.give_basics().enter_code()
    assert value(walk.page, "region") == ""
    assert HINT not in hint(walk.page, "region")
    assert HINT in hint(walk.page, "company_name")


# What the customer types wins -------------------------------------------------------------------------------


def test_what_is_typed_wins_over_the_suggestion_also_after_going_back(walk: Walk) -> None:
    walk.land(contact=MIRA).say_new()
    refused = walk.client.submit(
        walk.page, "Next", {"site": "us1", **walk.person.answers, "username": "", "email": "ada@"}
    )
    assert refused.status == 422
    assert value(refused, "email") == "ada@"
    assert HINT not in hint(refused, "email")
    walk.page = refused
    walk.give_basics()
    back = walk.client.click(walk.page, "Change email address")
    assert value(back, "email") == walk.person.email
    assert HINT not in hint(back, "email")
    walk.page = back
    walk.give_basics().enter_code()
    refused = walk.give_company(company_name="Ada's Lamps", region="", contact_name="", agree="")
    assert refused.status == 422
    assert about_company(refused) == {"company_name": "Ada's Lamps", "region": "", "contact_name": ""}
    assert HINT not in refused.text
    assert walk.give_company(region="", contact_name="").h1 == "Activation method"
    account = " ".join(rows_of(walk.client.app)["console_accounts"])
    assert walk.person.company in account.replace('"', "")
    assert "Fjord" not in account
    assert "Mira" not in account


def test_a_registration_that_took_the_purchase_over_gets_its_suggestion(walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    assert HINT not in walk.page.text
    walk.land(contact=MIRA).say_new()
    assert walk.page.h1 == "Company information"
    assert value(walk.page, "company_name") == MIRA["companyName"]
    assert HINT in hint(walk.page, "company_name")


# Whose it is, and for how long ------------------------------------------------------------------------------


def test_a_purchase_brought_to_an_account_leaves_nothing_of_its_buyer(walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()
    walk.land(contact=MIRA).say_new()
    assert walk.page.h1 == "Activation method"
    assert contacts(walk.client.app) == [None]


def test_another_browser_is_told_nothing_of_the_buyer(walk: Walk, another: Another) -> None:
    walk.land(contact=MIRA).say_new()
    stranger = another()
    stranger.bought = walk.bought
    stranger.land().say_new()
    assert value(stranger.page, "email") == ""
    visitor = another().register().page
    assert value(visitor, "email") == ""
    for page in (stranger.page, *stranger.page.history, visitor):
        assert not [said for said in MIRA.values() if len(said) > 2 and said in page.html]
    stranger.give_basics().enter_code()
    assert about_company(stranger.page) == {"company_name": "", "region": "", "contact_name": ""}


def test_the_suggestion_is_gone_once_it_was_answered_and_with_the_landing_otherwise(
    walk: Walk, another: Another
) -> None:
    app = walk.client.app
    walk.land(contact=MIRA)
    at_company(walk)
    another().land(contact=MIRA)
    assert [contact["email"] for contact in contacts(app)] == [MIRA["emailAddress"]] * 2
    walk.give_company()
    assert [contact and contact["email"] for contact in contacts(app)] == [None, MIRA["emailAddress"]]
    with clock.later(timedelta(days=8)), app.app_context():
        journeys.sweep()
        db.session.commit()
    assert contacts(app) == [None]


def test_a_purchase_that_is_set_up_keeps_nothing_of_its_buyer(walk: Walk, another: Another) -> None:
    walk.to_end()
    newcomer = another()
    newcomer.bought = walk.marketplace.buy(agreementId=walk.bought["agreementId"])
    assert newcomer.land().page.h1 == "This subscription is already set up"
    assert contacts(walk.client.app) == [None, None]


def test_who_a_buyer_is_is_never_logged(walk: Walk) -> None:
    with recorded() as log:
        walk.land(contact=MIRA).say_new()
    assert not [r for r in log for said in MIRA.values() if len(said) > 2 and said in text_of(r)]


# Absent, slow and failing ------------------------------------------------------------------------------------


def lands_all_the_same(app: Flask, mailbox: Mailbox, aws: LiveSandbox, partition: str = "aws") -> None:
    walk = walk_in(app, mailbox, aws).land(partition=partition)
    assert walk.page.h1 == CHOICE
    assert HINT not in walk.say_new().page.text
    assert contacts(app) == [None]


def test_a_buyer_who_told_aws_nothing_begins_with_empty_forms(walk: Walk) -> None:
    none = counted("none")
    walk.land(contact=None).say_new()
    assert counted("none") == none + 1
    assert value(walk.page, "email") == ""
    assert HINT not in walk.page.text
    assert contacts(walk.client.app) == [None]


def test_china_is_never_asked_who_a_buyer_is(walk: Walk) -> None:
    before = [counted(outcome, "aws-cn") for outcome in ("given", "none", "failed")]
    lands_all_the_same(walk.client.app, walk.mailbox, walk.marketplace, "aws-cn")
    assert [counted(outcome, "aws-cn") for outcome in ("given", "none", "failed")] == before


def test_the_sovereign_cloud_is_asked_only_where_its_address_is_named(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox
) -> None:
    failed = counted("failed", "aws-eusc")
    unnamed = in_partition(settings, "aws-eusc", agreement_endpoint="")
    lands_all_the_same(make_app(unnamed), mailbox, marketplace, "aws-eusc")
    assert counted("failed", "aws-eusc") == failed
    # The sandbox refuses there, as AWS says it does.
    app = make_app(settings)
    with recorded() as log:
        assert walk_in(app, mailbox, marketplace).land(partition="aws-eusc").page.h1 == CHOICE
    assert counted("failed", "aws-eusc") == failed + 1
    assert [r.code for r in log if getattr(r, "marketplace", "") == "aws-eusc"] == ["AccessDeniedException"]


def test_a_purchase_without_an_agreement_asks_for_no_contact(walk: Walk) -> None:
    before = [counted(outcome) for outcome in ("given", "none", "failed")]
    walk.land(style="legacy", contact=MIRA).say_new()
    assert HINT not in walk.page.text
    assert [counted(outcome) for outcome in ("given", "none", "failed")] == before


def test_an_agreement_service_that_never_answers_keeps_nobody_from_landing(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox
) -> None:
    failed = counted("failed")
    with socket.create_server(("127.0.0.1", 0)) as silent:  # It takes the call and says nothing.
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        app = make_app(in_partition(settings, agreement_endpoint=silent_url))
        lands_all_the_same(app, mailbox, marketplace)
    assert counted("failed") == failed + 1


@pytest.mark.parametrize("answer", [b"", http(b"[1]")])
def test_nonsense_from_the_agreement_service_keeps_nobody_from_landing(
    make_app: MakeApp, settings: Settings, mailbox: Mailbox, marketplace: LiveSandbox, answer: bytes
) -> None:
    with answering(answer) as odd_url:
        app = make_app(in_partition(settings, agreement_endpoint=odd_url))
        failed = counted("failed")
        lands_all_the_same(app, mailbox, marketplace)
        assert counted("failed") == failed + 1


def test_a_token_brought_again_asks_aws_nothing_more(walk: Walk) -> None:
    walk.land(contact=MIRA)
    given = counted("given")
    walk.client.post(LANDING, {TOKEN: walk.bought["token"]}, cross_site=True)
    assert counted("given") == given


def test_an_agreement_service_that_is_gone_keeps_nobody_from_landing(
    make_app: MakeApp, settings: Settings, marketplace: LiveSandbox
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        nobody = f"http://127.0.0.1:{gone.getsockname()[1]}/"
    app = make_app(in_partition(settings, agreement_endpoint=nobody))
    token = marketplace.buy()["token"]
    assert Client(app).post(LANDING, {TOKEN: token}, cross_site=True).status == 303
