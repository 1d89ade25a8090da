"""The flow *existing Billing Center account*: a purchase is bound to it, then to its workspaces.

Bind Billing Center account (username → code) → bind workspace, which owns binding one and creating one → successful.
"""

from flask_babel import get_locale
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from wizard.accounts import directory
from wizard.accounts.models import BillingAccount
from wizard.flows import bind_workspace, claiming, create_workspace, journeys, proofs
from wizard.flows import show_binding as show
from wizard.flows.engine import Flow, Step
from wizard.flows.forms import HERE, OTHER, SAME, AccountForm
from wizard.flows.models import BINDING, Journey
from wizard.flows.pages import Action, FlowPage, Page
from wizard.flows.refusals import Refused
from wizard.forms import Form
from wizard.i18n import language_of
from wizard.verification import codes
from wizard.verification.forms import CodeForm

# Facts ------------------------------------------------------------------------------------------------------


def account_given(journey: Journey) -> bool:
    """Whether a code is on its way, or none is needed."""
    return journey.answers.get("which") in (SAME, OTHER) or account_bound(journey)


def account_bound(journey: Journey) -> bool:
    return journey.billing_account_id is not None


def is_finished(journey: Journey) -> bool:
    return journey.is_finished


# Verbs ------------------------------------------------------------------------------------------------------


def give_account(journey: Journey, form: AccountForm) -> None:
    """Keep which account it is. The one signed in here a moment ago is bound; to any other one a code is mailed."""
    before = journey.answers
    journeys.answer(journey, which=form.which.data, billing_username=form.username.data or "")
    journey.locale = language_of(str(get_locale()))
    if form.which.data != HERE:
        try:
            sent = _send_code(journey, "account")
        except Refused:
            journey.answers = before  # The code that works is the one mailed before, for whom was named then.
            raise
        journeys.note(journey, "account", "submitted", which=form.which.data, **sent)
        return
    account = show.offered_accounts(journey).get(HERE)
    if account is None:
        raise Refused(_("You are no longer signed in to the Billing Center here. Choose again"), "which")
    claiming.bind_account(journey, account.id)
    journeys.grow(journey)


def _asked_for(journey: Journey) -> tuple[BillingAccount | None, str]:
    """The account somebody means, if there is one, and what it is called where nothing may be told of it."""
    assert journey.subscription is not None
    if journey.answers["which"] == SAME:
        cloud_account = journey.subscription.cloud_account_id
        return show.payer_of_other_purchase(journey), f"payer of {cloud_account}"
    name = journey.answers["billing_username"]
    return directory.billing_account_called(name), f"called {name.casefold()}"


def _send_code(journey: Journey, step: str) -> dict[str, str]:
    """The same for a name that is known and one that is not, but for the mail: to nobody none goes out."""
    account, asked_as = _asked_for(journey)
    return proofs.send(
        journey,
        step,
        show.BIND,
        account.email if account else codes.NOBODY,
        "username",
        about=show.about_code(journey, account),
        asked_as=asked_as,
    )


def send_again(journey: Journey, _form: Form) -> None:
    """The button under the code."""
    proofs.send_again(journey, show.BIND, "code", lambda: _send_code(journey, "code"))


def enter_code(journey: Journey, form: CodeForm) -> None:
    """Spend the code: whoever reads the mail of a Billing Center account binds the purchase to it."""
    challenge = codes.live(show.BIND, journey.reference)
    challenge = proofs.enter(journey, challenge, "code", form.code.data or "", account_bound)
    if challenge is None:
        return
    # The account the code was mailed for, whatever another tab has typed since.
    claiming.bind_account(journey, challenge.about["billing_account"])
    journeys.grow(journey)


# The flow ---------------------------------------------------------------------------------------------------

FLOW: Flow[Journey] = Flow(
    BINDING,
    page=FlowPage(show.line_of, show.around),
    stages=(_l("Bind Billing Center account"), _l("Bind workspace"), _l("Successful")),
    steps=(
        Step(
            "account",
            1,
            is_done=account_given,
            can_reopen=lambda journey: not account_bound(journey),
            page=Page(
                "flows/account.html",
                _l("Bind Billing Center account"),
                show.account_form,
                give_account,
                show.account,
            ),
        ),
        Step(
            "code",
            1,
            is_done=account_bound,
            page=Page(
                "flows/code.html",
                _l("Enter the code from your email"),
                lambda _journey: CodeForm(),
                enter_code,
                show.code,
                actions={"resend": Action(send_again)},
            ),
        ),
        Step(
            "workspaces",
            2,
            is_done=is_finished,
            can_reopen=is_finished,
            page=bind_workspace.PAGE,
            subflows=(bind_workspace.FLOW, create_workspace.WITH_ACCOUNT, create_workspace.WITHOUT_ACCOUNT),
        ),
        Step(
            "successful",
            3,
            is_done=is_finished,
            page=Page("flows/bound.html", _l("Activation successful"), context=show.success),
        ),
    ),
)
