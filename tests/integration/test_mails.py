"""Every mail: the same facts in text and in HTML, in both languages, with nothing fetched and no link that acts."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Any

import html5lib
import pytest
from bs4 import BeautifulSoup
from flask import Flask
from flask_babel import force_locale, gettext
from flask_mail import email_dispatched

from tests.support.catalogues import ROOT
from tests.support.checks import forbidden_words
from tests.support.mailbox import Mailbox
from tests.support.page import squeeze, visible_text
from wizard import mail

HERE = "http://127.0.0.1:5000"
SIGN_IN = f"{HERE}/sign-in?site=us1"
FORGOT = f"{HERE}/forgot-password?site=us1"
GO_ON = f"{HERE}/go-on/IlNLLTdLUTQtTTJYRCI.c2lnbmVk"
WHAT = {"username": "ada-1", "site": "us1 Oregon", "reference": "SK-7KQ4-M2XD"}

MAILS: dict[str, dict[str, Any]] = {
    "code": {
        **WHAT,
        "code": "407193",
        "works_until": "14:42 (UTC)",
        "what_for": "A new console account on us1 Oregon",
        "paid_by": "AWS account ending 5006",
    },
    "already_registered": {**WHAT, "sign_in_url": SIGN_IN, "forgot_url": FORGOT},
    "account_created": {**WHAT, "next_url": SIGN_IN, "paid_by": "AWS account 7828 5828 5006"},
    "account_created with its workspace": {
        **WHAT,
        "next_url": SIGN_IN,
        "paid_by": "AWS account 7828 5828 5006",
        "workspace_name": "Harbour <& lamps>",
    },
    "already_registered while binding": {
        **WHAT,
        "sign_in_url": SIGN_IN,
        "forgot_url": FORGOT,
        "is_binding": True,
    },
    "workspace_ready": {
        **WHAT,
        "workspace_name": "Harbour <& lamps>",
        "paid_by": "AWS account 7828 5828 5006",
        "sign_in_url": SIGN_IN,
    },
    "password_changed": {**WHAT, "when": "7 April 2026, 14:02 (UTC)", "forgot_url": FORGOT},
    "no_account": {**WHAT, "forgot_url": FORGOT, "register_url": f"{HERE}/register"},
    "wrong_site": WHAT,
    "account_bound": {
        **WHAT,
        "cloud_account": "AWS account 7828 5828 5006",
        "when": "7 April 2026, 14:02 (UTC)",
        "go_on_url": GO_ON,
    },
    "reminder": {
        **WHAT,
        "product": "Skylark pay-as-you-go",
        "cloud_account": "AWS account 7828 5828 5006",
        "left": "Company information and Activation method",
        "cloud": "AWS",
        "go_on_url": GO_ON,
    },
}
MAILS["doubts"] = {
    "count": 52,
    "findings": [("AWS account 7828 5828 5006 <&>, Agreement agmt-1", "The marketplace says cancelled.")],
    "more": 51,
}
_ENDED = {
    "count": 3,
    "sites": [("us1 Oregon", ["Harbour <& lamps>", "Lantern"]), ("eu1 Frankfurt", ["Pier"])],
    "more": 0,
    "end": "AWS account 7828 5828 5006 ↛",
    "ended_on": "24 March 2026",
    "cloud_account": "AWS account 7828 5828 5006",
    "until": "7 April 2026, 18:40 (UTC)",
    "last_day": "7 April 2026",
    "to_unlock": "AWS, AWS China",
    "username": "wei.chen",
    "is_payer": True,
    "go_url": f"{HERE}/billing/workspaces",
}
_OWNERS = {"count": 1, "sites": [("us1 Oregon", ["Pier"])], "is_payer": False}
_CONSOLE = {**_OWNERS, "go_url": f"{HERE}/console/workspaces/wksp_0123456789abcdef"}
for _name in ("subscription_ended", "lock_warning", "workspaces_closed", "settlement_switched"):
    MAILS[_name] = _ENDED
    MAILS[f"{_name} to an owner"] = {**_ENDED, **_CONSOLE}
MAILS["subscription_ended of many"] = {**_ENDED, "count": 5000, "more": 4997}

SAID_BY = {
    "subscription_ended": ("end", "ended_on", "until", "to_unlock", "go_url"),
    "subscription_ended to an owner": ("end", "ended_on", "until", "to_unlock", "username", "go_url"),
    "subscription_ended of many": ("end", "ended_on", "until", "to_unlock", "go_url"),
    "lock_warning": ("end", "last_day", "until", "to_unlock", "go_url"),
    "lock_warning to an owner": ("end", "last_day", "until", "to_unlock", "username", "go_url"),
    "workspaces_closed": ("end", "ended_on", "go_url"),
    "workspaces_closed to an owner": ("end", "ended_on", "go_url"),
    "settlement_switched": ("end", "cloud_account", "username", "go_url"),
    "settlement_switched to an owner": ("end", "cloud_account", "username", "go_url"),
    "code": ("code", "works_until", "what_for", "paid_by"),
    "already_registered": ("site", "sign_in_url", "forgot_url"),
    "account_created": ("username", "site", "next_url", "paid_by"),
    "account_created with its workspace": ("username", "site", "workspace_name", "paid_by"),
    "already_registered while binding": ("site", "forgot_url"),
    "workspace_ready": ("workspace_name", "site", "paid_by", "sign_in_url"),
    "password_changed": ("username", "site", "when", "forgot_url"),
    "no_account": ("site", "forgot_url", "register_url"),
    "wrong_site": ("site",),
    "account_bound": ("username", "cloud_account", "when", "go_on_url", "reference"),
    "doubts": (),
    "reminder": ("product", "cloud_account", "left", "cloud", "go_on_url", "reference"),
}
"""What each mail must tell."""

PLACES = (SIGN_IN, FORGOT, GO_ON, f"{HERE}/register", str(_ENDED["go_url"]), str(_CONSOLE["go_url"]))
"""Where a mail may lead, besides the brand's own pages: pages that ask, and act on nothing but an answer."""

every_mail = pytest.mark.parametrize("name", sorted(MAILS))
both_languages = pytest.mark.parametrize("language", ["en", "zh"])
pytestmark = pytest.mark.engines("sqlite")


@pytest.fixture
def inside(app: Flask) -> Iterator[Flask]:
    with app.app_context():
        yield app


def sentences(text: str) -> list[str]:
    return [piece for piece in re.split(r"\s{2,}|(?<=[.!?。？！：:])\s*", text) if piece]


def test_every_mail_is_looked_at_here() -> None:
    there = {
        path.name.removesuffix(".subject.txt") for path in (ROOT / "templates/mail").glob("*.subject.txt")
    }
    assert set(MAILS) == set(SAID_BY)
    assert there == {name.partition(" ")[0] for name in MAILS}
    for name in there:
        assert all((Path(ROOT) / f"templates/mail/{name}.{part}").exists() for part in ("txt", "html"))


@every_mail
@both_languages
def test_text_and_html_say_the_same(inside: Flask, name: str, language: str) -> None:
    made = mail.render(name.partition(" ")[0], language, MAILS[name])
    soup = BeautifulSoup(made.html, "html.parser")
    assert soup.body is not None
    told = {"text": squeeze(made.text), "html": squeeze(visible_text(soup.body))}
    links = [str(a["href"]) for a in soup.select("a[href]")]
    for fact in SAID_BY[name]:
        value = MAILS[name][fact]
        assert value in told["text"], fact
        assert value in (links if fact.endswith("_url") else told["html"]), fact
    assert all(link in told["text"] for link in links)
    # Whatever stands in the HTML stands in the text, but the names of its links and its head.
    names = [squeeze(a.get_text()) for a in soup.select("a[href]")]
    assert soup.h1 is not None
    for block in soup.body.select("p, h1, dt, dd"):
        for link in block.select("a"):
            link.extract()
        for sentence in sentences(squeeze(block.get_text())):
            assert sentence in told["text"], (sentence, names)


@every_mail
@both_languages
def test_a_mail_speaks_one_language_and_plainly(inside: Flask, name: str, language: str) -> None:
    made = mail.render(name.partition(" ")[0], language, MAILS[name])
    assert made.subject
    assert "\n" not in made.subject
    assert "Skylark" in made.subject or name == "workspace_ready"
    for text in (made.subject, made.text, visible_text(BeautifulSoup(made.html, "html.parser"))):
        assert not forbidden_words(text)
        assert "%(" not in text
        assert bool(re.search(r"[\u4e00-\u9fff]", text)) == (language == "zh")
    with force_locale(language):
        assert (gettext("Reference") in made.text) == ("reference" in MAILS[name])
    assert f'lang="{"zh-Hans" if language == "zh" else "en"}"' in made.html


@every_mail
@both_languages
def test_html_is_html_that_fetches_nothing_and_fits_any_width(
    inside: Flask, name: str, language: str
) -> None:
    made = mail.render(name.partition(" ")[0], language, MAILS[name])
    html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(made.html)
    soup = BeautifulSoup(made.html, "html.parser")
    assert not soup.select("img, link, script, iframe, form, input, button, table, video, object, svg")
    assert "url(" not in made.html
    assert "@import" not in made.html
    widths = [int(px) for px in re.findall(r"(?<![-\w])width:(\d+)px", made.html)]
    assert all(px <= 146 for px in widths), "wider than half of a narrow window"
    assert soup.h1 is not None
    assert soup.title is not None
    assert squeeze(soup.title.get_text()) == squeeze(soup.h1.get_text())


@every_mail
@both_languages
def test_no_link_of_a_mail_acts_or_carries_a_secret(inside: Flask, name: str, language: str) -> None:
    made = mail.render(name.partition(" ")[0], language, MAILS[name])
    brand = inside.extensions["brand"]
    with force_locale(language):
        allowed = {*PLACES, str(brand.agent_url)}
    found = set(re.findall(r"https?://[^\s\"'<>]+", made.text + " " + made.html.replace("&amp;", "&")))
    assert found <= allowed
    assert (name == "code") == bool(re.search(r"(?<![#\w])\d{6}\b", made.text))


@both_languages
def test_what_is_sent_says_that_a_machine_sent_it(app: Flask, mailbox: Mailbox, language: str) -> None:
    sent: list[Any] = []

    def see(_app: Flask, message: Any) -> None:
        sent.append(message_from_bytes(message.as_bytes()))

    with email_dispatched.connected_to(see), app.app_context():
        mail.deliver("ada@harbour.test", "password_changed", language, MAILS["password_changed"], 7)
    (arrived,) = mailbox.all()
    assert arrived.text
    assert arrived.html
    (message,) = sent
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == language
    assert message["Message-ID"] == arrived.message_id == "<outbox-7@skylark.test>"


@both_languages
def test_no_line_of_a_mail_is_longer_than_a_mail_server_takes(
    app: Flask, mailbox: Mailbox, language: str
) -> None:
    long = {**MAILS["reminder"], "product": "Harbour & Söhne 港口 " * 200}
    with app.app_context():
        mail.deliver("ada@harbour.test", "reminder", language, long, 8)
    (arrived,) = mailbox.all()
    assert long["product"].strip() in squeeze(arrived.text)
