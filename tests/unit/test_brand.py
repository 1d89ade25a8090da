"""The brand: one file makes these pages somebody else's, and what is wrong with it is said in one sentence."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from config import AWS_PARTITIONS
from tests.support.databases import ROOT
from wizard.brand import (
    INK_DARK,
    INK_LIGHT,
    PAGE_DARK,
    PAGE_LIGHT,
    BrandError,
    Colours,
    colours,
    contrast,
    load_brand,
    stylesheet,
)

SECOND = (ROOT / "docs" / "brands" / "kestrel.toml").read_text(encoding="utf-8")
TOKENS = (ROOT / "static" / "css" / "tokens.css").read_text(encoding="utf-8")


@pytest.fixture
def brand_file(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "brand.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


# Another brand -----------------------------------------------------------------------------------------------


def test_a_second_brand_is_read_with_its_own_sites_links_and_colours(
    brand_file: Callable[[str], Path],
) -> None:
    brand = load_brand(brand_file(SECOND))
    assert (brand.name, brand.agent_name, brand.support_email) == (
        "Kestrel Observability",
        "Perch",
        "care@kestrel.example",
    )
    assert brand.help_url.in_("en") == brand.help_url.in_("zh") == "https://kestrel.example/help"
    assert brand.terms_url.in_("zh_Hans_CN") == "https://kestrel.example/zh/terms"
    site, *others = brand.sites
    assert brand.site("jp1") is site
    assert [other.id for other in others] == ["uk1", "br1"]
    assert brand.site("us1") is None
    assert (site.label.in_("en"), site.label.in_("zh")) == ("jp1 Osaka", "jp1 大阪")
    assert brand.light.accent == "#7A1F5C"


def test_make_run_takes_a_brand() -> None:
    for told, wanted in (
        ("BRAND=other.toml", 'BRAND_FILE="other.toml" exec'),
        ("PORT=5001", "PORT=5001  exec"),
    ):
        asked = ["make", "--dry-run", "run", told]
        done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
        assert wanted in done.stdout


# The colours -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accent", ["#FFD500", "#9FB8C8", "#FFFFFF", "#00B300", "#777777"])
def test_an_accent_nobody_could_read_is_refused_with_its_contrast(
    brand_file: Callable[[str], Path], accent: str
) -> None:
    with pytest.raises(BrandError) as stopped:
        load_brand(brand_file(SECOND.replace("#7A1F5C", accent)))
    said = str(stopped.value)
    assert said.startswith("accent in brand.toml wants ")
    assert f"{contrast(accent, '#FFFFFF'):.1f}" in said
    assert "4.5" in said


def test_contrast_is_what_wcag_says_it_is() -> None:
    """Figures from WCAG 2.2's definition: black on white is 21 to 1, and the usual border case of grey."""
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.005)
    assert contrast("#767676", "#FFFFFF") == pytest.approx(4.54, abs=0.005)
    assert contrast("#FFFFFF", "#767676") == contrast("#767676", "#FFFFFF")


@given(st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06X}"))
@example("#000000")
@example("#0B5C94")
@example("#767676")
@example("#AA3FEF")  # As light as an accent may be.
def test_whatever_accent_is_taken_every_text_can_be_read_in_light_and_in_dark(accent: str) -> None:
    assume(contrast(accent, PAGE_LIGHT) >= 4.5)
    inks = ((PAGE_LIGHT, INK_LIGHT, token("soft")), (PAGE_DARK, INK_DARK, token("soft", dark=True)))
    for scheme, (page, ink, soft) in zip(colours(accent), inks, strict=True):
        for text, ground in (
            (scheme.accent, page),
            (ink, scheme.tint),
            (soft, scheme.tint),
            (scheme.on_accent, scheme.accent),
            (scheme.on_accent, scheme.accent_hover),
            (scheme.on_flood, scheme.flood),
            (scheme.on_flood_soft, scheme.flood),
        ):
            assert contrast(text, ground) >= 4.5, (accent, page, text, ground)


def test_the_colours_that_are_reckoned_with_are_those_of_the_stylesheet() -> None:
    def whole(colour: str) -> str:
        return colour.upper() if len(colour) == 7 else "#" + "".join(2 * c for c in colour[1:]).upper()

    assert [whole(token(name)) for name in ("page", "ink")] == [PAGE_LIGHT, INK_LIGHT]
    assert [whole(token(name, dark=True)) for name in ("page", "ink")] == [PAGE_DARK, INK_DARK]


def token(name: str, dark: bool = False) -> str:
    """A colour of `tokens.css`, in one scheme."""
    found: list[str] = re.findall(rf"--{name}: (#[0-9a-f]+);", TOKENS)
    return found[1 if dark else 0]


def test_an_accent_that_looks_like_an_error_is_allowed_and_said(brand_file: Callable[[str], Path]) -> None:
    for accent in ("#7A1F5C", "#767676"):
        assert load_brand(brand_file(SECOND.replace("#7A1F5C", accent))).warnings == ()
    (warning,) = load_brand(brand_file(SECOND.replace("#7A1F5C", "#C0271B"))).warnings
    assert "#C0271B" in warning
    assert "error" in warning


def test_the_stylesheet_has_every_token_of_the_brand_in_both_schemes(
    brand_file: Callable[[str], Path],
) -> None:
    brand = load_brand(brand_file(SECOND))
    css = stylesheet(brand)
    light, dark = re.findall(r":root\{(--accent:[^}]*)\}", css)
    for scheme, declared in ((brand.light, light), (brand.dark, dark)):
        tokens = dict(part.split(":") for part in declared.split(";"))
        assert tokens == {f"--{name.replace('_', '-')}": value for name, value in vars(scheme).items()}
    assert css.index(light) < css.index("prefers-color-scheme:dark", css.index(light)) < css.index(dark)
    used = set(re.findall(r"var\((--[\w-]+)", css))
    declared_somewhere = set(re.findall(r"(--[\w-]+):", css))
    assert used <= declared_somewhere
    assert {f"--{name.replace('_', '-')}" for name in Colours.__dataclass_fields__} <= used


# What is wrong -----------------------------------------------------------------------------------------------


def broken(**changes: Any) -> Callable[[str], str]:
    """The second brand with a line ``key = …`` of it changed, or taken out where the change is None."""
    ((key, value),) = changes.items()

    def apply(text: str) -> str:
        line = "" if value is None else f"{key} = {value}"
        changed, times = re.subn(rf"^{key} = .*$", lambda _: line, text, count=1, flags=re.MULTILINE)
        assert times == 1
        return changed

    return apply


def listing(marketplaces: str) -> Callable[[str], str]:
    """The second brand, whose first site lists these marketplaces."""
    return lambda text: text.replace("\nsettlement =", f"\nmarketplaces = {marketplaces}\nsettlement =", 1)


def test_a_site_takes_the_accounts_of_the_marketplaces_it_lists_or_of_all_of_its_methods(
    brand_file: Callable[[str], Path],
) -> None:
    limited, anything, no_cloud = load_brand(brand_file(listing('["aws-cn"]')(SECOND))).sites
    assert limited.marketplaces == ("aws-cn",)
    assert anything.marketplaces == tuple(partition.name for partition in AWS_PARTITIONS)
    assert no_cloud.marketplaces == ()


WRONG = [
    ("name", broken(name=None)),
    ("name", broken(name='"  "')),
    ("accent", broken(accent='"navy"')),
    ("accent", broken(accent='"#FFF"')),
    ("accent", broken(accent=None)),
    ("mark", broken(mark='"<svg onload=alert(1)>"')),
    ("support_email", broken(support_email='"care"')),
    ("agent_name", broken(agent_name="7")),
    ("product_title", broken(product_title='{ en = "Kestrel" }')),
    ("product_title", broken(product_title='{ en = "Kestrel", zh = "" }')),
    ("links.help", broken(help=None)),
    ("links.help", broken(help='"javascript:alert(1)"')),
    ("links.video", broken(video='"//evil.example/x"')),
    ("links.terms", broken(terms='{ en = "https://kestrel.example/", zh = "条款" }')),
    ("links.agent", broken(agent="'https://kestrel.example/\"><script>'")),
    ("sites", lambda text: text[: text.index("[[sites]]")]),
    ("sites[3].id", lambda text: text + text[text.index("[[sites]]") :]),
    ("sites[0].id", broken(id='"JP 1"')),
    ("sites[0].group", broken(group='"asia"')),
    ("sites[0].cloud", broken(cloud="7")),
    ("sites[0].settlement", broken(settlement='["gold"]')),
    ("sites[0].settlement", broken(settlement="[]")),
    ("sites[0].default_settlement", broken(default_settlement='"alibaba"')),
    ("sites[0].marketplaces", listing('"aws-cn"')),
    ("sites[0].marketplaces", listing('["alibaba"]')),
    ("sites[0].marketplaces", listing('["aws-cn", ["aws"]]')),
    ("sites[0].marketplaces", listing("[]")),
]


@pytest.mark.parametrize(("key", "change"), WRONG, ids=[f"{n}-{key}" for n, (key, _) in enumerate(WRONG)])
def test_a_key_that_cannot_be_used_is_one_sentence_that_names_it(
    brand_file: Callable[[str], Path], key: str, change: Callable[[str], str]
) -> None:
    with pytest.raises(BrandError) as stopped:
        load_brand(brand_file(change(SECOND)))
    said = str(stopped.value)
    assert re.match(rf"{re.escape(key)}[\w.]* in brand\.toml wants ", said), said
    assert said.endswith(".")
    assert "\n" not in said


def test_a_file_that_is_not_there_or_not_toml_is_one_sentence_too(
    brand_file: Callable[[str], Path], tmp_path: Path
) -> None:
    for path in (tmp_path / "none.toml", brand_file('name = "Kestrel'), brand_file("links = 7\n")):
        with pytest.raises(BrandError) as stopped:
            load_brand(path)
        said = str(stopped.value)
        assert "toml" in said
        assert said.endswith(".")
        assert "\n" not in said


def test_the_sentence_names_the_file_it_is_about(tmp_path: Path) -> None:
    path = tmp_path / "kestrel.toml"
    path.write_text(SECOND.replace("#7A1F5C", "#FFD500"), encoding="utf-8")
    with pytest.raises(BrandError, match=r"^accent in kestrel\.toml wants a darker colour"):
        load_brand(path)
    path.write_text(SECOND.replace("#7A1F5C", "#C0271B"), encoding="utf-8")
    assert load_brand(path).warnings[0].startswith("accent in kestrel.toml")


def test_bytes_that_are_no_text_are_one_sentence_too(tmp_path: Path) -> None:
    path = tmp_path / "brand.toml"
    path.write_bytes(b'name = "\xff\xfe"')
    with pytest.raises(BrandError, match=r"^brand\.toml .*\.$"):
        load_brand(path)
