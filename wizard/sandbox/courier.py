"""What carries messages to the seller's endpoint, as SNS does. A helper of whoever runs the sandbox: the app itself
starts nothing.

courier = start_courier(app)
courier.stop()
"""

import json
import logging
import threading
from collections.abc import Callable, Mapping

import requests
from flask import Flask

from wizard.sandbox.events import CONFIRMATION
from wizard.sandbox.messages import LOOK_EVERY, Message
from wizard.sandbox.signing import envelope, subscription_arn
from wizard.sandbox.web import Sandbox

PATIENCE_SECONDS = 15
"""How long SNS waits for an answer."""

log = logging.getLogger(__name__)

Post = Callable[[str, bytes, Mapping[str, str]], int | None]
"""``(url, body, headers)`` → the status of the answer, None for no answer."""


def over_http(url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
    """Post it as SNS does: no redirect is followed."""
    try:
        return requests.post(
            url, body, headers=dict(headers), timeout=PATIENCE_SECONDS, allow_redirects=False
        ).status_code
    except requests.RequestException:
        return None


class Courier:
    """Delivers what is due: at once with :meth:`deliver`, or until stopped with :meth:`run`."""

    def __init__(self, app: Flask, post: Post = over_http) -> None:
        self._here: Sandbox = app.extensions["sandbox"]
        self._post = post
        self._stopping = False

    def deliver(self, agreement_id: str | None = None) -> int:
        """Post everything that is due, or what is due of one purchase. Returns how many were posted."""
        count = 0
        while not self._stopping and (message := self._here.messages.claim(agreement_id)):
            self._here.messages.answered(message, self._carry(message))
            count += 1
        return count

    def run(self) -> None:
        """Deliver until stopped."""
        while not self._stopping:
            rung = self._here.messages.rung
            try:
                self.deliver()
            except Exception:
                log.exception("the sandbox could not deliver a message")
            self._here.messages.wait(rung, LOOK_EVERY)

    def stop(self) -> None:
        self._stopping = True
        self._here.messages.ring()

    def _carry(self, message: Message) -> int | None:
        url = self._here.settings.notification_urls[message.partition]
        said = envelope(message, self._here.signer, self._here.settings.sns_url)
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
            "x-amz-sns-message-type": said["Type"],
            "x-amz-sns-message-id": said["MessageId"],
            "x-amz-sns-topic-arn": said["TopicArn"],
        }
        if message.kind != CONFIRMATION:
            headers["x-amz-sns-subscription-arn"] = subscription_arn(said["TopicArn"])
        return self._post(url, json.dumps(said).encode(), headers)


def start_courier(app: Flask, post: Post = over_http) -> Courier:
    """A courier in a daemon thread of its own."""
    courier = Courier(app, post)
    threading.Thread(target=courier.run, name="sandbox-courier", daemon=True).start()
    return courier
