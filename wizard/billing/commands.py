"""What staff do to the domain from the command line: ``flask --app wsgi billing …``."""

import logging

import click
from flask.cli import AppGroup

from wizard.accounts import directory
from wizard.extensions import db

log = logging.getLogger("wizard.billing")

billing = AppGroup("billing", help="Billing Center accounts.")


@billing.command("any-method")
@click.argument("username")
@click.option("--off", is_flag=True, help="Take it back.")
def any_method(username: str, off: bool) -> None:
    """Let a Billing Center account settle its workspaces by any method, whatever their sites list.

    USERNAME is its username or its address. What has been settled that way stays so when it is taken back.
    """
    account = directory.billing_account_called(username.strip())
    if account is None:
        raise click.ClickException(f"No Billing Center account is called {username}.")
    account.any_method = not off
    db.session.commit()
    log.info("an account may settle by any method", extra={"billing_account": account.id, "may": not off})
    click.echo(f"{account.username}: {'the methods its sites list' if off else 'any method'}.")
