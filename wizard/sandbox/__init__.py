"""A stand-in AWS Marketplace and a mailbox: walk a SaaS listing's whole purchase with nothing bought.

What is here:

* **An AWS API** at ``POST /aws/api`` that answers unmodified AWS SDKs (JSON, ``X-Amz-Target``): ``ResolveCustomer``,
  ``BatchMeterUsage``, ``GetEntitlements``, ``DescribeAgreement`` and ``GetAgreementContacts``, with AWS's shapes and
  error codes::

      boto3.client("meteringmarketplace", endpoint_url="http://localhost:5000/sandbox/aws/api", …)

  or, without touching the program, ``AWS_ENDPOINT_URL_MARKETPLACE_METERING`` and
  ``AWS_ENDPOINT_URL_MARKETPLACE_ENTITLEMENT_SERVICE`` in its environment. Any credentials will do, but those of a
  role are made at ``POST /aws/sts`` (``AssumeRole``) and end.
* **Three partitions**: the region a request is signed for says whether it is for ``aws``, ``aws-cn`` or
  ``aws-eusc``, which share no purchase and no account.
* **Messages** about every purchase, as AWS sends them: EventBridge's events in a queue that SQS clients read at the
  API, ``…/aws/api/queue/<partition>``; for legacy purchases signed SNS notifications, posted to the seller by
  :func:`wizard.sandbox.courier.start_courier`, confirmed and certified at ``/aws/sns``. They can be late, doubled, out
  of order or kept back, and be sent again: ``/messages`` for people, ``/aws/messages`` for programs.
* **Pages** where a person plays the buyer, for each partition, from ``/``: Continue Subscription, Subscribe, Set Up
  Your Account (a real form, posted from another origin to the registration URL), Your Marketplace Software with
  what was metered, Cancel.
* **Doors for programs**: ``POST /aws/purchases`` gives a token, on wish one that fails in a scripted way;
  ``POST /aws/purchases/<agreementId>/cancel`` and ``…/renew``; ``GET`` and ``POST …/metering`` to read what was
  metered and to make the next calls fail; ``GET /mailbox.json?to=``.
* **A mailbox** that is an SMTP server: :func:`wizard.sandbox.mailbox.start_mailbox`, read at ``/mailbox``.

It is one WSGI app with one SQLite file. Mount it beside the product under test, or serve it alone::

    app = create_sandbox(SandboxSettings(
        database="instance/sandbox.db",
        registration_urls={"aws": "http://127.0.0.1:5000/marketplaces/aws/landing"},
        wizard_origin="http://127.0.0.1:5000",
        notification_urls={"aws": "http://127.0.0.1:5000/marketplaces/aws/notifications"},
        sns_url="http://127.0.0.1:5001/sandbox/aws/sns",
        product_codes={"aws": ("my-product-code",)},
        stylesheet_url="/static/style.css", script_url="/static/script.js",
        brand=load_brand("brand.toml"),
    ))
    wizard.wsgi_app = DispatcherMiddleware(wizard.wsgi_app, {"/sandbox": app})

Open its pages under another host name than the product's (``localhost`` and ``127.0.0.1``), so that the
browser treats the token's form as the cross-site post it is at AWS. A program that calls the API while it
answers a request needs the sandbox on a listener with threads of its own: on a shared one, all of them can
come to wait for themselves. To serve it alone from a shell: ``python -m wizard.sandbox --help``.
"""

from pathlib import Path

from flask import Flask

from wizard.i18n import PoBabel, init_languages
from wizard.sandbox.api import api
from wizard.sandbox.credentials import Sessions
from wizard.sandbox.doors import doors
from wizard.sandbox.events import Listing
from wizard.sandbox.mailbox_pages import mailbox_pages
from wizard.sandbox.mails import Mails
from wizard.sandbox.message_doors import message_doors
from wizard.sandbox.message_pages import message_pages
from wizard.sandbox.messages import Messages
from wizard.sandbox.metering import Meter
from wizard.sandbox.pages import aws_pages, pages
from wizard.sandbox.purchases import Marketplace
from wizard.sandbox.settings import Dimension, SandboxSettings
from wizard.sandbox.signing import Signer
from wizard.sandbox.sns import sns
from wizard.sandbox.store import Store
from wizard.sandbox.sts import sts
from wizard.sandbox.topics import Topics
from wizard.sandbox.web import Sandbox, init_web

__all__ = ["Dimension", "SandboxSettings", "create_sandbox"]

_TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"


def create_sandbox(settings: SandboxSettings) -> Flask:
    """The sandbox as a Flask app, safe to serve from any number of threads and processes."""
    app = Flask("wizard.sandbox", template_folder=str(_TEMPLATES), static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024  # AWS's own limit for a request to the metering service
    store = Store(settings.database)
    subscribed = {name: settings.product_codes.get(name, ()) for name in settings.notification_urls}
    messages = Messages(store, settings.now, subscribed)
    app.extensions["sandbox"] = Sandbox(
        settings,
        Marketplace(
            store,
            settings.now,
            {d.key: d.entitled for d in settings.dimensions},
            messages,
            Listing(settings.brand.product_title.en, settings.brand.name),
            settings.pace,
        ),
        Meter(store, settings.now, [d.key for d in settings.dimensions], settings.product_codes),
        Sessions(store, settings.now),
        Mails(store, settings.now),
        messages,
        Topics(store, settings.now, messages),
        Signer(store, settings.now),
    )
    init_languages(app, PoBabel(domain="sandbox"))
    init_web(app)
    for room in (pages, aws_pages, mailbox_pages, message_pages, doors, message_doors, api, sts, sns):
        app.register_blueprint(room)
    return app
