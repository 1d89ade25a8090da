"""No test talks to anybody outside this machine; one that tries fails at once instead of waiting for a network.

And something odd to talk to, here.
"""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from typing import Any


class Outside(AssertionError):
    """A test tried to reach another machine."""


def is_here(host: object) -> bool:
    """Whether a host, by name or by address, is this machine."""
    name = host.decode() if isinstance(host, bytes) else host
    if name is None or not isinstance(name, str):
        return name is None
    if name in ("", "localhost") or name.endswith(".localhost"):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def refuse_outside() -> Callable[[], None]:
    """Guard every socket of this process. Returns what takes the guard away again."""
    # The socket class takes its methods from one written in C, so giving back means removing ours.
    plain = {name: getattr(socket.socket, name) for name in ("connect", "connect_ex", "sendto")}
    resolve = socket.getaddrinfo

    def guarded(name: str) -> Callable[..., Any]:
        def call(self: socket.socket, *args: Any) -> Any:
            address = args[-1]
            if self.family in (socket.AF_INET, socket.AF_INET6) and not is_here(address[0]):
                raise Outside(f"a test tried to reach {address[0]}:{address[1]}")
            return plain[name](self, *args)

        return call

    def guarded_resolve(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_here(host):
            raise Outside(f"a test asked for the address of {host}")
        return resolve(host, *args, **kwargs)

    for name in plain:
        setattr(socket.socket, name, guarded(name))
    socket.getaddrinfo = guarded_resolve

    def give_back() -> None:
        for name in plain:
            delattr(socket.socket, name)
        socket.getaddrinfo = resolve

    return give_back


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """The address of something that reads a request and says this to everybody, whatever was asked."""
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def speak() -> None:
            with suppress(OSError):  # It was closed: the test is over.
                while True:
                    caller, _address = odd.accept()
                    with caller:
                        caller.recv(65536)
                        caller.sendall(answer)

        threading.Thread(target=speak, daemon=True).start()
        yield f"http://127.0.0.1:{odd.getsockname()[1]}/"
        odd.shutdown(socket.SHUT_RDWR)


def http(body: bytes, status: str = "200 OK") -> bytes:
    """An HTTP answer with this body."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body
