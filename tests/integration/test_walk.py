"""The main job: a buyer arrives with nothing and leaves with a working workspace."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.factories import Person
from tests.support.walk import Walk
from wizard import clock

pytestmark = pytest.mark.engines("sqlite")


@pytest.mark.engines("sqlite", "postgresql")
def test_a_buyer_walks_from_aws_to_a_workspace(walk: Walk) -> None:
    walk.land()
    assert walk.page.h1 == "Do you have a Billing Center account?"
    assert walk.say_new().page.h1 == "Basic information"
    assert walk.give_basics().page.h1 == "Enter the code from your email"
    assert walk.enter_code().h1 == "Company information"
    assert walk.give_company().h1 == "Activation method"
    assert walk.activate().h1 == "Your workspace is being made"
    assert walk.wait_until_made().h1 == "Activation successful"
    home = walk.sign_in()
    assert home.h1 == "Harbour"
    assert walk.bought["customerAWSAccountId"][:4] in home.text
    assert "Start by installing the agent" in home.text


def test_the_same_walk_in_chinese(another: Callable[..., Walk]) -> None:
    walk = another("zh")
    assert walk.land().page.h1 == "您有费用中心账号吗？"
    assert walk.say_new().page.h1 == "基本信息"
    walk.give_basics().enter_code()
    walk.give_company()
    walk.activate(language="zh")
    assert walk.wait_until_made().h1 == "开通成功"
    assert walk.sign_in().h1 == "Harbour"
    assert all(any("\u4e00" <= c <= "\u9fff" for c in subject) for subject in walk.subjects())


@pytest.mark.engines("sqlite", "postgresql")
def test_without_a_marketplace_the_billing_center_account_pays(walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()
    walk.activate(method="billing_center")
    assert walk.wait_until_made().h1 == "Activation successful"
    assert f"Billing Center account {walk.person.username}" in walk.sign_in().text


@pytest.mark.engines("sqlite", "postgresql")
def test_aws_chosen_without_a_purchase_comes_back_to_this_very_journey(walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()
    page = walk.activate(method="aws")
    assert page.h1 == "Subscribe at AWS"
    reference = walk.reference
    back = walk.land().page
    assert back.path == f"/journeys/{reference}/subscribe"
    walk.page = walk.client.submit(back, "Confirm")
    assert walk.wait_until_made().h1 == "Activation successful"
    assert "AWS account" in walk.sign_in().text


@pytest.mark.engines("sqlite", "postgresql")
def test_each_mail_goes_out_once(walk: Walk) -> None:
    walk.to_end()
    subjects = walk.subjects()
    assert len(subjects) == 3
    assert subjects[0] == "Harbour is ready"
    assert "console account" in subjects[1]
    assert "code" in subjects[2]


@pytest.mark.parametrize(
    ("style", "named"), [("licence", "account"), ("legacy", "account"), ("legacy_minimal", "customer")]
)
def test_every_style_of_purchase_arrives_and_is_named_for_what_is_known(
    walk: Walk, style: str, named: str
) -> None:
    walk.land(style=style).say_new()
    assert walk.page.h1 == "Basic information"
    assert f"AWS {named}" in walk.page.text


@pytest.mark.engines("sqlite", "postgresql")
def test_leaving_and_coming_back_on_another_device_continues_where_it_stopped(walk: Walk) -> None:
    walk.to_activation()
    elsewhere = walk.client.other()
    page = walk.sign_in(elsewhere)
    assert page.h1 == "Activation method"
    walk.client, walk.page = elsewhere, page
    assert walk.activate().h1 == "Your workspace is being made"


def test_the_front_door_continues_a_journey_of_this_browser(walk: Walk) -> None:
    walk.to_company()
    assert walk.client.get("/register", follow=True).h1 == "Company information"


@pytest.mark.engines("sqlite", "postgresql")
def test_a_billing_center_account_of_the_proven_address_is_used_again(
    walk: Walk, another: Callable[..., Walk]
) -> None:
    walk.to_end()
    again = another(site="eu1", person=walk.person)
    assert again.to_code().enter_code().h1 == "You have a Billing Center account"
    again.register_anyway().give_company()
    assert f"Billing Center account {walk.person.username}" in again.page.text
    again.activate()
    assert again.wait_until_made().h1 == "Activation successful"
    assert "It settles this workspace as well." in again.page.text
    assert "It was made with" in walk.page.text, "who had none is told where it came from"


@pytest.mark.engines("sqlite", "postgresql")
def test_a_purchase_pays_for_the_registration_that_was_going_on_without_one(walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    reference = walk.reference
    walk.land().say_new()
    assert walk.page.h1 == "Company information"
    assert walk.reference == reference
    walk.give_company()
    assert walk.bought["customerAWSAccountId"][:4] in walk.page.text
    walk.activate()
    assert walk.wait_until_made().h1 == "Activation successful"


def test_waiting_for_aws_somebody_may_still_choose_another_payer(walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()
    page = walk.activate(method="aws")
    walk.page = walk.client.click(page, "Back")
    assert walk.page.h1 == "Activation method"
    walk.activate(method="billing_center")
    assert walk.wait_until_made().h1 == "Activation successful"


def test_the_next_person_at_a_shared_browser_may_begin_again(walk: Walk) -> None:
    walk.register().give_basics()
    first = walk.reference
    page = walk.client.click(walk.page, "Change email address")
    page = walk.client.submit(page, "Begin again")
    assert page.h1 == "Basic information"
    assert walk.person.email not in page.html
    assert first not in page.text
    assert walk.client.get(f"/journeys/{first}").status == 404


def test_signing_out_leaves_nothing_open_in_this_browser(walk: Walk) -> None:
    walk.to_activation()
    reference = walk.reference
    page = walk.sign_in()
    assert page.h1 == "Activation method"
    front = walk.client.get("/console/", follow=True)
    assert walk.client.submit(front, "Sign out").h1 == "Sign in"
    assert walk.client.get(f"/journeys/{reference}/activation").status == 404
    assert walk.client.get("/register").h1 == "Basic information"


def test_who_registered_may_go_on_however_late(walk: Walk) -> None:
    walk.to_activation()
    with clock.later(timedelta(days=45)):
        assert walk.sign_in(walk.client.other()).h1 == "Activation method"


def test_a_cookie_from_before_the_first_answer_opens_nothing_once_the_address_is_proven(walk: Walk) -> None:
    walk.register()
    copied, page = walk.client.other(), walk.page
    cookie = walk.client.cookie("wizard")
    assert cookie
    copied.http.set_cookie("wizard", cookie, domain="127.0.0.1")
    walk.give_basics().enter_code()
    again = copied.submit(
        page, "Next", {"site": "us1", **walk.person.answers}, without=("statements", "session")
    )
    assert again.status == 404
    assert walk.person.company not in again.text


def test_the_purchase_waits_on_the_page_that_confirms_it_whatever_goes_wrong(walk: Walk) -> None:
    walk.register().give_basics().enter_code()
    walk.give_company()
    walk.activate(method="aws")
    back = walk.land().page
    assert "Harbour" in back.text
    refused = walk.client.submit(back, "Confirm", csrf_token="stale")
    assert refused.status == 422
    walk.page = walk.client.submit(refused, "Confirm")
    assert walk.wait_until_made().h1 == "Activation successful"


@pytest.mark.engines("sqlite", "postgresql")
def test_a_purchase_of_somebody_who_has_an_account_is_not_forgotten(
    walk: Walk, another: Callable[..., Walk]
) -> None:
    walk.to_end()
    again = another(person=walk.person)
    again.land().say_new().give_basics()
    page = again.sign_in()
    assert page.h1 == "Bind Billing Center account"
    assert again.bought["customerAWSAccountId"][:4] in page.text
    page = again.client.submit(page, "I have a Billing Center account")
    assert page.path == f"/journeys/{again.reference}/account"


def test_the_front_door_leads_on_with_what_this_browser_has_begun(walk: Walk) -> None:
    assert "Register" in walk.client.get("/").links
    walk.land()
    door = walk.client.get("/")
    assert "Your purchase waits here" in door.text
    assert walk.bought["customerAWSAccountId"][-4:] in door.text
    assert walk.client.get(door.links["Set up your workspace"]).h1 == "Do you have a Billing Center account?"
    walk.say_new().give_basics()
    door = walk.client.get("/")
    assert "You have begun already" in door.text
    assert (
        walk.client.get(door.links["Go on where you stopped"], follow=True).h1
        == "Enter the code from your email"
    )
    walk.enter_code()
    walk.give_company()
    walk.activate()
    walk.wait_until_made()
    assert "Register" in walk.client.get("/").links
    assert "Your purchase waits here" not in walk.client.other().get("/").text


@pytest.mark.parametrize(
    ("language", "first", "then"),
    [("en", "Afghanistan", ["Åland Islands", "Albania"]), ("zh", "中国", ["阿尔巴尼亚", "巴巴多斯", "德国"])],
)
def test_countries_stand_in_the_order_a_reader_looks_for_them(
    another: Callable[..., Walk], language: str, first: str, then: list[str]
) -> None:
    walk = another(language=language)
    walk.to_company()
    names = [option.text for option in walk.page.soup.select("select[name=region] option")][1:]
    assert names[0] == first
    assert [name for name in names if name in then] == then
    assert not {"European Union", "United Nations", "欧盟", "联合国"} & set(names)


def test_who_has_finished_registers_anew_in_the_same_browser(walk: Walk) -> None:
    walk.to_end()
    walk.person = Person()
    assert walk.register().give_basics().page.h1 == "Enter the code from your email"
