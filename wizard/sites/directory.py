"""The directory of sites: which there are, and what may pay for a workspace on each."""

from flask import current_app

from wizard.brand import SiteConfig


def all_sites() -> tuple[SiteConfig, ...]:
    return tuple(current_app.extensions["brand"].sites)


def find(site_id: str) -> SiteConfig | None:
    """The site of this id, or None: workspaces outlive a site that is taken out of the configuration."""
    found: SiteConfig | None = current_app.extensions["brand"].site(site_id)
    return found


def label(site_id: str) -> str:
    """What a workspace's site is called, in the reader's language; its id where it is no longer configured."""
    site = find(site_id)
    return str(site.label) if site else site_id


def get(site_id: str) -> SiteConfig:
    """The site of this id. Raises ``KeyError`` for one that does not exist."""
    site = find(site_id)
    if site is None:
        raise KeyError(site_id)
    return site


def allows(site: SiteConfig | None, method: str) -> bool:
    """Whether a workspace on this site may be settled this way ("aws", "alibaba", "billing_center").

    None, a site that is not configured, allows nothing.
    """
    return site is not None and method in site.settlement
