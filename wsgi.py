"""What a WSGI server loads, and what ``flask --app wsgi`` commands run in."""

import os
import sys

from config import Settings, SettingsError
from wizard import create_app, worker
from wizard.billing import commands
from wizard.brand import BrandError

try:
    app = create_app(Settings.from_env(os.environ))
except (SettingsError, BrandError) as problem:
    sys.exit(str(problem))
app.cli.add_command(worker.command)
app.cli.add_command(commands.billing)
