"""The mails the sandbox has received: one row for each recipient."""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

from wizard.sandbox.store import Store
from wizard.sandbox.text import printable


@dataclass(frozen=True)
class Mail:
    """A mail as one recipient got it. ``sent_at``: Unix seconds of its arrival here; ``html`` may be empty."""

    id: int
    to: str
    subject: str
    text: str
    html: str
    message_id: str
    sent_at: float


class Mails:
    """The verbs over the mail rows of a :class:`Store`."""

    def __init__(self, store: Store, now: Callable[[], float]) -> None:
        self._store = store
        self._now = now

    def keep(self, recipients: list[str], raw: bytes) -> None:
        """Parse a message as it came over SMTP and keep a row for each envelope recipient."""
        message = BytesParser(policy=policy.default).parsebytes(raw)
        subject = " ".join(printable(str(message.get("Subject", ""))).split())
        text, html = _part(message, "plain"), _part(message, "html")
        message_id = str(message.get("Message-ID", "")).strip()
        now = self._now()
        with self._store.writing() as db:
            db.executemany(
                "INSERT INTO mails (recipient, subject, text, html, message_id, sent_at) VALUES (?, ?, ?, ?, ?, ?)",
                [(recipient, subject, text, html, message_id, now) for recipient in recipients],
            )

    def newest(self, to: str | None = None, limit: int = 200) -> list[Mail]:
        """Newest first; ``to`` is compared without regard to case."""
        with self._store.reading() as db:
            rows = db.execute(
                "SELECT * FROM mails WHERE ?1 IS NULL OR recipient = ?1 ORDER BY id DESC LIMIT ?2",
                [to, limit],
            )
            return [_mail(row) for row in rows]

    def find(self, mail_id: int) -> Mail | None:
        with self._store.reading() as db:
            row = db.execute("SELECT * FROM mails WHERE id = ?", [mail_id]).fetchone()
            return None if row is None else _mail(row)


def _mail(row: sqlite3.Row) -> Mail:
    return Mail(
        row["id"],
        row["recipient"],
        row["subject"],
        row["text"],
        row["html"],
        row["message_id"],
        row["sent_at"],
    )


def _part(message: EmailMessage, kind: str) -> str:
    """The body of one kind as text with plain newlines, "" where there is none."""
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        content = part.get_content()
    except (LookupError, UnicodeError):
        # An encoding Python does not know: show what can be shown rather than lose the mail.
        payload = part.get_payload(decode=True)
        content = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(payload)
    return printable(str(content).replace("\r\n", "\n"))
