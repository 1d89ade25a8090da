"""What pages are held to as they are drawn: each kind of trouble is shown to be found."""

import pytest

from tests.support.browser import Visitors
from tests.support.looks import Looks

PAGE = """<!doctype html><html lang="en"><head><title>x</title><style>
html {{ background: #fff; color: #111; font: 16px sans-serif }} a {{ color: #039 }}
@media (prefers-color-scheme: dark) {{ html {{ background: #111; color: #eee }} a {{ color: #9cf }} }}
:focus-visible {{ outline: 3px solid #27c }} {style}</style></head>
<body><main><h1>x</h1><p class="p">words</p>{body}<p><a href="/x">link</a></p></main></body></html>"""


@pytest.mark.parametrize(
    ("style", "body", "said"),
    [
        ("", "<input name=email>", "axe: label"),
        ("@media (prefers-color-scheme: light) { .p { color: #aaa } }", "", "axe: color-contrast"),
        ("@media (prefers-color-scheme: dark) { .p { color: #444 } }", "", "axe, dark: color-"),
        (".wide { width: 330px }", "<div class=wide>x</div>", "scrolls sideways in 320 px: it needs 3"),
        ("@media (min-width: 600px) { .p { width: 700px } }", "", "scrolls sideways in 640 px"),
        ("a:focus-visible { outline: 1px dotted }", "", 'does not show that it has the focus: <a href="/x">'),
        (".card:has(:focus) { outline: 3px solid } input:focus { outline: 0 }",
         "<label class=card><input type=checkbox> card</label><label>bare <input></label>",
         "does not show that it has the focus: <input>"),
    ],
)  # fmt: skip
def test_what_a_person_would_stumble_over_is_found(
    visitor: Visitors, style: str, body: str, said: str
) -> None:
    page, looks = visitor(), Looks()
    page.set_content(PAGE.format(style=style, body=body))
    looks.at(page, "bad page")
    with pytest.raises(AssertionError, match="1 things are wrong") as failure:
        looks.check(at_least=1)
    assert f"bad page (about:blank): {said}" in str(failure.value)


def test_a_page_without_trouble_passes_and_a_missing_one_is_missed(visitor: Visitors) -> None:
    page, looks = visitor(), Looks()
    page.set_content(PAGE.format(style="", body="<button>deed</button>"))
    looks.at(page, "good page")
    looks.check(at_least=1)
    with pytest.raises(AssertionError, match="good page"):
        looks.check(at_least=2)
