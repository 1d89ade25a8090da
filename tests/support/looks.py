"""What every page is held to as it is drawn, beyond its HTML: for eyes, for keyboards, for small windows.

looks = Looks()
looks.at(page, "the front door")       # whatever page it is, in whatever language
looks.check()                          # raises with everything that was found
"""

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
() => performance.getEntriesByType("resource").map((entry) => entry.name)
  .filter((name) => !name.startsWith("data:") && !name.endsWith("/favicon.ico"))
"""

_TOO_WIDE = """
() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return null;
  const wide = [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > width + 1);
  return `${document.documentElement.scrollWidth} px, by ${wide.slice(-1).map((e) => e.outerHTML.slice(0, 120))}`;
}
"""


class Looks:
    """Looks at pages and remembers what is wrong with each; ``check`` says it all at once."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self._seen: list[str] = []

    def at(self, page: Page, name: str, most_requests: int = MOST_REQUESTS) -> None:
        """Look at a page as it is now: ``name`` says which in the report."""
        self._seen.append(name)
        page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        found = [f"axe: {line}" for line in self._axe(page, ALL)]
        found += [f"axe, dark: {line}" for line in self._in_the_dark(page)]
        found += self._requests(page, most_requests)
        found += self._narrow(page)
        found += self._focus(page)
        page.set_viewport_size({"width": DESK[0], "height": DESK[1]})
        self._wrong += [f"{name} ({page.url}): {line}" for line in found]

    def check(self, at_least: int) -> None:
        """Raise AssertionError with all that was wrong; or where fewer pages were seen than there are."""
        assert not self._wrong, f"{len(self._wrong)} things are wrong:\n  - " + "\n  - ".join(self._wrong)
        assert len(self._seen) >= at_least, self._seen

    def _axe(self, page: Page, options: dict[str, Any]) -> list[str]:
        if page.evaluate("typeof axe === 'undefined'"):
            found = Axe().run(page, options=options).response
        else:
            found = page.evaluate("(options) => axe.run(document, options)", options)
        return [
            f"{rule['id']}: {' '.join(str(node['failureSummary']).split())} {node['html'][:160]}"
            for rule in found["violations"]
            for node in rule["nodes"][:3]
        ]

    def _in_the_dark(self, page: Page) -> list[str]:
        page.emulate_media(color_scheme="dark")
        try:
            return self._axe(page, IN_THE_DARK)
        finally:
            page.emulate_media(color_scheme="light")

    def _requests(self, page: Page, most: int) -> list[str]:
        asked = page.evaluate(_REQUESTED)
        origin = page.evaluate("location.origin")
        wrong = [
            f"asks for something from elsewhere: {name}" for name in asked if not name.startswith(origin)
        ]
        if len(asked) + 1 > most:
            wrong.append(f"needs {len(asked) + 1} requests: {asked}")
        return wrong

    def _narrow(self, page: Page) -> list[str]:
        wrong = []
        for width, height in NARROW:
            page.set_viewport_size({"width": width, "height": height})
            if too_wide := page.evaluate(_TOO_WIDE):
                wrong.append(f"scrolls sideways in {width} px: it needs {too_wide}")
            if width == NARROW[0][0]:
                wrong += [f"axe, {width} px: {line}" for line in self._axe(page, NARROW_RULES)]
        return wrong

    def _focus(self, page: Page) -> list[str]:
        page.keyboard.press("Tab")
        found: list[str] = page.evaluate(_UNFOCUSED)
        return found
