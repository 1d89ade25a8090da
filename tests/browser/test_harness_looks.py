"""What pages are held to as they are drawn: each kind of trouble is shown to be found."""

import pytest

from tests.support.browser import Visitors
from tests.support.looks import Looks

PAGE = """<!doctype html><html lang="en"><head><title>x</title><style>
html {{ background: #fff; color: #111; font: 16px sans-serif }} a {{ color: #039 }}
@media (prefers-color-scheme: dark) {{ html {{ background: #111; color: #eee }} a {{ color: #9cf }} }}
:focus-visible {{ outline: 3px solid #27c }} {style}</style></head>
<body><main><h1>x</h1><p class="p">words</p>{body}<p><a href="/x">link</a></p></main></body></html>"""


STYLE = """
@media (prefers-color-scheme: light) { .faint { color: #aaa } }
@media (prefers-color-scheme: dark) { .dim { color: #444 } }
.wide { width: 330px } @media (min-width: 600px) { .wider { width: 700px } }
.thin:focus-visible { outline: 1px dotted } .card:has(:focus) { outline: 3px solid } .bare:focus { outline: 0 }
"""
BODY = """
<input name=email><p class=faint>faint</p><p class=dim>dim</p><p class=wide>wide</p><p class=wider>wider</p>
<p><a class=thin href="/x">thin</a></p>
<label class=card>card <input class=bare></label><label>bare <input class=bare name=alone></label>
"""
FOUND = (
    "axe: label: ",
    "axe: color-contrast: ",
    "axe, dark: color-contrast: ",
    "scrolls sideways in 320 px: it needs 3",
    "scrolls sideways in 640 px: it needs 7",
    'does not show that it has the focus: <a class="thin"',
    'does not show that it has the focus: <input class="bare" name="alone">',
)


def test_what_a_person_would_stumble_over_is_found_and_nothing_else(visitor: Visitors) -> None:
    page = visitor()
    looks = Looks(page)
    page.goto("about:blank")
    page.set_content(PAGE.format(style=STYLE, body=BODY))
    looks.at("bad page")
    with pytest.raises(AssertionError, match=f"{len(FOUND)} things are wrong") as failure:
        looks.check(at_least=1)
    for found in FOUND:
        assert f"bad page (about:blank): {found}" in str(failure.value)


def test_a_page_without_trouble_passes_and_a_missing_one_is_missed(visitor: Visitors) -> None:
    page = visitor()
    looks = Looks(page)
    page.goto("about:blank")
    page.set_content(PAGE.format(style="", body="<button>deed</button>"))
    looks.at("good page")
    looks.check(at_least=1)
    with pytest.raises(AssertionError, match="good page"):
        looks.check(at_least=2)
