"""The client fills in a form as a person does: by its labels and its button, with what the page put in it."""

import pytest
from werkzeug.datastructures import Headers

from tests.support.page import Page

HTML = """<!doctype html><html lang="en"><head><title>x</title></head><body><h1>x</h1>
<form id="f" method="post" action="basic?step=1">
  <input type="hidden" name="csrf_token" value="abc">
  <fieldset><legend>Site</legend>
    <label><input type="radio" name="site" value="cn2" checked>Ningxia</label>
    <input type="radio" name="site" value="us1" id="us1"><label for="us1">us1 Oregon</label>
  </fieldset>
  <label for="email">Email</label><input id="email" name="email" value="a@b.test">
  <label for="d">Description</label><textarea id="d" name="description">
first
second</textarea>
  <label>Language <select name="language"><option value="en">English</option>
    <option value="zh" selected>中文</option></select></label>
  <label><input type="checkbox" name="agree" value="yes"> I agree to the&nbsp;<a href="/terms">terms</a>.</label>
  <label>Off <input name="off" value="1" disabled></label>
  <button name="do" value="next">Next</button><button formaction="/back" formmethod="get">Back</button>
</form>
<form action="/other"><label>Find <input name="q"></label><input type="submit" value="Search"></form>
<label>Far <input name="far" form="f" value="away"></label>
</body></html>"""


@pytest.fixture
def page() -> Page:
    return Page("GET", "/journeys/1/start", 200, Headers({"Content-Type": "text/html"}), HTML)


def test_a_form_is_found_by_its_button(page: Page) -> None:
    assert page.buttons == ["Next", "Back", "Search"]
    form = page.form("Next")
    assert (form.method, form.action) == ("POST", "/journeys/1/basic?step=1")
    assert (page.form("Back").method, page.form("Back").action) == ("GET", "/back")
    assert page.form("Search").fields == {"q": [""]}
    with pytest.raises(AssertionError, match=r"no button 'Send'.*Next"):
        page.form("Send")


def test_what_is_not_mentioned_is_sent_as_the_page_had_it(page: Page) -> None:
    assert page.form("Next").filled({}) == {
        "csrf_token": ["abc"],
        "site": ["cn2"],
        "email": ["a@b.test"],
        "description": ["first\nsecond"],
        "language": ["zh"],
        "far": ["away"],
        "do": ["next"],
    }


def test_answers_go_by_label_or_by_name(page: Page) -> None:
    answers = {
        "Site": "us1 Oregon",
        "Email": "c@d.test",
        "Language": "English",
        "I agree to the terms.": True,
    }
    sent = page.form("Next").filled({**answers, "description": None, "far": ""})
    assert sent["site"] == ["us1"]
    assert sent["email"] == ["c@d.test"]
    assert sent["language"] == ["en"]
    assert sent["agree"] == ["yes"]
    assert sent["far"] == [""]
    assert "description" not in sent


def test_a_field_or_a_choice_that_is_not_there_fails(page: Page) -> None:
    with pytest.raises(AssertionError, match="no field 'Phone'"):
        page.form("Next").filled({"Phone": "1"})
    with pytest.raises(AssertionError, match="offers no 'Mars'"):
        page.form("Next").filled({"Site": "Mars"})
    with pytest.raises(AssertionError, match="no field 'off'"):
        page.form("Next").filled({"off": "1"})


def test_text_is_read_as_people_read_it() -> None:
    html = "<body><p>AWS account 7828\u00a05285<b>8</b>.</p><p>Next</p><script>no()</script></body>"
    page = Page("GET", "/", 200, Headers(), html)
    assert page.text == "AWS account 7828 52858. Next"


def test_links_lead_from_the_root_or_elsewhere() -> None:
    html = "<a href='?lang=zh'>中文</a><a href='//aws.test/x'>Subscribe</a><a href='/'>Home</a>"
    page = Page("GET", "/a/b?c=1", 200, Headers(), html)
    assert page.links == {"中文": "/a/b?lang=zh", "Subscribe": "http://aws.test/x", "Home": "/"}
