"""Subscriptions to SNS topics: the sandbox's are there from the start, and can be asked for again to be confirmed."""

import secrets
from collections.abc import Callable

from wizard.sandbox.errors import AwsError
from wizard.sandbox.events import confirmation, topic_of
from wizard.sandbox.messages import Messages
from wizard.sandbox.partitions import Partition
from wizard.sandbox.signing import subscription_arn
from wizard.sandbox.store import Store


class Topics:
    """The verbs over the confirmations of a :class:`Store`."""

    def __init__(self, store: Store, now: Callable[[], float], messages: Messages) -> None:
        self._store = store
        self._now = now
        self._messages = messages

    def ask(self, partition: str, product_code: str) -> str:
        """Ask the seller's endpoint to confirm that it wants a listing's messages. Returns the topic."""
        token = secrets.token_hex(64)
        topic = topic_of(partition, product_code)
        with self._store.writing() as db:
            db.execute(
                "INSERT INTO confirmations (token, partition, topic) VALUES (?, ?, ?)",
                [token, partition, topic],
            )
            asked = [confirmation(token, topic, self._now())]
            self._messages.put(db, partition, asked, product_code=product_code)
        self._messages.ring()
        return topic

    def confirm(self, partition: Partition, topic: str, token: str) -> str:
        """The ARN of the subscription. Raises :class:`AwsError` for a token that is not this topic's; again is the
        same answer."""
        with self._store.writing() as db:
            known = db.execute(
                "SELECT 1 FROM confirmations WHERE partition = ? AND topic = ?", [partition.name, topic]
            )
            if known.fetchone() is None:
                raise AwsError("NotFound", "Topic does not exist", 404)
            done = db.execute(
                "UPDATE confirmations SET confirmed_at = COALESCE(confirmed_at, ?)"
                " WHERE token = ? AND partition = ? AND topic = ?",
                [self._now(), token, partition.name, topic],
            )
            if not done.rowcount:
                raise AwsError("InvalidParameter", "Invalid parameter: Token")
        return subscription_arn(topic)

    def confirmed(self, partition: str, product_code: str) -> float | None:
        """When the last confirmation of a listing's topic came, in Unix seconds; None where none has come."""
        with self._store.reading() as db:
            row = db.execute(
                "SELECT MAX(confirmed_at) AS at FROM confirmations WHERE topic = ?",
                [topic_of(partition, product_code)],
            ).fetchone()
            at: float | None = row["at"]
            return at
