"""The server the sandbox's API wants: threads for those who wait for messages, and an eye on who has hung up."""

from typing import Any

from waitress.server import BaseWSGIServer, MultiSocketServer, create_server

THREADS = 16


def api_server(app: Any, listeners: int, **where: Any) -> BaseWSGIServer | MultiSocketServer:
    """A server, not yet running, of a WSGI app that answers the API.

    ``listeners``: how many may wait at a queue at once, each of whom keeps a thread busy; ``where``: waitress's
    ``host`` and ``port``, or ``sockets``.
    """
    return create_server(
        app,
        threads=THREADS + listeners,
        connection_limit=1000,
        channel_request_lookahead=1,  # Without it nobody is told that a caller is gone (see receive_message).
        ident=None,
        **where,
    )
