"""The sandbox's mailbox: mail comes in by real SMTP and is read by programs and by people."""

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask

from tests.support.races import race, results
from tests.support.sandbox import Clock, settings
from tests.support.sandbox_buyer import Buyer
from wizard.sandbox import create_sandbox
from wizard.sandbox.mailbox import Mailbox, start_mailbox


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(tmp_path: Path, clock: Clock) -> Flask:
    return create_sandbox(settings(tmp_path, clock))


@pytest.fixture
def mailbox(app: Flask, tmp_path: Path, clock: Clock) -> Iterator[Mailbox]:
    running = start_mailbox(str(tmp_path / "sandbox.db"), now=clock)
    yield running
    running.stop()


def message(
    subject: str = "Your code", text: str = "402918\n", html: str = "<p>402918</p>\n"
) -> EmailMessage:
    mail = EmailMessage()
    mail["Subject"] = subject
    mail["From"] = "help@skylark.example"
    mail["To"] = "li@example.com"
    mail["Message-ID"] = "<one@skylark.example>"
    mail.set_content(text)
    if html:
        mail.add_alternative(html, subtype="html")
    return mail


def send(mailbox: Mailbox, mail: EmailMessage | bytes, *to: str) -> None:
    with smtplib.SMTP(mailbox.host, mailbox.port, timeout=30) as smtp:
        if isinstance(mail, bytes):
            smtp.sendmail("help@skylark.example", to or ["li@example.com"], mail)
        else:
            smtp.send_message(mail, to_addrs=to or ["li@example.com"])


def read(app: Flask, to: str = "") -> list[dict]:
    response = app.test_client().get("/mailbox.json", query_string={"to": to} if to else {})
    assert response.content_type == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    found: list[dict] = response.get_json()
    return found


def test_a_mail_arrives_whole(app: Flask, mailbox: Mailbox, clock: Clock) -> None:
    clock.at += 0.208
    send(mailbox, message("您的验证码 · café", "验证码：402918\n", "<p>验证码：<b>402918</b></p>\n"))
    assert read(app) == [
        {
            "id": 1,
            "to": "li@example.com",
            "subject": "您的验证码 · café",
            "text": "验证码：402918\n",
            "html": "<p>验证码：<b>402918</b></p>\n",
            "sent_at": "2026-04-07T18:40:00.208Z",
        }
    ]


def test_the_newest_is_first_and_one_address_can_be_asked_for(app: Flask, mailbox: Mailbox) -> None:
    send(mailbox, message("first"), "li@example.com")
    send(mailbox, message("second"), "wang@example.com", "li@example.com")
    send(mailbox, message("third"), "zhao@example.com")
    assert [m["subject"] for m in read(app)] == ["third", "second", "second", "first"]
    assert [m["subject"] for m in read(app, "LI@example.com")] == ["second", "first"]
    assert read(app, "nobody@example.com") == []


def test_mails_of_other_shapes_are_kept_too(app: Flask, mailbox: Mailbox) -> None:
    send(mailbox, message(html=""))
    send(mailbox, b"Subject: bare\r\n\r\njust text\r\n")
    send(mailbox, b"Content-Type: text/html; charset=gb18030\r\n\r\n" + "<p>中文</p>".encode("gb18030"))
    send(mailbox, b"Content-Type: text/plain; charset=x-unheard-of\r\n\r\n" + "中文".encode())
    send(mailbox, b"Subject: odd\x00\x07\r\n\r\nform\x0cfeed \xff\r\n")
    send(mailbox, b"\r\n")
    found = read(app)[::-1]
    assert (found[0]["text"], found[0]["html"]) == ("402918\n", "")
    assert (found[1]["subject"], found[1]["text"].strip()) == ("bare", "just text")
    assert (found[2]["text"], found[2]["html"].strip()) == ("", "<p>中文</p>")
    assert found[3]["text"].strip() == "中文"
    assert (found[4]["subject"], found[4]["text"][:8]) == ("odd", "formfeed")
    assert found[5]["subject"] == ""
    buyer = Buyer(app)
    for mail in found:
        buyer.get(f"/mailbox/{mail['id']}")


def test_at_most_two_hundred_are_told(app: Flask, mailbox: Mailbox) -> None:
    send(mailbox, message(), *(f"a{number}@example.com" for number in range(210)))
    found = read(app)
    assert [m["id"] for m in found] == list(range(210, 10, -1))


def test_sixteen_senders_at_once_lose_nothing(app: Flask, mailbox: Mailbox) -> None:
    results(race(16, lambda number: send(mailbox, message(f"mail {number}"))))
    assert {m["subject"] for m in read(app)} == {f"mail {number}" for number in range(16)}


def test_a_stopped_mailbox_lets_its_port_go(tmp_path: Path) -> None:
    first = start_mailbox(str(tmp_path / "sandbox.db"))
    first.stop()
    first.stop()
    second = start_mailbox(str(tmp_path / "sandbox.db"), port=first.port)
    assert second.port == first.port
    with pytest.raises(OSError, match=r"in use"):
        start_mailbox(str(tmp_path / "sandbox.db"), port=first.port)
    second.stop()


def test_people_read_mail_in_a_frame_that_can_do_nothing(app: Flask, mailbox: Mailbox) -> None:
    buyer = Buyer(app)
    assert "No mail yet." in buyer.get("/mailbox").text
    html = '<!doctype html><html lang="en"><head><title>x</title></head><body style="color:red">Hello</body></html>'
    send(mailbox, message("Welcome <b>", "Go to http://127.0.0.1:5000/sign-in now.\n", html))

    listed = buyer.get("/mailbox")
    page = buyer.follow(listed, "Welcome <b>")
    assert page.h1 == "Welcome <b>"
    assert "7 April 2026, 18:40 (UTC)" in page.text
    assert page.link("http://127.0.0.1:5000/sign-in") == "http://127.0.0.1:5000/sign-in"
    assert page.headers["Content-Security-Policy"].endswith("; frame-src 'self'")
    frame = page.soup.select_one("iframe")
    assert "allow-scripts" not in frame["sandbox"]
    assert "allow-same-origin" not in frame["sandbox"]

    inside = buyer.get(frame["src"].removeprefix("/sandbox"))
    policy = inside.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'unsafe-inline'; img-src data:;")
    assert "frame-ancestors 'self'" in policy
    assert "script-src" not in policy
    assert inside.html.strip() == html.replace("<head>", '<head><base target="_blank">')


def test_a_mail_without_html_or_subject_is_readable(app: Flask, mailbox: Mailbox) -> None:
    buyer = Buyer(app)
    send(mailbox, b"\r\nplain <b>text</b>\r\n")
    page = buyer.follow(buyer.get("/mailbox"), "A mail without a subject")
    assert page.soup.select_one("iframe") is None
    assert "plain <b>text</b>" in page.text
    assert buyer.get("/mailbox/1/html").status == 404


def test_the_list_is_filtered_by_address(app: Flask, mailbox: Mailbox) -> None:
    buyer = Buyer(app)
    send(mailbox, message("for Li"), "li@example.com")
    send(mailbox, message("for Wang"), "wang@example.com")
    page = buyer.press(buyer.get("/mailbox"), "Show", to=" wang@example.com ")
    assert "for Wang" in page.text
    assert "for Li" not in page.text
    none = buyer.press(page, "Show", to="nobody@example.com")
    assert "No mail for this address yet." in none.text
    assert "for Li" in buyer.follow(none, "Show every mail").text
