"""Every flow there is, and the walk of a journey through its own."""

from wizard.flows import change_settlement, claiming, existing_account, no_billing_account
from wizard.flows.engine import Flow, Walk
from wizard.flows.models import REGISTERING, Journey

FLOWS: dict[str, Flow[Journey]] = {
    flow.key: flow for flow in (no_billing_account.FLOW, existing_account.FLOW, change_settlement.FLOW)
}


def walk_of(journey: Journey) -> Walk[Journey]:
    """Where a journey stands. Whoever has registered and lost the purchase they were binding goes on registering."""
    lost = journey.console_account_id is not None and claiming.is_lost(journey)
    return Walk(FLOWS[REGISTERING if lost else journey.flow], journey)
