"""What the domain tells people by mail."""

from typing import Any

from flask import current_app

from wizard import mail
from wizard.accounts.models import ConsoleAccount
from wizard.billing.models import Workspace
from wizard.billing.wording import payer_of
from wizard.extensions import db
from wizard.sites import directory
from wizard.transactions import release


def tell_ready(payload: dict[str, Any], entry_id: int) -> None:
    """The outbox's handler ``billing.tell_ready``: the workspace is there, and how to sign in to it."""
    workspace = db.session.get_one(Workspace, payload["workspace"])
    owner: ConsoleAccount = workspace.owner
    site = directory.get(workspace.site_id)
    context = {
        "workspace_name": workspace.name,
        "site": site.label.in_(owner.locale),
        "paid_by": payer_of(workspace, owner.locale),
        "sign_in_url": f"{current_app.config['PUBLIC_URL']}/sign-in?site={site.id}",
        "agent": current_app.extensions["brand"].agent_name,
    }
    address, locale = owner.email, owner.locale
    release()
    mail.deliver(address, "workspace_ready", locale, context, entry_id)
