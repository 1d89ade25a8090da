"""The brand: what `brand.toml` says, the colours worked out from its one accent, and the stylesheet.

A brand gives a name, a mark, one colour, its links and its sites. Everything else about how a page looks is
the same for every brand, so a vendor changes this one file and nothing in `static/` or `templates/`.

This module knows neither Flask's app nor any room of the wizard; the sandbox uses it as well.
"""

import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask_babel import get_locale

LAYERS = ("reset", "tokens", "base", "layout", "components", "pages")
BILLING_LAYERS = (*LAYERS, "billing")
SANDBOX_LAYERS = (*LAYERS, "sandbox")
"""The cascade layers, weakest first. Each is a file of that name in `static/css/`, or a folder of files."""

SETTLEMENT_METHODS = ("aws", "alibaba", "billing_center")
MARKETPLACES = {"aws": "aws", "aws-cn": "aws", "aws-eusc": "aws", "alibaba": "alibaba"}
"""Marketplace → the settlement method that its cloud accounts pay by."""
GROUPS = ("mainland", "elsewhere")

_CSS = Path(__file__).resolve().parent.parent / "static" / "css"
_TEXT_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: the least contrast of text on its ground."""


class BrandError(ValueError):
    """`brand.toml` cannot be used; the message is one sentence naming the key and what it wants."""


@dataclass(frozen=True)
class Text:
    """A text in each language. `str()` gives the one of the current request, English outside of any."""

    en: str
    zh: str

    def in_(self, locale: str) -> str:
        """The text in a language, `"en"` or `"zh"` (a longer tag such as `"zh_Hans_CN"` will do)."""
        return self.zh if locale.lower().startswith("zh") else self.en

    def __str__(self) -> str:
        return self.in_(str(get_locale() or "en"))


@dataclass(frozen=True)
class SiteConfig:
    """One independent deployment of the vendor's service.

    `settlement` lists what can pay for a workspace there, a subset of `SETTLEMENT_METHODS`; `marketplaces` says
    whose cloud accounts can, a subset of `MARKETPLACES`.
    """

    id: str
    name: Text
    cloud: Text
    group: str
    settlement: tuple[str, ...]
    default_settlement: str
    marketplaces: tuple[str, ...] = ()

    @property
    def label(self) -> Text:
        """How a sentence names the site: "us1 Oregon"."""
        return Text(f"{self.id} {self.name.en}".strip(), f"{self.id} {self.name.zh}".strip())


@dataclass(frozen=True)
class Colours:
    """What one scheme, light or dark, takes from the brand. Each value is `#RRGGBB`."""

    accent: str
    accent_hover: str
    on_accent: str
    tint: str
    flood: str
    on_flood: str
    on_flood_soft: str
    flood_line: str

    def declarations(self) -> str:
        """The custom properties, ready to stand between braces."""
        return ";".join(f"--{name.replace('_', '-')}:{value}" for name, value in vars(self).items())


@dataclass(frozen=True)
class Brand:
    """Everything `brand.toml` holds. `warnings` are sentences for the log at start-up, none of them fatal."""

    name: str
    mark: str
    accent: str
    support_email: str
    agent_name: str
    product_title: Text
    help_url: Text
    terms_url: Text
    privacy_url: Text
    service_agreement_url: Text
    pay_as_you_go_agreement_url: Text
    agent_url: Text
    video_url: Text
    sites: tuple[SiteConfig, ...]
    light: Colours
    dark: Colours
    warnings: tuple[str, ...] = field(default=())

    def site(self, site_id: str) -> SiteConfig | None:
        """The site with this id, or None."""
        return next((site for site in self.sites if site.id == site_id), None)


# Reading the file ------------------------------------------------------------------------------------------


def load_brand(path: str | Path) -> Brand:
    """Read and check a `brand.toml`.

    Raises BrandError with one sentence that names the key and says what it wants.
    """
    path = Path(path)
    try:
        return _brand(tomllib.loads(path.read_text(encoding="utf-8")), path.name)
    except OSError as error:
        raise BrandError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrandError(f"{path.name} is not TOML: {error}.") from error
    except BrandError as error:
        raise BrandError(str(error).replace("brand.toml", path.name)) from None


def _brand(data: Mapping[str, Any], file: str) -> Brand:
    links = data.get("links", {})
    if not isinstance(links, dict):
        raise BrandError("links in brand.toml wants a table of addresses.")
    accent = _accent(_string(data, "accent"))
    light, dark = colours(accent)
    return Brand(
        name=_string(data, "name"),
        mark=_mark(_string(data, "mark")),
        accent=accent,
        support_email=_email(_string(data, "support_email")),
        agent_name=_string(data, "agent_name"),
        product_title=_text(data, "product_title"),
        **{f"{key}_url": _address(links, key) for key in _LINKS},
        sites=_sites(data.get("sites")),
        light=light,
        dark=dark,
        warnings=tuple(said.replace("brand.toml", file) for said in _warnings(accent)),
    )


_LINKS = ("help", "terms", "privacy", "service_agreement", "pay_as_you_go_agreement", "agent", "video")


def _string(table: Mapping[str, Any], key: str, where: str = "") -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise BrandError(f"{where}{key} in brand.toml wants a text.")
    return value.strip()


def _text(table: Mapping[str, Any], key: str, where: str = "") -> Text:
    value = table.get(key)
    if isinstance(value, str) and value.strip():
        return Text(value.strip(), value.strip())
    if isinstance(value, dict) and set(value) == {"en", "zh"}:
        return Text(_string(value, "en", f"{where}{key}."), _string(value, "zh", f"{where}{key}."))
    raise BrandError(f'{where}{key} in brand.toml wants a text or {{ en = "…", zh = "…" }}.')


def _address(links: Mapping[str, Any], key: str) -> Text:
    text = _text(links, key, "links.")
    for url in (text.en, text.zh):
        # A script address in a footer would run on every page, so only these two kinds are let through.
        if not re.match(r"https?://[^\s\"'<>]+$|/[^/\s\"'<>][^\s\"'<>]*$", url):
            raise BrandError(f"links.{key} in brand.toml wants an address that starts with https://.")
    return text


def _email(value: str) -> str:
    if not re.fullmatch(r"[^\s@<>\"]+@[^\s@<>\"]+\.[^\s@<>\"]+", value):
        raise BrandError("support_email in brand.toml wants an address like help@company.com.")
    return value


def _mark(value: str) -> str:
    if not re.fullmatch(r"[Mm][\d\s.,+\-eMmLlHhVvCcSsQqTtAaZz]+", value):
        raise BrandError("mark in brand.toml wants the d of one SVG path, drawn in a 24 by 24 box.")
    return value


def _accent(value: str) -> str:
    if not re.fullmatch(r"#[0-9A-Fa-f]{6}", value):
        raise BrandError('accent in brand.toml wants a colour like "#0B5C94".')
    ratio = contrast(value, PAGE_LIGHT)
    if ratio < _TEXT_CONTRAST:
        raise BrandError(
            f"accent in brand.toml wants a darker colour: {value} has a contrast of {ratio:.1f} on the page, "
            f"and text needs {_TEXT_CONTRAST}."
        )
    return value.upper()


def _sites(entries: object) -> tuple[SiteConfig, ...]:
    if not isinstance(entries, list) or not entries:
        raise BrandError("sites in brand.toml wants at least one [[sites]] entry.")
    sites = tuple(_site(entry, f"sites[{index}].") for index, entry in enumerate(entries))
    for index, site in enumerate(sites):
        if site.id in {other.id for other in sites[:index]}:
            raise BrandError(f'sites[{index}].id in brand.toml wants an id of its own: "{site.id}" is taken.')
    return sites


def _site(entry: object, where: str) -> SiteConfig:
    if not isinstance(entry, dict):
        raise BrandError(f"{where[:-1]} in brand.toml wants a table.")
    site_id = _string(entry, "id", where)
    if not re.fullmatch(r"[a-z0-9-]{1,20}", site_id):
        raise BrandError(f"{where}id in brand.toml wants up to 20 small letters, digits and hyphens.")
    if entry.get("group") not in GROUPS:
        raise BrandError(f'{where}group in brand.toml wants "mainland" or "elsewhere".')
    methods = entry.get("settlement")
    if not isinstance(methods, list) or not methods or any(m not in SETTLEMENT_METHODS for m in methods):
        raise BrandError(f"{where}settlement in brand.toml wants a list of {', '.join(SETTLEMENT_METHODS)}.")
    if entry.get("default_settlement") not in methods:
        raise BrandError(f"{where}default_settlement in brand.toml wants one of the site's own methods.")
    return SiteConfig(
        id=site_id,
        name=_text(entry, "name", where),
        cloud=_text(entry, "cloud", where),
        group=entry["group"],
        settlement=tuple(methods),
        default_settlement=entry["default_settlement"],
        marketplaces=_marketplaces(entry, methods, where),
    )


def _marketplaces(entry: Mapping[str, Any], methods: list[str], where: str) -> tuple[str, ...]:
    """Those a site lists; every one of its methods' where it lists none. No method may be left without one."""
    possible = {name: method for name, method in MARKETPLACES.items() if method in methods}
    listed = entry.get("marketplaces", list(possible))
    if not isinstance(listed, list) or not all(isinstance(name, str) and name in possible for name in listed):
        wanted = ", ".join(possible) or "nothing: no cloud pays there"
        raise BrandError(f"{where}marketplaces in brand.toml wants a list of {wanted}.")
    if missing := set(possible.values()) - {possible[name] for name in listed}:
        method = min(missing)
        raise BrandError(f"{where}marketplaces in brand.toml wants one of {method} too: settlement lists it.")
    return tuple(listed)


# Colour ----------------------------------------------------------------------------------------------------
# OKLab and OKLCH: Björn Ottosson, "A perceptual color space for image processing" (2020), and CSS Color 4 §9.
# Contrast: WCAG 2.2, "relative luminance" and "contrast ratio".

PAGE_LIGHT, INK_LIGHT = "#FFFFFF", "#14191C"
PAGE_DARK, INK_DARK = "#101416", "#E8ECEE"
_BAD_HUE, _WARN_HUE = 28.0, 65.0
"""Hues in degrees of the colours that mean "wrong" and "locked" on every brand's pages."""


def colours(accent: str) -> tuple[Colours, Colours]:
    """The light and the dark scheme that follow from one accent (`#RRGGBB`, dark enough for the page)."""
    _, chroma, hue = oklch(accent)
    on_dark_accent = from_oklch(0.25, min(chroma, 0.057), hue)
    dark_accent = from_oklch(0.79, min(chroma, 0.099), hue)
    dark_flood = from_oklch(0.3, min(chroma, 0.05), hue)
    light = _scheme(accent, _readable_on(accent, PAGE_LIGHT, INK_LIGHT), PAGE_LIGHT, INK_LIGHT, accent)
    dark = _scheme(dark_accent, _readable_on(dark_accent, on_dark_accent), PAGE_DARK, INK_DARK, dark_flood)
    return light, dark


def _scheme(accent: str, on_accent: str, page: str, ink: str, flood: str) -> Colours:
    on_flood = _readable_on(flood, PAGE_LIGHT if page == PAGE_LIGHT else INK_DARK, INK_LIGHT)
    return Colours(
        accent=accent,
        accent_hover=mix(ink, accent, 0.14),
        on_accent=on_accent,
        tint=mix(accent, page, 0.06),
        flood=flood,
        on_flood=on_flood,
        on_flood_soft=_faintest(on_flood, flood, 5.1),
        flood_line=mix(on_flood, flood, 0.26),
    )


def _readable_on(ground: str, *inks: str) -> str:
    """The first ink that can be read on a ground; failing all, the better of black and white."""
    for ink in inks:
        if contrast(ink, ground) >= _TEXT_CONTRAST:
            return ink
    return max("#FFFFFF", "#000000", key=lambda ink: contrast(ink, ground))


def _faintest(ink: str, ground: str, wanted: float) -> str:
    """The ink mixed into its ground as far as the wanted contrast allows, never below 80 %."""
    for percent in range(80, 100):
        candidate = mix(ink, ground, percent / 100)
        if contrast(candidate, ground) >= wanted:
            return candidate
    return ink


def _warnings(accent: str) -> tuple[str, ...]:
    """An accent that could be taken for an error or for a lock is allowed, and said so once."""
    _, chroma, hue = oklch(accent)
    found = []
    for meaning, other in (("an error", _BAD_HUE), ("a lock", _WARN_HUE)):
        if chroma > 0.05 and abs((hue - other + 180) % 360 - 180) < 16:
            found.append(f"accent in brand.toml, {accent}, may be taken for the colour of {meaning}.")
    return tuple(found)


def contrast(one: str, other: str) -> float:
    """The WCAG contrast ratio of two colours, 1 to 21."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def mix(colour: str, into: str, share: float) -> str:
    """`share` (0 to 1) of one colour in another, in sRGB as CSS's `color-mix(in srgb, …)` does it."""
    return _hex(*(a * share + b * (1 - share) for a, b in zip(_rgb(colour), _rgb(into), strict=True)))


def oklch(colour: str) -> tuple[float, float, float]:
    """Lightness (0 to 1), chroma (0 to about .4) and hue (degrees)."""
    r, g, b = (_linear(channel) for channel in _rgb(colour))
    long = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    medium = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    short = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    lightness = 0.2104542553 * long + 0.7936177850 * medium - 0.0040720468 * short
    a = 1.9779984951 * long - 2.4285922050 * medium + 0.4505937099 * short
    b = 0.0259040371 * long + 0.7827717662 * medium - 0.8086757660 * short
    return lightness, math.hypot(a, b), math.degrees(math.atan2(b, a)) % 360


def from_oklch(lightness: float, chroma: float, hue: float) -> str:
    """The colour as `#RRGGBB`; a chroma that no screen can show is lowered until one can."""
    while True:
        a, b = chroma * math.cos(math.radians(hue)), chroma * math.sin(math.radians(hue))
        long = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3
        medium = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3
        short = (lightness - 0.0894841775 * a - 1.2914855480 * b) ** 3
        channels = (
            4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
            -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
            -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
        )
        if all(-1e-4 <= channel <= 1 + 1e-4 for channel in channels) or chroma < 0.001:
            return _hex(*(_gamma(min(max(channel, 0.0), 1.0)) for channel in channels))
        chroma -= 0.001


def _rgb(colour: str) -> tuple[float, float, float]:
    return int(colour[1:3], 16) / 255, int(colour[3:5], 16) / 255, int(colour[5:7], 16) / 255


def _hex(r: float, g: float, b: float) -> str:
    return "#" + "".join(f"{round(channel * 255):02X}" for channel in (r, g, b))


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _gamma(channel: float) -> float:
    return channel * 12.92 if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def _luminance(colour: str) -> float:
    r, g, b = (_linear(channel) for channel in _rgb(colour))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


# The stylesheet --------------------------------------------------------------------------------------------


def stylesheet(brand: Brand, layers: tuple[str, ...] = LAYERS) -> str:
    """The one stylesheet of a page: `static/css/` in layer order with the brand's colours, comments and spaces taken
    out. No page but the sandbox's own carries what only the sandbox needs; so it is with the Billing Center's tables.

    A layer without files is left out, so an installation without the sandbox simply lacks that layer.
    """
    parts = [f"@layer {','.join(layers)};"]
    for layer in layers:
        sources = [*_CSS.glob(f"{layer}.css"), *sorted(_CSS.glob(f"{layer}/*.css"))]
        if sources:
            rules = "".join(minify(source.read_text(encoding="utf-8")) for source in sources)
            parts.append(f"@layer {layer}{{{rules}}}")
        if layer == "tokens":
            parts.append(
                f"@layer tokens{{:root{{{brand.light.declarations()}}}"
                f"@media(prefers-color-scheme:dark){{:root{{{brand.dark.declarations()}}}}}}}"
            )
    return "".join(parts)


def minify(css: str) -> str:
    """Take out comments and the white space nobody needs; strings stay as they are."""
    pieces = re.split(r"(\"[^\"]*\"|'[^']*')", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL))
    for index in range(0, len(pieces), 2):
        piece = re.sub(r"\s+", " ", pieces[index])
        # A space before a colon may be the descendant combinator of a selector, so only the one after it goes.
        piece = re.sub(r" ?([{};,>]) ?", r"\1", piece)
        pieces[index] = re.sub(r": ", ":", piece).replace(";}", "}")
    return "".join(pieces).strip()
