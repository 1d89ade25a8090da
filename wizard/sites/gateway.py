"""The Console gateway: what the wizard asks of a site.

A site makes workspaces and lets people in. ``LocalConsole`` is a site inside this installation; a site
somewhere else is another class with the same two methods. Calls are idempotent by the workspace's id,
because the outbox may repeat them.
"""

from dataclasses import dataclass
from typing import Protocol

from flask import current_app

from wizard.transactions import outside_transaction


class SiteUnreachable(Exception):
    """The site did not answer, or answered that it cannot now; the outbox calls again later."""


@dataclass(frozen=True)
class NewWorkspace:
    """What a site needs to make a workspace. ``language`` is the template language, fixed for life."""

    public_id: str
    name: str
    language: str
    owner_username: str
    owner_email: str


class Console(Protocol):
    """A site as the wizard sees it."""

    def create_workspace(self, site_id: str, workspace: NewWorkspace) -> None:
        """Make the workspace, or do nothing if it exists. Raises :class:`SiteUnreachable`."""


class LocalConsole:
    """The sites of this installation: their workspaces are rows of our own database, so nothing is left to call."""

    @outside_transaction
    def create_workspace(self, site_id: str, workspace: NewWorkspace) -> None:
        if current_app.extensions["brand"].site(site_id) is None:
            raise SiteUnreachable(f"there is no site {site_id}")


def console() -> Console:
    """The gateway this installation uses."""
    gateway: Console = current_app.extensions["console_gateway"]
    return gateway
