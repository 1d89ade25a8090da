"""The directory of sites: which there are, and what may pay for a workspace on each."""

from flask import current_app

from wizard.brand import SiteConfig


def all_sites() -> tuple[SiteConfig, ...]:
    return tuple(current_app.extensions["brand"].sites)


def get(site_id: str) -> SiteConfig:
    """The site of this id. Raises ``KeyError`` for one that does not exist."""
    site = current_app.extensions["brand"].site(site_id)
    if site is None:
        raise KeyError(site_id)
    return site


def allows(site: SiteConfig, method: str) -> bool:
    """Whether a workspace on this site may be settled this way ("aws", "alibaba", "billing_center")."""
    return method in site.settlement
