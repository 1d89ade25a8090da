"""What every page is held to as it is drawn, beyond its HTML: for eyes, for keyboards, for small windows.

looks = Looks()
looks.at(page, "the front door")       # whatever page it is, in whatever language
looks.check()                          # raises with everything that was found
"""

from collections.abc import Iterator
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

DESK = (1280, 900)
NARROW = ((320, 640), (640, 450))
"""The narrowest phone, and a 1280-pixel window at 200 % zoom, which has 640 CSS pixels."""

MOST_REQUESTS = 3

ALL: dict[str, Any] = {"resultTypes": ["violations"], "preload": False}
IN_THE_DARK = ALL | {"runOnly": ["color-contrast"]}
NARROW_RULES = ALL | {"runOnly": ["target-size", "scrollable-region-focusable", "aria-hidden-focus"]}
"""The rules of axe that may come out differently in another colour scheme, and in another width."""

# A focus that comes by script looks like one that came by keyboard when the one before it did: see ``_focus``.
_UNFOCUSED = """
() => {
  const drawn = (e) => {
    const s = getComputedStyle(e);
    const ring = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2;
    return {ring, shadow: s.boxShadow, border: s.borderColor + s.borderWidth};
  };
  const seen = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: false});
  const bad = [];
  for (const e of document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")) {
    if (e.disabled || e.type === "hidden" || !seen(e)) continue;
    document.activeElement.blur();
    const around = [e, e.closest("label"), e.parentElement].filter(Boolean);
    const before = around.map(drawn);
    e.focus();
    if (document.activeElement !== e) { bad.push(`cannot be focused: ${e.outerHTML.slice(0, 120)}`); continue; }
    const after = around.map(drawn);
    const shows = after.some((now, i) => (now.ring && !before[i].ring) || now.shadow !== before[i].shadow);
    if (!shows) bad.push(`does not show that it has the focus: ${e.outerHTML.slice(0, 120)}`);
  }
  return bad;
}
"""

_REQUESTED = """
() => [location.origin, ...performance.getEntriesByType("resource").map((entry) => entry.name)
  .filter((name) => !name.startsWith("data:") && !name.endsWith("/favicon.ico"))]
"""

_TOO_WIDE = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return null;
  const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1);
  return `${document.documentElement.scrollWidth} px, by ${wide.slice(-1).map((e) => e.outerHTML.slice(0, 120))}`;
}
"""


A_MAIL = ALL | {"rules": {name: {"enabled": False} for name in ("region", "landmark-one-main")}}


class Looks:
    """Looks at one person's page and remembers what is wrong; ``check`` says it all at once."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._wrong: list[str] = []
        self._seen: list[str] = []
        page.add_init_script(Axe().axe_script)

    def at(self, name: str, most_requests: int = MOST_REQUESTS, *, is_mail: bool = False) -> None:
        """Look at the page as it is now: ``name`` says which in the report. Around a mail is its reader's page, which
        has the landmarks and shows the focus."""
        self._seen.append(name)
        self._page.wait_for_load_state(
            "load"
        )  # Until its stylesheet is there a page has the browser's colours.
        found = [*self._axe("axe", A_MAIL if is_mail else ALL), *self._requests(most_requests)]
        self._page.emulate_media(color_scheme="dark")
        found += self._axe("axe, dark", IN_THE_DARK)
        self._page.emulate_media(color_scheme="light")
        found += self._narrow()
        if not is_mail:
            found += self._focus()
        self._resize(*DESK)
        self._wrong += [f"{name} ({self._page.url}): {line}" for line in found]

    def check(self, at_least: int) -> None:
        """Raise AssertionError with all that was wrong; or where fewer pages were seen than there are."""
        assert not self._wrong, f"{len(self._wrong)} things are wrong:\n  - " + "\n  - ".join(self._wrong)
        assert len(self._seen) >= at_least, self._seen

    def _axe(self, name: str, options: dict[str, Any]) -> Iterator[str]:
        run = "async (options) => (await axe.run(document, options)).violations"
        for rule in self._page.evaluate(run, options):
            for node in rule["nodes"][:3]:
                yield f"{name}: {rule['id']}: {' '.join(node['failureSummary'].split())} {node['html'][:160]}"

    def _requests(self, most: int) -> Iterator[str]:
        origin, *asked = self._page.evaluate(_REQUESTED)
        for address in asked:
            if not address.startswith(origin):
                yield f"asks for something from elsewhere: {address}"
        if len(asked) + 1 > most:
            yield f"needs {len(asked) + 1} requests: {asked}"

    def _narrow(self) -> Iterator[str]:
        for width, height in NARROW:
            self._resize(width, height)
            if too_wide := self._page.evaluate(_TOO_WIDE):
                yield f"scrolls sideways in {width} px: it needs {too_wide}"
            if width == NARROW[0][0]:
                yield from self._axe(f"axe, {width} px", NARROW_RULES)

    def _focus(self) -> list[str]:
        self._page.keyboard.press("Tab")
        found: list[str] = self._page.evaluate(_UNFOCUSED)
        return found

    def _resize(self, width: int, height: int) -> None:
        self._page.set_viewport_size({"width": width, "height": height})
