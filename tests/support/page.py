"""One answer of the product, read the way a person or a screen reader reads it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import urljoin, urlsplit

from bs4 import BeautifulSoup, NavigableString, Tag
from werkzeug.datastructures import Headers

_BLOCKS = frozenset(
    "address article aside blockquote body br button caption dd details div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hr iframe label legend li main nav ol option p pre section select summary table "
    "tbody td textarea tfoot th thead tr ul".split()
)
_UNSEEN = frozenset({"head", "script", "style", "template"})
_CONTROLS = frozenset({"select", "textarea", "button"})
_SHY = dict.fromkeys(map(ord, "\u200b\u00ad\u2060\ufeff"))


def squeeze(text: str) -> str:
    """Text as it is read: every run of white space, no-break spaces too, is one space; soft marks are gone."""
    return " ".join(text.translate(_SHY).split())


def elements(node: Tag) -> Iterator[Tag]:
    """Every element inside of one, in reading order. Going through them takes a tenth of what a selector takes."""
    return (inner for inner in node.descendants if isinstance(inner, Tag))


def visible_text(node: Tag, leave_out: frozenset[str] = frozenset()) -> str:
    """What is to be read in an element. A block ends a word, an inline element does not."""

    def pieces(tag: Tag) -> Iterator[str]:
        for child in tag.children:
            if isinstance(child, Tag):
                if child.name in _UNSEEN or child.name in leave_out:
                    continue
                gap = " " if child.name in _BLOCKS else ""
                yield gap
                yield from pieces(child)
                yield gap
            elif type(child) is NavigableString:
                yield str(child)

    return squeeze("".join(pieces(node)))


@dataclass
class Page:
    """A response. ``url`` is its path with the query; ``statements`` the SQL that was needed to make it."""

    method: str
    url: str
    status: int
    headers: Headers
    html: str
    statements: tuple[str, ...] = ()
    origin: str = "http://127.0.0.1"
    history: list["Page"] = field(default_factory=list)
    """The answers that led here, oldest first, when redirects were followed."""

    @property
    def path(self) -> str:
        return urlsplit(self.url).path

    @property
    def is_html(self) -> bool:
        return self.headers.get("Content-Type", "").startswith("text/html")

    @property
    def is_redirect(self) -> bool:
        return self.status in (301, 302, 303, 307, 308)

    @property
    def location(self) -> str | None:
        """Where a redirect leads: a path, or a whole address where that is elsewhere."""
        return self.resolve(self.headers["Location"]) if "Location" in self.headers else None

    def resolve(self, address: str) -> str:
        """An address written on this page as a path from the root, or whole where it leads elsewhere."""
        whole = urljoin(self.origin + self.url, address)
        return (whole[len(self.origin) :] or "/") if whole.startswith(self.origin + "/") else whole

    @cached_property
    def soup(self) -> BeautifulSoup:
        return BeautifulSoup(self.html, "html.parser")

    @cached_property
    def tags(self) -> list[Tag]:
        """Every element, in reading order."""
        return list(elements(self.soup))

    def tagged(self, *names: str) -> list[Tag]:
        """Every element of one of these names, in reading order."""
        return [tag for tag in self.tags if tag.name in names]

    @cached_property
    def text(self) -> str:
        return visible_text(self.soup.body or self.soup)

    @property
    def title(self) -> str:
        return squeeze(self.soup.title.get_text()) if self.soup.title else ""

    @property
    def h1(self) -> str:
        found = self.soup.find("h1")
        return visible_text(found) if isinstance(found, Tag) else ""

    @cached_property
    def errors(self) -> dict[str, str]:
        """The error summary: the id each line links to → what it says. Empty where nothing is wrong."""
        return {
            str(link["href"])[1:]: visible_text(link)
            for link in self.tagged("a")
            if str(link.get("href", "")).startswith("#") and any(map(_tells_of_errors, link.parents))
        }

    @property
    def line(self) -> list[str]:
        """The line of what exists now, one text for each of its items, in reading order."""
        return [visible_text(item) for item in self.soup.select(".line li")]

    @property
    def links(self) -> dict[str, str]:
        """Visible text of every link → where it leads."""
        links = (tag for tag in self.tagged("a") if tag.has_attr("href"))
        return {visible_text(a): self.resolve(str(a["href"])) for a in links}

    def link(self, text: str) -> str:
        """Where the link with this text leads. Fails naming the links there are."""
        assert text in self.links, f"no link {text!r} on {self}; there are {sorted(self.links)}"
        return self.links[text]

    @property
    def buttons(self) -> list[str]:
        return [button_text(button) for button in submit_buttons(self.soup)]

    def form(self, button: str) -> "Form":
        """The form sent by the button with this text. Fails naming the buttons there are."""
        found = [tag for tag in submit_buttons(self.soup) if button_text(tag) == button]
        assert found, f"no button {button!r} on {self}; there are {self.buttons}"
        owner = found[0].get("form")
        form = self.soup.find("form", id=owner) if owner else found[0].find_parent("form")
        assert isinstance(form, Tag), f"the button {button!r} on {self} belongs to no form"
        return Form(self, form, found[0])

    def __str__(self) -> str:
        return f"{self.method} {self.url} → {self.status}" + (
            f" “{self.h1}”" if self.is_html and self.h1 else ""
        )


class Form:
    """A form as it stands on the page. ``fields`` maps names to what would be sent when nothing is changed."""

    def __init__(self, page: Page, tag: Tag, button: Tag) -> None:
        self.page = page
        self.tag = tag
        self.button = button
        self.method = str(button.get("formmethod") or tag.get("method") or "get").upper()
        self.action = page.resolve(str(button.get("formaction") or tag.get("action") or ""))

    @cached_property
    def controls(self) -> dict[str, list[Tag]]:
        """Name → its controls (several for radio buttons and check boxes), without buttons."""
        found: dict[str, list[Tag]] = {}
        own = [tag for tag in elements(self.tag) if tag.name in ("input", "select", "textarea")]
        id_ = self.tag.get("id")
        afar = [tag for tag in self.page.tags if id_ and tag.get("form") == id_ and tag.name != "button"]
        for control in [*own, *afar]:
            if (
                control.has_attr("name")
                and control.get("type") not in ("submit", "button", "image", "reset")
                and not control.has_attr("disabled")
            ):
                found.setdefault(str(control["name"]), []).append(control)
        return found

    @property
    def fields(self) -> dict[str, list[str]]:
        return {name: values for name, tags in self.controls.items() if (values := _values(tags))}

    def filled(self, answers: dict[str, object]) -> dict[str, list[str]]:
        """What is sent when these answers are given. A key is a field's name or its visible label; an answer a
        text, a bool for a check box, a list of values for several, the value or the visible label of a choice, or
        None to send nothing."""
        sent = self.fields
        if self.button.get("name"):
            sent[str(self.button["name"])] = [str(self.button.get("value", ""))]
        for key, answer in answers.items():
            name = self._name_of(key)
            if answer is None or answer is False:
                sent.pop(name, None)
            elif isinstance(answer, list):
                sent[name] = [self._value_of(name, one) for one in answer]
            else:
                sent[name] = [self._value_of(name, answer)]
        return sent

    def _name_of(self, key: str) -> str:
        if key in self.controls:
            return key
        labels = {name: _labels(self.page.soup, tags) for name, tags in self.controls.items()}
        names = [name for name, known in labels.items() if key in known]
        assert names, f"no field {key!r} in the form of {self.page}; there are {labels}"
        return names[0]

    def _value_of(self, name: str, answer: object) -> str:
        tags = self.controls[name]
        if answer is True:
            return str(tags[0].get("value", "on"))
        if tags[0].name == "select":
            choices = {
                str(o.get("value", visible_text(o))): visible_text(o) for o in tags[0].find_all("option")
            }
        elif tags[0].get("type") == "radio":
            choices = {str(tag.get("value", "on")): label_text(self.page.soup, tag) for tag in tags}
        else:
            return str(answer)
        for value, label in choices.items():
            if answer in (value, label):
                return value
        raise AssertionError(f"{name} offers no {answer!r} on {self.page}; it offers {choices}")


def _tells_of_errors(tag: Tag) -> bool:
    return tag.get("role") == "alert" or "error-summary" in tag.get_attribute_list("class")


def submit_buttons(soup: BeautifulSoup) -> list[Tag]:
    return [
        tag
        for tag in elements(soup)
        if (tag.name == "button" and tag.get("type", "submit") == "submit")
        or (tag.name == "input" and tag.get("type") == "submit")
    ]


def button_text(tag: Tag) -> str:
    return squeeze(str(tag.get("value", ""))) if tag.name == "input" else visible_text(tag)


def label_text(soup: BeautifulSoup, control: Tag) -> str:
    """The name a screen reader gives a control: aria-label, aria-labelledby, its label. Empty where none."""
    if control.get("aria-label"):
        return squeeze(str(control["aria-label"]))
    if control.get("aria-labelledby"):
        named = [soup.find(id=name) for name in str(control["aria-labelledby"]).split()]
        return squeeze(" ".join(visible_text(tag) for tag in named if isinstance(tag, Tag)))
    id_ = control.get("id")
    labels = (tag for tag in elements(soup) if tag.name == "label" and tag.get("for") == id_)
    label = next(labels, None) if id_ else None
    label = label or control.find_parent("label")
    return visible_text(label, leave_out=_CONTROLS) if isinstance(label, Tag) else ""


def _labels(soup: BeautifulSoup, tags: list[Tag]) -> set[str]:
    """What a person could call this field: its label, and for a group of choices its legend."""
    if tags[0].get("type") == "radio":
        group = tags[0].find_parent("fieldset")
        legend = group.find("legend") if isinstance(group, Tag) else None
        return {visible_text(legend)} if isinstance(legend, Tag) else set()
    return {label_text(soup, tag) for tag in tags} - {""}


def _values(tags: list[Tag]) -> list[str]:
    first = tags[0]
    if first.name == "textarea":
        return [re.sub(r"^\r?\n", "", first.get_text())]
    if first.name == "select":
        options = first.find_all("option")
        chosen = [o for o in options if o.has_attr("selected")] or options[:1]
        return [str(o.get("value", visible_text(o))) for o in chosen]
    if first.get("type") in ("radio", "checkbox"):
        return [str(tag.get("value", "on")) for tag in tags if tag.has_attr("checked")]
    return [str(tag.get("value", "")) for tag in tags]
