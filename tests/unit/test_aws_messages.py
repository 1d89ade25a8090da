"""What AWS's messages say: each read in whatever wraps it, and all of a purchase the same in any order."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aws_says import (
    BEGAN,
    Topic,
    created,
    deprovisioned,
    ended,
    event,
    legacy,
    license_arn,
    licensed,
    life,
    renewed_as,
)
from wizard.billing.models import AWS, CANCELLED, DEPROVISIONED, EXPIRED, FAILED, RENEWED, TERMINATED
from wizard.billing.subscriptions import Purchase
from wizard.marketplaces import aws_messages
from wizard.marketplaces.aws_messages import READ_STATUS, fold, learn, question, read, why_not_active
from wizard.marketplaces.protocol import Said, Unreadable

AGREEMENT = Purchase(
    AWS, "aws", "aws:aws:agreement:agmt-1", "payg", "782858285006", "agmt-1", license_arn("agmt-1")
)
CUSTOMER = Purchase(
    AWS, "aws-cn", "aws:aws-cn:customer:payg-cn:X01", "payg-cn", "473081256394", customer_identifier="X01"
)
EMPTY = {"agreement_id": "", "license_arn": ""}


def said(body: dict[str, Any], minutes: float | None = None) -> Said:
    """A message as it was read, at so many minutes where it carries no time of its own."""
    at = None if minutes is None else BEGAN + timedelta(minutes=minutes)
    return read("aws", "sqs", json.dumps(body), f"m-{body.get('action')}-{minutes}", at)


def ours(kind: str, minutes: float, why: str = "") -> Said:
    return Said(f"aws:{kind}:{minutes}", "aws", "ours", kind, BEGAN + timedelta(minutes=minutes), why=why)


def outcome(purchase: Purchase, *messages: Said) -> tuple[str, datetime | None, str]:
    """``(why, when, as what)``: how a purchase ended, nothing where it goes on."""
    told = fold(purchase, messages)
    return (told.end.why, told.end.at, told.successor) if told.end else ("", None, told.successor)


def at(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


# Reading ------------------------------------------------------------------------------------------------------


def test_an_event_is_read_with_every_name_of_its_purchase() -> None:
    one = said(licensed("agmt-1", minutes=7))
    assert (one.kind, one.at) == ("License Updated", at(7))
    assert (one.agreement_id, one.license_key) == ("agmt-1", license_arn("agmt-1").rpartition(":")[2])
    assert said(renewed_as("agmt-2", "agmt-1")).previous_agreement_id == "agmt-1"
    assert said(ended("agmt-1", status="EXPIRED")).why == EXPIRED


def test_an_event_is_one_message_whatever_road_it_took() -> None:
    body = ended("agmt-1")
    wrapped = Topic("aws").notify(body)
    roads = [read("aws", "sqs", json.dumps(b), "of-the-queue", at(0)) for b in (body, wrapped)]
    roads.append(read("aws", "https", json.dumps(wrapped)))
    assert {one.message_id for one in roads} == {f"aws:{body['id']}"}
    assert {one.at for one in roads} == {at(60)}


def test_a_notification_is_read_with_and_without_its_envelope() -> None:
    body = legacy("unsubscribe-success", "X01")
    sent = Topic().notify(body, at=at(5))
    enveloped = read("aws-cn", "sqs", json.dumps(sent), "of-the-queue", at(99))
    assert (enveloped.message_id, enveloped.at) == (f"aws-cn:{sent['MessageId']}", at(5))
    bare = read("aws-cn", "sqs", json.dumps(body), "of-the-queue", at(9))
    assert (bare.message_id, bare.at) == ("aws-cn:of-the-queue", at(9))
    assert bare.customer_key == enveloped.customer_key == "payg-cn-4w9t1r8e6y:X01"
    assert bare.why == CANCELLED


def test_a_licence_is_known_by_its_last_part() -> None:
    key = "l-9d01d15f86334a8894365cd7350556ff"
    for arn in (
        f"arn:aws:license-manager::294406891311:license:{key}",
        f"aws:license-manager:us-east-1:123456789012:{key}",
        key,
    ):
        assert aws_messages.license_key_of(arn) == key
    assert aws_messages.license_key_of("arn:aws:iam::1:role/seller") == ""


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "[]",
        "null",
        "{}",
        "[" * 100_000,
        json.dumps({"Type": "Notification", "TopicArn": "arn:…", "Message": "no JSON in it"}),
        json.dumps({"Type": "Notification", "TopicArn": "arn:…", "MessageId": "1", "Message": "{}"}),
        json.dumps(legacy("", "X01")),
        json.dumps(legacy("subscribe-success", "")),
        json.dumps(legacy("subscribe-success", "X\x00")),
        json.dumps({"action": ["unsubscribe-success"], "product-code": {"a": 1}}),
        json.dumps({**ended("agmt-1"), "source": "aws.ec2"}),
        json.dumps({**ended("agmt-1"), "id": ""}),
        json.dumps({**ended("agmt-1"), "time": "yesterday"}),
        json.dumps({**ended("agmt-1"), "time": None}),
        json.dumps({**ended("agmt-1"), "time": "0001-01-01T00:00:00+14:00"}),
        json.dumps({**ended("agmt-1"), "time": "9999-12-31T23:59:59-10:00"}),
        json.dumps({**ended("agmt-1"), "resources": [float("nan")]}),
        json.dumps({**ended("agmt-1"), "resources": [float("-inf")]}),
        json.dumps({**ended("agmt-1"), "detail": []}),
        json.dumps({**ended("agmt-1"), "detail-type": "License\x00"}),
        json.dumps(ended("agmt-1", status="PAUSED")),
        json.dumps(ended("")),
    ],
)
def test_what_says_nothing_we_know_is_told_apart(body: str) -> None:
    with pytest.raises(Unreadable):
        read("aws", "sqs", body, "1", at(0))


def test_a_topic_that_is_not_ours_is_not_read() -> None:
    body = json.dumps(Topic().notify(legacy("unsubscribe-success", "X01")))
    with pytest.raises(Unreadable):
        read("aws-cn", "sqs", body, topics=("arn:aws-cn:sns:cn-northwest-1:1:another",))
    assert read("aws-cn", "sqs", body, topics=(Topic().arn,)).kind == "unsubscribe-success"


# Agreements ---------------------------------------------------------------------------------------------------


def test_an_agreement_ends_when_and_why_its_end_says() -> None:
    assert outcome(AGREEMENT, *map(said, life("agmt-1")[:2])) == ("", None, "")
    assert outcome(AGREEMENT, *map(said, life("agmt-1"))) == (CANCELLED, at(60), "")


def test_a_licence_that_was_taken_back_is_no_end_by_itself() -> None:
    assert outcome(AGREEMENT, said(deprovisioned("agmt-1"))) == ("", None, "")
    decided = ours(aws_messages.UNANSWERED, 61, DEPROVISIONED)
    assert outcome(AGREEMENT, said(deprovisioned("agmt-1")), decided) == (DEPROVISIONED, at(61), "")
    late = said(ended("agmt-1", minutes=200, status="RENEWED"))
    assert outcome(AGREEMENT, said(deprovisioned("agmt-1")), decided, late) == (RENEWED, at(200), "")


def test_a_renewal_names_what_follows() -> None:
    told = [said(ended("agmt-1", status="RENEWED")), said(renewed_as("agmt-2", "agmt-1", 59))]
    assert outcome(AGREEMENT, *told) == (RENEWED, at(60), "agmt-2")
    assert outcome(AGREEMENT, said(renewed_as("agmt-1", "agmt-1"))) == ("", None, "")


def test_another_agreements_end_is_not_this_ones() -> None:
    assert outcome(AGREEMENT, said(ended("agmt-2"))) == ("", None, "")


def test_nothing_revives_an_agreement() -> None:
    """Whoever subscribes again gets another one."""
    again = [said(legacy("subscribe-success", "X01"), 300), ours(aws_messages.LANDED, 900)]
    assert outcome(AGREEMENT, said(ended("agmt-1")), *again) == (CANCELLED, at(60), "")


def test_a_notification_about_a_customer_proves_nothing_of_one_agreement_but_has_it_asked_about() -> None:
    for kind in ("unsubscribe-success", "subscribe-fail"):
        one = said(legacy(kind, "X01"), 60)
        assert outcome(AGREEMENT, one) == ("", None, "")
        assert question(AGREEMENT, one) == READ_STATUS
        assert question(CUSTOMER, one) == ""
    assert question(AGREEMENT, said(legacy("subscribe-success", "X01"), 60)) == ""


def test_only_a_status_that_says_that_an_agreement_is_over_ends_it() -> None:
    for status in ("CANCELLED", "EXPIRED", "TERMINATED", "RENEWED", "REPLACED", "ARCHIVED"):
        assert why_not_active(status) == status.lower()
    for status in ("ACTIVE", "", "UNKNOWN", "ROLLED_BACK", "SUPERSEDED"):
        assert not why_not_active(status)
    read = ours(aws_messages.NOT_ACTIVE, 50, TERMINATED)
    assert outcome(AGREEMENT, read) == (TERMINATED, at(50), "")
    assert outcome(AGREEMENT, read, said(ended("agmt-1"))) == (CANCELLED, at(60), ""), "its own end says why"


def test_entitlements_that_come_back_take_their_end_back_and_no_other() -> None:
    gone, back = ours(aws_messages.NO_ENTITLEMENTS, 10, EXPIRED), ours(aws_messages.ENTITLED_AGAIN, 20)
    for purchase in (AGREEMENT, CUSTOMER):
        assert outcome(purchase, gone) == (EXPIRED, at(10), "")
        assert outcome(purchase, gone, back) == ("", None, "")
    assert outcome(AGREEMENT, gone, said(ended("agmt-1", 15)), back) == (CANCELLED, at(15), "")


@pytest.mark.parametrize("missing", EMPTY)
def test_a_licence_event_teaches_the_name_that_is_missing(missing: str) -> None:
    full = {"agreement_id": "agmt-1", "license_arn": license_arn("agmt-1")}
    told = [said(body) for body in life("agmt-1")]
    assert learn(replace(AGREEMENT, **{missing: ""}), told) == {missing: full[missing]}
    assert learn(AGREEMENT, told) == {}
    assert learn(replace(AGREEMENT, **EMPTY), told) == {}
    assert learn(replace(AGREEMENT, **{missing: ""}), [said(licensed("agmt-2"))]) == {}


# Customers of legacy listings -----------------------------------------------------------------------------------


def of_customer(*told: tuple[str, float]) -> tuple[str, datetime | None, str]:
    words = {aws_messages.LANDED, aws_messages.NO_ENTITLEMENTS, aws_messages.ENTITLED_AGAIN}
    why = {aws_messages.NO_ENTITLEMENTS: EXPIRED}
    return outcome(
        CUSTOMER,
        *(
            ours(kind, minutes, why.get(kind, "")) if kind in words else said(legacy(kind, "X01"), minutes)
            for kind, minutes in told
        ),
    )


def test_the_newest_notification_decides() -> None:
    assert of_customer(("subscribe-success", 0)) == ("", None, "")
    assert of_customer(("subscribe-success", 0), ("subscribe-fail", 1)) == (FAILED, at(1), "")
    assert of_customer(("subscribe-success", 0), ("unsubscribe-pending", 1)) == ("", None, "")
    assert of_customer(("subscribe-success", 0), ("unsubscribe-success", 9)) == (CANCELLED, at(9), "")
    assert of_customer(("unsubscribe-success", 9), ("subscribe-success", 10)) == ("", None, "")
    assert of_customer(("subscribe-success", 20), ("unsubscribe-success", 9)) == ("", None, "")


def test_a_landing_long_after_the_end_proves_another_subscription() -> None:
    """Within a token's life it may be the old one."""
    assert of_customer(("unsubscribe-success", 0), (aws_messages.LANDED, 239)) == (CANCELLED, at(0), "")
    assert of_customer(("unsubscribe-success", 0), (aws_messages.LANDED, 241)) == ("", None, "")
    assert of_customer((aws_messages.LANDED, 241), ("unsubscribe-success", 300)) == (CANCELLED, at(300), "")


# In any order, and any number of times -----------------------------------------------------------------------------

LIVES: list[tuple[Purchase, list[Said]]] = [
    (AGREEMENT, [said(body) for body in life("agmt-1")]),
    (
        AGREEMENT,
        [
            *(said(body) for body in life("agmt-1", "RENEWED")),
            said(event("Purchase Agreement Ended - Manufacturer", "agmt-1", 59, status="RENEWED")),
            said(renewed_as("agmt-2", "agmt-1", 58)),
            said(created("agmt-2", 58, previousAgreementId="agmt-1")),
            ours(aws_messages.UNANSWERED, 61, DEPROVISIONED),
            ours(aws_messages.NO_ENTITLEMENTS, 62, EXPIRED),
        ],
    ),
    (
        CUSTOMER,
        [
            *(
                said(legacy(action, "X01"), minutes)
                for action, minutes in (
                    ("subscribe-success", 0),
                    ("entitlement-updated", 1),
                    ("unsubscribe-pending", 30),
                    ("unsubscribe-success", 90),
                    ("subscribe-success", 95),
                    ("subscribe-fail", 96),
                    ("subscribe-success", 400),
                )
            ),
            ours(aws_messages.LANDED, 380),
            ours(aws_messages.NO_ENTITLEMENTS, 410, EXPIRED),
        ],
    ),
]


@given(st.data(), st.sampled_from(LIVES))
def test_messages_say_the_same_in_any_order_and_any_number_of_times(
    data: st.DataObject, one_life: tuple[Purchase, list[Said]]
) -> None:
    purchase, told = one_life
    again = data.draw(st.lists(st.sampled_from(told)))
    shuffled = data.draw(st.permutations([*told, *again]))
    assert fold(purchase, shuffled) == fold(purchase, told)
    assert learn(replace(purchase, license_arn=""), shuffled) == learn(
        replace(purchase, license_arn=""), told
    )


DECIDES = (aws_messages.SUBSCRIBED, aws_messages.UNSUBSCRIBED, aws_messages.FAILED)


@given(st.data())
def test_a_message_older_than_what_is_known_of_a_customer_changes_nothing(data: st.DataObject) -> None:
    told = [one for one in LIVES[-1][1] if one.kind in DECIDES]
    known = data.draw(st.lists(st.sampled_from(told), min_size=1, unique_by=lambda one: one.message_id))
    minutes = (max(one.at for one in known) - BEGAN) / timedelta(minutes=1)
    older = said(legacy(data.draw(st.sampled_from(DECIDES)), "X01"), minutes - 0.5)
    before, after = outcome(CUSTOMER, *known), outcome(CUSTOMER, *known, older)
    assert bool(before[0]) == bool(after[0])
