"""Who asks, as far as limits go: one line, however many addresses it has."""

import pytest
from flask import Flask

from wizard.limits import client_address


@pytest.mark.parametrize(
    ("addresses", "one"),
    [
        (("203.0.113.7",), "203.0.113.7"),
        (
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:DB8:1:2:0:0:0:9"),
            "2001:db8:1:2::/64",
        ),
        (("2001:db8:1:3::1",), "2001:db8:1:3::/64"),
        (("::ffff:203.0.113.7",), "203.0.113.7"),
        (("fe80::1%eth0",), "fe80::/64"),
        (("",), "unknown"),
        (("a socket",), "a socket"),
    ],
)
def test_addresses_of_one_line_count_together(addresses: tuple[str, ...], one: str) -> None:
    app = Flask(__name__)
    for address in addresses:
        with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
            assert client_address() == one
