"""The pictures of the README and of `docs/`: ``make pictures`` walks the product in Chromium and takes them anew.

Each walk has a fresh product of its own, and a person, an account and a mailbox that are the same every time. What is
drawn by lot or by the clock (references, ids, times) is overwritten before a picture is taken, so that a picture
changes only when the page does.
"""

import base64
import re
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, sync_playwright

from tests.support import chromium, demo
from tests.support.browser import Visitors
from tests.support.customer import Customer
from tests.support.databases import ROOT
from tests.support.factories import Person
from tests.support.over_http import database, walk_over_http
from tests.support.server import Server

FOLDER = ROOT / "docs" / "pictures"
DESK, PHONE = (1120, 800), (390, 844)
TALLEST = {DESK: 1000, PHONE: 844}
QUALITY = 60


@dataclass(frozen=True)
class Picture:
    """One file in `docs/pictures`. ``of`` is the page: see ``Sitter.moment``; ``way`` the method of the sitter that
    comes by it."""

    name: str
    of: str
    language: str = "en"
    phone: bool = False
    dark: bool = False
    brand: str = "brand.toml"
    site: str = "Oregon"
    way: str = "walk"

    @property
    def file(self) -> str:
        return f"{self.name}.webp"

    @property
    def walk(self) -> tuple[str, str, bool, str]:
        """What has to be walked for it; pictures of one walk are taken on the way."""
        return (self.brand, self.language, self.phone, self.way)


PICTURES = (
    Picture("activation", "activation"),
    Picture("activation-dark", "activation", dark=True),
    Picture("successful", "successful"),
    Picture("basic-errors", "basic-errors"),
    Picture("bind-workspace", "workspaces", way="bind"),
    Picture("workspace-management", "workspaces", way="manage"),
    Picture("workspace-management-dark", "workspaces", way="manage", dark=True),
    Picture("change-settlement", "settlement", way="manage"),
    Picture("cloud-accounts", "cloud-accounts", way="manage"),
    Picture("locked", "locked", way="manage"),
    Picture("locked-dark", "locked", way="manage", dark=True),
    Picture("sandbox", "sandbox"),
    Picture("choice-phone", "choice", phone=True),
    Picture("basic-phone-zh", "basic", language="zh", phone=True),
    Picture("activation-phone-zh-dark", "activation", language="zh", phone=True, dark=True),
    Picture("kestrel", "activation", brand="docs/brands/kestrel.toml", site="Osaka"),
)

# What is drawn by lot or by the clock → what the pictures say instead.
_SETTLED = {
    r"\b([A-Z]{2})-[0-9A-Z]{4}-[0-9A-Z]{4}\b": "$1-7Q2M-4XKD",
    r"\b(127\.0\.0\.1|localhost):\d+": "$1:5000",
    r"\bagmt-[0-9a-z]+": "agmt-4t9k2m7x1q8w",
    r"\b(wksp_[0-9a-f]{6})0{10}\b": "$1",
    r"\bwksp_[0-9a-z]{16}\b": "wksp_5d2g7h3j1k",
    r"\b\d{1,2}:\d{2}(:\d{2})?\b": "18:40",
    r"\b\d{1,2} [A-Z][a-z]+ 20\d\d\b": "24 March 2026",
    r"\bsubscribed 24 March 2026": "subscribed 3 March 2026",
    r"\buntil 24 March 2026": "until 7 April 2026",
    r"\band \d+ hours? left\b": "and 4 hours left",
}
_SETTLE = """
(patterns) => {
  document.activeElement.blur();
  scrollTo(0, 0);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode())
    for (const [pattern, instead] of patterns)
      texts.currentNode.data = texts.currentNode.data.replace(new RegExp(pattern, "g"), instead);
}
"""


WORKSPACES = {
    "Harbour production": f"wksp_4f21c0{0:010}",
    "Payments": f"wksp_91be37{0:010}",
    "Storefront": f"wksp_c07d55{0:010}",
}
MANAGED = {
    "Label printers": "e92f04",
    "Meridian staging": "60b1ce",
    "Data pipeline": "75d3f8",
    "Warehouse robots": "2aa9e4",
    "Storefront": "c07d55",
    "Meridian production": "4f21c0",
    "Payments API": "91be37",
}
_ANOTHER = """
INSERT INTO workspaces (public_id, origin, name, site_id, state, language, owner_id, billing_account_id,
  settlement_method, settlement_number, created_at)
SELECT ?, origin || ?, ?, site_id, state, language, owner_id, billing_account_id,
  settlement_method, settlement_number, created_at FROM workspaces LIMIT 1
"""
SITTING = Person(company="Harbour Lamps", called="lin.mei", at="harbour.example")


class Sitter(Customer):
    """A customer who holds still where a picture is wanted: when a page is filled in, before its button is pressed."""

    def __init__(self, page: Page, server: Server, language: str, wanted: Iterable[Picture]) -> None:
        super().__init__(page, server, language, person=SITTING)
        self.account = "782858285006"
        self.wanted = list(wanted)
        self.site = self.wanted[0].site
        self.taken: dict[str, bytes] = {}

    def press(self, button: str) -> None:
        self.hold_still(self.moment)
        super().press(button)

    @property
    def moment(self) -> str:
        """The page by the end of its address; the first pages have other names."""
        path = urlsplit(self.page.url).path.rstrip("/")
        if path.startswith("/sandbox"):
            return "sandbox" if path == "/sandbox/aws" else path
        if path.startswith("/arrive/"):
            return "choice"
        return {"register": "basic"}.get(path.rpartition("/")[2], path.rpartition("/")[2])

    def hold_still(self, moment: str) -> None:
        for picture in self.wanted:
            if picture.of == moment:
                self.page.emulate_media(color_scheme="dark" if picture.dark else "light")
                self.page.evaluate(_SETTLE, list(_SETTLED.items()))
                self.taken[picture.file] = photograph(self.page, PHONE if picture.phone else DESK)

    def bind(self) -> None:
        """Somebody who has three workspaces binds a purchase to their account, and two of them to the purchase."""
        there = walk_over_http(self.server, person=self.person)
        there.register().give_basics().enter_code()
        there.give_company()
        first, *others = WORKSPACES
        there.activate(method="billing_center", workspace_name=first)
        there.wait_until_made()
        database(self.server, "UPDATE workspaces SET public_id = ?", WORKSPACES[first])
        for name in others:
            database(self.server, _ANOTHER, WORKSPACES[name], name, name)
        self.land(customerAWSAccountId=self.account)
        self.say_have()
        self.enter_code(self.code_after(self.name_account, self.person.email))
        for name in (first, others[0]):
            self.open_bind(name)
            super().press("Confirm")
            self.row(name).get_by_text(self.word("Bound"), exact=True).wait_for()
        self.hold_still(self.moment)

    def manage(self) -> None:
        """Somebody with seven workspaces looks at what pays for what; a colleague opens one that is locked."""
        demo.Company(self.server).settle_in()
        demo.let_time_pass(self.server.instance)
        for name, number in MANAGED.items():
            public_id = f"wksp_{number}{0:010}"
            database(self.server, "UPDATE workspaces SET public_id = ? WHERE name = ?", public_id, name)
        self.page.goto(f"{self.server.url}/billing/sign-in")
        self.field("Username").fill(demo.WEI.username)
        self.field("Password").fill(demo.WEI.password)
        super().press("Sign in")
        self.reads("Workspace management")
        self.hold_still(self.moment)
        self.follow("Cloud accounts")
        self.reads("Cloud accounts")
        self.hold_still(self.moment)
        self.follow("Workspace management")
        self.page.get_by_role("link", name="Data pipeline", exact=True).click()
        self.follow("Change settlement method")
        self.page.get_by_role("radio", name=re.compile("^AWS account 7828")).check()
        self.hold_still(self.moment)
        self.page.goto(f"{self.server.url}/sign-in?site=us1")
        self.person = demo.MIA
        self.sign_in()
        self.page.get_by_role("link", name="Meridian staging").click()
        self.reads("Meridian staging is locked")
        self.hold_still("locked")

    def walk(self) -> None:
        """From the marketplace to the workspace; one page is first sent as it comes, for its errors."""
        self.open_product()
        self.buy()
        self.set_up()
        self.say_new()
        if "basic-errors" in [picture.of for picture in self.wanted]:
            self.press("Next")
            self.hold_still("basic-errors")
        self.give_basics()
        self.enter_code(self.read_code())
        self.give_company()
        self.activate()
        self.look_until_made()
        self.hold_still(self.moment)


def photograph(page: Page, window: tuple[int, int]) -> bytes:
    """The page from its top, as WebP: all of it, or as much as a picture may show."""
    height = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": window[0], "height": min(height, TALLEST[window]), "scale": 1}
    wish = {"format": "webp", "quality": QUALITY, "captureBeyondViewport": True, "clip": clip}
    return base64.b64decode(page.context.new_cdp_session(page).send("Page.captureScreenshot", wish)["data"])


def take(pictures: Iterable[Picture] = PICTURES) -> dict[str, bytes]:
    """File name → picture."""
    taken: dict[str, bytes] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium.find_or_install(), args=chromium.launch_arguments(), headless=True
        )
        visitors = Visitors(browser)
        visitors.allow(r"status of 422")
        by_walk = sorted(pictures, key=lambda picture: picture.walk)
        for (brand, language, phone, way), wanted in groupby(by_walk, key=lambda picture: picture.walk):
            with tempfile.TemporaryDirectory() as instance:
                server = Server(Path(instance), BRAND_FILE=str(ROOT / brand))
                try:
                    page = visitors(
                        language, phone=phone, size=PHONE if phone else DESK, device_scale_factor=1.5
                    )
                    sitter = Sitter(page, server, language, wanted)
                    getattr(sitter, way)()
                    taken |= sitter.taken
                finally:
                    server.stop()
        visitors.close()
        visitors.check()
        browser.close()
    return taken


def main() -> None:
    """Take every picture of the list, and take away what is not in it."""
    taken = take()
    missing = {picture.file for picture in PICTURES} - set(taken)
    if missing:
        sys.exit(f"No page came by for {', '.join(sorted(missing))}.")
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.iterdir():
        if old.name not in taken:
            old.unlink()
    for name, picture in sorted(taken.items()):
        (FOLDER / name).write_bytes(picture)
        print(f"   docs/pictures/{name}  {len(picture) / 1000:.0f} kB")


def used_in(text: str) -> set[str]:
    """The pictures that a document of `docs/` or the README shows, by file name."""
    return set(re.findall(r"pictures/([\w.-]+)", text))


if __name__ == "__main__":
    main()
