"""moto's server: SQS and SNS that answer unmodified boto3, and sign what they send.

Its certificates are served at its own address, whatever host a message names for them.
"""

import itertools
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest

from tests.support.processes import dying_with_us
from tests.support.server import free_port

START_SECONDS = 60

_numbers = itertools.count(1)


class Moto:
    """AWS as moto plays it. ``url``: of all its services."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.sqs, self.sns = (self._client(service) for service in ("sqs", "sns"))

    def _client(self, service: str) -> Any:
        return boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=self.url,
            aws_access_key_id="anybody",
            aws_secret_access_key="anything",
        )

    def queue(self, visible_after: int = 30) -> str:
        """The address of a new queue; what was given out and not deleted is there again after so many seconds.

        moto is slow with many messages: for hundreds, ask the sandbox.
        """
        made = self.sqs.create_queue(
            QueueName=f"from-aws-{next(_numbers)}", Attributes={"VisibilityTimeout": str(visible_after)}
        )
        return str(made["QueueUrl"])

    def topic(self, queue: str, raw: bool = False) -> str:
        """The ARN of a new topic whose messages go into a queue."""
        arn = str(
            self.sns.create_topic(Name=f"aws-mp-subscription-notification-{next(_numbers)}")["TopicArn"]
        )
        of_queue = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
        self.sns.subscribe(
            TopicArn=arn,
            Protocol="sqs",
            Endpoint=of_queue["QueueArn"],
            Attributes={"RawMessageDelivery": str(raw).lower()},
        )
        return arn

    def left_in(self, queue: str) -> int:
        """How many messages a queue still has, given out or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        told = self.sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return sum(int(told[name]) for name in names)

    def certificate(self, url: str) -> bytes:
        """What is at an address of AWS's SNS. moto knows by the signature alone which service is meant."""
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=anybody/20260101/us-east-1/sns/aws4_request"}
        request = urllib.request.Request(self.url + urlsplit(url).path, headers=signed)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moto]:
    """One for all tests: make a queue and a topic in each."""
    port = free_port()
    log = tmp_path_factory.mktemp("moto") / "moto.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-p", str(port)],
            env={**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "false"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=dying_with_us(signal.SIGKILL),
        )
    url = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5).close()
            break
        except (urllib.error.URLError, OSError):
            told = log.read_text(errors="replace")[-2000:]
            assert process.poll() is None, f"moto ended:\n{told}"
            assert time.monotonic() < deadline, f"moto is not ready:\n{told}"
            time.sleep(0.1)
    server = Moto(url)
    yield server
    for client in (server.sqs, server.sns):
        client.close()
    process.terminate()
    process.wait(10)
