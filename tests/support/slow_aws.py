"""The sandbox's AWS at the end of a long line, for what happens while the wizard waits for it."""

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class SlowAws(ThreadingHTTPServer):
    """Asks ``real``; what that says arrives when ``go_on`` is set. ``asked`` says that somebody waits."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Forward)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.real = ""
        self.asked, self.go_on = threading.Event(), threading.Event()


class _Forward(BaseHTTPRequestHandler):
    server: SlowAws

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        sent = {name: self.headers[name] for name in ("Content-Type", "X-Amz-Target")}
        with urllib.request.urlopen(urllib.request.Request(self.server.real, body, sent), timeout=30) as real:
            answer = real.read()
        self.server.asked.set()
        self.server.go_on.wait(30)
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_anything: object) -> None:
        pass


@contextmanager
def slow_aws() -> Iterator[SlowAws]:
    aws = SlowAws()
    thread = threading.Thread(target=aws.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield aws
    finally:
        aws.go_on.set()
        aws.shutdown()
        thread.join()
        aws.server_close()
