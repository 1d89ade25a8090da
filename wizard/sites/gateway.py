"""The Console gateway: what the wizard asks of a site.

A site makes workspaces, lets people in, and stops what nobody pays for. ``LocalConsole`` is a site inside this
installation; a site somewhere else is another class with the same methods. Calls are idempotent by the workspace's
id, because the outbox may repeat them.
"""

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Access:
    """What a site lets people do with a workspace from now on. ``state`` is one of

    "open" · "locked" (everything can be read, and data is still taken in) · "closed" (no data is taken in, and what is
    there is marked for deletion) · "dissolved" (deleted at once).

    ``revision`` grows with each change: calls may overtake one another, and a site forgets one older than it knows.
    """

    public_id: str
    state: str
    revision: int


class Console(Protocol):
    """A site as the wizard sees it."""

    def create_workspace(self, site_id: str, workspace: NewWorkspace) -> None:
        """Make the workspace, or do nothing if it exists. Raises :class:`SiteUnreachable`."""

    def set_access(self, site_id: str, accesses: Sequence[Access]) -> None:
        """What is let from now on, workspace by workspace. Raises :class:`SiteUnreachable`, and is called again."""


class LocalConsole:
    """The sites of this installation: their workspaces are rows of our own database, so nothing is left to call."""

    @outside_transaction
    def create_workspace(self, site_id: str, workspace: NewWorkspace) -> None:
        if current_app.extensions["brand"].site(site_id) is None:
            raise SiteUnreachable(f"there is no site {site_id}")

    @outside_transaction
    def set_access(self, site_id: str, accesses: Sequence[Access]) -> None:
        """The pages of this installation read the same rows that this was told from."""
        if current_app.extensions["brand"].site(site_id) is None:
            raise SiteUnreachable(f"there is no site {site_id}")


def console() -> Console:
    """The gateway this installation uses."""
    gateway: Console = current_app.extensions["console_gateway"]
    return gateway
