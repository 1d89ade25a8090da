"""The watched browser notices what a person would never report: each kind of trouble is shown to fail a test."""

import threading
import time
from collections.abc import Iterator

import pytest
from flask import Flask, Response, request
from playwright.sync_api import Browser, Error
from werkzeug.serving import make_server

from tests.support.browser import Visitors, fits, is_accessible

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' http:; base-uri 'none'"
SCRIPTS = {
    "console": 'console.error("something is wrong")',
    "throw": 'setTimeout(() => { throw new Error("thrown") })',
    "quiet": 'document.title = "scripted"; console.warn("only a warning")',
}


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    """A little product: a page shows its path's last part as HTML, and runs the script named by it."""
    app = Flask("fake")

    @app.get("/script/<name>.js")
    def script(name: str) -> Response:
        return Response(SCRIPTS[name], mimetype="text/javascript")

    @app.get("/page")
    def page() -> Response:
        name = request.args.get("run", "")
        head = f'<script src="/script/{name}.js"></script>' if name else ""
        body = f"<!doctype html><html lang=en><title>x</title>{head}<p>{request.accept_languages}</p>"
        body += request.args.get("html", "")
        return Response(body, headers={"Content-Security-Policy": POLICY}, mimetype="text/html")

    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def watched(chromium_browser: Browser) -> Iterator[Visitors]:
    """Visitors whose trouble a test looks at itself."""
    visitors = Visitors(chromium_browser)
    yield visitors
    visitors.close()


def test_a_page_without_trouble_passes(watched: Visitors, origin: str) -> None:
    page = watched()
    page.goto(f"{origin}/page?run=quiet")
    assert page.title() == "scripted"
    watched.check()


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("run=console", "something is wrong"),
        ("run=throw", "thrown"),
        ("html=<img src='http://example.com/x.png'>", "asked another machine: http://example.com/x.png"),
        ("html=<script>go()</script>", "violates the following Content Security Policy"),
        ("html=<p style='color: red'>x</p>", "content security policy: style-src"),
        ("html=<img src='/missing.png'>", "404"),
    ],
)
def test_trouble_fails(watched: Visitors, origin: str, query: str, said: str) -> None:
    page = watched()
    page.goto(f"{origin}/page?{query}")
    deadline = time.monotonic() + 10
    while not watched.trouble and time.monotonic() < deadline:
        page.evaluate("0")  # Each question lets the browser's own events come in.
    with pytest.raises(AssertionError, match="the browser saw trouble") as failure:
        watched.check()
    assert said in str(failure.value)
    watched.allow(".")
    watched.check()


def test_another_machine_is_never_reached(watched: Visitors) -> None:
    with pytest.raises(Error, match="ERR_FAILED"):
        watched().goto("http://example.com/")
    assert watched.trouble[0] == "asked another machine: http://example.com/"


def test_people_differ_in_language_size_and_script(watched: Visitors, origin: str) -> None:
    desk, phone, plain = watched("en"), watched("zh", phone=True), watched(javascript=False)
    for page in (desk, phone, plain):
        page.goto(f"{origin}/page?run=quiet")
    assert (desk.title(), plain.title()) == ("scripted", "x")
    assert desk.inner_text("p").startswith("en-GB")
    assert phone.inner_text("p").startswith("zh-CN")
    assert phone.viewport_size == {"width": 390, "height": 844}
    desk.context.add_cookies([{"name": "mine", "value": "1", "url": origin}])
    assert phone.context.cookies() == []


def test_a_page_that_axe_faults_fails(watched: Visitors, origin: str) -> None:
    page = watched()
    page.goto(f"{origin}/page?html=<input name=email>")
    with pytest.raises(AssertionError, match="label"):
        is_accessible(page)


def test_a_page_wider_than_the_window_fails(watched: Visitors, origin: str) -> None:
    page = watched(size=(320, 600))
    page.goto(f"{origin}/page?html=<p>{'narrow ' * 20}</p>")
    fits(page)
    page.goto(f"{origin}/page?html=<p>{'wide' * 100}</p>")
    with pytest.raises(AssertionError, match="in a window of 320"):
        fits(page)
