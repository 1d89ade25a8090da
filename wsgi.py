"""What a WSGI server loads, and what ``flask --app wsgi`` commands run in."""

import os

from config import Settings
from wizard import create_app, worker

app = create_app(Settings.from_env(os.environ))
app.cli.add_command(worker.command)
