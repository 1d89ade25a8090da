"""The sites as a choice on a page."""

from dataclasses import dataclass

from flask_babel import gettext as _
from wtforms.fields.choices import SelectChoice

from wizard.sites import directory


@dataclass(frozen=True)
class SiteCard:
    """A site as a choice. ``unavailable`` is the reason why it cannot be chosen, or None."""

    id: str
    name: str
    cloud: str
    unavailable: str | None


def groups(method: str | None = None, marketplace: str | None = None) -> list[tuple[str, list[SiteCard]]]:
    """The sites under their headings; those that cannot be paid by ``method``, through ``marketplace``, say so."""
    titles = {"mainland": _("Mainland China"), "elsewhere": _("Everywhere else")}
    found: dict[str, list[SiteCard]] = {}
    for site in directory.all_sites():
        reason = None
        if method is not None and not directory.allows(site, method, marketplace):
            anybody_else = directory.allows(site, method)
            reason = _("This AWS account cannot pay here") if anybody_else else _("AWS cannot pay here")
        found.setdefault(site.group, []).append(SiteCard(site.id, str(site.name), str(site.cloud), reason))
    return [(titles[key] if len(found) > 1 else "", cards) for key, cards in found.items()]


def clouds() -> str:
    """Which clouds can pay on some site: "AWS or Alibaba Cloud"."""
    settling = {method for site in directory.all_sites() for method in site.settlement}
    names = {
        frozenset({"aws", "alibaba"}): _("AWS or Alibaba Cloud"),
        frozenset({"aws"}): "AWS",
        frozenset({"alibaba"}): _("Alibaba Cloud"),
    }
    return names.get(frozenset(settling - {"billing_center"}), _("At a cloud marketplace"))


def offered(method: str | None = None, marketplace: str | None = None) -> list[SelectChoice]:
    return [
        SelectChoice(s.id, str(s.label))
        for s in directory.all_sites()
        if method is None or directory.allows(s, method, marketplace)
    ]
