"""The directory of sites: which there are, and what may pay for a workspace on each."""

from flask import current_app

from wizard.brand import SiteConfig, Text


def all_sites() -> tuple[SiteConfig, ...]:
    return tuple(current_app.extensions["brand"].sites)


def get(site_id: str) -> SiteConfig:
    """The site of this id.

    Workspaces and accounts outlive a site that is taken out of the configuration: pages go on naming theirs, by its
    id alone, and nothing can be settled on it.
    """
    site: SiteConfig | None = current_app.extensions["brand"].site(site_id)
    if site is None:
        nothing = Text("", "")
        return SiteConfig(
            site_id, name=nothing, cloud=nothing, group="", settlement=(), default_settlement=""
        )
    return site


def allows(site: SiteConfig, method: str, marketplace: str | None = None) -> bool:
    """Whether a workspace on this site may be settled this way ("aws", "alibaba", "billing_center").

    With a ``marketplace`` ("aws-cn"): by a cloud account of that one.
    """
    return method in site.settlement and marketplace in (None, *site.marketplaces)
