"""The brand: one file makes these pages somebody else's, and what is wrong with it is said in one sentence."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config import Settings
from tests.support.databases import ROOT
from wizard import create_app
from wizard.brand import BrandError, Colours, colours, contrast, load_brand, stylesheet

OURS = tomllib.loads((ROOT / "brand.toml").read_text(encoding="utf-8"))

SECOND = """
name = "Kestrel Observability"
accent = "#7A1F5C"
mark = "M2 2h20v20h-20Z"
support_email = "care@kestrel.example"
agent_name = "Perch"
product_title = "Kestrel metered"

[links]
help = "https://kestrel.example/help"
terms = { en = "https://kestrel.example/en/terms", zh = "https://kestrel.example/zh/terms" }
privacy = "https://kestrel.example/privacy"
service_agreement = "https://kestrel.example/agreement"
pay_as_you_go_agreement = "https://kestrel.example/payg"
agent = "https://kestrel.example/perch"
video = "/video"

[[sites]]
id = "jp1"
name = { en = "Osaka", zh = "大阪" }
cloud = "AWS"
group = "elsewhere"
settlement = ["aws"]
default_settlement = "aws"
"""


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
    assert brand.product_title.in_("en") == brand.product_title.in_("zh") == "Kestrel metered"
    assert brand.terms_url.in_("zh_Hans_CN") == "https://kestrel.example/zh/terms"
    (site,) = brand.sites
    assert brand.site("jp1") is site
    assert brand.site("us1") is None
    assert (site.label.in_("en"), site.label.in_("zh")) == ("jp1 Osaka", "jp1 大阪")
    assert brand.light.accent == "#7A1F5C"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_nothing_of_the_first_brand_is_left_on_the_pages_of_the_second(
    brand_file: Callable[[str], Path], tmp_path: Path, language: str
) -> None:
    env = {
        "SECRET_KEY": "k" * 40,
        "INSTANCE_PATH": str(tmp_path),
        "BRAND_FILE": str(brand_file(SECOND)),
        "PUBLIC_URL": "https://join.kestrel.example",
    }
    app = create_app(Settings.from_env(env))
    known = [
        OURS["name"],
        OURS["agent_name"],
        OURS["accent"],
        OURS["mark"],
        "skylark.example",
        "Oregon",
        "us1",
    ]
    for path in ("/", "/register", "/bind", "/sign-in", "/nowhere", "/marketplaces/aws/landing"):
        page = app.test_client().get(path, headers={"Accept-Language": language}).text
        assert "Kestrel" in page
        assert 'd="M2 2h20v20h-20Z"' in page
        assert [word for word in known if word in page] == [], path
    style = app.test_client().get(app.extensions["asset_urls"]["style"]).text
    assert "#7A1F5C" in style
    assert OURS["accent"] not in style


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


@pytest.mark.parametrize(
    "accent", ["#0B5C94", "#7A1F5C", "#000000", "#1A1AFF", "#A33B00", "#146B2E", "#767676"]
)
def test_whatever_the_accent_text_can_be_read_in_light_and_in_dark(accent: str) -> None:
    for scheme, page in zip(colours(accent), ("#FFFFFF", "#101416"), strict=True):
        for ink, ground in (
            (scheme.accent, page),
            (scheme.on_accent, scheme.accent),
            (scheme.on_accent, scheme.accent_hover),
            (scheme.on_flood, scheme.flood),
            (scheme.on_flood_soft, scheme.flood),
        ):
            assert contrast(ink, ground) >= 4.5, (accent, page, ink, ground)


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
    ("sites[1].id", lambda text: text + text[text.index("[[sites]]") :]),
    ("sites[0].id", broken(id='"JP 1"')),
    ("sites[0].group", broken(group='"asia"')),
    ("sites[0].cloud", broken(cloud="7")),
    ("sites[0].settlement", broken(settlement='["gold"]')),
    ("sites[0].settlement", broken(settlement="[]")),
    ("sites[0].default_settlement", broken(default_settlement='"billing_center"')),
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


def test_bytes_that_are_no_text_are_one_sentence_too(tmp_path: Path) -> None:
    path = tmp_path / "brand.toml"
    path.write_bytes(b'name = "\xff\xfe"')
    with pytest.raises(BrandError, match=r"^brand\.toml .*\.$"):
        load_brand(path)
