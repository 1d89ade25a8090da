"""A demo to look around in: ``make seed`` lets a few made-up customers walk through the product's own doors.

They walk through the product that runs at PORT, several at once; where none runs, one is started on INSTANCE_PATH for
the time it takes. Whoever has a mail in the sandbox's mailbox has been here before and is left alone, so a second run
changes nothing. Without the sandbox there would be no mailbox to read codes from and nothing to buy: it refuses.
"""

import os
import sys
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.support import demo
from tests.support.databases import ROOT
from tests.support.factories import Person
from tests.support.over_http import walk_over_http
from tests.support.server import Product, Server


@dataclass(frozen=True)
class Visit:
    """One customer at one site. ``buys``: they come from AWS with a purchase; ``pays``: the method they choose if not.

    ``ends_before`` is the stretch of ``go`` they do not come to, as people do.
    """

    person: Person
    site: str
    workspace: str
    language: str = "en"
    buys: bool = True
    pays: str = "billing_center"
    ends_before: str = ""

    @property
    def outcome(self) -> str:
        """What somebody who signs in finds; "" where there is no account to sign in with."""
        if self.ends_before in ("", "wait"):
            payer = "AWS" if self.buys else "its Billing Center account"
            waits = self.pays == "aws" and not self.buys
            return f"{self.workspace}, {'waits for its purchase at AWS' if waits else f'paid by {payer}'}"
        return "registered, no workspace yet" if self.ends_before == "activate" else ""


def _person(called: str, company: str, at: str) -> Person:
    return Person(called=called, company=company, at=f"{at}.example")


ADA, LIN = _person("ada", "Harbour Lamps", "lamps"), _person("lin.mei", "海灯照明", "haideng")
VISITS = (
    Visit(ADA, "us1", "Harbour"),
    Visit(ADA, "eu1", "Harbour Europe", buys=False),
    Visit(LIN, "cn2", "港口监控", language="zh"),
    Visit(_person("wu.jun", "云帆物流", "yunfan"), "cn4", "物流平台", language="zh", buys=False),
    Visit(_person("noor", "Quay Payments", "quay"), "ap1", "Payments"),
    Visit(_person("tomas", "Ferry Lines", "ferries"), "za1", "Ferries", buys=False),
    Visit(_person("grace", "Night Trains", "trains"), "us1", "Trains", ends_before="code"),
    Visit(_person("zhao.lei", "赵氏茶业", "tea"), "cn1", "茶园", language="zh", ends_before="company"),
    Visit(_person("ines", "Tide Tables", "tides"), "eu1", "Tides", ends_before="activate"),
    Visit(_person("sam", "Buoy Works", "buoys"), "us1", "Buoys", buys=False, pays="aws", ends_before="wait"),
)


AT_ONCE = 4
"""So many customers walk at the same time: they wait for mails most of it."""


class Refused(Exception):
    """Nothing was seeded; the message is one sentence for a person."""


def seed(product: Product, instance: Path | None = None) -> dict[str, bool]:
    """Let everybody walk who has not been here → address, and whether they came now.

    ``instance`` is the product's directory where it is on this machine: see :func:`.demo.let_time_pass`. Raises
    :class:`Refused` where the product has no sandbox.
    """
    by_address: dict[str, list[Callable[[], None]]] = {demo.WEI.email: [lambda: settle_in(product, instance)]}
    for visit in VISITS:
        by_address.setdefault(visit.person.email, []).append(partial(go, visit, product))
    try:
        new = {address: not product.mails(address) for address in by_address}
    except urllib.error.HTTPError:
        raise Refused(
            f"{product.url} has no sandbox: only a demo is filled with made-up customers."
        ) from None

    def come(address: str) -> None:
        for visit in by_address[address]:
            visit()

    with ThreadPoolExecutor(AT_ONCE) as everybody:
        list(everybody.map(come, [address for address in by_address if new[address]]))
    return new


def settle_in(product: Product, instance: Path | None) -> None:
    """The company that has seven workspaces, in every state there is but for a moment."""
    demo.Company(product).settle_in()
    if instance:
        demo.let_time_pass(instance)


def go(visit: Visit, product: Product) -> None:
    """One visit, as far as it goes."""
    walk = walk_over_http(product, visit.language, person=visit.person, site=visit.site)
    address, method = visit.person.email, {} if visit.buys else {"method": visit.pays}
    newest = max((int(mail["id"]) for mail in product.mails(address)), default=0)
    answers = {"workspace_name": visit.workspace, "language": visit.language, **method}
    stretches: tuple[tuple[str, Callable[[], object]], ...] = (
        ("arrive", lambda: walk.land().say_new() if visit.buys else walk.register()),
        ("basics", walk.give_basics),
        ("code", lambda: walk.enter_code(walk.code(newest))),
        ("company", walk.give_company),
        ("activate", lambda: walk.activate(**answers)),
        ("wait", walk.wait_until_made),
        ("leave", lambda: product.mail(address, subject=visit.workspace)),
    )
    for name, walk_on in stretches:
        if name == visit.ends_before:
            break
        walk_on()
    if walk.page.status != 200:
        raise Refused(f"{visit.person.email} cannot go on from “{walk.page.h1}” at {visit.site}.")


@contextmanager
def running(port: int, instance: Path) -> Iterator[Product]:
    """The product that answers at this port; or one of its own, for as long as this takes."""
    there = Product(f"http://127.0.0.1:{port}")
    try:
        there.ask("/readyz")
    except (urllib.error.URLError, OSError):
        instance.mkdir(parents=True, exist_ok=True)
        whole = {"ARGON2_TIME_COST": "", "ARGON2_MEMORY_KIB": ""}  # Here a password is hashed in earnest.
        server = Server(instance, port, **{**whole, **os.environ})
        try:
            yield server
        finally:
            server.stop()
    else:
        yield there


def main() -> None:
    """Seed, and say who can sign in."""
    settings = {"PORT": "5000", "INSTANCE_PATH": str(ROOT / "instance"), **os.environ}
    if settings.get("SANDBOX", "").lower() not in ("1", "true"):
        sys.exit("SANDBOX wants to be 1: only a demo is filled with made-up customers.")
    with running(int(settings["PORT"]), Path(settings["INSTANCE_PATH"])) as product:
        try:
            new = seed(product, Path(settings["INSTANCE_PATH"]))
        except Refused as reason:
            sys.exit(str(reason))
    print(f"\n  Everybody’s password is “{ADA.password}”. Sign in at {product.url}/sign-in\n")
    for visit in VISITS:
        if visit.outcome:
            there = "" if new[visit.person.email] else "  (was there)"
            print(f"  {visit.site}  {visit.person.username:<12} {visit.outcome}{there}")
    print(f"\n  The Billing Center is at {product.url}/billing/\n")
    there = "" if new[demo.WEI.email] else "  (was there)"
    print(f"       {demo.WEI.username:<12} seven workspaces, two of them locked{there}")
    print(f"  us1  {demo.MIA.username:<12} owns those two and signs in to the console")
    waiting = dict.fromkeys(visit.person.email for visit in VISITS if not visit.outcome)
    print(f"\n  Half way, with a code or a form to fill in: {', '.join(waiting)}\n")


if __name__ == "__main__":
    main()
