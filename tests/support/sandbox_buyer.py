"""A browser without script at the sandbox, which checks on every page what every page must be."""

import re
from typing import Any
from urllib.parse import urlsplit

import html5lib
from flask import Flask
from werkzeug.test import Client

from tests.support.page import Page, label_text
from tests.support.sandbox import mounted


class Buyer:
    """A browser without script at the mounted sandbox. Checks on every page what every page must be."""

    def __init__(self, app: Flask, language: str = "en") -> None:
        self.language = language
        self.client = Client(mounted(app))
        self.seen: list[Page] = []

    def get(self, path: str, **kwargs: Any) -> Page:
        return self._ask("GET", path, **kwargs)

    def post(self, path: str, **kwargs: Any) -> Page:
        return self._ask("POST", path, **kwargs)

    def press(self, page: Page, button: str, **answers: object) -> Page:
        form = page.form(button)
        assert urlsplit(form.action).netloc == "", f"{button!r} leaves the sandbox"
        sent = form.filled(dict(answers))
        kind: dict[str, Any] = {"query_string" if form.method == "GET" else "data": sent}
        path = urlsplit(form.action).path if form.method == "GET" else form.action
        return self._ask(form.method, path.removeprefix("/sandbox"), **kind)

    def follow(self, page: Page, link: str) -> Page:
        return self.get(page.link(link).removeprefix("/sandbox"))

    def _ask(self, method: str, path: str, follow: bool = True, **kwargs: Any) -> Page:
        kwargs.setdefault("headers", {"Accept-Language": "zh-CN" if self.language == "zh" else "en"})
        response = self.client.open("/sandbox" + path, method=method, **kwargs)
        where = response.request.path + ("?" + response.request.query_string.decode()).rstrip("?")
        page = Page(
            method, where, response.status_code, response.headers, response.text, origin="http://localhost"
        )
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"]
        if page.is_redirect and follow:
            assert page.status in (303, 308), page
            assert page.location is not None
            return self.get(page.location.removeprefix("/sandbox"))
        if page.is_html and not where.endswith("/html"):
            self.seen.append(page)
            check(page, "zh-Hans" if self.language == "zh" else "en")
        return page


def check(page: Page, language: str) -> None:
    """What every page must be."""
    parser = html5lib.HTMLParser(strict=True)
    parser.parse(page.html)
    assert len(page.soup.find_all("h1")) == 1
    assert page.title.removeprefix("Error: ").removeprefix("错误：").startswith(page.h1), (
        page.title,
        page.h1,
    )
    assert page.soup.select("html[lang]")[0]["lang"] == language
    ids = [tag["id"] for tag in page.soup.select("[id]")]
    assert len(ids) == len(set(ids)), ids
    for control in page.soup.select("input:not([type=hidden]), select, textarea"):
        assert label_text(page.soup, control), control
    for attribute in ("aria-describedby", "aria-labelledby"):
        for tag in page.soup.select(f"[{attribute}]"):
            assert set(str(tag[attribute]).split()) <= set(ids), tag
    for link in page.soup.select('a[href^="#"]'):
        assert link["href"][1:] in ids, link
    assert not page.soup.select("[style], style, script:not([src])")
    assert not re.search(r"\son[a-z]+=", page.html)
    assert "unsafe" not in page.headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    if language == "zh-Hans":
        assert "请" not in page.text
