"""Rooms import only the rooms below them; the contracts are in pyproject.toml, and each is shown to fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.databases import ROOT

ROOMS = (
    "worker support billing_center console flows marketplaces billing accounts sites verification mail outbox "
    "clock extensions sandbox"
).split()

COMMAND = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", COMMAND, "--no-cache", "--no-logo"],
        cwd=directory,
        env=os.environ | {"PYTHONPATH": str(directory), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_the_house_keeps_its_contracts() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """An empty house with the real contracts."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for room in ("", *ROOMS):
        (tmp_path / "wizard" / room).mkdir()
        (tmp_path / "wizard" / room / "__init__.py").touch()
    (tmp_path / "wizard" / "flows" / "engine.py").touch()
    return tmp_path


def test_an_empty_house_keeps_them(house: Path) -> None:
    done = lint_imports(house)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("billing", "wizard.flows"),
        ("flows", "wizard.console"),
        ("outbox", "wizard.mail"),
        ("sites", "wizard.verification"),
        ("sandbox", "wizard.billing"),
        ("sandbox", "wizard.extensions"),
        ("marketplaces", "wizard.sandbox"),
        ("flows/engine.py", "flask"),
        ("flows/engine.py", "sqlalchemy.orm"),
    ],
)
def test_an_import_against_the_direction_breaks_one(house: Path, importer: str, imported: str) -> None:
    path = house / "wizard" / importer
    (path if path.suffix else path / "verbs.py").write_text(f"import {imported}\n")
    done = lint_imports(house)
    assert done.returncode == 1, done.stdout
    assert "1 broken" in done.stdout, done.stdout


def test_a_room_without_a_place_breaks_one(house: Path) -> None:
    (house / "wizard" / "attic").mkdir()
    (house / "wizard" / "attic" / "__init__.py").touch()
    done = lint_imports(house)
    assert done.returncode == 1, done.stdout
    assert "attic" in done.stdout, done.stdout
