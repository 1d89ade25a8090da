"""A mailbox that is a real SMTP server: whatever is sent to it, for whomever, ends in the sandbox's database.

mailbox = start_mailbox("instance/sandbox.db")
# point MAIL_SERVER and MAIL_PORT at 127.0.0.1 and mailbox.port
mailbox.stop()
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from wizard.sandbox.mails import Mails
from wizard.sandbox.store import Store

log = logging.getLogger(__name__)


class Mailbox:
    """A running server; ``host`` and ``port`` say where. ``stop()`` ends it, a second time does nothing."""

    def __init__(self, controller: "_Controller") -> None:
        self._controller: _Controller | None = controller
        self.host: str = controller.hostname
        self.port: int = controller.port

    def stop(self) -> None:
        controller, self._controller = self._controller, None
        if controller is not None:
            controller.stop()


def start_mailbox(
    database: str, host: str = "127.0.0.1", port: int = 0, now: Callable[[], float] = time.time
) -> Mailbox:
    """Start a server in its own daemon thread and return once it answers.

    ``port`` 0 takes a free one. Raises ``OSError`` when the port is taken. No password and no TLS: it listens
    for this machine.
    """
    listener = socket.create_server((host, port))
    # Each line of an answer goes out by itself; otherwise the second waits 40 ms for the first to be confirmed.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    controller = _Controller(_Receiver(Mails(Store(database), now)), listener)
    try:
        controller.start()
    except BaseException:
        listener.close()
        raise
    return Mailbox(controller)


class _Controller(Controller):
    """aiosmtpd's thread, listening on a socket bound before: its own start looks for itself at the port it was
    given, which for port 0 is nowhere."""

    def __init__(self, handler: "_Receiver", listener: socket.socket) -> None:
        host, port = listener.getsockname()[:2]
        # A named server does not ask the network what this machine is called, which can take seconds.
        super().__init__(handler, hostname=host, port=port, server_hostname="sandbox.localhost")
        self._listener = listener

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._listener)


class _Receiver:
    def __init__(self, mails: Mails) -> None:
        self._mails = mails

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        try:
            # The database may be busy for a moment; the other senders need not wait for it.
            await asyncio.to_thread(self._mails.keep, list(envelope.rcpt_tos), content)
        except Exception:
            log.exception("the sandbox could not keep a mail")
            return "451 The mailbox could not keep this message. Try again later."
        return "250 Kept"
