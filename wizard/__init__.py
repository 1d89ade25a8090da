"""The onboarding wizard. ``create_app`` reads top to bottom as the list of its rooms."""

from flask import Flask
from flask_compress import Compress
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from config import ROOT, Settings
from wizard import (
    access,
    errors,
    extensions,
    health,
    limits,
    logs,
    mail,
    metrics,
    outbox,
    pages,
    transactions,
)
from wizard.accounts import identity, sessions
from wizard.billing import endings, notices, workspaces
from wizard.billing_center import area as billing_area
from wizard.billing_center import cloud_account_views, lock_views, settlement_views, workspace_views
from wizard.brand import Brand, load_brand
from wizard.console import area as console_area
from wizard.console import workspace_views as console_views
from wizard.flows import door_views, mails, reminders, resume_views
from wizard.flows import views as flows_views
from wizard.i18n import init_languages
from wizard.marketplaces import inbox, readings, reconciliation
from wizard.marketplaces import views as marketplaces_views
from wizard.marketplaces.aws import AwsMarketplace
from wizard.sandbox import SandboxSettings, create_sandbox
from wizard.sites.gateway import LocalConsole
from wizard.verification import codes

MIGRATIONS = ROOT / "migrations"

_POSTGRES_PATIENCE = {
    "connect_timeout": 5,
    "keepalives_idle": 30,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
"""libpq's own settings, in seconds (the last in ms): a machine gone without a word is noticed, not waited for."""


def create_app(settings: Settings) -> Flask:
    """One process's application. Starts nothing: workers and the sandbox's helpers belong to the run command.

    Raises :class:`config.SettingsError` or :class:`wizard.brand.BrandError` with one sentence.
    """
    brand = load_brand(settings.brand_file)
    app = Flask("wizard", root_path=str(ROOT), template_folder="templates", static_folder=None)
    app.static_folder = str(ROOT / "static")
    app.config.from_mapping(_flask_config(settings, brand))
    app.extensions["brand"] = brand
    app.extensions["migrations_path"] = str(MIGRATIONS)
    app.extensions["marketplaces"] = {
        name: AwsMarketplace(partition) for name, partition in settings.aws_partitions.items()
    }
    app.extensions["console_gateway"] = LocalConsole()
    logs.init_logs(app, settings)
    metrics.init_metrics(app)

    extensions.db.init_app(app)
    extensions.migrate.init_app(app, directory=str(MIGRATIONS))
    extensions.mail.init_app(app)
    init_languages(app, extensions.babel)
    Compress(app)
    pages.init_pages(app, brand)
    errors.init_errors(app)
    sessions.init_sessions(app)
    transactions.init_transactions(app)
    limits.init_limits(app)
    identity.init_identity(app)

    app.register_blueprint(health.bp)
    app.register_blueprint(marketplaces_views.bp)
    app.register_blueprint(door_views.bp)
    app.register_blueprint(flows_views.bp)
    app.register_blueprint(resume_views.bp)
    app.register_blueprint(console_views.bp)
    app.register_blueprint(console_area.reset_bp)
    app.register_blueprint(billing_area.reset_bp)
    for bp in {
        pages_of.bp for pages_of in (cloud_account_views, lock_views, settlement_views, workspace_views)
    }:  # One, the room's.
        app.register_blueprint(bp)

    access.init_access(app)

    outbox.register(
        app,
        {
            "mail": mail.send_later,
            "verification.mail": codes.deliver,
            "billing.make_workspace": workspaces.make,
            "billing.tell_site": endings.tell_site,
            "billing.follow": endings.follow,
            "billing.bring_back": endings.bring_back,
            "billing.spread": notices.spread,
            "billing.tell_ended": notices.tell_ended,
            "billing.tell_ready": notices.tell_ready,
            "marketplaces.replay": inbox.replay,
            "marketplaces.read_entitlements": readings.read_entitlements,
            "marketplaces.read_status": readings.read_status,
            "marketplaces.compare": reconciliation.compare,
            "marketplaces.report": reconciliation.report,
            "flows.remind": reminders.tell,
            "flows.tell_bound": mails.tell_bound,
        },
    )
    if settings.sandbox:
        _mount_sandbox(app, settings)
    if settings.trusted_proxies:
        hops = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]
    return app


def _mount_sandbox(app: Flask, settings: Settings) -> None:
    """The stand-in marketplaces, a separate app that happens to live under the same roof."""
    on = {name: p for name, p in settings.aws_partitions.items() if p.product_codes}
    sandbox = create_sandbox(
        SandboxSettings(
            database=settings.sandbox_database,
            registration_urls={name: f"{settings.public_url}/marketplaces/{name}/landing" for name in on},
            wizard_origin=settings.public_url,
            notification_urls={
                name: f"{settings.public_url}/marketplaces/{name}/notifications" for name in on
            },
            sns_url=next((p.sns_endpoint for p in on.values()), "")
            or f"{settings.sandbox_origin}/sandbox/aws/sns",
            product_codes={name: p.product_codes for name, p in on.items()},
            stylesheet_url=app.extensions["asset_urls"]["sandbox"],
            script_url=app.extensions["asset_urls"]["script"],
            brand=app.extensions["brand"],
        )
    )
    app.extensions["sandbox"] = sandbox
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/sandbox": sandbox})  # type: ignore[method-assign]


def _flask_config(settings: Settings, brand: Brand) -> dict[str, object]:
    """The settings in the words of Flask and its extensions."""
    secure = settings.secure_cookies
    return {
        "SECRET_KEY": settings.secret_key,
        "PUBLIC_URL": settings.public_url,
        "SANDBOX": settings.sandbox,
        "MAX_CONTENT_LENGTH": 256 * 1024,
        "MAX_FORM_MEMORY_SIZE": 256 * 1024,
        "SESSION_COOKIE_NAME": "__Host-wizard" if secure else "wizard",
        "SESSION_COOKIE_SECURE": secure,
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        "SQLALCHEMY_DATABASE_URI": settings.database_url,
        "SQLALCHEMY_ENGINE_OPTIONS": {
            "pool_size": 20,
            "max_overflow": 20,
            "pool_timeout": 10,
            "pool_pre_ping": True,
            "hide_parameters": True,  # An error's text goes to the log, and what people typed must not.
            "connect_args": _POSTGRES_PATIENCE if settings.database_url.startswith("postgresql") else {},
        },
        "WTF_CSRF_TIME_LIMIT": None,
        "MAIL_SERVER": settings.mail_server,
        "MAIL_PORT": settings.mail_port,
        "MAIL_USE_TLS": settings.mail_use_tls,
        "MAIL_USE_SSL": settings.mail_use_ssl,
        "MAIL_USERNAME": settings.mail_username or None,
        "MAIL_PASSWORD": settings.mail_password or None,
        "MAIL_DEFAULT_SENDER": settings.mail_sender or brand.support_email,
        "METRICS_DIRECTORY": settings.metrics_directory,
        "RATELIMIT_ENABLED": settings.ratelimit_enabled,
        "RATELIMIT_STORAGE_URI": "wizard-db://",
        "PASSWORD_BREACH_URL": settings.password_breach_url,
        "SETTLEMENT_CHANGE_INTERVAL_DAYS": settings.settlement_change_interval_days,
        "SETTLEMENT_LEAVE_ACTIVE_SUBSCRIPTION": settings.settlement_leave_active_subscription,
        "ON_CANCEL": {"aws": settings.aws_on_cancel},
        "REMINDER_AFTER_HOURS": settings.reminder_after_hours,
        "ARGON2_TIME_COST": settings.argon2_time_cost,
        "ARGON2_MEMORY_KIB": settings.argon2_memory_kib,
        "COMPRESS_MIMETYPES": ["text/html", "text/css", "text/javascript", "application/json"],
        "COMPRESS_ALGORITHM": ["br", "gzip"],
        "COMPRESS_MIN_SIZE": 500,
    }
