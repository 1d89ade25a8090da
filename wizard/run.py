"""The whole product in one process, for one machine: ``python -m wizard.run``.

The wizard and the sandbox's pages on one listener; the sandbox's AWS API on a second one with threads of
its own, because the wizard calls it while it answers (on one listener sixty-four buyers would wait for each
other for ever); the sandbox's mailbox; and a worker. Past one machine, a WSGI server and ``flask worker``
take these parts apart.
"""

import os
import signal
import socket
import sys
import threading
from dataclasses import replace
from types import FrameType

from flask import Flask
from flask_migrate import upgrade
from sqlalchemy.exc import OperationalError
from waitress.server import BaseWSGIServer, MultiSocketServer, create_server
from werkzeug.exceptions import NotFound
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from config import AwsPartition, Settings, SettingsError
from wizard import create_app
from wizard.brand import BrandError
from wizard.sandbox.courier import Courier, start_courier
from wizard.sandbox.mailbox import Mailbox, start_mailbox
from wizard.sandbox.serving import api_server
from wizard.worker import Worker

THREADS = 16

STOP_SECONDS = 30
"""For what is being answered or sent when a stop is asked for: longer than AWS or a mail server may take."""


def main() -> None:
    """Read the settings, start everything, print the doors, and stop gracefully when asked."""
    try:
        settings = Settings.from_env({"SANDBOX": "1", **os.environ})
        run(settings)
    except (SettingsError, BrandError) as problem:
        sys.exit(str(problem))


def run(settings: Settings) -> None:
    """Serve until a signal ends it."""
    helpers = _Helpers(settings) if settings.sandbox else None
    app = create_app(helpers.settings if helpers else settings)
    _migrate(app)
    if helpers:
        helpers.serve_api(app.extensions["sandbox"])
    worker = Worker(app)
    working = threading.Thread(target=worker.run, name="worker", daemon=True)
    server = _listen(app, settings)
    signal.signal(signal.SIGTERM, _end)
    working.start()
    _print_doors(settings)
    try:
        server.run()
    finally:
        worker.stop()
        server.task_dispatcher.shutdown(timeout=STOP_SECONDS)
        working.join(timeout=STOP_SECONDS)
        if working.is_alive():
            worker.give_back()
        if helpers:
            helpers.stop()


def _migrate(app: Flask) -> None:
    """Bring the database to this version. Raises ``SettingsError`` for one that does not answer."""
    try:
        with app.app_context():
            upgrade()
    except OperationalError as error:
        reason = str(error.orig).strip().splitlines()[0]
        raise SettingsError(f"DATABASE_URL wants a database that answers: {reason}.") from None


def _listen(app: Flask, settings: Settings) -> BaseWSGIServer | MultiSocketServer:
    """Take the port. Raises ``SettingsError`` for one that is taken."""
    try:
        return create_server(
            app,
            host="127.0.0.1",
            port=settings.port,
            threads=THREADS,
            connection_limit=1000,
            ident=None,
            clear_untrusted_proxy_headers=not settings.trusted_proxies,
        )
    except OSError as error:
        raise SettingsError(
            f"PORT wants a port that is free: {settings.port} is not ({error.strerror})."
        ) from None


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


class _Helpers:
    """What the sandbox needs running: its mailbox, a second listener for its AWS API, and who delivers messages.

    ``settings`` are those given, pointed at the helpers wherever they named nothing else.
    """

    def __init__(self, settings: Settings) -> None:
        self._mailbox: Mailbox | None = None
        self._courier: Courier | None = None
        if not settings.mail_server:
            self._mailbox = start_mailbox(settings.sandbox_database)
            settings = replace(settings, mail_server=self._mailbox.host, mail_port=self._mailbox.port)
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        port = self._listener.getsockname()[1]
        self.settings = at_sandbox(settings, f"http://127.0.0.1:{port}/sandbox")

    def serve_api(self, sandbox: Flask) -> None:
        """Answer the wizard's AWS calls, in threads of their own, and carry AWS's messages to it."""
        mounted = DispatcherMiddleware(NotFound(), {"/sandbox": sandbox})
        api = api_server(mounted, len(self.settings.aws_partitions), sockets=[self._listener])
        threading.Thread(target=api.run, name="sandbox", daemon=True).start()
        self._courier = start_courier(sandbox)

    def stop(self) -> None:
        if self._courier:
            self._courier.stop()
        if self._mailbox:
            self._mailbox.stop()


def at_sandbox(settings: Settings, url: str) -> Settings:
    """These settings with AWS's services, in every partition that names no address of its own, at a sandbox.

    ``url`` ends in /sandbox. One address serves all partitions: a call's signature says which it means. Topics have
    the names AWS gives them; a partition that names topics or queues of its own keeps them.
    """
    api = f"{url}/aws/api"
    partitions = {
        name: replace(
            p,
            metering_endpoint=p.metering_endpoint or api,
            entitlement_endpoint=p.entitlement_endpoint or api,
            agreement_endpoint=p.agreement_endpoint or (api if p.agreement_region else ""),
            sts_endpoint=p.sts_endpoint or f"{url}/aws/sts",
            sns_endpoint=p.sns_endpoint or f"{url}/aws/sns",
            sqs_endpoint=p.sqs_endpoint or api,
            sns_topics=p.sns_topics or _topics(p),
            sqs_queues=p.sqs_queues or ((f"{api}/queue/{name}",) if p.product_codes else ()),
        )
        for name, p in settings.aws_partitions.items()
    }
    return replace(settings, aws_partitions=partitions)


def _topics(of: AwsPartition) -> tuple[str, ...]:
    """The topics AWS makes for each listing, by their names in the *AWS Marketplace seller guide*."""
    return tuple(
        f"arn:{of.name}:sns:{of.region}:287250355862:aws-mp-{about}-notification-{code}"
        for code in of.product_codes
        for about in ("subscription", "entitlement")
    )


def _print_doors(settings: Settings) -> None:
    lines = [
        "",
        f"  The wizard           {settings.public_url}/",
        f"  Register             {settings.public_url}/register",
        f"  Sign in              {settings.public_url}/sign-in",
        f"  Billing Center       {settings.public_url}/billing/sign-in",
    ]
    if settings.sandbox:
        lines += [
            f"  Buy at AWS           {settings.sandbox_origin}/sandbox/aws/   (a stand-in: nothing is bought)",
            f"  The mailbox          {settings.sandbox_origin}/sandbox/mailbox",
            f"  Everything to try    {settings.sandbox_origin}/sandbox/",
        ]
    print("\n".join([*lines, "", "  Ctrl-C stops it.", ""]), flush=True)


if __name__ == "__main__":
    main()
