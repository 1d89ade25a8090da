"""The running product as one process: many people at once, power cuts, stops, wrong settings, a lost database."""

import re
import threading
import time
from pathlib import Path

from tests.support.over_http import HttpWalk, walk_over_http
from tests.support.races import race, results
from tests.support.server import Server

LANDING = "/marketplaces/aws/landing"


def test_the_printed_doors_open(server: Server) -> None:
    printed = re.findall(r"https?://\S+", server.log.read_text())
    assert len(printed) >= 6
    print(printed)


def test_64(server: Server) -> None:
    walks = [walk_over_http(server) for _ in range(64)]
    for w in walks:
        w.bought = server.buy()
    t = time.time()
    landed = results(race(64, lambda n: walks[n].land().page))
    print("64", time.time() - t)
    assert {page.h1 for page in landed} == {"Do you have a Billing Center account?"}


def test_twenty(server: Server) -> None:
    walks = [walk_over_http(server) for _ in range(20)]
    t = time.time()

    def go(n: int) -> str:
        walks[n].to_end()
        return walks[n].sign_in().h1

    homes = results(race(20, go))
    print("20", time.time() - t)
    assert homes == ["Harbour"] * 20
