"""Another brand is one file: a whole walk in it, its errors, its sandbox and its mails show nothing of the first."""

import re
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import pytest
from flask import Flask
from flask_mail import Message, email_dispatched

from config import ROOT, Settings
from tests.support.client import Client
from tests.support.mailbox import Mailbox
from tests.support.page import Page
from tests.support.reader import Reader
from tests.support.sandbox import LiveSandbox
from tests.support.walk import Walk
from wizard.brand import Brand, load_brand
from wizard.worker import run_once

pytestmark = pytest.mark.engines("sqlite")
"""How a brand looks and reads is the same whatever keeps it."""

FIRST = load_brand(ROOT / "brand.toml")
SECOND_FILE = ROOT / "docs" / "brands" / "kestrel.toml"
SECOND = load_brand(SECOND_FILE)

both_languages = pytest.mark.parametrize("language", ["en", "zh"])


def traces(brand: Brand) -> set[str]:
    """What somebody would know a brand by, as it may stand in a page, a stylesheet or a mail; in lower case."""
    words = {brand.name, brand.agent_name, brand.mark, quote(brand.mark, safe="/")}
    words |= {brand.support_email.rpartition("@")[2].removesuffix(".example")}
    words |= {text for site in brand.sites for text in (site.name.en, site.name.zh)}
    for scheme in (brand.light, brand.dark):
        # What is nearly the page's own colour may be the same for two brands, so the rest has to do.
        words |= {scheme.accent, scheme.accent_hover, scheme.flood, quote(scheme.accent)}
    return {word.lower() for word in words}


@pytest.fixture
def kestrel(make_app: Callable[[Settings], Flask], settings: Settings) -> Flask:
    return make_app(replace(settings, brand_file=str(SECOND_FILE), mail_sender=""))


@pytest.fixture
def walk(kestrel: Flask, mailbox: Mailbox, marketplace: LiveSandbox, language: str) -> Walk:
    reader = Reader(kestrel, language=language)
    return Walk(reader, lambda: run_once(kestrel), mailbox, marketplace, site="jp1")


def pages_of(walk: Walk) -> list[Page]:
    assert isinstance(walk.client, Reader)
    return walk.client.read


def is_second_brand(page: Page, language: str) -> None:
    """The page is the second brand's, and shows nothing of the first one."""
    # Some sites are named like a country, and those stand in a list of their own.
    text = re.sub(r"<option.*?</option>", "", f"{page.html}\n{page.headers}").lower()
    assert [word for word in traces(FIRST) if word in text] == [], page
    if not page.is_html or page.is_redirect:
        return
    assert page.title.endswith(f" – {SECOND.name}"), page.title
    top, foot = page.soup.select_one("header"), page.soup.select_one("footer")
    assert top is not None
    assert foot is not None
    assert SECOND.name in top.get_text()
    assert top.select("path")[0]["d"] == SECOND.mark
    icon = page.soup.select('link[rel="icon"]')[0]["href"]
    assert quote(SECOND.light.accent) in icon
    led = [link["href"] for link in foot.select("a")]
    assert led == [
        str(link.in_(language)) for link in (SECOND.help_url, SECOND.terms_url, SECOND.privacy_url)
    ]


@both_languages
def test_a_walk_in_a_second_brand_shows_nothing_of_the_first(walk: Walk, language: str) -> None:
    walk.land().say_new()
    walk.give_basics(email="nobody").give_basics()
    walk.enter_code(walk.wrong_code())
    walk.enter_code()
    walk.give_company(agree=None)
    walk.give_company()
    assert SECOND.pay_as_you_go_agreement_url.in_(language) in walk.page.links.values()
    walk.activate(language=None)
    walk.activate()
    assert walk.wait_until_made().path.endswith("/successful")
    assert {SECOND.agent_url.en, SECOND.video_url.en} <= set(walk.page.links.values())
    assert SECOND.agent_name in walk.page.text
    assert walk.page.text.count("jp1 " + SECOND.sites[0].name.in_(language)) >= 1
    assert re.search(r"\bKE-\w{4}-\w{4}\b", "".join(page.text for page in pages_of(walk)))
    assert walk.sign_in(password="not the password").status == 422
    walk.sign_in()
    assert len(pages_of(walk)) > 20
    for page in pages_of(walk):
        is_second_brand(page, language)


@both_languages
def test_every_other_page_is_the_second_brands_too(walk: Walk, language: str) -> None:
    client = walk.client
    for path in ("/", "/bind", "/sign-in", "/nowhere", "/marketplaces/aws/landing", "/arrive/elsewhere"):
        client.get(path, follow=True)
    for fault in ("expired", "invalid", "throttled", "access_denied"):
        walk.bought = {}
        walk.land(fault=fault)
    walk.bought = {}
    walk.land(productCode="another-product-0a1b2c3d4e")
    walk.register().give_basics().enter_code()
    walk.give_company()
    walk.activate(method="aws")
    walk.bought = {}
    walk.land()
    client.post(walk.page.path, {"workspace_name": "x" * 300_000})
    assert {page.status for page in pages_of(walk)} >= {200, 400, 404, 413, 503}
    for page in pages_of(walk):
        is_second_brand(page, language)


@both_languages
def test_the_sandbox_wears_the_second_brand(walk: Walk, language: str) -> None:
    client = walk.client
    page = client.get("/sandbox/aws/")
    page = client.submit(page, "Continue Subscription", account="782858285006")
    client.submit(page, "Subscribe", without=("headers",))
    for path in ("/", "/nowhere", "/mailbox", "/aws/software?account=782858285006"):
        page = client.get(f"/sandbox{path}")
    client.click(page, {"en": "Manage", "zh": "Manage"}[language])
    for page in pages_of(walk):
        is_second_brand(page, language)
    assert SECOND.product_title.in_(language) in pages_of(walk)[0].text


@both_languages
def test_the_mails_of_a_second_brand_are_its_own(walk: Walk, another_of: Callable[[], Walk]) -> None:
    sent: list[Message] = []
    with email_dispatched.connected_to(lambda _app, message: sent.append(message)):
        walk.to_end()
        again = another_of()
        again.person = walk.person
        again.land().say_new().give_basics()
        again.work()
    assert len(sent) == 4
    for message in sent:
        text = f"{message.msgId}\n{message.subject}\n{message.body}\n{message.html}".lower()
        assert [word for word in traces(FIRST) if word in text] == [], message.subject
        assert SECOND.name in message.html
        assert f"{SECOND.name} · {SECOND.support_email}" in message.body
        assert message.sender == f"{SECOND.name} <{SECOND.support_email}>"
    buttons = [style for message in sent for style in re.findall(r"background:(#\w{6})\"", message.html)]
    assert set(buttons) == {SECOND.light.accent}


@pytest.fixture
def another_of(
    kestrel: Flask, mailbox: Mailbox, marketplace: LiveSandbox, language: str
) -> Callable[[], Walk]:
    return lambda: Walk(
        Reader(kestrel, language=language), lambda: run_once(kestrel), mailbox, marketplace, site="jp1"
    )


@pytest.mark.parametrize(("language", "named"), [("en", ("AWS", "Alibaba Cloud")), ("zh", ("AWS", "阿里云"))])
def test_only_clouds_that_can_pay_at_the_brands_sites_are_named(
    kestrel: Flask, app: Flask, language: str, named: tuple[str, str]
) -> None:
    door, first = (Client(brand, language=language).get("/").text for brand in (kestrel, app))
    assert [name in door for name in named] == [True, False]
    assert [name in first for name in named] == [True, True]


def test_the_stylesheet_has_the_colours_of_the_second_brand_alone(kestrel: Flask) -> None:
    style = kestrel.test_client().get(kestrel.extensions["asset_urls"]["style"]).text.upper()
    for mine, theirs in ((SECOND.light, FIRST.light), (SECOND.dark, FIRST.dark)):
        assert set(vars(mine).values()) <= set(re.findall(r"#[0-9A-F]{6}", style))
        assert [c for c in (theirs.accent, theirs.accent_hover, theirs.flood) if c in style] == []
