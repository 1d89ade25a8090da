"""Amazon SQS: a listener for each queue takes what comes into the inbox, and deletes it there when that is committed.

Who may send to a queue is decided by the queue's own policy, so what comes out of it needs no further proof. A message
that comes again, because it was not deleted in time, is in the inbox already.
"""

import logging
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError
from flask import Flask

from wizard import logs
from wizard.extensions import db
from wizard.marketplaces import inbox
from wizard.marketplaces.protocol import Brought, Queue, Said, all_marketplaces
from wizard.transactions import outside_transaction

WAIT = 20
"""Seconds a queue waits for something to come before it answers that nothing did: SQS's longest."""

AT_ONCE = 10
"""Messages in one answer: SQS's most."""

STOP_SECONDS = 10.0
LONGEST_PAUSE = 60.0

_REGION = re.compile(r"https://sqs\.([a-z0-9-]+)\.")

log = logging.getLogger("wizard.marketplaces.queues")


class SqsQueue:
    """A queue of Amazon SQS. ``read`` makes of a body, an id and a time what it says."""

    def __init__(
        self, url: str, region: str, client_of: Callable[[str], Any], read: Callable[..., Said]
    ) -> None:
        self.name = url.rpartition("/")[2]
        self._url = url
        found = _REGION.match(url)
        self._region = found[1] if found else region
        self._client_of = client_of
        self._read = read

    @outside_transaction
    def receive(self, wait: int) -> list[Brought]:
        answer = self._client_of(self._region).receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=AT_ONCE,
            WaitTimeSeconds=wait,
            MessageSystemAttributeNames=["SentTimestamp"],
        )
        return [self._brought(message) for message in answer.get("Messages", [])]

    def _brought(self, message: dict[str, Any]) -> Brought:
        sent = int(message.get("Attributes", {}).get("SentTimestamp", 0)) / 1000
        said = self._read("sqs", message["Body"], message["MessageId"], datetime.fromtimestamp(sent, UTC))
        return Brought(said, message["ReceiptHandle"])

    @outside_transaction
    def delete(self, brought: list[Brought]) -> None:
        entries = [{"Id": str(n), "ReceiptHandle": one.handle} for n, one in enumerate(brought)]
        answer = self._client_of(self._region).delete_message_batch(QueueUrl=self._url, Entries=entries)
        if failed := answer.get("Failed"):
            log.warning("messages were not deleted and come again", extra={"count": len(failed)})


class Listener(threading.Thread):
    """Listens to one queue until stopped. ``took`` is called when something new is in the inbox."""

    def __init__(self, app: Flask, queue: Queue, took: Callable[[], None], wait: int = WAIT) -> None:
        super().__init__(name=f"queue {queue.name}", daemon=True)
        self._app, self._queue, self._took, self._wait = app, queue, took, wait
        self._stopping = threading.Event()
        self._taking = threading.Lock()

    def stop(self) -> None:
        """Take nothing more. What is being taken is finished; whoever only waits for something is not waited for."""
        self._stopping.set()
        if self._taking.acquire(timeout=STOP_SECONDS):
            self._taking.release()

    def run(self) -> None:
        failures = 0
        with logs.about(queue=self._queue.name):
            while not self._stopping.is_set():
                try:
                    with self._app.app_context():
                        brought = self._queue.receive(self._wait)
                    with self._taking:
                        self._take(brought)
                    failures = 0
                except Exception as error:
                    failures += 1
                    self._tell(error)
                    self._stopping.wait(min(2.0**failures, LONGEST_PAUSE))

    def _take(self, brought: list[Brought]) -> None:
        if not brought or self._stopping.is_set():
            return  # It comes again, here or to another worker.
        kept: list[Brought] = []
        failure = None
        for one in brought:
            try:
                with self._app.app_context():
                    inbox.receive(one.said)
                    db.session.commit()
                kept.append(one)
            except Exception as error:
                failure = error  # It comes again. The others do not wait for it.
        if kept:
            self._took()
            with self._app.app_context():
                self._queue.delete(kept)
        if failure:
            raise failure

    def _tell(self, error: Exception) -> None:
        if self._stopping.is_set():
            return
        if isinstance(error, ClientError):
            # No such queue, or not for us: nothing comes from it until somebody puts that right.
            code = error.response.get("Error", {}).get("Code", "")
            log.error("a queue does not let us in", extra={"alert": "sqs_refused", "code": code})
        else:
            log.exception("a queue could not be listened to", extra={"alert": "sqs_unreachable"})


def listen(app: Flask, took: Callable[[], None]) -> list[Listener]:
    """Begin to listen to every queue of the configuration."""
    with app.app_context():
        queues = [queue for marketplace in all_marketplaces().values() for queue in marketplace.queues()]
    listeners = [Listener(app, queue, took) for queue in queues]
    for listener in listeners:
        listener.start()
    return listeners
