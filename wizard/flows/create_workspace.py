"""*Create workspace*, at the site chosen at the top, and bound from the start.

With a console account there: its address is proven, and its owner is the workspace's. Without one: the account
is made too. Either way back to the list, where the new one says *Bound*.
"""

import secrets

from flask import flash
from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wizard.accounts import addresses, directory
from wizard.accounts.models import ConsoleAccount
from wizard.billing import workspaces
from wizard.billing.models import Workspace
from wizard.billing.subscriptions import SubscriptionTaken
from wizard.extensions import db
from wizard.flows import journeys, new_account, proofs, show
from wizard.flows import show_creating as shown
from wizard.flows.engine import Flow, Step, never
from wizard.flows.forms import CreateAccountForm, CreateForm, OwnUsernameForm
from wizard.flows.models import Journey
from wizard.flows.new_account import address_proven, name_held
from wizard.flows.pages import Action, Page
from wizard.flows.refusals import Refused
from wizard.flows.show_binding import cloud_words
from wizard.i18n import language_of
from wizard.sites import directory as sites
from wizard.verification import codes

DRAFT = ("workspace_name", "language", "email", "username", "phone", "agree", "registers")
"""Answers about the workspace that is being created; the next one begins without them."""


# Facts ------------------------------------------------------------------------------------------------------


def wants_other_name(journey: Journey) -> bool:
    """The address of the new console account is proven, and its name was taken."""
    return bool(journey.answers.get("registers")) and address_proven(journey) and not name_held(journey)


# Verbs ------------------------------------------------------------------------------------------------------


def send_owner_code(journey: Journey, form: CreateForm) -> None:
    """*Send code* to somebody who has a console account. Whether they have is told by mail only."""
    _keep(journey, form)
    known = new_account.known(journey)
    sent = proofs.send(
        journey,
        "create",
        shown.PURPOSE,
        journey.answers["email"],
        "email",
        about=shown.about_owner_code(journey),
        decoy_message=None if known.at_site else "wrong_site",
    )
    _note_sent(journey, "create", sent)


def create(journey: Journey, form: CreateForm) -> None:
    """Spend the code; the workspace is the proven address's."""
    _keep(journey, form)
    was_proven = address_proven(journey)
    address, token = _prove(journey, shown.PURPOSE, form)
    if address is None:
        return
    _note_proven(journey, "create", was_proven)
    owner = directory.console_account_of(journey.answers["site"], address)
    if owner is None:
        site = sites.get(journey.answers["site"]).label
        raise Refused(
            _(
                "This address has no console account on %(site)s. Choose its site at the top of this page",
                site=site,
            ),
            "email",
        )
    _note_ordered(journey, _order(journey, owner, token))


def send_account_code(journey: Journey, form: CreateAccountForm) -> None:
    """*Send code* to somebody who registers. Whether the address is known is told by mail only."""
    _keep(journey, form)
    sent = new_account.send_code(journey, "create-account", new_account.known(journey))
    _note_sent(journey, "create-account", sent)


def _note_sent(journey: Journey, step: str, sent: dict[str, str]) -> None:
    if sent:
        journeys.note(journey, step, "sent", **sent)


def register_and_create(journey: Journey, form: CreateAccountForm) -> None:
    """Spend the code, hold the name, make the account and its workspace; a taken name is asked for again."""
    _keep(journey, form, registers=True)
    was_proven = address_proven(journey)
    address, token = _prove(journey, new_account.PURPOSE, form)
    if address is None:
        return
    if was_proven:
        new_account.count_try(journey)
        if new_account.known(journey).at_site:
            # The address is proven, so its owner may be told.
            raise Refused(
                _(
                    "This address has a console account on this site already. Choose “I have a console account”"
                ),
                "email",
            )
    held = new_account.hold_name(journey)
    try:
        made = _register(journey, token) if held else None
    except Refused:
        _note_proven(journey, "create-account", was_proven)
        raise
    if made is None:
        _note_proven(journey, "create-account", was_proven)
        if not held:
            journeys.note(journey, "create-username", "taken")
        return
    # One event for all that this click has done: each is a statement.
    _note_ordered(journey, made, **({} if was_proven else {"proven_by": "code"}))


def _note_proven(journey: Journey, step: str, was_proven: bool) -> None:
    if not was_proven:
        journeys.note(journey, step, "proven")


def choose_username(journey: Journey, form: OwnUsernameForm) -> None:
    """Another name, because the first was taken; then all is there."""
    _on_site_shown(journey, form)
    new_account.choose_username(journey, form)
    _note_ordered(journey, _register(journey, secrets.token_hex(8)))


def choose_site(journey: Journey, form: CreateForm) -> None:
    """*Use this site* at the top: what was typed below it is kept, right or wrong; the deed will tell."""
    _keep(journey, form)
    journeys.answer(journey, site=form.new_site.data)
    journeys.note(journey, "site", "chosen", site=form.new_site.data)
    if isinstance(form, CreateAccountForm) and form.lost_password:
        flash(_("Enter the password again: it could not be kept."))


def _keep(journey: Journey, form: CreateForm, registers: bool = False) -> None:
    """Keep what was typed, without the secrets."""
    named = ("site", "workspace_name", "language", "username", "email", "phone", "agree")
    typed = {name: form[name].data or "" for name in named if name in form}
    journeys.answer(journey, **typed, registers=registers)
    journey.locale = language_of(str(get_locale()))
    if isinstance(form, CreateAccountForm) and form.new_hash:
        journey.password_hash = form.new_hash


def _prove(journey: Journey, purpose: str, form: CreateForm) -> tuple[str | None, str]:
    """The address that the code proves, or that is proven already, and a name for what is made with it.

    A proof stays whatever is refused after it, until a workspace is made. No address for the second click of one
    that has made its workspace.
    """
    if address_proven(journey):
        return journey.verified_email, secrets.token_hex(8)
    typed = (form.code.data if form.code else None) or ""
    challenge = codes.live(purpose, journey.reference)
    if challenge is None:
        made = codes.proved(purpose, journey.reference, typed)
        if made and workspaces.is_made_by(_origin(journey, made.id), journey.answers["workspace_name"]):
            forget_draft(journey)
            return None, ""
    elif addresses.key_of(challenge.address) != addresses.key_of(journey.answers["email"]):
        raise Refused(_("Send a code to this address first"), "email")
    elif challenge.about["site_id"] != journey.answers["site"]:
        # Its mail names the site, and a page in another tab may still show that one.
        raise Refused(_("Send a new code first"), "email")
    step = "create" if purpose == shown.PURPOSE else "create-account"
    spent = proofs.enter(journey, challenge, step, typed, address_proven)
    if spent is None:
        return None, ""
    journey.verified_email = spent.address
    return spent.address, spent.id


def _on_site_shown(journey: Journey, form: OwnUsernameForm) -> None:
    """Nothing is made on a site that another tab has chosen since the page was shown."""
    if form.site_seen not in (None, journey.answers["site"]):
        raise Refused(
            _("You chose another site meanwhile. Check the site at the top of this page, then send it again")
        )


def _origin(journey: Journey, token: str) -> str:
    return f"{journey.reference}:{token}"


def _register(journey: Journey, token: str) -> Workspace | None:
    """The workspace, with its account. None where this journey's other request has made it."""
    payer = journey.billing_account
    assert payer is not None
    try:
        with db.session.begin_nested():  # No account without its workspace.
            owner = new_account.make(journey, _origin(journey, token), payer.company_name)
            return _order(journey, owner, token)
    except new_account.MadeMeanwhile:
        return None


def _order(journey: Journey, owner: ConsoleAccount, token: str) -> Workspace:
    assert journey.billing_account is not None
    assert journey.subscription is not None
    answers = journey.answers
    wanted = workspaces.Order(owner.site_id, answers["workspace_name"], answers["language"])
    cloud = cloud_words(journey).cloud
    try:
        return workspaces.order(
            wanted,
            owner,
            journey.billing_account,
            journey.subscription,
            origin=_origin(journey, token),
            by=journey.named,
        )
    except workspaces.MethodNotAllowed:
        raise Refused(
            _("%(cloud)s cannot pay on this site. Choose another at the top of this page", cloud=cloud)
        ) from None
    except SubscriptionTaken:
        raise Refused(
            _("This subscription has ended. Subscribe once more where you bought it, and set that one up")
        ) from None


def _note_ordered(journey: Journey, workspace: Workspace | None, **detail: str) -> None:
    if workspace is None:
        return
    what = "registered and ordered" if journey.answers.get("registers") else "ordered"
    journeys.note(journey, "create", what, workspace=workspace.public_id, **detail)
    forget_draft(journey)


def forget_draft(journey: Journey) -> None:
    """The next workspace begins empty, and with a code of its own."""
    journeys.forget(journey, *DRAFT)
    journey.verified_email = journey.reserved_username = journey.password_hash = None


# The sub-flows ----------------------------------------------------------------------------------------------

WITH_ACCOUNT: Flow[Journey] = Flow(
    "create_workspace",
    stages=(),
    steps=(
        Step(
            "create",
            2,
            is_done=never,
            page=Page(
                "flows/create.html",
                _l("Create workspace"),
                shown.create_form,
                create,
                shown.create,
                actions={
                    "code": Action(send_owner_code, shown.create_form, is_of_page=True),
                    "site": Action(choose_site, shown.create_form, is_of_page=True),
                },
            ),
        ),
    ),
)

WITHOUT_ACCOUNT: Flow[Journey] = Flow(
    "register_and_create_workspace",
    stages=(),
    steps=(
        Step(
            "create-account",
            2,
            is_done=wants_other_name,
            can_reopen=lambda _journey: True,
            page=Page(
                "flows/create.html",
                _l("Create workspace"),
                shown.create_account_form,
                register_and_create,
                shown.create_account,
                actions={
                    "code": Action(send_account_code, shown.create_account_form, is_of_page=True),
                    "site": Action(choose_site, shown.create_account_form, is_of_page=True),
                },
            ),
        ),
        Step(
            "create-username",
            2,
            is_done=never,
            is_needed=wants_other_name,
            page=Page(
                "flows/username.html",
                _l("Choose another username"),
                shown.username_form,
                choose_username,
                show.username,
            ),
        ),
    ),
)
