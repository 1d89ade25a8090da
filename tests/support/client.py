"""The opinionated client: a test says what it does, and every answer on the way is held to what all must be.

    client = Client(app)
    page = client.get("/register")
    page = client.submit(page, "Next", {"Site": "us1 Oregon", "Username": "ada", …})   # follows the redirect
    assert page.h1 == "Check your email"

What is checked on every answer: ``checks.py``; and that a GET wrote and committed nothing, that no change was
left in the session or thrown away, that no more SQL was needed than the budget allows, and that page, style and
script together fit into the first 14,600 bytes. ``without=("words",)`` leaves a check out, and says so where it
is read. One client is one browser; ``client.other()`` is another one, without its cookies.
"""

import gzip
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from flask import Flask, has_app_context, request_tearing_down
from sqlalchemy import inspect
from werkzeug.test import TestResponse

from tests.support.checks import problems_of
from tests.support.page import Page
from tests.support.statements import Watched, watch

Answers = Mapping[str, object]

MOST_REDIRECTS = 5
SAFE = ("GET", "HEAD", "OPTIONS")
NOT_KEPT = (400, 403)
"""A POST that was not shown to be meant (its CSRF token is missing or stale) leaves nothing behind."""

COUNTED_APART = re.compile(r"\brate_limits\b")
"""The limiter counts in a transaction of its own, before the request's: a refused request counts too."""


@dataclass(frozen=True)
class Budgets:
    """How much one answer may need. Statements leave out BEGIN and SAVEPOINT; bytes are gzipped."""

    wizard_get: int = 4
    other_get: int = 6
    post: int = 10
    big_post: int = 16
    weight: int = 14_600
    requests: int = 3
    wizard_paths: re.Pattern[str] = re.compile(r"/(journeys|register|arrive)(/|$)")
    big_paths: re.Pattern[str] = re.compile(
        r"/journeys/.*/(company|activation|subscribe|create|create-account|create-username)$"
        r"|/billing/(workspaces/.*/settlement|arrived/.*)$"
    )
    """Register, Activate, Confirm after subscribing, and Create, which activate; changing a settlement method, which
    begins a journey, claims a purchase and settles with it: the posts that make several things."""

    def statements(self, method: str, path: str) -> int:
        if method in SAFE:
            return self.wizard_get if self.wizard_paths.match(path) else self.other_get
        return self.big_post if self.big_paths.match(path) else self.post


class Client:
    """One browser without JavaScript. ``origin`` is the address it uses, ``language`` what it asks for."""

    def __init__(
        self,
        app: Flask,
        origin: str = "http://127.0.0.1:5000",
        language: str = "en",
        budgets: Budgets | None = None,
    ) -> None:
        self.app = app
        self.origin = origin
        self.language = language
        self.budgets = budgets or Budgets()
        self.http = app.test_client()

    def other(self, language: str | None = None) -> "Client":
        """Another browser: no cookie of this one."""
        return Client(self.app, self.origin, language or self.language, self.budgets)

    # ── what a person does ──────────────────────────────────────────────────────────────────────────────

    def get(self, path: str, *, follow: bool = False, **options: Any) -> Page:
        __tracebackhide__ = True
        return self._go("GET", path, follow=follow, **options)

    def post(self, path: str, data: Any = None, *, follow: bool = False, **options: Any) -> Page:
        """POST as it is, nothing added. ``cross_site`` leaves SameSite cookies at home, as a browser would."""
        __tracebackhide__ = True
        return self._go("POST", path, data=data, follow=follow, **options)

    def submit(
        self,
        page: Page,
        button: str,
        answers: Answers | None = None,
        *,
        follow: bool = True,
        without: tuple[str, ...] = (),
        statements: int | None = None,
        **named: object,
    ) -> Page:
        """Fill in the form that has this button and press it. ``answers`` go by visible label or by name,
        ``named`` by name; what is not mentioned is sent as the page had it, hidden fields too."""
        __tracebackhide__ = True
        form = page.form(button)
        data = form.filled({**(answers or {}), **named})
        options: dict[str, Any] = {"follow": follow, "without": without, "statements": statements}
        if form.method == "GET":
            return self._go("GET", form.action.split("?")[0], query_string=data, **options)
        multipart = form.tag.get("enctype") == "multipart/form-data"
        options["content_type"] = "multipart/form-data" if multipart else "application/x-www-form-urlencoded"
        return self._go(
            "POST", form.action, data=data, headers={"Referer": self.origin + page.url}, **options
        )

    def click(self, page: Page, link: str, *, follow: bool = True, **options: Any) -> Page:
        """Follow the link with this text; one that leads to another origin fails, for we cannot go there."""
        __tracebackhide__ = True
        target = page.link(link)
        assert not urlsplit(target).netloc, f"the link {link!r} on {page} leads elsewhere: {target}"
        return self.get(target, follow=follow, **options)

    def cookie(self, name: str, path: str = "/") -> str | None:
        """The value of a cookie this browser has, or None."""
        cookie = self.http.get_cookie(name, domain=self._host, path=path)
        return cookie.value if cookie else None

    # ── how it is done, and held to account ─────────────────────────────────────────────────────────────

    @property
    def _host(self) -> str:
        return urlsplit(self.origin).hostname or "localhost"

    def _go(
        self, method: str, path: str, *, follow: bool, without: tuple[str, ...] = (), **options: Any
    ) -> Page:
        __tracebackhide__ = True
        page = self._once(method, path, without=frozenset(without), **options)
        history: list[Page] = []
        while follow and page.is_redirect:
            assert len(history) < MOST_REDIRECTS, f"redirects in circles: {[str(p) for p in history]}"
            assert page.location
            if urlsplit(page.location).netloc:
                break
            history.append(page)
            page = self._once("GET", page.location, without=frozenset(without))
        page.history = history
        return page

    def _once(
        self,
        method: str,
        path: str,
        *,
        without: frozenset[str],
        statements: int | None = None,
        cross_site: bool = False,
        headers: Mapping[str, str] | None = None,
        **options: Any,
    ) -> Page:
        __tracebackhide__ = True
        assert not has_app_context(), (
            "leave the app context before making a request: the request would share your session instead of "
            "opening and closing its own"
        )
        http = self.app.test_client() if cross_site else self.http
        sent = {"Accept-Language": self.language, **(headers or {})}
        if cross_site:
            sent = {"Origin": "http://elsewhere.test", "Sec-Fetch-Site": "cross-site", **sent}
        with watch() as sql, _leftovers() as left:
            response = http.open(
                path.split("#")[0], method=method, base_url=self.origin, headers=sent, **options
            )
            body = response.get_data()
        response.close()
        if cross_site:
            self._keep_cookies(http, response)
        page = Page(
            method=method,
            url=response.request.full_path.rstrip("?"),
            status=response.status_code,
            headers=response.headers,
            html=body.decode(response.mimetype_params.get("charset", "utf-8"), errors="replace"),
            statements=tuple(sql.statements),
            origin=self.origin,
        )
        problems = list(problems_of(page, without))
        problems += self._database_problems(page, sql, left, without, statements)
        if page.is_html and not page.is_redirect and "weight" not in without:
            problems += self._weight_problems(page)
        if problems:
            raise AssertionError(f"{page}:\n  - " + "\n  - ".join(problems))
        return page

    def _database_problems(
        self, page: Page, sql: Watched, left: list[str], without: frozenset[str], most: int | None
    ) -> Iterator[str]:
        if page.method in SAFE and "writes" not in without:
            for statement in sql.writes:
                yield f"a {page.method} wrote: {_short(statement)}  [writes]"
            if sql.commits:
                yield f"a {page.method} committed  [writes]"
        if "session" not in without:
            for change in left:
                yield f"left in the session, neither flushed nor committed: {change}  [session]"
            lost = sql.unsettled + (sql.lost if page.status < 500 and page.status not in NOT_KEPT else [])
            for statement in lost:
                yield f"written and not committed: {_short(statement)}  [session]"
            commits = [writes for writes in sql.commits if not _counted_apart(writes)]
            if len(commits) > 1:
                yield f"committed {len(commits)} times, wants once  [session]"
        if "statements" not in without:
            most = self.budgets.statements(page.method, page.path) if most is None else most
            if len(sql.statements) > most:
                listed = "".join(f"\n      {_short(statement)}" for statement in sql.statements)
                yield f"needed {len(sql.statements)} statements, wants {most} at most:{listed}  [statements]"

    def _weight_problems(self, page: Page) -> Iterator[str]:
        sheets = [tag for tag in page.tagged("link") if "stylesheet" in tag.get_attribute_list("rel")]
        others = [tag for tag in page.tagged("script", "img", "iframe") if tag.has_attr("src")]
        assets = [page.resolve(str(tag["href"])) for tag in sheets]
        assets += [page.resolve(str(tag["src"])) for tag in others]
        assets = [asset for asset in dict.fromkeys(assets) if not asset.startswith("data:")]
        weights = {page.path: _gzipped(page.html.encode())}
        for asset in assets:
            weights |= _weigh(self.app, self.origin, asset)
        if len(weights) > self.budgets.requests:
            yield f"needs {len(weights)} requests, wants {self.budgets.requests}: {list(weights)}  [weight]"
        if sum(weights.values()) > self.budgets.weight:
            yield f"weighs {sum(weights.values())} bytes, wants {self.budgets.weight}: {weights}  [weight]"

    def _keep_cookies(self, stranger: Any, response: TestResponse) -> None:
        """What a cross-site answer sets is kept by this browser, although it sent none of its own."""
        for header in response.headers.getlist("Set-Cookie"):
            name = header.split("=", 1)[0]
            found = re.search(r";\s*path=([^;]*)", header, re.IGNORECASE)
            path = found[1] if found else "/"
            cookie = stranger.get_cookie(name, domain=self._host, path=path)
            if cookie is None:
                self.http.delete_cookie(name, domain=self._host, path=path)
            else:
                self.http.set_cookie(
                    name, cookie.value, domain=self._host, path=path, httponly=True, samesite=cookie.same_site
                )


_left: ContextVar[list[str] | None] = ContextVar("left", default=None)


@contextmanager
def _leftovers() -> Iterator[list[str]]:
    """Collect what the requests of this thread leave in the session."""
    left: list[str] = []
    token = _left.set(left)
    try:
        yield left
    finally:
        _left.reset(token)


# Connected once and for good: signals are not made to be connected while racing threads send them.
# This one comes after a request's own teardown and before Flask-SQLAlchemy throws the session away.
@request_tearing_down.connect
def _look_at_the_session(app: Flask, exc: BaseException | None = None, **_extra: object) -> None:
    left = _left.get()
    extension = app.extensions.get("sqlalchemy")
    if left is None or extension is None or exc is not None:
        return
    session = extension.session
    left.extend(f"new {thing!r}" for thing in session.new)
    left.extend(f"changed {thing!r}" for thing in session.dirty if session.is_modified(thing))
    left.extend(f"deleted {thing!r}" for thing in session.deleted if inspect(thing).persistent)


def _counted_apart(writes: list[str]) -> bool:
    return bool(writes) and all(COUNTED_APART.search(statement) for statement in writes)


def _short(statement: str) -> str:
    return " ".join(statement.split())[:160]


@lru_cache(maxsize=512)
def _gzipped(body: bytes) -> int:
    return len(gzip.compress(body, 6))


_weighed: "WeakKeyDictionary[Flask, dict[str, dict[str, int]]]" = WeakKeyDictionary()


def _weigh(app: Flask, origin: str, address: str) -> dict[str, int]:
    """Address → gzipped bytes of a file a page loads, and of what a stylesheet loads in its turn."""
    known = _weighed.setdefault(app, {})
    if address not in known:
        if urlsplit(address).netloc:
            raise AssertionError(f"a page loads something from elsewhere: {address}")
        with app.test_client() as http, http.get(address, base_url=origin) as response:
            assert response.status_code == 200, (
                f"a page loads {address}, which answers {response.status_code}"
            )
            body = response.get_data()
        known[address] = {address: _gzipped(body)}
        if response.mimetype == "text/css":
            for nested in re.findall(r"url\(\s*[\"']?(?!data:|#)([^\"')]+)", body.decode()):
                known[address] |= _weigh(
                    app, origin, Page("GET", address, 200, response.headers, "").resolve(nested)
                )
    return known[address]
