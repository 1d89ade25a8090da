"""Somebody with seven workspaces in the Billing Center, made through the product's own doors: the demo's, and the
pictures'.

    company = Company(server)
    company.settle_in()
    let_time_pass(server.instance)

Five are active: three that one AWS account pays for, one that changed to it, one that was unlocked. Two are locked,
since their AWS accounts cancelled; the last of them is about to be closed.
"""

import re
import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import cast

from tests.support.factories import Person
from tests.support.over_http import HttpBinding, HttpWalk, until, walk_over_http
from tests.support.server import Product
from wizard import clock


def _at_meridian(called: str) -> Person:
    return Person(called=called, company="Meridian Robotics", at="meridian.example")


WEI, LENA, ARJUN, MIA = (_at_meridian(name) for name in ("wei.chen", "lena.vogt", "arjun.rao", "mia.park"))
PAYS, CANCELLED, LONG_CANCELLED = "782858285006", "441722908813", "190311110001"
"""Their three AWS accounts."""


class _Binding(HttpBinding):
    """Somebody who is mailed more than one code on their way, and reads each once."""

    def code_of(self, person: Person) -> str:
        found: list[str] = []

        def look() -> bool:
            for mail in self.marketplace.mails(person.email):  # type: ignore[attr-defined]
                code = re.match(r"\d{6}\b", mail["subject"])
                if code and self.reference in mail["text"] and mail["id"] not in self._read:
                    self._read.add(mail["id"])
                    found.append(code[0])
            return bool(found)

        until(look, f"no code comes to {person.email}", every=0.05)
        return found[0]

    @cached_property
    def _read(self) -> set[str]:
        return set()


class Company:
    """Wei's Billing Center account. Everybody else has a console account and works in the workspaces it settles."""

    def __init__(self, product: Product, language: str = "en") -> None:
        self.product = product
        self._first: HttpWalk = walk_over_http(product, language, person=WEI)

    def settle_in(self) -> None:
        """Seven workspaces, three purchases, two of them cancelled, one change and one unlock."""
        walk = self._first
        walk.register().give_basics().enter_code()
        walk.give_company()
        walk.activate(method="billing_center", workspace_name="Payments API")
        walk.wait_until_made()
        paying = self._bind(PAYS)
        self._make(paying, "Meridian production", WEI)
        self._make(paying, "Storefront", LENA, site="eu1")
        self._make(paying, "Warehouse robots", ARJUN, site="ap1")
        paying.confirm()
        cancelled = self._bind(CANCELLED)
        self._make(cancelled, "Meridian staging", MIA)
        self._make(cancelled, "Data pipeline", MIA, registers=False)
        cancelled.confirm()
        long_cancelled = self._bind(LONG_CANCELLED)
        self._make(long_cancelled, "Label printers", MIA, registers=False)
        long_cancelled.confirm()
        for gone in (cancelled, long_cancelled):
            self.product.ask(f"/sandbox/aws/purchases/{gone.bought['agreementId']}/cancel", {})
        self._sign_in()
        self._settle("Payments API", "Confirm", f"{PAYS[:4]}\N{NO-BREAK SPACE}{PAYS[4:8]}")
        until(lambda: self._says("Data pipeline", "Locked"), "no message of the cancellation comes")
        until(lambda: self._says("Label printers", "Locked"), "no message of the cancellation comes")
        self._settle("Data pipeline", "Unlock", "Billing Center account")

    def _bind(self, cloud_account: str) -> _Binding:
        """A purchase by this AWS account, bound to Wei's account."""
        bind = _Binding.of(self._first)
        bind.to_workspaces(customerAWSAccountId=cloud_account)
        return cast(_Binding, bind)

    def _make(
        self, bind: _Binding, name: str, owner: Person, site: str = "us1", registers: bool | None = None
    ) -> None:
        """A workspace of this owner, who has a console account on the site or registers one."""
        new = owner is not WEI if registers is None else registers
        bind.open_create(registers=new, site=site)
        (bind.register_and_create if new else bind.create)(owner, name)
        self.product.mail(owner.email, subject=name)

    def _sign_in(self) -> None:
        client = self._first.client
        answers = {"username": WEI.username, "password": WEI.password}
        client.submit(client.get("/billing/sign-in"), self._first.word("Sign in"), answers)

    def _page_of(self, workspace: str) -> str:
        return self._first.client.get("/billing/workspaces").links[workspace]

    def _says(self, workspace: str, word: str) -> bool:
        return word in self._first.client.get(self._page_of(workspace)).text

    def _settle(self, workspace: str, button: str, choice: str) -> None:
        """Let what this choice names pay for it from now on."""
        client = self._first.client
        page = client.get(f"{self._page_of(workspace)}/settlement")
        label = next(each for each in page.soup.select("label.card") if choice in each.get_text())
        field = label.find("input")
        assert field is not None
        client.submit(page, button, method=str(field["value"]))


def let_time_pass(instance: Path) -> None:
    """Twelve days go by for what was bound last, and its owners were warned yesterday: the one thing here that no door
    of the product can do. Only on the SQLite file of this instance; elsewhere it was cancelled today."""
    file, now = instance / "wizard.db", clock.now()
    if not file.exists():
        return
    with closing(sqlite3.connect(file, timeout=30)) as connection, connection:
        connection.execute(
            "UPDATE subscriptions SET ended_at = :ended, stopped_at = :ended, warned_at = :warned "
            "WHERE state = 'ended' AND cloud_account_id = (SELECT id FROM cloud_accounts WHERE account_id = :of)",
            {
                "ended": f"{now - timedelta(days=12):%Y-%m-%d %H:%M:%S.%f}",
                "warned": f"{now - timedelta(days=1):%Y-%m-%d %H:%M:%S.%f}",
                "of": LONG_CANCELLED,
            },
        )
