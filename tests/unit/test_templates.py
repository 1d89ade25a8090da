"""Templates are tidy, and everything they and the code say is said in Chinese too."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from jinja2 import Environment

from tests.support.catalogues import ROOT, Domain, sandbox_domain, sentences, wizard_domain
from tests.support.checks import forbidden_words

HEADER = (
    'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\nPlural-Forms: nplurals=1; plural=0;\\n"\n\n'
)


def test_templates_pass_the_linter() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "djlint", "templates", "--lint", "--quiet"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout


def test_every_template_parses() -> None:
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    for path in (ROOT / "templates").rglob("*"):
        if path.is_file():
            environment.parse(path.read_text(encoding="utf-8"), filename=str(path))


def test_no_template_imports_what_it_does_not_use() -> None:
    unused = []
    for path in (ROOT / "templates").rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        imports = re.findall(
            r"{%-?\s*(?:from\s+\S+\s+)?import\s+(.+?)\s*(?:with(?:out)? context\s*)?-?%}", text
        )
        for clause in imports:
            for name in clause.split(","):
                known = name.split(" as ")[-1].strip()
                if len(re.findall(rf"\b{re.escape(known)}\b", text)) < 2:
                    unused.append(f"{path.relative_to(ROOT)}: {known}")
    assert not unused, "imported and not used:\n" + "\n".join(unused)


@pytest.mark.parametrize("domain", [wizard_domain(), sandbox_domain()], ids=lambda domain: domain.name)
def test_chinese_says_all_that_english_says_and_nothing_else(domain: Domain) -> None:
    problems = list(domain.problems())
    if problems:
        file = domain.po.relative_to(ROOT)
        pytest.fail(f"{len(problems)} things to do in {file}:\n" + "\n".join(problems), pytrace=False)


@pytest.mark.parametrize("domain", [wizard_domain(), sandbox_domain()], ids=lambda domain: domain.name)
def test_no_sentence_uses_a_word_we_do_not_use(domain: Domain) -> None:
    said = [
        text for sentence in domain.wanted for text in ([sentence] if isinstance(sentence, str) else sentence)
    ]
    if domain.po.exists():
        for message in domain.catalogue:
            said += [message.string] if isinstance(message.string, str) else list(message.string)
    assert not [(text, words) for text in said if (words := forbidden_words(text))]


# ── these checks are shown to fail ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A product of a template and a module, whose catalogue each test writes with :func:`_translate`."""
    for name in ("wizard/sandbox", "templates/sandbox", "templates/macros", "translations/zh/LC_MESSAGES"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "wizard" / "forms.py").write_text('label = _l("Email")\n')
    (tmp_path / "templates" / "home.html").write_text('{{ _("Welcome, %(name)s", name=name) }}')
    (tmp_path / "templates" / "layout.html").write_text('{{ _("Skip to content") }}')
    (tmp_path / "templates" / "macros" / "forms.html").write_text(
        '{% macro m() %}{{ _("Show") }}{% endmacro %}'
    )
    (tmp_path / "templates" / "sandbox" / "index.html").write_text(
        '{% extends "layout.html" %}{% import "macros/forms.html" as forms %}'
        '{{ ngettext("%(num)d purchase", "%(num)d purchases", 2) }}'
    )
    return tmp_path


WIZARD = {
    "Email": "邮箱",
    "Welcome, %(name)s": "欢迎，%(name)s",
    "Skip to content": "跳到正文",
    "Show": "显示",
}


def _translate(product: Path, name: str, translations: dict[str, str], more: str = "") -> None:
    entries = "\n".join(f'msgid "{msgid}"\nmsgstr "{msgstr}"\n' for msgid, msgstr in translations.items())
    path = product / "translations" / "zh" / "LC_MESSAGES" / f"{name}.po"
    path.write_text(HEADER + entries + "\n" + more, encoding="utf-8")


def test_a_whole_catalogue_has_no_problem(product: Path) -> None:
    _translate(product, "messages", WIZARD)
    assert list(wizard_domain(product).problems()) == []


@pytest.mark.parametrize(
    ("changes", "more", "said"),
    [
        ({"Email": ""}, "", "not translated: 'Email' (wizard/forms.py:1)"),
        ({"Welcome, %(name)s": "欢迎，%(nane)s"}, "", "other placeholders: 'Welcome, %(name)s'"),
        ({"Show": "<b>显示"}, "", "other tags: 'Show'"),
        ({"Gone": "没了"}, "", "said nowhere: 'Gone'"),
        ({}, '#~ msgid "Old"\n#~ msgstr "旧"\n', "obsolete: 'Old'"),
        ({"Email": None}, '#, fuzzy\nmsgid "Email"\nmsgstr "邮箱"\n', "fuzzy: 'Email'"),
        ({"Email": None}, "", "missing: 'Email' (wizard/forms.py:1)"),
    ],
)
def test_a_catalogue_that_differs_is_reported(
    product: Path, changes: dict[str, str | None], more: str, said: str
) -> None:
    translations = {key: value for key, value in (WIZARD | changes).items() if value is not None}
    _translate(product, "messages", translations, more)
    problems = list(wizard_domain(product).problems())
    assert len(problems) == 1
    assert problems[0].startswith(said)


def test_the_sandbox_needs_what_its_pages_extend_and_may_have_what_they_import(product: Path) -> None:
    plural = 'msgid "%(num)d purchase"\nmsgid_plural "%(num)d purchases"\nmsgstr[0] "%(num)d 笔购买"\n'
    _translate(product, "sandbox", {"Skip to content": "跳到正文"}, plural)
    assert list(sandbox_domain(product).problems()) == []
    _translate(product, "sandbox", {"Skip to content": "跳到正文", "Show": "显示"}, plural)
    assert list(sandbox_domain(product).problems()) == []
    _translate(product, "sandbox", {}, plural)
    assert list(sandbox_domain(product).problems()) == [
        "missing: 'Skip to content' (templates/layout.html:1)"
    ]


def test_a_missing_catalogue_is_reported(product: Path) -> None:
    assert "does not exist" in next(wizard_domain(product).problems())


def test_a_template_that_cannot_be_read_is_not_silently_empty(product: Path) -> None:
    broken = product / "templates" / "broken.html"
    broken.write_text("{% if %}")
    with pytest.raises(Exception, match="Expected an expression"):
        sentences([broken], product)
