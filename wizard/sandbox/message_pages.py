"""The messages for people: what AWS told the seller, how the seller answered, and how messages travel."""

from contextlib import suppress
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from flask_babel import gettext as _
from werkzeug.wrappers import Response

from wizard.sandbox.events import QUEUE, topic_of
from wizard.sandbox.forms import SwitchesForm
from wizard.sandbox.messages import EVERYBODY, Message, UnknownMessage
from wizard.sandbox.web import sandbox

message_pages = Blueprint("message_pages", __name__)

_MOST_SHOWN = 50


@message_pages.get("/messages")
def messages() -> str:
    return _page(SwitchesForm(obj=sandbox().messages.switches(_agreement_id())))


@message_pages.post("/messages")
def switch() -> Any:
    form = SwitchesForm()
    if not form.validate():
        return _page(form), 400
    agreement_id = _agreement_id()
    sandbox().messages.switch(form.wish(), agreement_id or EVERYBODY)
    return _back(agreement_id)


@message_pages.post("/messages/<int:number>/again")
def again(number: int) -> Response:
    with suppress(UnknownMessage):  # The page is older than the database: the list says what there is.
        sandbox().messages.again(number)
    return _back(_agreement_id())


@message_pages.post("/messages/confirm/<partition>/<path:code>")
def confirm(partition: str, code: str) -> Response:
    """Ask the seller's endpoint whether it wants a listing's messages."""
    if code in sandbox().settings.product_codes.get(partition, ()):
        sandbox().topics.ask(partition, code)
    return _back(None)


def _page(form: SwitchesForm) -> str:
    here = sandbox()
    agreement_id = _agreement_id()
    found = here.messages.newest(agreement_id, _MOST_SHOWN + 1)
    return render_template(
        "sandbox/messages.html",
        heading=_("Messages"),
        form=form,
        bought=here.marketplace.find(agreement_id) if agreement_id else None,
        own=here.messages.has_own_switches(agreement_id) if agreement_id else False,
        messages=[(one, *said_of(one)) for one in found[:_MOST_SHOWN]],
        is_cut=len(found) > _MOST_SHOWN,
        topics=[
            (partition, code, topic_of(partition, code), here.topics.confirmed(partition, code))
            for partition in here.settings.notification_urls
            for code in here.settings.product_codes.get(partition, ())
        ],
    )


def said_of(message: Message) -> tuple[str, str]:
    """What became of a message: the kind of its state, and the word for it."""
    if message.fate == "kept_back":
        return "none", _("Kept back")
    if message.fate == "overtaken":
        return "none", _("Overtaken")
    if message.fate == "delivered":
        told = _("Read and deleted") if message.road == QUEUE else _answer(message)
        return "done", told
    if message.fate is not None:
        return "locked", _answer(message)
    if message.tries == 0:
        late = message.next_at is not None and message.next_at > sandbox().settings.now()
        return "making", _("Sets out later") if late else _("On its way")
    if message.road == QUEUE:
        return "making", _("Read, not deleted")
    return "making", _("%(answer)s, tries again", answer=_answer(message))


def _answer(message: Message) -> str:
    if message.answer:
        return _("Answered %(status)s", status=message.answer)
    return _("No answer")


def _agreement_id() -> str | None:
    """Whose messages the page is about. Raises ``UnknownPurchase`` for nobody's."""
    asked = request.args.get("agreement", "").strip()
    return sandbox().marketplace.find(asked).agreement_id if asked else None


def _back(agreement_id: str | None) -> Response:
    return redirect(url_for("message_pages.messages", agreement=agreement_id), 303)
