"""Many buyers at the sandbox at once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.races import race, results
from tests.support.sandbox import LiveSandbox, live_sandbox
from wizard.sandbox.store import Store


@pytest.fixture
def live(tmp_path: Path) -> Iterator[LiveSandbox]:
    with live_sandbox(tmp_path) as running:
        yield running


def test_sixty_four_buyers_buy_and_resolve_at_once(live: LiveSandbox) -> None:
    live.aws("meteringmarketplace")  # boto3 makes clients in one thread at a time

    def walk(number: int) -> tuple[dict, dict]:
        bought = live.buy(customerAWSAccountId=f"{100_000_000_000 + number}")
        return bought, live.resolve(bought["token"])

    for bought, resolved in results(race(64, walk)):
        assert resolved["CustomerAWSAccountId"] == bought["customerAWSAccountId"]
        assert resolved["Metadata"]["AgreementId"] == bought["agreementId"]


def test_a_counted_fault_is_spent_once_per_call_however_many_ask(live: LiveSandbox) -> None:
    bought = live.buy(fault="throttled", faultCount=7)
    live.aws("meteringmarketplace")
    outcomes = race(16, lambda _: live.resolve(bought["token"]))
    assert sum(outcome.error is not None for outcome in outcomes) == 7


def test_sixteen_cancels_are_one(live: LiveSandbox) -> None:
    bought = live.buy()
    said = results(race(16, lambda _: live.post(f"/aws/purchases/{bought['agreementId']}/cancel")))
    assert said == [said[0]] * 16
    assert said[0][0] == 200


def test_two_sandboxes_may_start_on_one_new_database_at_once(tmp_path: Path) -> None:
    for attempt in range(5):
        results(race(8, lambda _, path=tmp_path / f"{attempt}.db": Store(path)))
