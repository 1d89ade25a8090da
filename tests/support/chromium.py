"""A Chromium to test with: the machine's own, or one that gets installed.

``python -m tests.support.chromium`` finds or installs one and says which; ``make test`` runs it first.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
INSTALL_SECONDS = 600

NONE_FOUND = (
    "No Chromium was found and none could be installed: install one (Debian: apt install chromium) "
    "or name one with CHROMIUM=/path/to/chromium."
)


class NoChromium(RuntimeError):
    """There is no browser; the message is one sentence for a person."""


def launch_arguments() -> list[str]:
    """Arguments that keep the browser from talking to anybody but the product."""
    arguments = [
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-gpu",  # Without one, drawing as if there were one takes longer than drawing.
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's own sandbox refuses to work for root.
    return arguments


def find() -> str | None:
    """The path of a Chromium: ``$CHROMIUM``, one on the PATH, or the one Playwright installed."""
    named = os.environ.get("CHROMIUM", "")
    if named:
        found = shutil.which(named)
        if found is None:
            raise NoChromium(f"CHROMIUM wants the path of a Chromium, and {named!r} is no program.")
        return found
    return next((path for path in map(shutil.which, NAMES) if path), None) or _of_playwright()


def find_or_install() -> str:
    """The path of a Chromium, installing one where there is none. Raises :class:`NoChromium`."""
    found = find()
    for install in (_install_with_playwright, _install_with_apt):
        if found:
            break
        install()
        found = find()
    if not found:
        raise NoChromium(NONE_FOUND)
    return found


def _of_playwright() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _install_with_playwright() -> None:
    print("   no Chromium here: asking Playwright for one", flush=True)
    _try([sys.executable, "-m", "playwright", "install", "chromium"])


def _install_with_apt() -> None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return
    print("   asking apt for one", flush=True)
    # The fonts are those the pages are drawn with: without them Chinese is a row of boxes.
    if _try(["apt-get", "-qq", "update"]):
        _try(["apt-get", "-qq", "install", "-y", "chromium", "fonts-inter", "fonts-noto-cjk"])


def _try(command: list[str]) -> bool:
    """Run a command without a keyboard; its output is shown only where it fails."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            timeout=INSTALL_SECONDS,
            text=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"   {command[0]}: {error}", flush=True)
        return False
    if done.returncode:
        print("   " + "\n   ".join(done.stdout.strip().splitlines()[-5:]), flush=True)
    return done.returncode == 0


if __name__ == "__main__":
    try:
        print(f"   {find_or_install()}", flush=True)
    except NoChromium as none:
        sys.exit(str(none))
