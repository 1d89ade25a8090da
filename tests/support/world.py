"""The domain alone, as rows: a Billing Center account, its purchases and workspaces. No page, no walk.

with app.app_context():
    world = World()
    bought = world.purchase("1")
    harbour = world.workspace(bought)
"""

import itertools
from typing import Any

import sqlalchemy as sa

from wizard import clock, outbox
from wizard.accounts.models import BillingAccount, ConsoleAccount
from wizard.billing import endings, subscriptions, workspaces
from wizard.billing.models import ACTIVE, AWS, CANCELLED, Subscription, Workspace
from wizard.extensions import db

_numbers = itertools.count(1)


class World:
    """A Billing Center account with a console account on us1, both of the same address."""

    def __init__(self, name: str = "ada") -> None:
        self.payer = BillingAccount(origin=name, **_about(name))
        self.owner = self.person(name)
        db.session.add(self.payer)
        db.session.flush()

    def person(self, name: str, site: str = "us1", email: str = "") -> ConsoleAccount:
        """Somebody with a console account."""
        about = _about(name, email)
        account = ConsoleAccount(origin=f"{name} {site}", site_id=site, **about)
        db.session.add(account)
        db.session.flush()
        return account

    def purchase(self, number: str, account: str = "", claimed: bool = True) -> Subscription:
        """An agreement of a cloud account, of one of its own where no number is given."""
        account = account or number
        bought = subscriptions.record(
            subscriptions.Purchase(
                AWS, "aws", f"aws:aws:agreement:agmt-{number}", "p", account.zfill(12), f"agmt-{number}"
            )
        )
        if claimed:
            outbox.enqueue_all(subscriptions.claim(bought.id, self.payer.id))
        db.session.commit()
        return bought

    def workspace(self, paid_by: Subscription | None = None, **values: Any) -> Workspace:
        """A workspace that is made, settled by a purchase or by the Billing Center account."""
        order = workspaces.Order(values.pop("site_id", "us1"), values.pop("name", "Harbour"), "en")
        owner = values.pop("owner", self.owner)
        made = workspaces.order(order, owner, self.payer, paid_by, origin=str(next(_numbers)), by="test")
        values = {"state": ACTIVE, **values}
        db.session.execute(sa.update(Workspace).where(Workspace.id == made.id).values(**values))
        db.session.commit()
        db.session.expire_all()
        return made

    def end(self, purchase: Subscription, why: str = CANCELLED, **more: Any) -> bool:
        """Its marketplace says that it ended, now, or why it did."""
        subscriptions.hold(purchase)
        changed = endings.live(purchase, endings.Life(purchase.ended_at or clock.now(), why, **more))
        db.session.commit()
        return changed

    def revive(self, purchase: Subscription) -> bool:
        """Its marketplace says that it goes on after all."""
        subscriptions.hold(purchase)
        changed = endings.live(purchase, endings.Life())
        db.session.commit()
        return changed


def _about(name: str, email: str = "") -> dict[str, Any]:
    email = email or f"{name}@harbour.test"
    return {
        "username": name,
        "username_key": name,
        "email": email,
        "email_key": email,
        "password_hash": "-",
        "company_name": "Harbour",
        "locale": "en",
        "created_at": clock.now(),
    }
