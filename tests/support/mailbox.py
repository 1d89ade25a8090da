"""Mail in integration tests: a real SMTP server, and what has come into it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from wizard.sandbox.mails import Mail


class Mailbox:
    """Everything the product has sent since the test began. ``port`` is where it takes mail."""

    def __init__(self, database: Path) -> None:
        from wizard.sandbox.mailbox import start_mailbox
        from wizard.sandbox.mails import Mails
        from wizard.sandbox.store import Store

        self._server = start_mailbox(str(database))
        self._mails = Mails(Store(str(database)), time.time)
        self.port = self._server.port

    def to(self, address: str) -> "list[Mail]":
        """The mails of one address, newest first."""
        return self._mails.newest(address)

    def all(self) -> "list[Mail]":
        return self._mails.newest(None)

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    """A mailbox of the test's own, in the file that the sandbox of its ``app`` shows at /sandbox/mailbox."""
    box = Mailbox(tmp_path / "sandbox.db")
    yield box
    box.stop()
