"""The mails about a journey: a reminder, and that a purchase was bound. Each a payload of the handler ``mail``."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from babel.lists import format_list
from flask import current_app
from flask_babel import force_locale
from sqlalchemy.orm import joinedload

from wizard import mail
from wizard.billing.models import Subscription
from wizard.billing.wording import cloud_account_name
from wizard.extensions import db
from wizard.flows import line, resumption
from wizard.flows.models import Journey
from wizard.marketplaces import protocol as marketplaces
from wizard.transactions import release
from wizard.wording import date_and_time


def tell_bound(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``flows.tell_bound``: to whom a purchase was bound, with the way back to the journey."""
    journey = db.session.scalars(
        sa.select(Journey)
        .where(Journey.id == payload["journey"])
        .options(joinedload(Journey.subscription), joinedload(Journey.billing_account))
    ).one()
    told = bound_mail(journey, datetime.fromisoformat(payload["at"]))
    release()
    mail.send_later(told, entry_id)


def bound_mail(journey: Journey, at: datetime) -> dict[str, Any]:
    """To the owner of a Billing Center account to which the journey's purchase was bound at this time."""
    account, purchase = journey.billing_account, journey.subscription
    assert account is not None
    assert purchase is not None
    with force_locale(account.locale):
        cloud_account, when = cloud_account_name(purchase.cloud_account), date_and_time(at)
    context = {
        "username": account.username,
        "cloud_account": cloud_account,
        "when": when,
        "finished": journey.is_finished,
        "go_on_url": what_it_pays_for(purchase) if journey.is_finished else resumption.url_of(journey),
        "reference": journey.reference,
    }
    return {"to": account.email, "name": "account_bound", "locale": account.locale, "context": context}


def what_it_pays_for(purchase: Subscription) -> str:
    """The Billing Center's page of a purchase, as a mail leads there."""
    return f"{current_app.config['PUBLIC_URL']}/billing/cloud-accounts/{purchase.id}"


def reminder(journey: Journey, left: list[Any]) -> dict[str, Any]:
    """To somebody who bought and did not finish; ``left`` are the titles of what is left to do."""
    assert journey.subscription is not None
    cloud_account = journey.subscription.cloud_account
    with force_locale(journey.locale):
        context = {
            "cloud_account": cloud_account_name(cloud_account),
            "product": line.product_title(),
            "left": format_list([str(title) for title in left], locale=journey.locale),
            "go_on_url": resumption.url_of(journey),
            "cloud": marketplaces.of_account(cloud_account).words.cloud,
            "reference": journey.reference,
        }
    address = resumption.address_of(journey)
    return {"to": address, "name": "reminder", "locale": journey.locale, "context": context}
