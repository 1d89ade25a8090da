"""People over plain HTTP: the walk of ``walk.py`` on the running product, for tests of whole processes.

    walk = walk_over_http(server)
    walk.to_end()
    assert walk.sign_in().h1 == "Harbour"

Nothing is checked on the way but that forms and links are where a person looks for them; the opinionated
client does that inside one process. One ``HttpClient`` is one browser without script.
"""

import re
import sqlite3
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPMessage, HTTPSConnection
from http.cookiejar import CookieJar
from types import SimpleNamespace
from typing import IO, Any, cast
from urllib.parse import urlencode

from werkzeug.datastructures import Headers

from tests.support.binding import Binding
from tests.support.client import Client
from tests.support.factories import Person
from tests.support.page import Page
from tests.support.server import Product, Server
from tests.support.walk import Walk

ANSWER_SECONDS = 60
MOST_REDIRECTS = 5
LANGUAGES = {"en": "en", "zh": "zh-CN"}


class HttpClient:
    """One browser over sockets. The methods are those of :class:`tests.support.client.Client` that a walk needs."""

    def __init__(
        self, origin: str, language: str = "en", *, address: str = "", tls: ssl.SSLContext | None = None
    ) -> None:
        """``address`` is this browser's own, one of 127.0.0.0/8; ``tls`` says whose certificates it believes."""
        self.origin = origin
        self.language = language
        self.cookies = CookieJar()
        self._opener = urllib.request.build_opener(
            _Stay(),
            urllib.request.HTTPCookieProcessor(self.cookies),
            urllib.request.ProxyHandler({}),
            *([_PlainFrom(address), _TlsFrom(address, tls)] if address or tls else []),
        )

    def other(self, language: str | None = None) -> "HttpClient":
        """Another browser: no cookie of this one."""
        return HttpClient(self.origin, language or self.language)

    def get(self, path: str, *, follow: bool = False) -> Page:
        return self._go("GET", path, None, follow)

    def post(
        self,
        path: str,
        data: Mapping[str, object] | None = None,
        *,
        follow: bool = False,
        cross_site: bool = False,
    ) -> Page:
        """``cross_site`` is what the tests of one process say; a browser that has no cookie yet is one either way."""
        return self._go("POST", path, urlencode(dict(data or {})).encode(), follow)

    def submit(
        self,
        page: Page,
        button: str,
        answers: Mapping[str, object] | None = None,
        *,
        follow: bool = True,
        **named: object,
    ) -> Page:
        """Fill in the form that has this button and press it."""
        form = page.form(button)
        sent = urlencode(form.filled({**(answers or {}), **named}), doseq=True)
        if form.method == "GET":
            return self.get(f"{form.action.split('?')[0]}?{sent}", follow=follow)
        return self._go("POST", form.action, sent.encode(), follow)

    def click(self, page: Page, link: str, *, follow: bool = True) -> Page:
        """Follow the link with this text."""
        return self.get(page.link(link), follow=follow)

    def _go(self, method: str, path: str, data: bytes | None, follow: bool) -> Page:
        page = self._once(method, path, data)
        for _hop in range(MOST_REDIRECTS):
            if not (follow and page.is_redirect and page.location):
                return page
            page = self._once("GET", page.location, None)
        raise AssertionError(f"redirects in circles, at {page}")

    def _once(self, method: str, path: str, data: bytes | None) -> Page:
        sent = {"Accept-Language": LANGUAGES[self.language]}
        request = urllib.request.Request(self.origin + path, data, sent, method=method)
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as response:
                return self._page(method, path, response, response.read())
        except urllib.error.HTTPError as refusal:
            with refusal:
                return self._page(method, path, refusal, refusal.read())

    def _page(self, method: str, path: str, response: Any, body: bytes) -> Page:
        headers = Headers(list(response.headers.items()))
        html = body.decode("utf-8", errors="replace")
        return Page(method, path.split("#")[0], response.status, headers, html, origin=self.origin)


class HttpWalk(Walk):
    """A customer on foot through a running product: what the worker does is waited for instead of called.

    ``patience`` is how often and for how long they look whether their workspace is made, in seconds.
    """

    patience = (0.2, 60.0)

    def code(self, newer_than: int = 0) -> str:
        mail = self.marketplace.mail(self.person.email, newer_than=newer_than)  # type: ignore[attr-defined]
        found: str = code_in(mail["text"])
        return found

    def wait_until_made(self) -> Page:
        def look() -> bool:
            self.page = self.client.get(self.page.url, follow=True)
            return self.page.path.endswith("/successful")

        every, within = self.patience
        until(look, f"{self.page} leads to no workspace", within, every)
        return self.page


class HttpBinding(Binding, HttpWalk):
    """Somebody who has a Billing Center account, on foot through a running product."""

    def code(self, newer_than: int = 0) -> str:
        return self.code_of(self.person)

    def code_of(self, person: Person) -> str:
        """The code of this journey mailed to somebody: the mail tells which journey it is for."""
        found: list[str] = []

        def look() -> bool:
            mails = (mail["text"] for mail in self.marketplace.mails(person.email))  # type: ignore[attr-defined]
            found.extend(
                code_in(text) for text in mails if self.reference in text and re.search(r"\b\d{6}\b", text)
            )
            return bool(found)

        until(look, f"no code comes to {person.email}", every=0.05)
        return found[0]


def walk_over_http(server: Product, language: str = "en", **options: Any) -> HttpWalk:
    """A customer who has not set out yet, in a browser of their own."""
    client = cast(Client, HttpClient(server.url, language))
    nobody = cast(Any, SimpleNamespace())
    return HttpWalk(client, lambda: 0, nobody, cast(Any, server), **options)


def code_in(text: str) -> str:
    """The six digits of a mail."""
    words = [word for word in text.split() if len(word) == 6 and word.isdigit()]
    assert words, f"no code in {text!r}"
    return words[0]


def until(condition: Callable[[], bool], otherwise: str, within: float = 30, every: float = 0.2) -> None:
    """Ask again until it is so. Raises AssertionError with ``otherwise`` where it is not within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{otherwise} within {within} s")
        time.sleep(every)


def database(server: Server, statement: str, *values: object) -> list[Any]:
    """Look into the database of a running product (on SQLite), or let time pass there."""
    with closing(sqlite3.connect(server.instance / "wizard.db", timeout=30)) as connection, connection:
        return connection.execute(statement, values).fetchall()


class _Stay(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like others; whether to follow it is the client's to say."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> None:
        return None


class _PlainFrom(urllib.request.HTTPHandler):
    """Connections that leave from an address of one's own, as those of different customers do."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self._source = (address, 0) if address else None

    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(HTTPConnection, req, source_address=self._source)


class _TlsFrom(urllib.request.HTTPSHandler):
    def __init__(self, address: str, tls: ssl.SSLContext | None) -> None:
        super().__init__()
        self._source = (address, 0) if address else None
        self._tls = tls

    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(HTTPSConnection, req, source_address=self._source, context=self._tls)
