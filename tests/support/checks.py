"""What every answer must be, whatever page it is. Each check yields one sentence for each thing that is wrong.

``DOCUMENT`` checks look at HTML pages, ``RESPONSE`` checks at every answer, redirects and JSON included.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import html5lib
from bs4 import Tag
from html5lib.constants import E as PARSE_ERRORS

from tests.support.page import Page, label_text, squeeze, visible_text

Check = Callable[[Page], Iterator[str]]

ERROR_PREFIXES = ("Error: ", "错误：")
NAMES_IDS = (
    "aria-describedby",
    "aria-labelledby",
    "aria-controls",
    "aria-errormessage",
    "aria-owns",
    "list",
    "form",
)
SELF_NAMED = ("hidden", "submit", "button", "image", "reset")
LOCKED_CSP = {"default-src": {"'none'"}, "base-uri": {"'none'"}, "frame-ancestors": {"'none'"}}
SELF_CSP = ("script-src", "style-src")

_FORBIDDEN = {
    "please": re.compile(r"\bplease\b", re.IGNORECASE),
    "invalid": re.compile(r"\binvalid\b", re.IGNORECASE),
    "oops": re.compile(r"\boops\b", re.IGNORECASE),
    # 申请 is to apply, 请求 a request, 邀请 to invite: 请 is only a "please" where it stands outside them.
    "请": re.compile(r"(?<![申邀])请(?!求)"),
}


def parses(page: Page) -> Iterator[str]:
    """The page is HTML as the standard has it."""
    if not _parses(_skeleton(page.html)):
        yield from _parse_errors(page)


_WORDS = re.compile(
    r"""(?<==")(?<!type=")[\w ./:@?=+%,;-]+(?=")|(?<=>)[\w.,:;()’…–-][\w \t\r\n.,:;()’…–-]*(?=<)"""
)
"""What an attribute or an element says in plain words."""


def _skeleton(html: str) -> str:
    """A page without its plain words, which no parser minds: the same for everybody who sees that page."""
    return _WORDS.sub("w", html)


@lru_cache(maxsize=4096)
def _parses(html: str) -> bool:
    """Parsing strictly takes longer than making a page, and the same few hundred are met again and again."""
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    parser.parse(html)
    return not parser.errors


def _parse_errors(page: Page) -> Iterator[str]:
    parser = html5lib.HTMLParser(namespaceHTMLElements=False)
    parser.parse(page.html)
    lines = page.html.splitlines()
    for (line, _column), code, details in parser.errors:
        said = PARSE_ERRORS.get(code, code) % details
        near = squeeze(lines[line - 1])[:120] if 0 < line <= len(lines) else ""
        yield f"line {line} is not HTML: {said} (near {near!r})"


def has_one_heading(page: Page) -> Iterator[str]:
    """One h1, and a title that starts with it; "Error: " goes before the title where something is to be put right."""
    headings = page.tagged("h1")
    if len(headings) != 1:
        yield f"has {len(headings)} h1, wants one"
        return
    prefix = next((p for p in ERROR_PREFIXES if page.title.startswith(p.strip())), "")
    rest = page.title[len(prefix.strip()) :].lstrip()
    if not page.h1:
        yield "has an empty h1"
    elif not rest.startswith(page.h1):
        yield f"title {page.title!r} does not start with the h1 {page.h1!r}"
    if page.errors and not prefix:
        yield f"shows errors, and its title {page.title!r} does not start with “Error: ”"


def speaks_a_language(page: Page) -> Iterator[str]:
    """The language is declared: the pages are in English or in Chinese."""
    html = page.soup.find("html")
    lang = str(html.get("lang", "")) if isinstance(html, Tag) else ""
    if lang.split("-")[0] not in ("en", "zh"):
        yield f"html lang is {lang!r}"


def ids_fit(page: Page) -> Iterator[str]:
    """An id is there once, and whatever names an id names one that is there."""
    ids = Counter(str(tag["id"]) for tag in page.tags if tag.has_attr("id"))
    for name, times in ids.items():
        if times > 1:
            yield f"id {name!r} is there {times} times"
    for attribute in NAMES_IDS:
        for tag in page.tags:
            for name in str(tag.get(attribute, "")).split():
                if name not in ids:
                    yield f"<{tag.name} {attribute}> names the id {name!r}, which is not there"
    for label in page.tagged("label"):
        if label.has_attr("for") and label["for"] not in ids:
            yield f"the label {visible_text(label)!r} is for the id {label['for']!r}, which is not there"
    for link in page.tagged("a"):
        href = str(link.get("href", ""))
        if href.startswith("#") and href[1:] not in ids:
            yield f"the link {visible_text(link)!r} leads to {link['href']}, which is not there"


def has_names(page: Page) -> Iterator[str]:
    """Controls, buttons, links and pictures have names, and a group of choices has a legend."""
    for control in page.tagged("input", "select", "textarea"):
        if control.get("type") not in SELF_NAMED and not label_text(page.soup, control):
            yield f"the field {control.get('name') or control.get('id')!r} has no label"
        if control.get("type") == "radio":
            group = control.find_parent("fieldset")
            if not isinstance(group, Tag) or not group.find("legend"):
                yield f"the choice {control.get('name')!r} has no fieldset with a legend"
    for tag in page.tagged("a", "button", "input"):
        if not (tag.name == "button" or tag.has_attr("href") or tag.get("type") == "submit"):
            continue
        if tag.has_attr("hidden"):
            continue  # A script shows it, and gives it its words then.
        alts = " ".join(str(img.get("alt", "")) for img in tag.find_all("img"))
        if not (visible_text(tag) or tag.get("aria-label") or tag.get("value") or alts.strip()):
            yield f"<{tag.name}> {tag.get('href') or tag.get('name') or ''} has no text"
    for image in page.tagged("img"):
        if not image.has_attr("alt"):
            yield f"the picture {image.get('src')!r} has no alt"


def has_nothing_inline(page: Page) -> Iterator[str]:
    """Scripts and styles come from files only, as the content security policy says."""
    for script in page.tagged("script"):
        if not script.get("src"):
            yield f"has an inline script: {squeeze(script.get_text())[:80]!r}"
    if page.tagged("style"):
        yield "has an inline <style>"
    for tag in page.tags:
        for attribute, value in tag.attrs.items():
            if attribute == "style" or attribute.startswith("on"):
                yield f"<{tag.name}> has an inline {attribute}={value!r}"
            if isinstance(value, str) and value.strip().lower().startswith("javascript:"):
                yield f"<{tag.name} {attribute}> is a javascript: address"


def speaks_plainly(page: Page) -> Iterator[str]:
    """None of the words this product does not use. What people typed (in a textarea) is theirs."""
    text = visible_text(page.soup.body or page.soup, leave_out=frozenset({"textarea"}))
    for word, around in forbidden_words(text).items():
        yield f"says {word!r}: “…{around}…”"


def is_locked_down(page: Page) -> Iterator[str]:
    """The content security policy allows nothing inline and nothing from elsewhere; nobody keeps the page."""
    raw = page.headers.get("Content-Security-Policy", "")
    policy = {words[0]: set(words[1:]) for part in raw.split(";") if (words := part.split())}
    for directive, wanted in LOCKED_CSP.items():
        if policy.get(directive) != wanted:
            yield f"Content-Security-Policy wants {directive} {' '.join(wanted)}; it is {raw!r}"
    for directive in SELF_CSP:
        if policy.get(directive, set()) - {"'self'", "'none'"}:
            yield f"Content-Security-Policy {directive} wants 'self' alone; it is {raw!r}"
    if "form-action" not in policy:
        yield f"Content-Security-Policy says nothing of form-action: {raw!r}"
    if re.search(r"unsafe|\*|\bhttps?:(?!//)", raw):
        yield f"Content-Security-Policy is open: {raw!r}"
    if "no-store" not in page.headers.get("Cache-Control", ""):
        yield f"Cache-Control is {page.headers.get('Cache-Control')!r}, wants no-store"


def forbidden_words(text: str) -> dict[str, str]:
    """The words in a text that this product does not use → the text around each."""
    found = {word: match for word, pattern in _FORBIDDEN.items() if (match := pattern.search(text))}
    return {word: text[max(0, match.start() - 40) : match.end() + 40] for word, match in found.items()}


DOCUMENT: dict[str, Check] = {
    "html": parses,
    "heading": has_one_heading,
    "language": speaks_a_language,
    "ids": ids_fit,
    "names": has_names,
    "inline": has_nothing_inline,
    "words": speaks_plainly,
    "policy": is_locked_down,
}


def keeps_its_headers(page: Page) -> Iterator[str]:
    """Nothing is sniffed, and no address of ours is told to others."""
    if page.headers.get("X-Content-Type-Options") != "nosniff":
        yield "has no X-Content-Type-Options: nosniff"
    if page.headers.get("Referrer-Policy") != "same-origin":
        yield f"Referrer-Policy is {page.headers.get('Referrer-Policy')!r}, wants same-origin"


def keeps_its_cookies(page: Page) -> Iterator[str]:
    """Cookies are not for scripts, and say which cross-site requests they go with."""
    for header in page.headers.getlist("Set-Cookie"):
        for name, cookie in SimpleCookie(header).items():
            if not cookie["httponly"]:
                yield f"the cookie {name!r} is not HttpOnly"
            if cookie["samesite"] not in ("Lax", "Strict"):
                yield f"the cookie {name!r} has SameSite={cookie['samesite']!r}, wants Lax or Strict"
            if page.origin.startswith("https:") and not cookie["secure"]:
                yield f"the cookie {name!r} is not Secure"


def leads_on_properly(page: Page) -> Iterator[str]:
    """After a POST the browser GETs (303), and never another origin: the policy's form-action forbids that."""
    if page.method != "POST" or not page.is_redirect:
        return
    if page.status != 303:
        yield f"answers a POST with a {page.status} redirect, wants 303"
    if page.location and urlsplit(page.location).netloc:
        yield f"answers a POST with a redirect elsewhere: {page.location}"


RESPONSE: dict[str, Check] = {
    "headers": keeps_its_headers,
    "cookies": keeps_its_cookies,
    "redirect": leads_on_properly,
}


def problems_of(page: Page, without: frozenset[str]) -> Iterator[str]:
    """Everything wrong with an answer, leaving out the checks named."""
    checks = dict(RESPONSE)
    if page.is_html and not page.is_redirect:
        checks |= DOCUMENT
    for name, check in checks.items():
        if name not in without:
            for problem in check(page):
                yield f"{problem}  [{name}]"
