"""Who may call what: every route, in one table. ``create_app`` refuses to start with a route that is not in it."""

from flask import Flask, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from wizard.extensions import SAFE_METHODS, login
from wizard.transactions import genuine, release

PUBLIC = "public"
ARRIVAL = "browser that holds the arrival's claim"
JOURNEY = "journey owner: a browser with its session, or the account it belongs to"
CONSOLE = "console account"
BILLING = "Billing Center account"
RESET = "browser that asked for a new password"
LINK = "whoever has a journey's mailed link"
MARKETPLACE = "marketplace, by its token"
TICKET = "whoever brings a ticket from the console"
SIGNATURE = "marketplace, by its signature"

ACCESS = {
    "asset": PUBLIC,
    "health.healthz": PUBLIC,
    "health.readyz": PUBLIC,
    "health.metrics": PUBLIC,
    "marketplaces.landing_help": PUBLIC,
    "marketplaces.landing": MARKETPLACE,
    "marketplaces.notifications": SIGNATURE,
    "doors.home": PUBLIC,
    "doors.register": PUBLIC,
    "doors.register_again": PUBLIC,
    "doors.bind": PUBLIC,
    "doors.arrive": ARRIVAL,
    "flows.resume": JOURNEY,
    "flows.site": JOURNEY,
    "flows.other": JOURNEY,
    "flows.without": JOURNEY,
    "flows.step": JOURNEY,
    "flows.action": JOURNEY,
    "resume.begin": LINK,
    "resume.code": LINK,
    "resume.resend": LINK,
    "console.sign_in": PUBLIC,
    "console.sign_out": PUBLIC,
    "reset.begin": PUBLIC,
    "reset.code": RESET,
    "reset.resend": RESET,
    "reset.new_password": RESET,
    "billing_reset.begin": PUBLIC,
    "billing_reset.code": RESET,
    "billing_reset.resend": RESET,
    "billing_reset.new_password": RESET,
    "console.account": CONSOLE,
    "console.sign_out_everywhere": CONSOLE,
    "console.front": CONSOLE,
    "console.home": CONSOLE,
    "console.data": CONSOLE,
    "console.billing": CONSOLE,
    "console.dissolve": CONSOLE,
    "billing_center.sign_in": PUBLIC,
    "billing_center.sign_out": PUBLIC,
    "billing_center.account": BILLING,
    "billing_center.sign_out_everywhere": BILLING,
    "billing_center.front": BILLING,
    "billing_center.workspaces": BILLING,
    "billing_center.workspace": BILLING,
    "billing_center.cloud_accounts": BILLING,
    "billing_center.cloud_account": BILLING,
    "billing_center.cloud_account_history": BILLING,
    "billing_center.bind": BILLING,
    "billing_center.unlock": TICKET,
    "billing_center.unlocking": BILLING,
    "billing_center.dissolve": BILLING,
    "billing_center.settlement": BILLING,
    "billing_center.arrived": BILLING,
    "billing_center.create_for": BILLING,
}
"""Endpoint → who may call it. Arrivals, journeys, mailed links and password resets are found only through what
proves them, so their views answer 404 to anybody else; a page of the console or of the Billing Center is not reached
without an account there."""


def init_access(app: Flask) -> None:
    """Hold every request to the table. Raises ``RuntimeError`` for a route it does not list."""
    routes = {rule.endpoint for rule in app.url_map.iter_rules()}
    if routes != set(ACCESS):
        raise RuntimeError(f"the access table and the routes differ: {sorted(routes ^ set(ACCESS))}")

    @app.before_request
    def admit() -> ResponseReturnValue | None:
        if ACCESS.get(request.endpoint or "") not in (CONSOLE, BILLING):
            return None
        if not current_user.is_authenticated:
            genuine(False)  # Whatever they sent counts for nothing.
            answer: ResponseReturnValue = login.unauthorized()
            return answer
        if request.method not in SAFE_METHODS:
            release()  # The limits that come next count in a transaction of their own, and passwords take a while.
        return None
