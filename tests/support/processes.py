"""Programs that tests start do not outlive them, however the test run ends."""

import ctypes
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def dying_with_us(number: signal.Signals) -> Callable[[], None] | None:
    """For ``subprocess.Popen(preexec_fn=…)``: Linux sends the child this signal should the test run be killed.

    Start it from the main thread: what Linux looks at is the end of the thread.

    None on other systems, where a killed run may leave its programs behind.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)

    return ask
