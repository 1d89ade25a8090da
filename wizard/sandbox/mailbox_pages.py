"""The mailbox for people: a list, a page per mail, and the mail's own HTML in a frame where it can do nothing."""

import re

from flask import Blueprint, Response, abort, make_response, render_template, request
from flask_babel import gettext as _

from wizard.sandbox.forms import MailForm
from wizard.sandbox.mails import Mail
from wizard.sandbox.web import csp, sandbox

mailbox_pages = Blueprint("mailbox_pages", __name__)

_FRAME_CSP = "; ".join(
    [
        "default-src 'none'",
        # Mails are styled inline or not at all; this response holds nothing but the mail.
        "style-src 'unsafe-inline'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
        "sandbox allow-popups allow-popups-to-escape-sandbox",
    ]
)


@mailbox_pages.get("/mailbox")
def mailbox() -> str:
    form = MailForm(formdata=request.args)
    to = (form.to.data or "").strip()
    return render_template(
        "sandbox/mailbox.html",
        heading=_("Mailbox"),
        form=form,
        to=to,
        mails=sandbox().mails.newest(to or None),
    )


@mailbox_pages.get("/mailbox/<int:mail_id>")
def mail(mail_id: int) -> Response:
    found = _find(mail_id)
    page = render_template(
        "sandbox/mail.html", heading=found.subject or _("A mail without a subject"), mail=found
    )
    response = make_response(page)
    response.headers["Content-Security-Policy"] = csp(frame_src="'self'")
    return response


@mailbox_pages.get("/mailbox/<int:mail_id>/html")
def mail_html(mail_id: int) -> Response:
    """The mail as it was sent, but for its links: they open in a new window, as a mail program opens them."""
    found = _find(mail_id)
    if not found.html:
        abort(404)
    response = make_response(_links_open_outside(found.html))
    response.headers["Content-Security-Policy"] = _FRAME_CSP
    return response


def _find(mail_id: int) -> Mail:
    found = sandbox().mails.find(mail_id)
    if found is None:
        abort(404)
    return found


def _links_open_outside(html: str) -> str:
    base = '<base target="_blank">'
    head = re.search(r"<head\b[^>]*>", html, re.IGNORECASE)
    if head is None:
        head = re.match(r"\s*<!doctype[^>]*>(\s*<html\b[^>]*>)?", html, re.IGNORECASE)
    at = head.end() if head else 0
    return html[:at] + base + html[at:]
