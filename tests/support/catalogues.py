"""Every sentence of the product, and whether Chinese has it: no catalogue may say less, more or other than the pages.

There are two catalogues, each for one app: ``messages.po`` for the wizard and ``sandbox.po`` for the sandbox, whose
pages also use the layout and the macros they share with the wizard.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.pofile import read_po
from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parent.parent.parent
KEYWORDS = DEFAULT_KEYWORDS | {"_l": None, "lazy_gettext": None, "lazy_ngettext": (1, 2)}

_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%(?![(%])\S|%%")
_TAG = re.compile(r"</?[a-z]\w*")

Sentence = str | tuple[str, ...]
"""A msgid; a pair of them where English has a plural."""


@dataclass(frozen=True)
class Domain:
    """One catalogue and the files whose sentences it holds. ``shares`` are templates it uses from the other one."""

    name: str
    files: tuple[Path, ...]
    shares: bool = False
    root: Path = ROOT
    language: str = "zh"

    @property
    def po(self) -> Path:
        return self.root / "translations" / self.language / "LC_MESSAGES" / f"{self.name}.po"

    @cached_property
    def catalogue(self) -> Catalog:
        with self.po.open("rb") as file:
            return read_po(file, locale=self.language, domain=self.name)

    @cached_property
    def wanted(self) -> dict[Sentence, str]:
        """Sentence → where it is said, for everything these files themselves say, and what they extend or include."""
        found = sentences(self.files, self.root)
        if self.shares:
            found |= sentences(_related(self.files, self.root / "templates", macros=False), self.root)
        return found

    @cached_property
    def allowed(self) -> set[Sentence]:
        """What may be in the catalogue: what is wanted, and what the macros say that these templates import."""
        macros = _related(self.files, self.root / "templates", macros=True) if self.shares else set()
        return set(self.wanted) | set(sentences(macros, self.root))

    def problems(self) -> Iterator[str]:
        """One line for each thing that is wrong with the catalogue."""
        if not self.po.exists():
            yield f"{self.po} does not exist"
            return
        have = {message.id: message for message in self.catalogue if message.id}
        for sentence, where in self.wanted.items():
            message = have.get(sentence)
            if message is None:
                yield f"missing: {sentence!r} ({where})"
            elif not all(_strings(message.string)):
                yield f"not translated: {sentence!r} ({where})"
        for known in have:
            if known not in self.allowed:
                yield f"said nowhere: {known!r}"
        for obsolete in self.catalogue.obsolete.values():
            yield f"obsolete: {obsolete.id!r}"
        for message in have.values():
            yield from _problems_of(message)


def wizard_domain(root: Path = ROOT) -> Domain:
    """All but the sandbox."""
    files = [path for path in _sources(root, "wizard", "templates") if "sandbox" not in _parts(path, root)]
    return Domain("messages", tuple(files), root=root)


def sandbox_domain(root: Path = ROOT) -> Domain:
    """The sandbox."""
    files = _sources(root, "wizard/sandbox", "templates/sandbox")
    return Domain("sandbox", tuple(files), shares=True, root=root)


def sentences(files: Iterable[Path], root: Path = ROOT) -> dict[Sentence, str]:
    """Sentence → the first ``file:line`` that says it."""
    found: dict[Sentence, str] = {}
    for path in sorted(files):
        method = "python" if path.suffix == ".py" else "jinja2.ext:babel_extract"
        # Without silent=false a template that cannot be parsed would just have nothing to say.
        options = {} if path.suffix == ".py" else {"silent": "false"}
        for line, messages, _comments, _context in extract_from_file(
            method, str(path), KEYWORDS, options=options
        ):
            sentence = messages if isinstance(messages, str) else tuple(messages)
            found.setdefault(sentence, f"{path.relative_to(root)}:{line}")
    return found


def _sources(root: Path, *directories: str) -> list[Path]:
    suffixes = (".py", ".html", ".txt")
    return [
        path for name in directories for path in sorted((root / name).rglob("*")) if path.suffix in suffixes
    ]


def _parts(path: Path, root: Path) -> tuple[str, ...]:
    return path.relative_to(root).parts


def _related(files: Iterable[Path], templates: Path, macros: bool) -> set[Path]:
    """The templates outside ``files`` that they extend or include, and import too where ``macros`` says so, and
    theirs in their turn."""
    kinds: tuple[type[nodes.Node], ...] = (nodes.Extends, nodes.Include)
    if macros:
        kinds += (nodes.Import, nodes.FromImport)
    environment = Environment(extensions=["jinja2.ext.i18n"], autoescape=True)
    start = {path for path in files if path.suffix == ".html"}
    todo, seen = list(start), set(start)
    while todo:
        tree = environment.parse(todo.pop().read_text(encoding="utf-8"))
        for kind in kinds:
            for node in tree.find_all(kind):
                name = getattr(node, "template", None)
                path = templates / name.value if isinstance(name, nodes.Const) else None
                if path is not None and path.exists() and path not in seen:
                    seen.add(path)
                    todo.append(path)
    return seen - start


def _strings(string: object) -> list[str]:
    return [str(part) for part in string] if isinstance(string, tuple | list) else [str(string or "")]


def _problems_of(message: Message) -> Iterator[str]:
    if message.fuzzy:
        yield f"fuzzy: {message.id!r}"
    # Chinese has one form for every number; it corresponds to English's last one.
    english = _strings(message.id)[-1]
    for chinese in _strings(message.string):
        if not chinese:
            continue
        for what, pattern in (("placeholders", _PLACEHOLDER), ("tags", _TAG)):
            here, there = sorted(pattern.findall(english)), sorted(pattern.findall(chinese))
            if here != there:
                yield f"other {what}: {message.id!r} has {here}, {chinese!r} has {there}"
