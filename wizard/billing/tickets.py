"""The ticket with which a console's *Unlock now* leads to the Billing Center, which does not know its visitors.

It names a locked workspace and its owner, is signed, works for a quarter of an hour and travels in a form, never in an
address. It grants nothing: whoever comes with it still has to sign in as the workspace's Billing Center account.
"""

import hashlib

import sqlalchemy as sa
from flask import current_app
from itsdangerous import BadData, TimestampSigner, URLSafeTimedSerializer

from wizard import clock
from wizard.billing.models import Workspace
from wizard.extensions import db

LIFE = 15 * 60
"""Seconds."""


class BadTicket(Exception):
    """We did not make it, or too long ago, or not for who owns the workspace now."""


def ticket_for(workspace: Workspace) -> str:
    """A ticket for its owner, who is looking at it."""
    return _signer().dumps([workspace.public_id, workspace.owner_id])


def workspace_of(ticket: str) -> str:
    """The public id of the workspace a ticket is for. One statement. Raises :class:`BadTicket`."""
    try:
        public_id, owner_id = _signer().loads(ticket, max_age=LIFE)
    except BadData:
        raise BadTicket from None
    theirs = sa.exists().where(Workspace.public_id == public_id, Workspace.owner_id == owner_id)
    if not db.session.scalar(sa.select(theirs)):
        raise BadTicket
    return str(public_id)


class _Signer(TimestampSigner):
    """One that goes by our clock."""

    def get_timestamp(self) -> int:
        return int(clock.now().timestamp())


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(
        current_app.config["SECRET_KEY"],
        salt="unlock",
        signer=_Signer,
        signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
    )
