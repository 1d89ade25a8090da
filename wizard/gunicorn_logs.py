"""gunicorn's own lines the way ours are: ``gunicorn --logger-class wizard.gunicorn_logs.Logger wsgi:app``."""

import os
from typing import Any

from gunicorn.glogging import Logger as _Logger

from wizard import logs


class Logger(_Logger):
    """Hands what gunicorn says (it starts, a worker died) to the one handler of this process.

    Requests are logged by the application, with their route and without what is in their address.
    """

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        logs.configure(os.environ.get("LOG_FORMAT", ""))
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
        self.error_log.propagate = True
