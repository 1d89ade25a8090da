"""The messages: each is three templates (``templates/mail/<name>.subject.txt|txt|html``) in the reader's language."""

from dataclasses import dataclass
from email import charset
from email.utils import formataddr
from typing import Any

from flask import current_app
from flask_babel import force_locale
from flask_mail import Message

from wizard import outbox
from wizard.extensions import mail
from wizard.transactions import outside_transaction

# Flask-Mail sends text as it is, and a mail server refuses a line of more than 998 characters (RFC 5321, 4.5.3.1.6).
charset.add_charset("utf-8", charset.SHORTEST, charset.QP, "utf-8")


class MailOff(outbox.NotNow):
    """No mail server is configured; the message waits in the outbox."""


@dataclass(frozen=True)
class Rendered:
    subject: str
    text: str
    html: str


def render(name: str, locale: str, context: dict[str, Any]) -> Rendered:
    """One message in one language. ``context`` is what its templates name, besides ``brand`` and ``locale``."""
    brand = current_app.extensions["brand"]
    with force_locale(locale):
        gap = "" if locale == "zh" else " "  # What stands between two sentences.
        values = {"brand": brand, "locale": locale, "gap": gap, **context}
        subject, text, html = (
            current_app.jinja_env.get_template(f"mail/{name}.{part}").render(values)
            for part in ("subject.txt", "txt", "html")
        )
    return Rendered(" ".join(subject.split()), text.strip() + "\n", html)


@outside_transaction
def deliver(to: str, name: str, locale: str, context: dict[str, Any], entry_id: int) -> None:
    """Hand one message to the mail server.

    The message id is made from the outbox entry, so a retried mail is recognisably the same one.
    Raises :class:`MailOff`, ``OSError`` or ``smtplib.SMTPException``; the outbox calls again later.
    """
    if not current_app.config["MAIL_SERVER"]:
        raise MailOff("MAIL_SERVER is not set")
    brand = current_app.extensions["brand"]
    rendered = render(name, locale, context)
    sender = current_app.config["MAIL_DEFAULT_SENDER"]
    message = Message(
        subject=rendered.subject,
        recipients=[to],
        body=rendered.text,
        html=rendered.html,
        sender=formataddr((str(brand.name), sender)),
        extra_headers={"Auto-Submitted": "auto-generated", "Content-Language": locale},
    )
    message.msgId = f"<outbox-{entry_id}@{sender.rpartition('@')[2]}>"
    mail.send(message)


def send_later(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``mail``: ``{"to", "name", "locale", "context"}``, for mails that carry no secret."""
    deliver(payload["to"], payload["name"], payload["locale"], payload["context"], entry_id)
