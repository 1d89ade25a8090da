"""The opinionated client notices what it is there to notice: each check is shown to fail where a page breaks it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, Response, redirect, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.support.client import Budgets, Client
from tests.support.races import race

pytestmark = pytest.mark.opens_a_database

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Basic information – Skylark</title><link rel="stylesheet" href="/style.css"></head>
<body><main><h1>Basic information</h1>{main}</main></body>
</html>"""
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __tablename__ = "things"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Fake:
    """A product of one page: ``page`` and ``headers`` are what it answers, ``act`` what it does before that."""

    def __init__(self, directory: Path) -> None:
        self.page = PAGE.format(main="<p>Welcome.</p>")
        self.headers = dict(HEADERS)
        self.act: Callable[[], Any] = lambda: None
        self.commit = True
        self.style = "p { color: navy }"
        self.app = Flask("fake")
        self.app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{directory / 'fake.db'}"
        self.app.testing = True
        self.db = SQLAlchemy(self.app, model_class=Base)
        with self.app.app_context():
            self.db.create_all()
            self.db.session.add(Thing(name="first"))
            self.db.session.commit()
        self.app.add_url_rule("/style.css", view_func=self._style, endpoint="style")
        self.app.add_url_rule("/<path:path>", view_func=self._view, methods=["GET", "POST"], endpoint="view")

    @property
    def client(self) -> Client:
        return Client(self.app)

    def _style(self) -> Response:
        return Response(self.style, mimetype="text/css")

    def _view(self, path: str) -> Response:
        answer = self.act()
        if request.method == "POST" and self.commit:
            self.db.session.commit()
        answer = answer if isinstance(answer, Response) else Response(self.page, mimetype="text/html")
        answer.headers.update(self.headers)
        return answer

    def close(self) -> None:
        with self.app.app_context():
            self.db.engine.dispose()


@pytest.fixture
def fake(tmp_path: Path) -> Any:
    made = Fake(tmp_path)
    yield made
    made.close()


def test_a_good_page_passes(fake: Fake) -> None:
    page = fake.client.get("/register")
    assert (page.status, page.h1, page.errors) == (200, "Basic information", {})
    assert page.text == "Basic information Welcome."


@pytest.mark.parametrize(
    ("main", "said"),
    [
        ("<h1>Again</h1>", "has 2 h1"),
        ("<p>One<p></section>", "is not HTML"),
        ("<p id=a>One</p><p id=a>Two</p>", "id 'a' is there 2 times"),
        ("<input name=email>", "the field 'email' has no label"),
        ("<label for=here>Email</label>", "id 'here', which is not there"),
        ("<input aria-label=Email aria-describedby=hint>", "names the id 'hint', which is not there"),
        (
            "<div role=alert><a href='#email'>Enter your email</a></div>",
            "leads to #email, which is not there",
        ),
        ("<div role=alert id=email><a href='#email'>Enter</a></div>", "does not start with “Error: ”"),
        ("<label><input type=radio name=site value=1>One</label>", "no fieldset with a legend"),
        ("<button></button>", "<button>  has no text"),
        ("<img src='data:,'>", "has no alt"),
        ("<script>go()</script>", "has an inline script"),
        ("<p style='color: red'>Red</p>", "has an inline style"),
        ("<p onclick='go()'>Go</p>", "has an inline onclick"),
        ("<a href='javascript:go()'>Go</a>", "is a javascript: address"),
        ("<p>Please wait.</p>", "says 'please'"),
        ("<p>That code is invalid.</p>", "says 'invalid'"),
        ("<p>Oops!</p>", "says 'oops'"),
        ("<p>请输入邮箱</p>", "says '请'"),
        ("<script src='https://cdn.test/x.js'></script>", "from elsewhere"),
    ],
)
def test_a_broken_page_fails(fake: Fake, main: str, said: str) -> None:
    fake.page = PAGE.format(main=main)
    with pytest.raises(AssertionError, match=".*") as failure:
        fake.client.get("/register")
    assert said in str(failure.value)


def test_asking_and_applying_are_not_forbidden_words(fake: Fake) -> None:
    fake.page = PAGE.format(
        main="<p>申请已提交，邀请已发出，请求成功。Pleased to see you.</p><p>invalidated</p>"
    )
    fake.client.get("/register")


def test_what_a_person_typed_is_not_held_to_our_words(fake: Fake) -> None:
    fake.page = PAGE.format(main="<label>Description <textarea name=d>\nOops, please</textarea></label>")
    fake.client.get("/register")


def test_a_check_can_be_left_out_by_name(fake: Fake) -> None:
    fake.page = PAGE.format(main="<p>Please wait.</p>")
    fake.client.get("/register", without=("words",))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<title>Basic", "<title>Company", "does not start with the h1"),
        ('<html lang="en">', "<html>", "html lang is ''"),
    ],
)
def test_a_page_without_its_title_or_language_fails(fake: Fake, old: str, new: str, said: str) -> None:
    fake.page = fake.page.replace(old, new)
    with pytest.raises(AssertionError, match=said):
        fake.client.get("/register")


def test_error_goes_before_the_title(fake: Fake) -> None:
    form = (
        "<div role=alert><a href='#e'>Enter your email</a></div><label for=e>Email</label><input id=e name=e>"
    )
    fake.page = PAGE.format(main=form).replace("<title>", "<title>Error: ")
    assert fake.client.get("/register").errors == {"e": "Enter your email"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("Content-Security-Policy", "", "wants default-src 'none'"),
        ("Content-Security-Policy", POLICY + "; img-src *", "is open"),
        (
            "Content-Security-Policy",
            POLICY.replace("script-src 'self'", "script-src 'unsafe-inline'"),
            "is open",
        ),
        ("Content-Security-Policy", POLICY.replace("form-action 'self'; ", ""), "nothing of form-action"),
        ("Cache-Control", "private", "wants no-store"),
        ("X-Content-Type-Options", "", "nosniff"),
        ("Referrer-Policy", "origin", "wants same-origin"),
        ("Set-Cookie", "a=1; SameSite=Lax", "is not HttpOnly"),
        ("Set-Cookie", "a=1; HttpOnly", "wants Lax or Strict"),
        ("Set-Cookie", "a=1; HttpOnly; SameSite=None", "wants Lax or Strict"),
    ],
)
def test_a_missing_header_fails(fake: Fake, name: str, value: str, said: str) -> None:
    fake.headers[name] = value
    with pytest.raises(AssertionError, match="Policy|Control|sniff|cookie") as failure:
        fake.client.get("/register")
    assert said in str(failure.value)


def _write(fake: Fake) -> None:
    fake.db.session.execute(text("INSERT INTO things (name) VALUES ('second')"))


def test_a_get_that_writes_fails(fake: Fake) -> None:
    fake.act = lambda: _write(fake)
    with pytest.raises(AssertionError, match="a GET wrote: INSERT INTO things"):
        fake.client.get("/register")


def test_a_get_that_commits_fails_although_it_wrote_nothing(fake: Fake) -> None:
    fake.act = lambda: (fake.db.session.execute(text("SELECT 1")), fake.db.session.commit())
    with pytest.raises(AssertionError, match="a GET committed"):
        fake.client.get("/register")


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE things SET name = 'x'",
        "DELETE FROM things",
        "WITH a AS (SELECT 1) UPDATE things SET name = 'x'",
    ],
)
def test_every_kind_of_write_is_one(fake: Fake, sql: str) -> None:
    fake.act = lambda: fake.db.session.execute(text(sql))
    with pytest.raises(AssertionError, match="a GET wrote"):
        fake.client.get("/register")


def test_a_post_that_commits_what_it_wrote_passes(fake: Fake) -> None:
    fake.act = lambda: _write(fake)
    assert len(fake.client.post("/register").statements) == 1


def test_a_post_that_forgets_to_commit_fails(fake: Fake) -> None:
    fake.commit = False
    fake.act = lambda: _write(fake)
    with pytest.raises(AssertionError, match="written and not committed: INSERT"):
        fake.client.post("/register")


def test_a_post_that_leaves_the_session_dirty_fails(fake: Fake) -> None:
    fake.commit = False
    fake.act = lambda: fake.db.session.add(Thing(name="second"))
    with pytest.raises(
        AssertionError, match=r"left in the session, neither flushed nor committed: new <.*Thing"
    ):
        fake.client.post("/register")


def test_a_changed_row_that_is_not_saved_fails(fake: Fake) -> None:
    def rename() -> None:
        thing = fake.db.session.get(Thing, 1)
        assert thing
        thing.name = "renamed"

    fake.act = rename
    with pytest.raises(AssertionError, match="left in the session, neither flushed nor committed: changed"):
        fake.client.get("/register")


def test_what_a_savepoint_takes_back_is_no_loss(fake: Fake) -> None:
    def try_something() -> None:
        tried = fake.db.session.begin_nested()
        _write(fake)
        tried.rollback()

    fake.act = try_something
    fake.client.post("/register")


def test_two_commits_in_one_request_fail(fake: Fake) -> None:
    fake.act = lambda: (_write(fake), fake.db.session.commit(), _write(fake))
    with pytest.raises(AssertionError, match="committed 2 times"):
        fake.client.post("/register")


def test_an_exception_that_escapes_may_lose_what_was_written(fake: Fake) -> None:
    def fail() -> None:
        _write(fake)
        raise RuntimeError("a bug")

    fake.act = fail
    with pytest.raises(RuntimeError, match="a bug"):
        fake.client.post("/register")
    fake.app.testing = False
    assert (
        fake.client.post("/register", without=("html", "heading", "language", "policy", "headers")).status
        == 500
    )


@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("get", "/register", 4),
        ("get", "/journeys/abc/basic", 4),
        ("get", "/arrive/abc", 4),
        ("get", "/registered", 6),
        ("get", "/sign-in", 6),
        ("post", "/register", 10),
        ("post", "/journeys/abc/company", 16),
        ("post", "/journeys/abc/activation", 16),
    ],
)
def test_more_statements_than_the_budget_fail(fake: Fake, method: str, path: str, most: int) -> None:
    counted = [0]
    fake.act = lambda: [fake.db.session.execute(text("SELECT 1")) for _ in range(counted[0])] and None
    counted[0] = most
    assert len(getattr(fake.client, method)(path).statements) == most
    counted[0] = most + 1
    with pytest.raises(AssertionError, match=f"needed {most + 1} statements, wants {most} at most"):
        getattr(fake.client, method)(path)
    assert getattr(fake.client, method)(path, statements=most + 1)


def test_savepoints_are_not_counted(fake: Fake) -> None:
    def many() -> None:
        for _ in range(20):
            with fake.db.session.begin_nested():
                pass

    fake.act = many
    assert fake.client.post("/register").statements == ()


def test_a_page_heavier_than_the_budget_fails(fake: Fake) -> None:
    fake.style = "".join(f"/* {number * 7919 % 104729} {number} */" for number in range(6000))
    with pytest.raises(AssertionError, match=r"weighs \d+ bytes, wants 14600"):
        fake.client.get("/register")


def test_what_a_stylesheet_loads_is_a_request_too(fake: Fake) -> None:
    fake.style = "p { background: url(a.css) } a { background: url('b.css?2') } b { background: url(data:,) }"
    with pytest.raises(AssertionError, match="needs 4 requests, wants 3"):
        Client(fake.app, budgets=Budgets(weight=10**6)).get("/register")


def test_a_post_is_answered_with_a_303_and_never_sent_elsewhere(fake: Fake) -> None:
    fake.act = lambda: redirect("/next", 303)
    assert fake.client.post("/register").location == "/next"
    fake.act = lambda: redirect("/next", 302)
    with pytest.raises(AssertionError, match="wants 303"):
        fake.client.post("/register")
    fake.act = lambda: redirect("https://aws.test/", 303)
    with pytest.raises(AssertionError, match="a redirect elsewhere"):
        fake.client.post("/register")


def test_redirects_are_followed_and_each_is_checked(fake: Fake) -> None:
    fake.act = lambda: redirect("/b?x=1", 303) if request.path == "/a" else None
    page = fake.client.get("/a", follow=True)
    assert (page.url, [step.url for step in page.history]) == ("/b?x=1", ["/a"])
    fake.act = lambda: redirect("/a", 303)
    with pytest.raises(AssertionError, match="redirects in circles"):
        fake.client.get("/a", follow=True)


def test_a_cross_site_post_brings_no_cookie_and_its_answers_cookie_stays(fake: Fake) -> None:
    seen: list[dict[str, str]] = []
    fake.act = lambda: seen.append(dict(request.cookies))
    fake.headers["Set-Cookie"] = "session=1; HttpOnly; SameSite=Lax; Path=/"
    client = fake.client
    client.get("/register")
    fake.headers["Set-Cookie"] = "claim=2; HttpOnly; SameSite=Lax; Path=/arrive"
    client.post("/landing", {"token": "t"}, cross_site=True)
    del fake.headers["Set-Cookie"]
    client.get("/arrive/x")
    client.get("/register")
    client.other().get("/register")
    assert seen == [{}, {}, {"session": "1", "claim": "2"}, {"session": "1"}, {}]
    assert client.cookie("claim", path="/arrive") == "2"


def test_racing_clients_are_told_apart(fake: Fake) -> None:
    fake.commit = False

    def act() -> None:
        if request.path == "/register/3":
            fake.db.session.add(Thing(name="left"))
        else:
            fake.db.session.execute(text("SELECT 1"))

    fake.act = act
    outcomes = race(8, lambda number: fake.client.post(f"/register/{number}"))
    assert [number for number, outcome in enumerate(outcomes) if outcome.error] == [3]
    assert "left in the session" in str(outcomes[3].error)
    assert {len(outcome.result.statements) for outcome in outcomes if outcome.result} == {1}


def test_a_request_inside_an_app_context_is_refused(fake: Fake) -> None:
    with fake.app.app_context(), pytest.raises(AssertionError, match="leave the app context"):
        fake.client.get("/register")
